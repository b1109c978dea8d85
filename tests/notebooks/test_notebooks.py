"""Every notebook, executed as a cluster executes it, on the committed world; and what a notebook must look like."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from workbench.induction.events import read_events
from workbench.rpo.running.journal import read_metrics
from workbench.rubrics.files import load_rubric
from workbench.runs.manifest import read_manifest
from workbench.runs.notebook import CellFailed, run_notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"
TEST_PAIRS = 24
EDIT = {
    "seeds": "data/shapes/edit/seeds/pairs.jsonl",
    "test": "data/shapes/edit/test.parquet",
    "world": "data/shapes/edit",
    "rubrics": "rubrics/shapes_edit_handwritten.yaml",
}

Execute = Callable[..., "Executed"]


@dataclass(frozen=True)
class Executed:
    """One execution: its run folder, and where its evaluations and inductions went."""

    run: Path
    outputs: Path

    @property
    def file(self) -> Path:
        return self.run / "notebook.ipynb"

    def cells(self) -> list[Any]:
        return list(nbformat.read(self.file, as_version=4).cells)

    def cell_outputs(self) -> Iterator[Any]:
        for cell in self.cells():
            yield from cell.get("outputs", [])

    def figures(self) -> list[dict[str, Any]]:
        return [output.data[PLOTLY] for output in self.cell_outputs() if PLOTLY in output.get("data", {})]

    def printed(self) -> str:
        return "".join(output.text for output in self.cell_outputs() if output.output_type == "stream")

    def results(self) -> dict[str, dict[str, Any]]:
        """`results.json` of every evaluation, by the name of its judge."""
        folders = [file.parent for file in self.outputs.glob("evaluate-*/results.json")]
        return {
            read_manifest(folder).inputs["judge"]["name"]: json.loads((folder / "results.json").read_text())
            for folder in folders
        }


@pytest.fixture(scope="module")
def execute(traces, tmp_path_factory) -> Execute:
    """Executes a notebook once for all tests that ask for it with the same parameters."""
    finished: dict[str, Executed] = {}

    def run(name: str, **parameters: object) -> Executed:
        key = json.dumps([name, parameters], sort_keys=True)
        if key not in finished:
            folder = tmp_path_factory.mktemp(name)
            given = {**parameters, "outputs": folder / "runs"}
            notebook = ROOT / "notebooks" / f"{name}.ipynb"
            texts = [(key, str(value)) for key, value in given.items()]
            finished[key] = Executed(run_notebook(notebook, texts, out=folder / "run"), folder / "runs")
        return finished[key]

    return run


@pytest.fixture(scope="module")
def executed(request, execute) -> Executed:
    name, parameters = request.param
    return execute(name, **parameters)


QUICKSTART = ("00_quickstart", {"test_pairs": TEST_PAIRS})
INDUCTION = ("01_induce_rubrics", {})
EDITING = ("02_edit_rubrics", {"test_pairs": TEST_PAIRS, "panel_pairs": 8})
JUDGES = ("03_evaluate_judges", {"test_pairs": TEST_PAIRS})
COMPARING = ("07_compare_runs", {"test_pairs": TEST_PAIRS})
JUDGES_OF_EDITS = ("03_evaluate_judges", {"test_pairs": TEST_PAIRS, **EDIT})
FEW = {"groups": 8, "batch": 8, "updates": 2, "evaluated": 8}
TRAINING = ("06_rpo", {"settings": {"policy": {"size": 64}, **FEW}, "test": 8})
EVERY = (QUICKSTART, INDUCTION, EDITING, JUDGES, JUDGES_OF_EDITS, TRAINING, COMPARING)


def each(*executions):
    return pytest.mark.parametrize(
        "executed",
        executions,
        indirect=True,
        ids=[f"{name}{'-edit' if 'world' in p else ''}" for name, p in executions],
    )


def test_every_notebook_is_executed_here():
    here = {name for name, _ in EVERY}
    assert {notebook.stem for notebook in NOTEBOOKS} == here


@each(*EVERY)
def test_an_executed_notebook_is_small_and_shows_its_figures_without_errors(executed):
    outputs = list(executed.cell_outputs())
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert all(cell.execution_count for cell in executed.cells() if cell.cell_type == "code")
    assert any("data:image/webp;base64," in output.get("data", {}).get("text/html", "") for output in outputs)
    assert executed.figures()
    assert "widgets" not in nbformat.read(executed.file, as_version=4).metadata
    assert executed.file.stat().st_size < 2_000_000


@each(*EVERY)
def test_every_figure_says_that_its_numbers_are_synthetic(executed):
    titles = [figure["layout"]["meta"]["title"] for figure in executed.figures()]
    assert [title for title in titles if not title.endswith("(synthetic)")] == []


@each(*EVERY)
def test_the_run_folder_records_the_notebook_and_its_parameters(executed):
    manifest = read_manifest(executed.run)
    assert (manifest.kind, manifest.status) == ("notebook", "finished")
    assert manifest.inputs["notebook"]["name"] in {notebook.stem for notebook in NOTEBOOKS}
    assert "outputs" in manifest.inputs["parameters"]


@each(QUICKSTART, INDUCTION, JUDGES, JUDGES_OF_EDITS)
def test_every_induced_rubric_is_on_disk_with_its_events(executed):
    folders = list(executed.outputs.glob("induce-*"))
    assert folders
    for folder in folders:
        rubric = load_rubric(folder / "rubric.yaml")
        assert rubric.enabled_criteria()
        assert len(rubric.provenance["seed_pairs"]) == 60
        events = list(read_events(folder / "events.jsonl"))
        assert len({event.pair_id for event in events if event.step == "generated"}) == 60
        assert events[-1].step == {"arr": "structured", "blind": "kept"}[rubric.provenance["recipe"]]


@each(QUICKSTART, EDITING, JUDGES, JUDGES_OF_EDITS, COMPARING)
def test_every_judge_is_measured_in_both_orders_on_the_same_pairs(executed):
    results = executed.results()
    assert len(results) == len({str(value) for value in results.values()}) >= 2
    assert "rubric-free" in results
    for numbers in results.values():
        assert numbers["n_pairs"] == TEST_PAIRS
        assert numbers["n_missing"] == 0
        assert sum(numbers["outcomes"].values()) == 2 * TEST_PAIRS
        assert [numbers["accuracy"][order]["n"] for order in ("forward", "reverse")] == [TEST_PAIRS] * 2
        low, high = numbers["accuracy"]["mean"]["ci95"]
        assert low <= numbers["accuracy"]["mean"]["value"] <= high
        assert (numbers["synthetic"], numbers["evidence"]) == (True, "calibration")


@each(QUICKSTART)
def test_the_quickstart_ends_with_a_paired_comparison(executed):
    printed = executed.printed()
    assert "evidence: calibration, synthetic" in printed
    assert f"With {TEST_PAIRS} pairs of " in printed
    assert any(verdict in printed for verdict in ("better", "worse", "undecided"))


@each(JUDGES, JUDGES_OF_EDITS)
def test_all_judges_are_in_the_figures(executed):
    names = {row["names"][0] for figure in executed.figures() for row in figure["layout"]["meta"]["rows"]}
    assert {"rubric-free", "induced (blind)", "induced (arr)"} < names
    assert len(executed.results()) == 4


@each(EDITING)
def test_headless_the_editors_views_are_static(executed):
    html = "".join(output.get("data", {}).get("text/html", "") for output in executed.cell_outputs())
    assert "Counting the objects gives the figure that was called for." in html, "the rubric"
    assert "the interactive viewer needs a running kernel" in html
    assert "c13" in html
    assert "Krippendorff" in html
    assert "With 8 pairs of " in executed.printed()
    assert "application/vnd.jupyter.widget-view+json" not in executed.file.read_text()
    assert not list((ROOT / "rubrics").glob("*_v3.yaml")), "nothing is saved unasked"


@each(TRAINING)
def test_both_policies_are_trained_and_compared_with_their_base(executed):
    for task in ("t2i", "edit"):
        (folder,) = (path for path in executed.outputs.glob(f"rpo-{task}-default-*") if path.is_dir())
        assert read_manifest(folder).status == "finished"
        assert [line["update"] for line in read_metrics(folder)] == [1, 2]
        assert (folder / "lora" / "pytorch_lora_weights.safetensors").exists()
    titles = {figure["layout"]["meta"]["title"].removesuffix(" (synthetic)") for figure in executed.figures()}
    assert {f"{task}: the trained picture is preferred" for task in ("t2i", "edit")} < titles
    assert "What training changed on held-out prompts" in titles
    html = "".join(output.get("data", {}).get("text/html", "") for output in executed.cell_outputs())
    assert "t2i: everything right" in html
    assert "edit: preservation" in html
    assert html.count("noise added in step") == 2, "one group of each"
    assert html.count(", advantage ") == 2 * 2 * 2, "of two candidates each, as a caption and as words for the picture"
    for task in ("t2i", "edit"):
        assert re.search(rf"{task}: the judge prefers the base in \d+ of 16 pairs", executed.printed())
        assert re.search(rf"{task}: \d+ alarms", executed.printed())


@each(COMPARING)
def test_runs_are_compared_with_the_first_of_them(executed):
    printed = executed.printed()
    assert "shapes_t2i_arr_v2: " in printed
    html = "".join(output.get("data", {}).get("text/html", "") for output in executed.cell_outputs())
    assert "removed" in html, "the edited version's diff"
    named = [figure["layout"]["meta"]["title"] for figure in executed.figures()]
    titles = ("Agreement with people against cost", "Position bias", "Gain over rubric-free")
    assert named == [f"{title} (synthetic)" for title in titles]


def test_a_notebook_takes_the_answers_another_one_paid_for(execute):
    execute(QUICKSTART[0], **QUICKSTART[1])
    assert " 0 calls, " in " ".join(execute(INDUCTION[0]).printed().split())


def test_nothing_is_left_running(traces, execute):
    execute(QUICKSTART[0], **QUICKSTART[1])
    assert traces.gone(), traces.running()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("test_pair", "3")], r"00_quickstart\.ipynb has no parameter 'test_pair'; did you mean 'test_pairs'\?"),
        ([("zzz", "3")], r"has no parameter 'zzz'; it has seeds, test, test_pairs, "),
        ([("test_pairs", "many")], r"parameter 'test_pairs' is 'many'; 00_quickstart\.ipynb wants int"),
        ([("test_pairs", "true")], r"parameter 'test_pairs' is True; .* wants int"),
        ([("test_pairs", "1.5")], r"parameter 'test_pairs' is 1\.5; .* wants int"),
        ([("seeds", "[a]")], r"parameter 'seeds' is \['a'\]; .* wants str"),
        ([("test_pairs", "")], r"parameter 'test_pairs' is None; .* wants int"),
        ([("a", "1"), ("b", "2")], r"no parameter 'a'.*no parameter 'b'"),
        ([("seeds", "[")], r"parameter 'seeds'"),
    ],
)
def test_parameters_are_checked_before_anything_runs(given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_notebook(ROOT / "notebooks" / "00_quickstart.ipynb", given, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["[", "[1, 2]", "just text"])
def test_a_parameter_file_that_is_no_mapping_is_named(content, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"bad\.yaml"):
        run_notebook(ROOT / "notebooks" / "00_quickstart.ipynb", [], file, out=tmp_path / "run")


def test_a_notebook_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"00_quick\.ipynb does not exist"):
        run_notebook(ROOT / "notebooks" / "00_quick.ipynb", [], out=tmp_path / "run")


def test_a_failing_cell_raises_and_leaves_the_notebook_so_far(traces, tmp_path):
    notebook = _notebook(
        tmp_path / "failing.ipynb",
        "depth: int = 2  # how deep",
        "print(f'reached {depth}')",
        "raise RuntimeError('the disk is on fire')",
        "print('never')",
    )
    with pytest.raises(CellFailed, match="the disk is on fire"):
        run_notebook(notebook, [("depth", "3")], out=tmp_path / "run")
    left = Executed(tmp_path / "run", tmp_path)
    assert left.printed() == "reached 3\n"
    assert "the disk is on fire" in left.file.read_text()
    manifest = read_manifest(left.run)
    assert (manifest.status, manifest.problem) == ("failed", "CellFailed")
    assert traces.gone(), traces.running()


def test_an_empty_value_leaves_a_text_empty(traces, tmp_path):
    notebook = _notebook(tmp_path / "small.ipynb", "name: str = 'fox'  # a name", "print(repr(name))")
    path = run_notebook(notebook, [("name", "")], outputs=tmp_path / "runs")
    assert Executed(path, tmp_path).printed() == "''\n"


def test_values_in_the_command_win_over_those_in_the_file(traces, tmp_path):
    notebook = _notebook(tmp_path / "small.ipynb", "a: int = 1  # one\nb: int = 2  # two", "print(a, b)")
    file = tmp_path / "parameters.yaml"
    file.write_text("a: 10\nb: 20\n")
    path = run_notebook(notebook, [("b", "30")], file, outputs=tmp_path / "runs")
    assert Executed(path, tmp_path).printed() == "10 30\n"
    assert path.parent == tmp_path / "runs"
    assert path == run_notebook(notebook, [("b", "30")], file, outputs=tmp_path / "runs")
    assert path != run_notebook(notebook, [("b", "31")], file, outputs=tmp_path / "runs")


def test_the_kernel_listens_on_no_port(traces, tmp_path):
    code = (
        "import json\nfrom ipykernel.connect import get_connection_info\njson.loads(get_connection_info())['transport']"
    )
    path = run_notebook(_notebook(tmp_path / "small.ipynb", "a: int = 1  # one", code), [], out=tmp_path / "run")
    (output,) = Executed(path, tmp_path).cell_outputs()
    assert output.data["text/plain"] == "'ipc'"


def _notebook(path: Path, parameters: str, *cells: str) -> Path:
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


committed = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def _code(notebook: Path) -> list[Any]:
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def _is_imports(cell: Any) -> bool:
    # Imports, and the calls that set the session up.
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(cell.source).body)


@committed
def test_it_is_committed_without_outputs(notebook):
    for cell in _code(notebook):
        assert (cell.outputs, cell.execution_count) == ([], None)
    assert "widgets" not in nbformat.read(notebook, as_version=4).metadata
    nbformat.validate(nbformat.read(notebook, as_version=4))


@committed
def test_it_has_one_parameters_cell_with_a_type_and_a_comment_for_each(notebook):
    (cell,) = (cell for cell in _code(notebook) if "parameters" in cell.metadata.get("tags", []))
    statements = ast.parse(cell.source).body
    assert all(isinstance(statement, ast.AnnAssign) and statement.value for statement in statements)
    known = papermill.inspect_notebook(str(notebook))
    assert len(known) == len(statements)
    assert {"outputs", "base_url", "model", "max_calls", "test"} <= set(known)
    for name, parameter in known.items():
        assert parameter["inferred_type_name"] in ("str", "int", "float", "bool", "dict"), name
        assert parameter["help"], name
    # Nothing may run before the parameters: papermill puts its own after this cell.
    assert _code(notebook)[0] is not None
    assert "parameters" in _code(notebook)[0].metadata.get("tags", [])


@committed
def test_its_cells_are_short_and_define_nothing(notebook):
    for cell in _code(notebook):
        defined = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        assert defined == []
        if not _is_imports(cell):
            most = 18 if "parameters" in cell.metadata.get("tags", []) else 15
            assert len(cell.source.splitlines()) <= most, cell.source


@committed
def test_it_says_its_question_first_and_what_it_needs(notebook):
    first = nbformat.read(notebook, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {notebook.stem[:2]} ")
    for part in ("**Question.**", "**You will**", "**Needs**", "synthetic"):
        assert part in first.source
