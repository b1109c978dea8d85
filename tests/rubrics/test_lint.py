"""What lint says of good and bad criteria; most of all that it leaves good ones alone."""

from pathlib import Path

import pytest

from workbench.rubrics.files import load_rubric
from workbench.rubrics.lint import MOST_WORDS, alike, lint, lint_text
from workbench.rubrics.rubric import Criterion, Level, Rubric, Theme

RUBRICS = Path(__file__).parents[2] / "rubrics"
HAND_WRITTEN = ["t2i_general", "edit_general", "shapes_t2i_handwritten", "shapes_edit_handwritten"]

BAD = {
    "vague": [
        "The image is of high quality.",
        "Beautiful and aesthetically pleasing.",
        "It makes a good overall impression.",
        "Looks professional and polished.",
        "The picture looks natural.",
        "The composition is harmonious.",
        "The result is realistic and convincing.",
    ],
    "comparative": [
        "Image 1 has sharper edges.",
        "Image A shows the fox.",
        "In image 2 the hands are deformed.",
        "The first image keeps the face.",
        "The better one has five fingers.",
        "The fox is redder than in the other image.",
        "Shows more detail than the other.",
        "The lighting is better.",
        "Has more realistic lighting.",
        "Better prompt adherence",
        "Of the two images, it has fewer artifacts.",
        "Unlike the second image, the cat is black.",
        "The winning image shows three cats.",
        "Candidate 1 has every object.",
    ],
    "not observable": [
        "Reflects the artist's intention.",
        "Matches the user’s intent.",
        "It is what the prompt writer had in mind.",
        "Conveys the feelings of the artist.",
        "A lot of effort went into it.",
        "The generation process was careful.",
        "The model understood the prompt.",
        "It was made with a diffusion model.",
        "The file size is small.",
        "The metadata names a camera.",
    ],
    "easy to game": [
        "Colours are as saturated as possible.",
        "The more detail the better.",
        "The brighter the better.",
        "The picture is extremely detailed.",
        "Maximum sharpness everywhere.",
        "Vivid, saturated colours.",
        "Text in the picture says it is the best.",
        "A caption states that the instruction was followed.",
    ],
    "too long": [
        "word " * (MOST_WORDS + 1),
        "The fox must be red, the snow must be white and the sky must be grey.",
        "The fox is red. The snow is white. The sky is grey.",
        "画" * 2 * (MOST_WORDS + 1),
    ],
}

GOOD = [
    "More objects than the instruction names are absent.",
    "The subject is sharper than the background.",
    "One circle is larger than the other.",
    "Shapes called large are so, compared with the others.",
    "The first dog is black and the second one white.",
    "In the picture 2 dogs can be seen.",
    "The picture on the wall shows a ship.",
    "The face is the same as in the original image.",
    "Two or more people hold hands; no more than three stand.",
    "Larger objects stand in front, and nothing is cut off more than the prompt asks.",
    "The model wears a red dress.",
    "The painter in the picture is a woman who holds a brush.",
    "The runner's face shows the strain of effort.",
    "The seeds of the fruit are visible.",
    "The user interface shows a button.",
    "Unintended artifacts are absent.",
    "Skin looks natural.",
    "Lighting is professional: one key light and soft shadows.",
    "Colours are vivid where the prompt states so.",
    "The sign says what the prompt states.",
    "The picture as a whole is balanced.",
    "Hands have five fingers.",
    "狐狸是红色的",
]


def kinds(text):
    return [finding.kind for finding in lint_text(text)]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_a_bad_criterion_is_found_with_advice(kind, text):
    (finding,) = [finding for finding in lint_text(text) if finding.kind == kind]
    assert finding.criterion == ""
    assert ": " in finding.message
    assert all(word in text.replace("’", "'") or word in text.lower().replace("’", "'") for word in finding.words)


@pytest.mark.parametrize("text", GOOD)
def test_a_good_criterion_is_left_alone(text):
    assert kinds(text) == []


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_rubrics_written_by_hand_have_no_fault(name):
    assert lint(load_rubric(RUBRICS / f"{name}.yaml")) == ()


