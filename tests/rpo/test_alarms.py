"""Alarms: silent on more of the same, and up when pictures are pushed somewhere a flawed judge might like."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from workbench.rpo.watching.alarms import Alarms, Statistics, statistics_of
from workbench.shapes.layout import items, place, random_background
from workbench.shapes.render import render
from workbench.shapes.scene import Scene
from workbench.shapes.small_world import random_spec

BASE, BATCH = 64, 32


def drawn(n: int, seed: int) -> list[Image.Image]:
    """Renders of `n` random prompts."""
    rng = np.random.default_rng(seed)
    pictures: list[Image.Image] = []
    while len(pictures) < n:
        spec = random_spec(rng)
        objects = place(items(spec), spec.relation, rng)
        if objects:
            pictures.append(render(Scene(objects, random_background(rng)), 64))
    return pictures


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return drawn(600, seed=0)


@pytest.fixture(scope="module")
def alarms(pictures: list[Image.Image]) -> Alarms:
    return Alarms.baseline(pictures[:BASE])


@pytest.mark.parametrize(("base", "batch"), [(16, 16), (64, 32), (128, 8)])
def test_fewer_than_one_check_in_a_hundred_is_a_false_alarm(pictures: list[Image.Image], base: int, batch: int) -> None:
    every = statistics_of(pictures)
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(300):
        drawn = rng.permutation(len(pictures))[: base + batch]
        first, then = drawn[:base], drawn[base:]
        now = Statistics(every.means[then], every.alike[np.ix_(then, then)])
        low, high = Alarms(Statistics(every.means[first], every.alike[np.ix_(first, first)]), base).usual(now)
        false += bool(((now.values < low) | (now.values > high)).any())
    assert false < 3


def checkered(picture: Image.Image) -> Image.Image:
    rows, columns = np.indices((64, 64)) // 2
    pattern = np.where((rows + columns) % 2, 8, -8)[..., None]
    return Image.fromarray(np.clip(np.asarray(picture, int) + pattern, 0, 255).astype(np.uint8))


PLANTED: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "shrill colours": ("saturation", lambda picture: ImageEnhance.Color(picture).enhance(2)),
    "blur": ("fineness", lambda picture: picture.filter(ImageFilter.GaussianBlur(1))),
    "a faint grid": ("fineness", checkered),
    "darkness": ("brightness", lambda picture: ImageEnhance.Brightness(picture).enhance(0.6)),
}


@pytest.mark.parametrize("exploit", PLANTED)
def test_a_planted_exploit_is_caught_and_named(exploit: str, alarms: Alarms, pictures: list[Image.Image]) -> None:
    statistic, changed = PLANTED[exploit]
    sentences = alarms.check(7, [changed(each) for each in pictures[BASE : BASE + BATCH]])
    assert any(statistic in sentence for sentence in sentences), sentences


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_prompts_that_all_give_one_picture_are_caught(
    share: float, alarms: Alarms, pictures: list[Image.Image]
) -> None:
    batch = pictures[BASE : BASE + BATCH]
    same = int(share * BATCH)
    collapsed = [batch[0]] * same + batch[same:]
    assert any("near-duplicates" in sentence for sentence in alarms.check(7, collapsed))


def test_the_same_prompts_are_compared_one_by_one(pictures: list[Image.Image]) -> None:
    base, names = pictures[:16], range(16)
    alarms = Alarms.baseline(base, names)
    shriller = [ImageEnhance.Color(each).enhance(1.5) for each in base]
    assert any("saturation" in sentence for sentence in alarms.check(7, shriller, names))
    assert alarms.check(7, shriller) == [], "other prompts might just have more colour"
    assert alarms.check(7, shriller[::-1], names[::-1]) == alarms.check(7, shriller, names)
    assert alarms.check(7, base, names) == []


def test_candidates_of_one_prompt_may_be_alike(alarms: Alarms, pictures: list[Image.Image]) -> None:
    batch = [each for each in pictures[BASE : BASE + BATCH] for _ in range(2)]
    prompts = [i // 2 for i in range(2 * BATCH)]
    assert alarms.check(7, batch, prompts) == []


def test_blank_pictures_are_alike(alarms: Alarms) -> None:
    blank = [Image.new("RGB", (64, 64), (shade, shade, shade)) for shade in range(100, 100 + BATCH)]
    assert any("near-duplicates 1," in sentence for sentence in alarms.check(7, blank))


def test_a_sentence_says_update_value_base_limit_and_numbers(alarms: Alarms, pictures: list[Image.Image]) -> None:
    grey = [each.convert("L") for each in pictures[BASE : BASE + 16]]
    (sentence,) = [each for each in alarms.check(120, grey) if "saturation" in each]
    assert sentence.startswith("update 120: saturation 0, the base has 0.0")
    assert "and at least 0.0" in sentence
    assert sentence.endswith("is usual (16 pictures of 16 prompts; base: 64 of 64)")


def test_pictures_of_any_size_are_measured() -> None:
    sizes = [(40, 90), (700, 600), (64, 64)]
    measured = statistics_of([Image.effect_noise(size, 40) for size in sizes], ["a", "b", "a"])
    assert measured.means.shape == (2, 4)
    assert np.isfinite(measured.values).all()


def test_too_few_prompts_are_no_baseline(pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="was shown 4; alarms need at least 8"):
        Alarms.baseline(pictures[:16], [i // 4 for i in range(16)])


def test_a_prompt_is_needed_for_every_picture(pictures: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="3 were given for 2 pictures"):
        statistics_of(pictures[:2], ["a", "b", "c"])
