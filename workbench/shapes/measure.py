"""What can be seen in a picture of the shapes world, from its pixels alone."""

from PIL import Image

from workbench.shapes.scene import Observation


def observe(image: Image.Image) -> Observation:
    """The objects, blur, specks and background of a picture of any size and mode."""
    raise NotImplementedError
