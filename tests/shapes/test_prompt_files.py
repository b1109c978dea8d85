"""The tiny policies' prompts as files: what training reads is what was meant, and splits never meet."""

import json

import pytest

from workbench.rpo.prompts import read_prompts
from workbench.shapes.instructions import parse_instruction
from workbench.shapes.prompt_files import write_prompts


def test_prompts_of_two_splits_are_read_back_and_share_none(tmp_path):
    train = read_prompts(write_prompts("t2i", "train", 200, tmp_path))
    test = read_prompts(write_prompts("t2i", "test", 200, tmp_path))
    assert len({prompt.text for prompt in (*train, *test)}) == 400


def test_edits_come_with_their_sources_beside_the_file(tmp_path):
    file = write_prompts("edit", "test", 5, tmp_path / "prompts")
    edits = read_prompts(file)
    assert len(edits) == 5
    for edit in edits:
        parse_instruction(edit.text)
        assert str(edit.source).startswith(str(tmp_path / "prompts" / "sources"))
    (tmp_path / "prompts").rename(tmp_path / "moved")
    assert len(read_prompts(tmp_path / "moved" / file.name)) == 5
    assert "instruction" in json.loads((tmp_path / "moved" / file.name).read_text().splitlines()[0])


def test_the_same_arguments_give_the_same_file(tmp_path):
    files = [write_prompts("edit", "dev", 3, tmp_path / name) for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    others = [write_prompts("t2i", "dev", 3, tmp_path, seed=seed) for seed in (0, 1)]
    assert others[0].read_text() != others[1].read_text()


def test_more_prompts_than_there_are_is_said(tmp_path):
    with pytest.raises(ValueError, match="number of different test prompts"):
        write_prompts("t2i", "test", 100_000, tmp_path)
