"""The settings of a judge, and the file they are kept in."""

from pathlib import Path

import pytest

from workbench.shapes.judge.settings import JudgeSettings, Vocabulary, perfect, sample_settings


def test_settings_survive_json_and_refuse_what_they_do_not_know() -> None:
    settings = sample_settings("edit", 7)
    assert JudgeSettings.model_validate_json(settings.to_json()) == settings
    assert settings.model_id.startswith("shapes-edit-w7-")
    assert settings.model_id != sample_settings("edit", 8).model_id
    assert perfect("t2i").vocabulary == Vocabulary()
    with pytest.raises(ValueError, match="nosie"):
        JudgeSettings.model_validate({"task": "t2i", "nosie": 1})
    with pytest.raises(ValueError, match="sharpnes"):
        JudgeSettings(task="t2i", taste={"sharpnes": 1.0})


def test_a_bad_settings_file_is_named_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"judge\.json: cannot be read"):
        JudgeSettings.load(tmp_path)
    (tmp_path / "judge.json").write_text('{"task": "t2i", "compliance": 2}')
    with pytest.raises(ValueError, match=r"judge\.json: compliance: .*less than or equal to 1"):
        JudgeSettings.load(tmp_path)
