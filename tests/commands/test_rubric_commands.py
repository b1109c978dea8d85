"""`workbench lint`, `weigh` and `audit`: what a user is told about a rubric, and which files are written."""

import json
import re
from pathlib import Path

import pytest
import yaml

from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import perfect

RUBRIC = """\
schema: workbench.rubric/1
name: mine
task: t2i
themes:
- name: Content
  criteria:
  - {id: there, text: All the objects asked for are there.}
  - {id: colours, text: The objects have the colours asked for.}
  - {id: tails, text: Every tail is striped.}
  - {id: unused, text: The image is sharp., enabled: false}
"""


@pytest.fixture
def rubric(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(RUBRIC)
    return path


def test_lint_names_each_fault_and_strict_fails(command, rubric):
    clean = command("lint", rubric, "--strict")
    assert (clean.exit_code, clean.stdout) == (0, f"{rubric}: 0 findings, 0 of 3 criteria have one\n")
    rubric.write_text(RUBRIC.replace("Every tail is striped.", '"It is \\e[31mbetter than the other image."'))
    found = command("lint", rubric)
    assert found.exit_code == 0
    *findings, total = found.stdout.splitlines()
    assert "tails: comparative: " in findings[0]
    assert total == f"{rubric}: {len(findings)} findings, 1 of 3 criteria have one"
    assert "\x1b" not in found.stdout
    assert command("lint", rubric, "--strict").exit_code == 1


def test_lint_takes_texts_of_either_task(command, tmp_path):
    text = tmp_path / "published.txt"
    text.write_text("Rubric 1:\nTheme: Content\n- Tip1: All the objects asked for are there.\n")
    assert "0 findings" in command("lint", text).stdout
    assert "published: no source protection: " in command("lint", text, "--task", "edit").stdout


def test_weigh_shows_what_each_criterion_is_worth_and_writes_the_weights(command, rubric, world, url):
    result = command("weigh", rubric, world / "pairs.jsonl", "--base-url", url, "--out", "weighed.yaml")
    assert result.exit_code == 0, result.exception
    assert "48 questions" in result.stderr
    header, *rows = result.stdout.split("\n\n")[0].splitlines()
    assert header.split() == ["weight", "worth", "95%", "interval", "chosen", "agrees", "criterion"]
    (there,) = (row for row in rows if " there: " in row)
    assert re.match(r" +[\d.]+ +[+-][\d.]+  \[[+-][\d.]+, [+-][\d.]+\] +\d+% +\+[\d.]+  there: All the objects", there)
    (tails,) = (row for row in rows if " tails: " in row)
    assert tails.split()[0] == "off"
    assert "(off: " in " ".join(result.stdout.split())
    assert "unused" not in result.stdout
    assert "Synthetic." in result.stdout
    weighed = load_rubric("weighed.yaml")
    assert weighed.provenance["parent"]["hash"] == load_rubric(rubric).hash
    assert "tails" not in {criterion.id for criterion in weighed.enabled_criteria()}
    again = command("weigh", rubric, world / "pairs.jsonl", "--base-url", url, "--out", "weighed.yaml")
    assert (again.exit_code, again.stdout) == (0, result.stdout)


def test_weigh_overwrites_no_other_rubric(command, rubric, world, url):
    line = ["weigh", rubric, world / "pairs.jsonl", "--base-url", url, "--out"]
    for name in (rubric, "of-another.yaml"):
        Path(name).write_text(RUBRIC)
        result = command(*line, name)
        assert "was not weighed from mine; name another file" in str(result.exception)
        assert "questions" not in result.stderr
        assert Path(name).read_text() == RUBRIC
    assert "holds no weights" in str(command(*line, "weighed.txt").exception)
    assert command(*line, "weighed.yaml").exit_code == 0
    edited = Path("weighed.yaml").read_text().replace("text: All", "text: Really all")
    Path("weighed.yaml").write_text(edited)
    result = command(*line, "weighed.yaml")
    assert "edited by hand; name another file" in str(result.exception)
    assert "there: " in result.stdout
    assert Path("weighed.yaml").read_text() == edited


def test_weights_of_few_prompts_claim_no_worth(command, rubric, world, url):
    few = world / "few.jsonl"
    few.write_text("".join((world / "pairs.jsonl").read_text().splitlines(keepends=True)[:4]))
    result = command("weigh", rubric, few, "--base-url", url, "--out", "weighed.yaml")
    assert result.exit_code == 0, result.exception
    assert "no worth" in " ".join(result.stdout.split())
    assert "[" not in result.stdout


def test_audit_prints_the_table_and_keeps_it(command, rubric, world, url):
    line = ["audit", rubric, world / "pairs.jsonl", "--base-url", url, "--limit", 4, "--repeats", 2]
    result = command(*line)
    assert result.exit_code == 0, result.exception
    for words in ("accuracy, gain over placebo", "criteria in another order", "caption asks for a vote", "synthetic"):
        assert words in result.stdout
    folder = Path(result.stdout.rpartition("run folder: ")[2].strip())
    assert json.loads((folder / "audit.json").read_text())["complete"] is True
    again = command(*line)
    assert again.exit_code == 0
    assert " 0 calls" in again.stderr


def test_a_rubric_for_another_task_is_refused(command, rubric, world, url):
    rubric.write_text(RUBRIC.replace("task: t2i", "task: edit"))
    for line in (["weigh", rubric, world / "pairs.jsonl", "--out", "w.yaml"], ["audit", rubric, world / "pairs.jsonl"]):
        result = command(*line, "--base-url", url)
        assert result.exit_code == 1
        assert "'mine' is for task edit" in str(result.exception)


def test_a_saved_rubric_is_what_was_weighed(command, rubric, world, url):
    command("weigh", rubric, world / "pairs.jsonl", "--base-url", url, "--out", "weighed.yaml", "--most", 1)
    weighed: Rubric = load_rubric("weighed.yaml")
    assert len(weighed.enabled_criteria()) == 1
    criteria = yaml.safe_load(Path("weighed.yaml").read_text())["themes"][0]["criteria"]
    assert [criterion["id"] for criterion in criteria] == ["there", "colours", "tails", "unused"]


def test_a_judge_that_never_answers_weighs_and_audits_nothing(command, rubric, world):
    with running_server(perfect("t2i").model_copy(update={"refusals": 1.0})) as silent:
        weighed = command("weigh", rubric, world / "pairs.jsonl", "--base-url", silent, "--out", "weighed.yaml")
        audited = command("audit", rubric, world / "pairs.jsonl", "--base-url", silent, "--limit", 2, "--repeats", 2)
    assert weighed.exit_code == audited.exit_code == 1
    assert "verdicts of the judge failed" in str(weighed.exception)
    assert not Path("weighed.yaml").exists()
    assert "nothing was measured" in str(audited.exception)
    assert "verdicts failed" in audited.stdout
