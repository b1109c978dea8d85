import pytest

from workbench.shapes.instructions import Edit, find_instruction, parse_instruction

INSTRUCTIONS = [
    ("change the red circle to blue", Edit("recolor", "red", "circle", "blue")),
    ("change the red circle to a star", Edit("reshape", "red", "circle", "star")),
    ("change the red circles to stars", Edit("reshape", "red", "circle", "star", plural=True)),
    ("remove the orange squares", Edit("remove", "orange", "square", plural=True)),
    ("add an orange square", Edit("add", "orange", "square")),
    ("make the red circle larger", Edit("resize", "red", "circle", "larger")),
    ("move the red circle to the left", Edit("move", "red", "circle", "left")),
]


@pytest.mark.parametrize(("text", "edit"), INSTRUCTIONS)
def test_an_instruction_and_its_edit_are_two_forms_of_one_thing(text: str, edit: Edit) -> None:
    assert parse_instruction(text) == edit
    assert edit.instruction() == text
    assert find_instruction(f"Remove the red star? No. Instruction: {text}.") == text


@pytest.mark.parametrize(
    "text", ["", "make it nicer", "remove a red circle", "change the red circle to larger", "add a red circles"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an instruction"):
        parse_instruction(text)
    assert find_instruction(text) is None