def test_praise_is_fine_beside_something_concrete_also_where_only_the_levels_name_it():
    assert kinds("Beautiful.") == ["vague"]
    assert kinds("Beautiful hands with five fingers.") == []
    levels = (Level(0, "fingers are missing"), Level(1, "all fingers are there"))
    assert lint(rubric(Criterion("c1", "Beautiful.", levels=levels))) == ()


def test_what_a_pixel_can_be_pushed_to_is_fine_within_bounds():
    assert kinds("Colours are vivid.") == ["easy to game"]
    assert kinds("Colours are vivid but not glaring.") == []


def rubric(*criteria, task="t2i"):
    return Rubric("r", task, (Theme("All", criteria=criteria),))


def test_a_rubric_s_findings_name_their_criteria_and_disabled_ones_are_not_looked_at():
    found = lint(
        rubric(
            Criterion("c1", "Image 1 is sharp."),
            Criterion("c2", "High quality."),
            Criterion("c3", "Image 2 is sharp.", enabled=False),
            Criterion("c4", "High quality.", weight=0),
        )
    )
    assert [(finding.criterion, finding.kind) for finding in found] == [("c1", "comparative"), ("c2", "vague")]


def test_a_criterion_said_twice_is_found_once_and_names_the_other():
    found = lint(
        rubric(
            Criterion("c1", "The edges of the objects are sharp."),
            Criterion("c2", "Edges look sharp."),
            Criterion("c3", "Hands have five fingers."),
        )
    )
    (finding,) = found
    assert (finding.kind, finding.criterion) == ("redundant", "c2")
    assert "c1" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "Everything the instruction does not name stays as in the source.",
        "All shapes the instruction does not mention keep their colour.",
        "The background is the same as in the source.",
        "Apart from the target, the image is preserved.",
        "The rest of the picture is unchanged.",
        "Nothing else was changed.",
        "Regions outside the edit are identical to the original.",
    ],
)
def test_an_edit_rubric_that_protects_the_source_is_recognised(text):
    assert lint(rubric(Criterion("c1", text), task="edit")) == ()


@pytest.mark.parametrize("text", ["The change asked for is there.", "The fox is red.", "Hands have five fingers."])
def test_an_edit_rubric_without_source_protection_is_faulted_as_a_whole(text):
    (finding,) = lint(rubric(Criterion("c1", text), task="edit"))
    assert (finding.kind, finding.criterion) == ("no source protection", "")
    assert lint(rubric(Criterion("c1", text))) == ()


def test_source_protection_that_is_switched_off_does_not_count():
    criteria = (Criterion("c1", "The fox is red."), Criterion("c2", "The rest is unchanged.", enabled=False))
    assert [finding.kind for finding in lint(rubric(*criteria, task="edit"))] == ["no source protection"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("The edges are sharp.", "Edges of the objects look sharp", True),
        ("The colours match the prompt.", "Each color matches the prompt", True),
        ("Counting the objects gives the number the prompt states.", "The number of objects is counted", False),
        ("The edges are sharp.", "The edges are soft.", False),
        ("The edges are sharp.", "The edges are not sharp.", False),
        ("Two cats", "Three cats", False),
        ("Each shape has the colour the prompt gives it.", "Each shape is of the kind the prompt names.", False),
        ("It is there.", "it is  there.", True),
        ("It is there.", "That was it.", False),
    ],
)
def test_near_duplicates_are_told_from_criteria_on_the_same_subject(a, b, same):
    assert alike(a, b) is alike(b, a) is same


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("the better " * 20_000, {"easy to game", "too long"}),
        ("as as " * 20_000, {"too long"}),
        ("a" * 100_000, set()),  # one word
        ("than the other one " * 5_000, {"comparative", "too long"}),
    ],
)
def test_hostile_text_is_judged_like_any_other(text, kinds):
    assert {finding.kind for finding in lint_text(text)} == kinds
