"""The oracle: right above wrong for every defect, scores that mean what they say, and no opinion on style."""

import io

import numpy as np
import pytest

from workbench.pairs.comparison import Comparison
from workbench.shapes.defects import draw_candidate, edit_candidate
from workbench.shapes.editing import carry_out
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.instructions import parse_instruction
from workbench.shapes.layout import items, place
from workbench.shapes.oracle import OracleJudge
from workbench.shapes.render import render
from workbench.shapes.scene import PlacedShape, Scene

PROMPT = "two red circles left of a blue square"
PALE, DARK = (225, 222, 215), (120, 118, 112)
SOURCE = Scene((PlacedShape("red", "circle", 0.3, 0.3, 0.09), PlacedShape("blue", "square", 0.7, 0.7, 0.09)), PALE)


def file(scene: Scene, width: int = 64) -> bytes:
    buffer = io.BytesIO()
    render(scene, width).save(buffer, "PNG")
    return buffer.getvalue()


async def scores(*scenes: Scene, prompt: str = PROMPT, source: Scene | None = None) -> tuple[float, ...]:
    images = tuple(file(scene) for scene in scenes)
    task = "t2i" if source is None else "edit"
    comparison = Comparison("c", task, prompt, images, None if source is None else file(source))  # type: ignore[arg-type]
    verdict = await OracleJudge().compare(comparison, range(len(scenes)))
    assert verdict.scores is not None
    return verdict.scores


def right(seed: int = 0) -> Scene:
    scene = draw_candidate(parse_prompt(PROMPT), (), np.random.default_rng(seed))
    assert scene is not None
    return scene


@pytest.mark.parametrize("defect", ["count", "color", "shape", "missing", "relation"])
async def test_a_right_picture_beats_one_with_a_defect(defect: str) -> None:
    for seed in range(5):
        wrong = draw_candidate(parse_prompt(PROMPT), (defect,), np.random.default_rng(seed))
        assert wrong is not None
        good, bad = await scores(right(seed), wrong)
        assert good == 1.0 > bad


async def test_a_picture_right_but_for_one_thing_misses_its_share() -> None:
    objects = place(items(parse_prompt(PROMPT)), "right of", np.random.default_rng(0))
    assert objects is not None
    (score,) = await scores(Scene(objects, PALE))
    assert score == pytest.approx(5 / 6, abs=0.01), "of count, colour, shape, presence, relation and size only one is 0"


async def test_two_right_pictures_tie_whatever_their_background_and_layout() -> None:
    comparison = Comparison("c", "t2i", PROMPT, (file(right(1)), file(right(2))))
    assert (await OracleJudge().compare(comparison, (1, 0))).ranks == (1, 1)


async def test_ranks_are_in_the_datasets_order_whatever_is_shown_first() -> None:
    comparison = Comparison("c", "t2i", "a red circle", (file(SOURCE), file(Scene(SOURCE.objects[:1], PALE))))
    said = [await OracleJudge().compare(comparison, order) for order in ((0, 1), (1, 0))]
    assert [each.ranks for each in said] == [(2, 1), (2, 1)]


async def test_an_edit_must_be_done_and_leave_the_rest_alone() -> None:
    edit = parse_instruction("change the red circle to green")
    done = carry_out(edit, SOURCE, np.random.default_rng(0))
    over = edit_candidate(edit, SOURCE, ("over",), np.random.default_rng(0))
    assert done is not None
    assert over is not None
    darker = Scene(done.objects, DARK)
    found = await scores(done, SOURCE, over, darker, prompt=edit.instruction(), source=SOURCE)
    assert found[0] == 1.0
    assert found[1] == 0.5, "nothing was done, and nothing spoiled"
    assert found[2] < 1.0
    assert found[3] < 1.0


async def test_a_shade_of_the_background_decides_nothing() -> None:
    edit = "change the red circle to green"
    done = carry_out(parse_instruction(edit), SOURCE, np.random.default_rng(0))
    assert done is not None
    shade = Scene(done.objects, (223, 220, 213))
    assert await scores(done, shade, prompt=edit, source=SOURCE) == (1.0, 1.0)


async def test_a_picture_that_cannot_be_read_is_a_failed_verdict() -> None:
    verdict = await OracleJudge().compare(Comparison("c", "t2i", PROMPT, (file(SOURCE), b"no picture")), (0, 1))
    assert (verdict.ranks, verdict.failure, verdict.scores) == (None, "error", None)
    assert verdict.detail


async def test_a_prompt_of_another_world_and_an_edit_without_source_are_errors() -> None:
    with pytest.raises(ValueError, match="not a prompt of the shapes world"):
        await scores(SOURCE, SOURCE, prompt="a photo of a cat")
    with pytest.raises(ValueError, match="none was given"):
        await OracleJudge().compare(
            Comparison("c", "edit", "remove the red circle", (file(SOURCE), file(SOURCE))), (0, 1)
        )
