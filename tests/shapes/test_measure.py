from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from workbench.shapes.layout import items, place, random_background
from workbench.shapes.measure import observe
from workbench.shapes.render import render
from workbench.shapes.sampling import random_spec
from workbench.shapes.scene import Observation, PlacedShape, Scene, exact


def scenes(n: int, seed: int, **degradations: float) -> list[Scene]:
    rng = np.random.default_rng(seed)
    found: list[Scene] = []
    while len(found) < n:
        spec = random_spec(rng)
        if objects := place(items(spec), spec.relation, rng):
            background = random_background(rng)
            found.append(Scene(objects, background, speck_seed=len(found), **degradations))
    return found


def fully_right(truth: Observation, seen: Observation) -> bool:
    """Every object found with its colour, shape, size and place, and none besides; background right."""

    def alike(a: PlacedShape, b: PlacedShape) -> bool:
        near = abs(a.x - b.x) < 0.02 and abs(a.y - b.y) < 0.02
        return near and (a.color, a.shape, a.size) == (b.color, b.shape, b.size)

    matched = all(sum(alike(a, b) for b in seen.objects) == 1 for a in truth.objects)
    return matched and len(truth.objects) == len(seen.objects) and abs(truth.brightness - seen.brightness) < 0.02


def share_right(drawn: list[Scene], width: int) -> float:
    return float(np.mean([fully_right(exact(scene), observe(render(scene, width))) for scene in drawn]))


@pytest.mark.parametrize(("width", "n"), [(96, 200), (128, 1000), (256, 200), (512, 50)])
def test_at_least_99_of_100_clean_renders_are_seen_fully_right(width: int, n: int) -> None:
    share = share_right(scenes(n, seed=width), width)
    print(f"{share:.2%} of {n} clean renders at {width} px fully right")
    assert share >= 0.99


def test_moderate_blur_and_dust_are_seen_through() -> None:
    assert share_right(scenes(200, seed=1, blur=0.012, specks=0.03), 128) >= 0.97


@pytest.mark.parametrize("width", [96, 128, 256])
@pytest.mark.parametrize(("blur", "specks"), [(0.0, 0.0), (0.006, 0.0), (0.012, 0.03), (0.018, 0.045)])
def test_the_amounts_of_blur_and_dust_are_read(width: int, blur: float, specks: float) -> None:
    seen = [observe(render(scene, width)) for scene in scenes(20, seed=2, blur=blur, specks=specks)]
    assert np.mean([each.blur for each in seen]) == pytest.approx(blur, abs=0.0015)
    assert np.mean([each.specks for each in seen]) == pytest.approx(specks, abs=0.004)


def test_other_modes_and_widths_are_read_alike() -> None:
    (scene,) = scenes(1, seed=3)
    picture = render(scene, 200)
    assert fully_right(exact(scene), observe(picture.convert("RGBA")))
    assert fully_right(exact(scene), observe(picture.quantize(64)))


@pytest.mark.parametrize("width", [8, 33, 128])
def test_pictures_of_nothing_hold_nothing(width: int) -> None:
    assert observe(Image.new("RGB", (width, width), (200, 200, 200))).objects == ()


def test_white_noise_and_photos_of_no_world_do_not_break_the_eyes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    seen = observe(Image.fromarray(noise))
    assert np.isfinite([seen.blur, seen.specks, seen.brightness]).all()


def test_a_black_picture_and_a_single_full_colour_are_read() -> None:
    (scene,) = scenes(1, seed=4)
    assert observe(render(replace(scene, objects=()), 64)).objects == ()
    assert observe(Image.new("L", (64, 64), 0)).brightness == 0
