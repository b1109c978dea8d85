"""Folders of rubrics, each made for one prompt."""

import pytest

from workbench.rubrics.files import save_rubric
from workbench.rubrics.library import file_name, load_library, prompt_of
from workbench.rubrics.rubric import Criterion, Rubric, RubricError, Theme


def rubric(prompt, text, task="t2i", **criterion):
    return Rubric("r", task, (Theme("", criteria=(Criterion("c1", text, **criterion),)),), {"prompt": prompt})


def save(rubrics, folder):
    """Write rubrics as a run folder keeps them."""
    folder.mkdir(exist_ok=True)
    for each in rubrics:
        save_rubric(each, folder / file_name(prompt_of(each), each.hash))


FOX, CITY = rubric("a red fox", "The fox has four legs."), rubric("a city at night", "Signs are lit.")


def test_a_library_is_a_folder_of_rubric_files_and_prompts_are_never_paths(tmp_path):
    odd = rubric("../../etc/passwd\n", "The text is legible.")
    save([FOX, CITY, odd, FOX], tmp_path / "library")
    assert len(list((tmp_path / "library").iterdir())) == 3
    (tmp_path / "library" / "notes.md").write_text("not a rubric")
    read = load_library(tmp_path / "library")
    assert {(r.hash, r.provenance["prompt"]) for r in read} == {
        (r.hash, r.provenance["prompt"]) for r in (FOX, CITY, odd)
    }
    assert [r.hash for r in load_library(tmp_path / "library")] == [r.hash for r in read]


def test_every_file_of_a_library_that_cannot_be_used_is_named(tmp_path):
    save([FOX], tmp_path)
    (tmp_path / "broken.yaml").write_text("schema: workbench.rubric/1\nname: [")
    save_rubric(Rubric("bare", "t2i", FOX.themes), tmp_path / "bare.yaml")
    save_rubric(rubric("a prompt", "Off.", enabled=False), tmp_path / "off.yaml")
    with pytest.raises(RubricError) as error:
        load_library(tmp_path)
    assert [line.split("/")[-1].split(":")[0] for line in str(error.value).splitlines()] == [
        "bare.yaml", "broken.yaml", "off.yaml",
    ]  # fmt: skip


def test_a_library_that_is_not_there_empty_or_mixed_is_refused(tmp_path):
    with pytest.raises(RubricError, match="is no folder"):
        load_library(tmp_path / "none")
    with pytest.raises(RubricError, match="holds no rubric file"):
        load_library(tmp_path)
    save([FOX, rubric("x", "y z.", task="edit")], tmp_path)
    with pytest.raises(RubricError, match="several tasks: edit, t2i"):
        load_library(tmp_path)
