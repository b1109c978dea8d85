import json

import pytest
from PIL import Image

from workbench.rpo.policy import Prompt
from workbench.rpo.prompts import read_prompts


def test_one_prompt_a_line_with_blank_ones_counted(tmp_path, capsys):
    path = tmp_path / "prompts.txt"
    path.write_text("\ufeffa red circle\r\n\n  \ntwo \u2028 squares \n", encoding="utf-8")
    assert read_prompts(path) == (Prompt("line-1", "a red circle"), Prompt("line-4", "two \u2028 squares"))
    assert capsys.readouterr().err == f"{path}: 2 blank lines skipped, 2 prompts read\n"


def test_edits_with_sources_beside_the_file_or_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    for name in ("beside.png", "elsewhere/here.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = tmp_path / "edits.jsonl"
    lines = [
        {"source_image": "beside.png", "instruction": "remove it", "task_type": "remove"},
        {"base_image": "here.png", "prompt": "add one", "id": "mine"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert read_prompts(path, "edit") == (
        Prompt("line-1", "remove it", str(tmp_path / "beside.png")),
        Prompt("mine", "add one", "here.png"),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"holds no prompt \(0 blank lines\)"),
        ("\n\n", r"holds no prompt \(2 blank lines\)"),
        ('{"prompt": "a"}\n{"prompt": ', r"line 2: is no JSON"),
        ('{"prompt": ""}', "line 1: prompt: String should have at least 1 character"),
        ('{"text": "a"}', "line 1: instruction: Field required"),
        ('["a"]', "line 1: configuration: Input should be a valid dictionary"),
        ('{"prompt": "a", "id": "x"}\n{"prompt": "b", "id": "x"}', "line 2: id 'x' is that of line 1 too"),
        (
            '{"prompt": "a", "source_image": "no.png"}',
            "line 1: source image no.png exists neither beside the file nor in",
        ),
        ('{"prompt": "a"}\n{"prompt": "b", "source_image": "s.png"}', "line 2: 'b' has a source image, unlike others"),
        ('{"prompt": "b", "source_image": "s.png"}\n\n{"prompt": "a"}', "line 3: 'a' has no source image"),
    ],
)
def test_bad_lines_are_named(tmp_path, content, message):
    Image.new("RGB", (8, 8)).save(tmp_path / "s.png")
    path = tmp_path / "prompts.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_and_text_where_edits_are_wanted(tmp_path):
    with pytest.raises(ValueError, match=r"prompts: .*none\.txt cannot be read"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "prompts.txt").write_text("a circle")
    with pytest.raises(ValueError, match=r"line 1: 'a circle' has no source image, and this is for edits"):
        read_prompts(tmp_path / "prompts.txt", "edit")
