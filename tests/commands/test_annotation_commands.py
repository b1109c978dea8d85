import shutil
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from workbench.annotations.annotation import Annotation, now
from workbench.annotations.log import AnnotationLog, read_annotations
from workbench.commands.annotations import annotations_agreement, annotations_merge, annotations_seeds
from workbench.induction.seeds import usable_seeds
from workbench.pairs.loading import load

app = typer.Typer()
app.command("merge")(annotations_merge)
app.command("agreement")(annotations_agreement)
app.command("seeds")(annotations_seeds)

PEOPLE = sorted(Path("data/shapes/t2i/annotations").resolve().glob("*.jsonl"))
PAIRS = Path("data/shapes/t2i/test.parquet").resolve()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


@pytest.fixture
def people(tmp_path: Path) -> list[Path]:
    return [Path(shutil.copy(person, tmp_path)) for person in PEOPLE]


def test_three_peoples_files_become_one_with_a_row_for_each(people, tmp_path):
    out = tmp_path / "all.jsonl"
    AnnotationLog(people[0]).append(Annotation("lost", "eve\x1b[31m", now(), "a", "where is it?"))
    output = done("merge", *people, "--out", out, "--pairs", PAIRS)
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines()[:5]}
    assert rows["person"] == ["labels", "ties", "skips", "notes", "orphans", "conflicts"]
    assert int(rows["sim-ada"][0]) + int(rows["sim-ada"][1]) == 50
    assert "orphan, kept: lost by eve·[31m: no such pair" in output
    assert "\x1b" not in output
    assert "lost" in {each.pair_id for each in read_annotations(out)}
    before = out.read_bytes()
    assert "copies left out" in done("merge", out, *people, "--out", out)
    assert out.read_bytes() == before


def test_a_malformed_line_fails_the_merge_by_file_and_line_and_writes_nothing(people, tmp_path):
    with people[1].open("a") as file:
        file.write("<script>alert(1)</script>\n")
    result = run("merge", *people, "--out", tmp_path / "all.jsonl")
    assert result.exit_code != 0
    assert "sim-ben.jsonl, line 51: not an annotation (not JSON)" in str(result.exception)
    assert not (tmp_path / "all.jsonl").exists()


def test_agreement_is_told_for_people_label_and_a_run(command, url, people, tmp_path):
    run_folder = tmp_path / "judged"
    judged = command("evaluate", PAIRS, "--limit", 60, "--base-url", url, "--out", run_folder)
    assert judged.exit_code == 0, judged.exception
    output = done("agreement", PAIRS, *people, "--run", run_folder, "--most", 3)
    assert "sim-ada and sim-ben" in output
    assert "all 3 people" in output
    assert "the majority and the dataset's label" in output
    assert "sim-cho and the judge judged" in output
    assert "Synthetic" in output
    assert "the 3 most disputed:" in output
    assert "nan" not in output
    other = run("agreement", PAIRS.parent / "seeds" / "pairs.jsonl", *people, "--run", run_folder)
    assert "judged none of these 60 pairs" in str(other.exception)
    assert "is not a run folder" in str(run("agreement", PAIRS, *people, "--run", tmp_path).exception)


def test_seeds_are_what_an_induction_takes(people, tmp_path):
    out = tmp_path / "seeds.jsonl"
    output = done("seeds", PAIRS, *people, "--out", out, "--rule", "unanimous")
    assert "labelled pairs" in output
    usable = usable_seeds(load(out))
    assert len(usable.pairs) > 20
    before = out.read_bytes()
    done("seeds", PAIRS, *people, "--out", out, "--rule", "unanimous")
    assert out.read_bytes() == before
    assert "holds something else" in str(run("seeds", PAIRS, *people, "--out", out, "--rule", "sim-ada").exception)
    assert out.read_bytes() == before
    assert "rule is 'eve'" in str(run("seeds", PAIRS, *people, "--out", out, "--rule", "eve").exception)
    assert "is one of the files read" in str(run("seeds", PAIRS, *people, "--out", people[0]).exception)
