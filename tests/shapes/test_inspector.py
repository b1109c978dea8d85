"""The second pair of eyes: right about clean and spoilt pictures, and never taken in."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from workbench.rpo.policy import Prompt
from workbench.rpo.watching.inspection import inspect_prompt
from workbench.shapes.fidelity import fidelity
from workbench.shapes.inspector import inspect, inspect_edit
from workbench.shapes.layout import clear
from workbench.shapes.measure import observe
from workbench.shapes.render import render
from workbench.shapes.scene import PlacedShape, Scene
from workbench.shapes.sight import look
from workbench.shapes.small_world import EditTriple, PromptedScene, edit_triples, t2i_scenes

GREY = (190, 190, 186)
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@cache
def scenes() -> Sequence[PromptedScene]:
    return t2i_scenes(120, seed=11, split="dev")


@cache
def edits() -> Sequence[EditTriple]:
    return edit_triples(80, seed=11, split="dev")


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image, float) + np.random.default_rng(0).normal(0, sigma, (image.height, image.width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def right(answers: dict[str, bool | None]) -> bool:
    return False not in answers.values()


def share(accepted: Callable[[PromptedScene], bool], some: Sequence[PromptedScene]) -> float:
    return sum(map(accepted, some)) / len(some)


def drawn(*objects: PlacedShape, width: int = 64) -> Image.Image:
    return render(Scene(objects, GREY), width)


@pytest.mark.parametrize(("sigma", "least"), [(0, 0.99), (6, 0.99), (12, 0.98), (25, 0.95)])
def test_renders_are_right_also_with_noise(sigma: float, least: float) -> None:
    assert share(lambda each: right(inspect(each.prompt, noisy(render(each.scene, 64), sigma))), scenes()) >= least


@pytest.mark.parametrize(("width", "least"), [(32, 0.9), (48, 0.97), (160, 0.99)])
def test_other_sizes_are_read_too(width: int, least: float) -> None:
    assert share(lambda each: right(inspect(each.prompt, render(each.scene, width))), scenes()[:50]) >= least


def test_a_blurred_scene_keeps_its_answers() -> None:
    assert share(lambda each: right(inspect(each.prompt, render(replace(each.scene, blur=0.014), 64))), scenes()) > 0.97


def test_the_opposite_relation_is_never_accepted() -> None:
    related = [each for each in scenes() if each.spec.relation]
    for each in related:
        turned = replace(each.spec, relation=OPPOSITE[each.spec.relation or ""]).prompt()
        answers = inspect(turned, render(each.scene, 64))
        assert answers["relation"] is False, (turned, answers)
        assert right({**answers, "relation": None})
    assert len(related) > 50


def test_other_prompts_pictures_are_hardly_ever_accepted() -> None:
    others = scenes()[7:] + scenes()[:7]
    accepted = [right(inspect(a.prompt, render(b.scene, 64))) for a, b in zip(scenes(), others, strict=True)]
    assert sum(accepted) <= 1


def test_it_agrees_with_the_measurer_on_pictures_with_and_without_faults() -> None:
    others = scenes()[1:]
    agreed = []
    for asked, given in zip(scenes(), others, strict=False):
        for spec in (asked.spec, given.spec):
            picture = render(given.scene, 64)
            measured = fidelity(spec, observe(picture).objects)
            agreed.append(right(inspect(spec.prompt(), picture)) == all(each == 1 for each in measured.values()))
    assert sum(agreed) / len(agreed) > 0.99


RED, BLUE = PlacedShape("red", "circle", 0.25, 0.5, 0.09), PlacedShape("blue", "square", 0.75, 0.5, 0.09)


@pytest.mark.parametrize(
    ("objects", "wrong"),
    [
        ((RED, BLUE), set()),
        ((RED,), {"presence", "count", "relation"}),
        ((RED, BLUE, replace(BLUE, y=0.2)), {"count"}),
        ((replace(RED, color="green"), BLUE), {"presence", "color"}),
        ((replace(RED, shape="triangle"), BLUE), {"presence", "shape"}),
        ((replace(RED, x=0.75), replace(BLUE, x=0.25)), {"relation"}),
        ((replace(RED, shape="star"), BLUE), {"presence", "shape"}),
        ((), {"presence", "color", "shape", "count", "relation"}),
    ],
)
def test_every_fault_has_its_criterion(objects: tuple[PlacedShape, ...], wrong: set[str]) -> None:
    answers = inspect("a red circle left of a blue square", drawn(*objects))
    assert {name for name, value in answers.items() if value is False} == wrong


def test_a_relation_nobody_asked_for_is_neither_right_nor_wrong() -> None:
    assert inspect("a red circle and a blue square", drawn(RED, BLUE))["relation"] is None


def test_a_thing_of_no_colour_of_the_world_is_an_object_all_the_same() -> None:
    pixels = np.array(drawn(RED, BLUE))
    pixels[4:14, 26:36] = (20, 20, 20)
    (odd,) = [each for each in look(Image.fromarray(pixels)).objects if each.color is None]
    assert odd.shape == "square"
    assert inspect("a red circle left of a blue square", Image.fromarray(pixels))["count"] is False


def test_touching_objects_of_two_colours_are_two() -> None:
    seen = look(drawn(replace(RED, x=0.4), replace(BLUE, x=0.56))).objects
    assert [(each.color, each.shape) for each in sorted(seen, key=lambda each: each.x)] == [
        ("red", "circle"),
        ("blue", "square"),
    ]


def test_a_smear_has_no_shape() -> None:
    pixels = np.full((64, 64, 3), GREY, np.uint8)
    pixels[30:34, 5:60] = (214, 40, 57)
    (seen,) = look(Image.fromarray(pixels)).objects
    assert (seen.color, seen.shape) == ("red", None)


def test_middles_and_sizes_are_read_to_a_fraction_of_a_pixel() -> None:
    for each in scenes()[:30]:
        seen = look(render(each.scene, 64)).objects
        for there in each.scene.objects:
            near = min(seen, key=lambda other: np.hypot(other.x - there.x, other.y - there.y))
            assert np.hypot(near.x - there.x, near.y - there.y) * 64 < 0.5
            assert near.radius == pytest.approx(there.radius, rel=0.05)


def test_an_empty_and_a_random_picture_hold_nothing_that_is_right() -> None:
    assert look(Image.new("RGB", (64, 64), GREY)).objects == ()
    static = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    assert not inspect("a red circle", static)["presence"]


def pictures(edit: EditTriple, target: Scene) -> tuple[str, Image.Image, Image.Image]:
    return edit.instruction, render(edit.source, 64), render(target, 64)


def test_edits_that_were_carried_out_are_accepted_and_untouched_sources_are_not() -> None:
    carried_out = [right(inspect_edit(*pictures(each, each.target))) for each in edits()]
    assert sum(carried_out) / len(carried_out) >= 0.98
    for each in edits():
        assert inspect_edit(*pictures(each, each.source)) == {"instruction": False, "preservation": True}


def test_edits_survive_noise() -> None:
    accepted = []
    for each in edits():
        instruction, source, target = pictures(each, each.target)
        accepted.append(right(inspect_edit(instruction, source, noisy(target, 12))))
    assert sum(accepted) / len(accepted) > 0.95


SPOILT = {
    "recolored": lambda other: replace(other, color="red" if other.color != "red" else "green"),
    "moved": lambda other: replace(other, x=other.x + (0.09 if other.x < 0.5 else -0.09)),
    "resized": lambda other: replace(other, radius=other.radius * 1.3),
    "reshaped": lambda other: replace(other, shape="diamond"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_an_edit_that_also_changes_another_object_is_done_but_not_accepted(how: str) -> None:
    tried = 0
    for each in edits():
        untouched = [other for other in each.target.objects if other in each.source.objects]
        if not untouched:
            continue
        spoilt, rest = SPOILT[how](untouched[0]), [other for other in each.target.objects if other != untouched[0]]
        if clear(spoilt, rest):
            tried += 1
            answers = inspect_edit(*pictures(each, replace(each.target, objects=(*rest, spoilt))))
            assert answers == {"instruction": True, "preservation": False}, each.instruction
    assert tried > 15


def test_an_edit_that_also_changes_the_background_is_done_but_not_accepted() -> None:
    for each in edits()[:40]:
        red, green, blue = each.target.background
        shift = 30 if red < 128 else -30
        target = replace(each.target, background=(red + shift, green + shift, blue + shift))
        assert inspect_edit(*pictures(each, target)) == {"instruction": True, "preservation": False}


def test_an_edit_that_adds_or_drops_another_object_is_not_accepted() -> None:
    tried = 0
    for each in edits()[:40]:
        intruder = PlacedShape("orange", "star", 0.5, 0.5, 0.06)
        more = [(*each.target.objects, intruder)] if clear(intruder, each.target.objects) else []
        untouched = [other for other in each.target.objects if other in each.source.objects]
        less = [tuple(other for other in each.target.objects if other != untouched[0])] if untouched else []
        for objects in more + less:
            tried += 1
            assert not inspect_edit(*pictures(each, replace(each.target, objects=objects)))["preservation"]
    assert tried > 30


def test_a_prompt_with_a_source_is_an_edit() -> None:
    source = io.BytesIO()
    drawn(RED, BLUE).save(source, "PNG")
    edited = drawn(replace(RED, color="green"), BLUE)
    edit = Prompt("e", "change the red circle to green", source.getvalue())
    assert inspect_prompt(edit, edited) == {"instruction": True, "preservation": True}
    assert inspect_prompt(Prompt("t", "a green circle and a blue square"), edited)["presence"]


def test_other_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="not a prompt of the shapes world"):
        inspect("a cat", drawn(RED))
    with pytest.raises(ValueError, match="not an instruction of the shapes world"):
        inspect_edit("make it pop", drawn(RED), drawn(RED))
