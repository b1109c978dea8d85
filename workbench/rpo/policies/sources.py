"""The pictures that edits are about: read from wherever they are, fitted to what a model can take."""

import math

from PIL import Image

from workbench.pairs.images import decode
from workbench.pairs.sources import ImageError, read_bytes
from workbench.rpo.policy import Prompt


def open_source(prompt: Prompt) -> Image.Image:
    """The prompt's source, upright and RGB; raises `ValueError` naming the prompt where it has none or a bad one."""
    if prompt.source is None:
        raise ValueError(f"prompt {prompt.id} ({prompt.text!r}) has no source image: an edit is of something")
    try:
        return decode(read_bytes(prompt.source))
    except ImageError as error:
        raise ValueError(f"prompt {prompt.id}: {error}") from error


def fitting(picture: Image.Image, size: int) -> tuple[int, int]:
    """Width and height of the picture's aspect ratio at an area of size^2, in the pipelines' multiples of 32 pixels.

    >>> fitting(Image.new("RGB", (300, 100)), 512)
    (896, 288)
    """
    ratio = picture.width / picture.height
    width = math.sqrt(size**2 * ratio)
    return max(1, round(width / 32)) * 32, max(1, round(width / ratio / 32)) * 32
