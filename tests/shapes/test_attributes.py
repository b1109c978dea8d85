from dataclasses import replace

import pytest

from workbench.shapes.attributes import ATTRIBUTES_EDIT, ATTRIBUTES_T2I, satisfaction
from workbench.shapes.scene import Observation, PlacedShape, Scene, exact

GREY = (150, 150, 150)
RED = PlacedShape("red", "circle", 0.2, 0.5, 0.09)
BLUES = (PlacedShape("blue", "star", 0.7, 0.3, 0.09), PlacedShape("blue", "star", 0.7, 0.7, 0.09))
PROMPT = "a red circle left of two blue stars"
SOURCE = Scene((RED, *BLUES), GREY)


def t2i(*objects: PlacedShape, prompt: str = PROMPT) -> dict[str, float]:
    return satisfaction("t2i", prompt, exact(Scene(objects, GREY)))


def edit(instruction: str, scene: Scene) -> tuple[float, float]:
    seen = satisfaction("edit", instruction, exact(scene), exact(SOURCE))
    return seen["instruction"], seen["preservation"]


def test_what_the_prompt_asks_for_satisfies_it_wholly() -> None:
    seen = t2i(RED, *BLUES)
    assert tuple(seen) == ATTRIBUTES_T2I
    assert [seen[name] for name in ("count", "color", "shape", "presence", "relation", "size")] == [1.0] * 6
    assert seen["sharpness"] == seen["cleanness"] == 1.0


@pytest.mark.parametrize(
    ("objects", "faults"),
    [
        ((replace(RED, color="green"), *BLUES), {"color": 2 / 3, "presence": 1 / 2}),
        ((RED, replace(BLUES[0], shape="square"), BLUES[1]), {"shape": 2 / 3}),
        ((RED, BLUES[0]), {"count": 3 / 4}),
        ((RED, *BLUES, replace(RED, y=0.8)), {"count": 3 / 4}),
        (BLUES, {"count": 1 / 2, "presence": 1 / 2, "relation": 0.0}),
        ((replace(RED, x=0.9), *BLUES), {"relation": 0.0}),
        ((replace(RED, x=0.6), BLUES[0], replace(BLUES[1], x=0.4)), {"relation": 1 / 2}),
        ((), {"count": 0.0, "color": 0.0, "shape": 0.0, "presence": 0.0, "relation": 0.0}),
    ],
)
def test_one_fault_lowers_the_attributes_it_is_about(
    objects: tuple[PlacedShape, ...], faults: dict[str, float]
) -> None:
    seen = t2i(*objects)
    fidelity = {name: seen[name] for name in ("count", "color", "shape", "presence", "relation", "size")}
    assert fidelity == pytest.approx(dict.fromkeys(fidelity, 1.0) | faults)


def test_size_is_judged_only_where_it_is_asked_for() -> None:
    assert t2i(RED, prompt="a small red circle")["size"] == 0.0
    assert t2i(replace(RED, radius=0.055), prompt="a small red circle")["size"] == 1.0
    assert t2i(replace(RED, radius=0.055), prompt="a red circle")["size"] == 1.0


def test_style_follows_the_picture() -> None:
    plain = exact(Scene((RED,), GREY))
    seen = satisfaction("t2i", "a red circle", plain)
    assert seen["leftward"] == 1.0
    assert seen["balance"] == pytest.approx(1 - 0.3 / 0.35)
    for worse, name in (
        (replace(plain, blur=0.01), "sharpness"),
        (replace(plain, specks=0.02), "cleanness"),
        (replace(plain, brightness=0.4), "brightness"),
        (replace(plain, objects=(replace(RED, radius=0.06),)), "fill"),
    ):
        assert satisfaction("t2i", "a red circle", worse)[name] < seen[name]


@pytest.mark.parametrize(
    ("instruction", "objects", "done", "kept"),
    [
        ("change the red circle to green", (replace(RED, color="green"), *BLUES), 1.0, 1.0),
        ("change the red circle to green", (RED, *BLUES), 0.0, 1.0),
        ("change the red circle to green", (replace(RED, color="green"), BLUES[0]), 1.0, 2 / 3),
        ("change the red circle to green", (replace(RED, color="green", x=0.5), *BLUES), 1.0, 2 / 3),
        ("change the blue stars to squares", (RED, replace(BLUES[0], shape="square"), BLUES[1]), 0.5, 1.0),
        ("remove the red circle", BLUES, 1.0, 1.0),
        ("remove the red circle", (replace(RED, color="green"), *BLUES), 0.0, 1.0),
        ("remove the red circle", (BLUES[0],), 1.0, 1 / 2),
        ("add a yellow square", (RED, *BLUES, PlacedShape("yellow", "square", 0.4, 0.8, 0.09)), 1.0, 1.0),
        ("add a yellow square", (RED, *BLUES, PlacedShape("yellow", "circle", 0.4, 0.8, 0.09)), 0.5, 1.0),
        ("add a yellow square", (RED, *BLUES), 0.0, 1.0),
        ("make the red circle larger", (replace(RED, radius=0.13), *BLUES), 1.0, 1.0),
        ("make the red circle smaller", (replace(RED, radius=0.13), *BLUES), 0.0, 1.0),
        ("move the red circle to the right", (replace(RED, x=0.85), *BLUES), 1.0, 1.0),
        ("move the red circle to the right", (replace(RED, x=0.85, color="green"), *BLUES), 0.0, 2 / 4),
    ],
)
def test_an_edit_is_done_and_leaves_the_rest(
    instruction: str, objects: tuple[PlacedShape, ...], done: float, kept: float
) -> None:
    assert edit(instruction, replace(SOURCE, objects=objects)) == pytest.approx((done, kept))


def test_another_background_is_not_preservation() -> None:
    changed = replace(SOURCE, objects=BLUES, background=(201, 201, 201))
    assert edit("remove the red circle", changed) == pytest.approx((1.0, 0.5))


def test_attributes_of_an_edit_need_its_source() -> None:
    seen = Observation((RED,), 0.0, 0.0, 0.5)
    assert tuple(satisfaction("edit", "remove the red circle", seen, seen)) == ATTRIBUTES_EDIT
    with pytest.raises(ValueError, match="source image"):
        satisfaction("edit", "remove the red circle", seen)
    with pytest.raises(ValueError, match="not a prompt"):
        satisfaction("t2i", "remove the red circle", seen)
