"""The tiny policies' prompts, splits, scenes and edits."""

import numpy as np
import pytest
from PIL.Image import fromarray

from workbench.shapes import small_world
from workbench.shapes.fidelity import fidelity
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.measure import observe


def test_splits_share_no_prompt_and_repeat_none() -> None:
    lists = {split: small_world.prompts(split, n, 0) for split, n in (("train", 2000), ("dev", 300), ("test", 900))}
    for split, some in lists.items():
        assert len(set(some)) == len(some)
        assert {small_world.split_of(prompt) for prompt in some} == {split}
    everything = [prompt for some in lists.values() for prompt in some]
    assert len(set(everything)) == len(everything)


def test_development_and_test_are_a_tenth_each() -> None:
    everything = small_world._all_prompts()
    assert len(set(everything)) == len(everything) == 54 + 18 * 17 * 6 * 5
    for split in ("dev", "test"):
        share = np.mean([small_world.split_of(prompt) == split for prompt in everything])
        assert 0.09 < share < 0.11


def test_order_comes_from_the_seed_and_a_shorter_list_is_a_longer_ones_start() -> None:
    assert small_world.prompts("dev", 50, 3) == small_world.prompts("dev", 300, 3)[:50]
    assert small_world.prompts("dev", 50, 3) != small_world.prompts("dev", 50, 4)


@pytest.mark.parametrize("n", [0, 10_000])
def test_more_prompts_than_there_are_is_an_error_that_says_how_many(n: int) -> None:
    with pytest.raises(ValueError, match=f"n: {n} is not between 1 and 902"):
        small_world.prompts("test", n, 0)


def test_every_prompt_can_be_read_back() -> None:
    for prompt in small_world.prompts("test", 300, 1):
        spec = parse_prompt(prompt)
        assert spec.prompt() == prompt
        assert sum(group.count for group in spec.groups) <= small_world.MOST_OBJECTS


def test_scenes_do_what_their_prompts_ask_in_pixels() -> None:
    drawn = small_world.t2i_scenes(200, 5, "train")
    assert {small_world.split_of(each.prompt) for each in drawn} == {"train"}
    pictures = [small_world.picture(each.scene) for each in drawn]
    assert {(pixels.shape, pixels.dtype) for pixels in pictures} == {((64, 64, 3), np.dtype(np.uint8))}
    met = [
        all(value == 1 for value in fidelity(each.spec, observe(fromarray(pixels)).objects).values())
        for each, pixels in zip(drawn, pictures, strict=True)
    ]
    assert np.mean(met) > 0.98


def test_scenes_come_from_the_seed() -> None:
    assert small_world.t2i_scenes(5, 1, "dev") == small_world.t2i_scenes(9, 1, "dev")[:5]
    assert small_world.t2i_scenes(5, 1, "dev") != small_world.t2i_scenes(5, 2, "dev")


def test_edits_stay_in_the_world_and_in_their_split() -> None:
    triples = small_world.edit_triples(300, 2, "test")
    assert {each.edit.action for each in triples} == {"recolor", "reshape", "remove", "add", "resize", "move"}
    assert len({(each.source, each.edit) for each in triples}) == 300
    for each in triples:
        assert small_world.split_of(f"{each.source!r} {each.instruction}") == "test"
        assert each.target != each.source
        for scene in (each.source, each.target):
            assert 1 <= len(scene.objects) <= small_world.MOST_OBJECTS
            assert {drawn.shape for drawn in scene.objects} <= set(small_world.SHAPES)
