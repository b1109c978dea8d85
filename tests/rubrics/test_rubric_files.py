"""Rubric files survive being written and read, and say where they are wrong."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme

ROOT = Path(__file__).parents[2] / "rubrics"
FULL = """\
schema: workbench.rubric/1
name: shapes
task: t2i
themes:
- name: Content
  weight: 3
  criteria:
  - id: c1
    text: Three circles.
    weight: 0.5
    levels:
      1: three
      0: any other number
    enabled: false
    source: p1, p2
- name: Look
  criteria:
  - id: c2
    text: >-
      The edges of everything are sharp when seen at full size, and remain so where two of them touch
      each other.
provenance:
  seed_pairs:
  - p1
  model: test
"""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
WEIGHT = st.floats(0, 10) | st.integers(0, 5)
LEVELS = st.dictionaries(st.integers(-5, 5), TEXT).filter(lambda levels: len(levels) != 1)


@st.composite
def rubrics(draw: st.DrawFn) -> Rubric:
    ids = iter(range(100))
    criteria = st.builds(
        lambda text, weight, levels, enabled, source: Criterion(
            f"c{next(ids)}", text, weight, tuple(Level(*level) for level in levels.items()), enabled, source
        ),
        TEXT.filter(lambda text: bool(text.strip())),
        WEIGHT,
        LEVELS,
        st.booleans(),
        st.none() | TEXT,
    )
    themes = st.lists(st.builds(Theme, TEXT, WEIGHT, st.lists(criteria, max_size=3).map(tuple)), max_size=3)
    provenance = st.dictionaries(TEXT, st.none() | st.integers() | TEXT | st.lists(TEXT), max_size=3)
    return Rubric(draw(TEXT), draw(st.sampled_from(["t2i", "edit"])), tuple(draw(themes)), draw(provenance))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rubric=rubrics())
def test_saved_rubrics_are_loaded_again(tmp_path: Path, rubric: Rubric) -> None:
    save_rubric(rubric, tmp_path / "r.yaml")
    loaded = load_rubric(tmp_path / "r.yaml")
    assert loaded == rubric
    assert loaded.hash == rubric.hash


def test_the_file_reads_like_one_a_person_wrote(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(FULL)
    rubric = load_rubric(tmp_path / "r.yaml")
    assert rubric.themes[0].criteria[0].levels == (Level(1, "three"), Level(0, "any other number"))
    assert rubric.provenance == {"seed_pairs": ["p1"], "model": "test"}
    save_rubric(rubric, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_text() == FULL


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(FULL)
    with pytest.raises(RubricError, match="provenance that is not JSON"):
        save_rubric(Rubric("r", "t2i", (), {"model": object()}), path)
    assert path.read_text() == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    weight: 0.5", "    wieght: 0.5", ":10: themes[0].criteria[0].wieght is unknown: did you mean weight?"),
        ("name: shapes", "nam: shapes", ":2: nam is unknown: did you mean name?"),
        ("name: shapes", "nam: shapes", ":1: name is missing: add it"),
        ("- name: Look", "- name: Look\n  zzz: 1", ":17: themes[1].zzz is unknown: keys are name, weight, criteria"),
        ("weight: 0.5", "weight: .nan", ":10: themes[0].criteria[0].weight is nan"),
        ("weight: 0.5", "weight: -1", ":10: themes[0].criteria[0].weight is -1, input should be greater than"),
        (
            "weight: 0.5",
            "weight: heavy",
            ":10: themes[0].criteria[0].weight is 'heavy', input should be a valid number",
        ),
        ("text: Three circles.", "text: 3", ":9: themes[0].criteria[0].text is 3, input should be a valid string: put"),
        ("task: t2i", "task: video", ":3: task is 'video', input should be 't2i' or 'edit'"),
        ("enabled: false", "enabled: 3", ":14: themes[0].criteria[0].enabled is 3"),
        ("1: three", "one: three", "levels"),
        ("id: c2", "id: c1", "used more than once: c1"),
        ("Three circles.", '" "', "c1 has no text"),
        ("schema: workbench.rubric/1", "schema: workbench.rubric/2", "newer version .*: upgrade workbench"),
        ("schema: workbench.rubric/1\n", "", "begin the file with 'schema: workbench.rubric/1'"),
        ("schema: workbench.rubric/1", "schema: other/1", "schema is 'other/1'"),
        ("name: shapes", "name: shapes\nname: again", ":3: not usable YAML .key 'name' is given twice"),
        ("name: shapes", "name: [shapes", "not usable YAML"),
        ("name: shapes", "name: !!python/name:os.system", ":2: not usable YAML"),
    ],
)
def test_each_fault_names_file_line_key_and_remedy(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "r.yaml"
    assert old in FULL
    path.write_text(FULL.replace(old, new, 1))
    with pytest.raises(RubricError, match=says.replace("[", r"\[").replace("?", r"\?")) as caught:
        load_rubric(path)
    assert str(path) in str(caught.value)


def test_all_faults_of_a_file_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(FULL.replace("weight", "wieght").replace("task: t2i", "task: video"))
    with pytest.raises(RubricError) as caught:
        load_rubric(path)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nowhere.yaml", None, "cannot be read"),
        ("r.yaml", b"", "begin with 'schema"),
        ("r.yaml", b"- a", "begin with 'schema"),
        ("r.yaml", b"\xff\xfe\xfa", "not UTF-8"),
        ("r.yaml", b" " * (2**20 + 1), "at most 1,048,576"),
        ("r.json", b"{}", "end in .yaml, .yml or .txt"),
        ("r.txt", b" \n", "is empty"),
    ],
)
def test_files_that_are_no_rubric_are_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RubricError, match=says):
        load_rubric(tmp_path / name)


def test_text_files_are_arr_rubrics_of_the_task_they_are_called_by(tmp_path: Path) -> None:
    text = "Rubric 1:\nTheme: Count\n- Tip1: Three circles."
    for name, task in (("seed.txt", "t2i"), ("image_edit.txt", "edit")):
        (tmp_path / name).write_text(text + "\n")
        rubric = load_rubric(tmp_path / name)
        assert (rubric.task, rubric.themes[0].name) == (task, "Count")
        save_rubric(rubric, tmp_path / name)
        assert (tmp_path / name).read_text() == text
    assert load_rubric(tmp_path / "seed.txt", task="edit").task == "edit"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*_general.yaml")) + sorted(ROOT.glob("*_handwritten.yaml")))
def test_committed_rubrics_are_usable_and_come_out_unchanged(path: Path, tmp_path: Path) -> None:
    rubric = load_rubric(path)
    assert rubric.name == path.stem
    assert rubric.task == ("edit" if "edit" in path.stem else "t2i")
    assert rubric.provenance["source"] == "hand-written"
    assert rubric.render()
    save_rubric(rubric, tmp_path / "r.yaml")
    assert yaml.safe_load((tmp_path / "r.yaml").read_text()) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", sorted(ROOT.glob("*_general.yaml")))
def test_general_rubrics_grade_without_comparing(path: Path) -> None:
    criteria = load_rubric(path).enabled_criteria()
    assert 12 <= len(criteria) <= 16
    for criterion in criteria:
        scores = [level.score for level in criterion.levels]
        assert scores[-1] == 0
        assert scores == sorted(scores, reverse=True)
        assert scores[0] in (2, 4)
        assert len(criterion.text.split()) <= 30
        words = criterion.text.lower()
        assert not any(
            word in words for word in (" better", "more than the other", "image a", "both images", "beautiful")
        )
