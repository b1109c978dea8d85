import math

import numpy as np
import pytest
from PIL import Image

from workbench.shapes.render import render
from workbench.shapes.scene import COLORS, SHAPES, PlacedShape, Scene

WHITE = (255, 255, 255)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_the_area_and_the_middle_it_says(shape: str) -> None:
    picture = render(Scene((PlacedShape("blue", shape, 0.45, 0.55, 0.15),), WHITE), 400)
    ink = 1 - (np.asarray(picture, float)[..., 0] - COLORS["blue"][0]) / (255 - COLORS["blue"][0])
    assert ink.sum() == pytest.approx(math.pi * 60**2, rel=0.01)
    rows, columns = np.mgrid[:400, :400] + 0.5
    assert (ink * columns).sum() / ink.sum() == pytest.approx(180, abs=0.5)
    assert (ink * rows).sum() / ink.sum() == pytest.approx(220, abs=0.5)


def test_a_scene_is_the_same_picture_at_every_resolution() -> None:
    objects = (PlacedShape("red", "star", 0.3, 0.3, 0.14), PlacedShape("green", "diamond", 0.7, 0.6, 0.1))
    scene = Scene(objects, (150, 150, 140), blur=0.01, specks=0.02, speck_seed=3)
    small, large = render(scene, 128), render(scene, 512).resize((128, 128), Image.Resampling.BOX)
    assert np.abs(np.asarray(small, float) - np.asarray(large, float)).mean() < 2


def test_rendering_is_deterministic_and_dust_moves_with_its_seed() -> None:
    dusty = [render(Scene((), WHITE, specks=0.03, speck_seed=seed), 64).tobytes() for seed in (1, 1, 2)]
    assert dusty[0] == dusty[1] != dusty[2]
