import numpy as np
import pytest

from workbench.shapes.grammar import Group, SceneSpec, find_prompt, parse_prompt
from workbench.shapes.sampling import random_spec

PROMPTS = [
    ("a red circle", SceneSpec((Group(1, "red", "circle"),))),
    ("three small orange stars", SceneSpec((Group(3, "orange", "star", "small"),))),
    (
        "an orange star left of two large blue squares",
        SceneSpec((Group(1, "orange", "star"), Group(2, "blue", "square", "large")), "left of"),
    ),
    (
        "a red star above a blue star, with two green diamonds and a small yellow circle",
        SceneSpec(
            (
                Group(1, "red", "star"),
                Group(1, "blue", "star"),
                Group(2, "green", "diamond"),
                Group(1, "yellow", "circle", "small"),
            ),
            "above",
        ),
    ),
]


@pytest.mark.parametrize(("text", "spec"), PROMPTS)
def test_a_prompt_and_its_spec_are_two_forms_of_one_thing(text: str, spec: SceneSpec) -> None:
    assert parse_prompt(text) == spec
    assert spec.prompt() == text


def test_every_sampled_prompt_reads_back_and_is_found_in_running_text() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        spec = random_spec(rng)
        assert parse_prompt(spec.prompt()) == spec
        assert find_prompt(f"Rubric: a red circle counts. Prompt: {spec.prompt()}\nWhich one?") == spec.prompt()


def test_capitals_and_a_full_stop_do_not_matter() -> None:
    assert parse_prompt(" Two red Circles. ") == SceneSpec((Group(2, "red", "circle"),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a dog",
        "two red circle",
        "a red circles",
        "five red circles",
        "a red circle left of",
        "a red circle and a red circle",
        "a huge red circle",
        "a red circle on a beach",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|does not"):
        parse_prompt(text)
    assert find_prompt(text) != text


def test_the_last_valid_prompt_is_found() -> None:
    text = "First a red circle, then two blue stars and a green square; finally a red circles."
    assert find_prompt(text) == "two blue stars and a green square"
    assert find_prompt("A photo of a dog.") is None
