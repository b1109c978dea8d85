import asyncio
import json
import re
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
from PIL import PngImagePlugin
from shared_runs import RUBRIC, ScriptedJudge, make_run, png, write_pairs

from workbench.annotations.annotation import Annotation
from workbench.annotations.log import AnnotationLog
from workbench.evaluation.evaluate import evaluate
from workbench.pairs.loading import load
from workbench.rubrics.edits import Edited
from workbench.rubrics.files import save_rubric
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.rubrics.versions import derived
from workbench.runs.folder import RunFolder
from workbench.runs.storage import StorageError
from workbench.sharing.secrets import NotShared, find
from workbench.sharing.share import share

PAIRS = Path("data/pairs.jsonl")


def html_of(run: Path, **options) -> str:
    shared = share(run, **options)
    assert shared.path.stat().st_size == shared.size
    return shared.path.read_text()


def viewer_of(html: str) -> dict:
    return json.loads(html.split('id="page-pairs">')[1].split("</script>")[0])


@pytest.fixture
def run(here) -> Path:
    return make_run(PAIRS, here / "outputs/free", ScriptedJudge(wrong=("p1",)))


def test_the_card_says_what_was_run(run):
    html = html_of(run, question="Is it any good?")
    assert html == (run / "report.html").read_text()
    for said in (
        "Is it any good?", "rubric-free on data-pairs", "data-pairs, n = 6 pairs (hash ", "shapes-scripted",
        "version unknown", "temperature 0.0", "<dt>seed</dt><dd><bdi dir=\"auto\">3</bdi>", "commit ",
        "$0.0120, 12 calls, 0 verdicts from the cache", "evidence: calibration", "synthetic", "free",
    ):  # fmt: skip
        assert said in html, said
    assert re.search(r"accuracy, mean</th><td><b>83\.3%</b> <small>\[\S+%,\s\S+%\], n\s=\s6</small>", html)


def test_two_runs_are_compared_with_a_sentence_and_links_to_the_flips(run, here):
    guided = make_run(PAIRS, here / "outputs/guided", ScriptedJudge("sharp", wrong=("p4",)), RUBRIC)
    html = html_of(guided, against=run, out=here / "page.html")
    assert "With 6 pairs of 3 prompts" in html
    assert re.search(r"<b>fixed</b> \(1\): <a href=\"#pair=p1\">", html)
    assert re.search(r"<b>broken</b> \(1\): <a href=\"#pair=p4\">", html)
    assert "The edges are sharp." in html
    viewer = viewer_of(html)
    assert (viewer["about"]["judges"], viewer["about"]["baseline"]) == (["rubric-free", "sharp"], "rubric-free")
    assert viewer["rows"][1]["marks"]["sharp"] == ["flipped", "fixed"]
    assert viewer["views"]["p4"]["note"] == "broken"
    with pytest.raises(ValueError, match="is the run itself"):
        share(run, against=run)


def test_the_rubrics_diff_is_against_the_other_runs_rubric_or_its_parent(here):
    parent = Rubric("old", "t2i", (Theme("Look", criteria=(Criterion("c1", "The edges are soft."),)),))
    before = make_run(PAIRS, here / "outputs/old", ScriptedJudge("old"), parent)
    after = make_run(PAIRS, here / "outputs/new", ScriptedJudge("sharp"), RUBRIC)
    html = html_of(after, against=before)
    assert re.search(r"What changed from .*old.*<del[^>]*>.*soft.*</del><ins[^>]*>.*sharp.*</ins>", html)
    assert "What changed from" not in html_of(after)


def test_pictures_are_small_shared_and_clean(here):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "taken by ada")
    write_pairs(here / "data", 3, side=900)
    same = png((9, 9, 9), 900, pnginfo=info)
    for i in range(3):
        (here / f"data/images/{i}-b.png").write_bytes(same)
    run = make_run(PAIRS, here / "outputs/big")
    html = html_of(run)
    viewer = viewer_of(html)
    assert len({row["images"][1] for row in viewer["rows"]}) == 1
    assert len(re.findall(r'<script type="text/plain" id="i', html)) == 4
    assert "taken by ada" not in html
    with pytest.raises(NotShared, match="pair 'p0', picture 2: picture metadata comment"):
        share(run, bundle=True)
    assert not list(run.glob("*.zip"))
    with zipfile.ZipFile(share(run, bundle=True, allow=["comment"]).bundle) as file:
        names = file.namelist()
        pairs = [json.loads(line) for line in file.read("pairs.jsonl").splitlines()]
        assert file.read(pairs[0]["images"][1]) == same
        assert file.read("report.html") == (run / "report.html").read_bytes()
        file.extractall(here / "unpacked")
    assert len([name for name in names if name.startswith("images/")]) == 4
    assert {"run/run.json", "run/verdicts.jsonl", "run/results.json", "README.txt"} <= set(names)
    assert [each.id for each in load(here / "unpacked/pairs.jsonl")] == ["p0", "p1", "p2"]


def test_what_must_not_be_shared_is_refused_by_its_place(here, monkeypatch):
    monkeypatch.setenv("JUDGE_API_KEY", "swordfish-1234")
    said = {"p2": "as http://gpu-9.lab:8000/ says", "p3": "the key is swordfish-1234", "p4": "see /home/ada/x.png"}
    run = make_run(PAIRS, here / "outputs/free", ScriptedJudge(reason=lambda pair, order: said.get(pair, "fine")))
    with pytest.raises(NotShared) as refused:
        share(run)
    message = str(refused.value)
    assert "pair 'p2'.judges.0.verdicts.0.reason: host name gpu-9.lab" in message
    assert "pair 'p3'.judges.0.verdicts.1.reason: secret the value of the environment variable JUDGE_API_KEY" in message
    assert "pair 'p4'.judges.0.verdicts.0.reason: home path /home/ada" in message
    assert "swordfish" not in message
    assert not (run / "report.html").exists()
    with pytest.raises(NotShared) as refused:
        share(run, check=True, allow=["gpu-9.lab", "/home/ada"])
    assert {each.kind for each in refused.value.findings} == {"secret"}
    monkeypatch.delenv("JUDGE_API_KEY")
    assert share(run, check=True, allow=["gpu-9.lab", "/home/ada"]).path is None
    assert not (run / "report.html").exists()
    share(run, allow=["gpu-9.lab", "/home/ada"])


def test_a_bundle_is_searched_too(run):
    (run / "log.txt").write_text('one\n{"path": "C:\\\\Users\\\\Ada\\\\x"}\n')
    share(run)
    (run / "hf_abcdefghijklmnopqrst.txt").write_text("nothing")
    (run / "more.json").write_text('{"said": "first\\n/home/grace/x"}')
    with pytest.raises(NotShared) as refused:
        share(run, bundle=True)
    assert {str(each) for each in refused.value.findings} == {
        "run/log.txt, line 2: home path C:\\Users\\Ada",
        "run/more.json, line 1: home path /home/grace",
        "a file's name: secret hf_… (23 characters) that looks like a Hugging Face token",
    }


def test_what_is_bundled_is_what_was_searched(run, monkeypatch):
    def search_while_the_run_goes_on(texts, allow=()):
        found = find(list(texts), allow)
        (run / "log.txt").write_text("hf_abcdefghijklmnopqrst\n")
        return found

    (run / "log.txt").write_text("fine\n")
    monkeypatch.setattr("workbench.sharing.share.find", search_while_the_run_goes_on)
    with zipfile.ZipFile(share(run, bundle=True).bundle) as file:
        assert file.read("run/log.txt") == b"fine\n"


@pytest.mark.parametrize("named", ["~nobody-of-this-name/pairs.jsonl", "x" * 5000, "a\0b", "/"])
def test_a_dataset_named_on_another_machine_is_not_found(run, named):
    stored = json.loads((run / "run.json").read_text())
    stored["facts"]["dataset_file"] = named
    (run / "run.json").write_text(json.dumps(stored))
    assert "is not where the run says" in share(run, check=True).notes[0]


def test_a_dataset_that_moved_is_named_and_one_that_is_gone_leaves_the_verdicts(run, here):
    shutil.move("data", "elsewhere")
    shared = share(run)
    assert "is not where the run says" in shared.notes[0]
    html = shared.path.read_text()
    assert "is not where the run says" in html
    assert 'id="page-pairs"' not in html
    assert "83.3%" in html
    moved = html_of(run, pairs=here / "elsewhere/pairs.jsonl")
    assert len(viewer_of(moved)["rows"]) == 6
    other = write_pairs(here / "other", 5)
    with pytest.raises(ValueError, match=r"--pairs .*other.* does not hold the pairs that were judged \(data-pairs\)"):
        share(run, pairs=other)


def test_a_dataset_that_was_changed_is_not_shown(run, here):
    write_pairs(here / "data", 6, prompt="something else")
    assert "no longer what the run judged" in html_of(run)


def test_a_picture_that_vanished_is_a_problem_of_its_pair_alone(run, here):
    (here / "data/images/2-b.png").unlink()
    shared = share(run)
    assert shared.missing_pictures == 1
    assert "hash could not be checked" in shared.notes[0]
    viewer = viewer_of(shared.path.read_text())
    key = viewer["rows"][2]["images"][1]
    assert viewer["problems"][key] == "the picture 2-b.png could not be read when this page was written"


def test_only_the_pairs_that_were_judged_are_shown(here):
    few = load(PAIRS)[:4]
    run = asyncio.run(evaluate(few, ScriptedJudge(), dataset=PAIRS, out=here / "outputs/few")).path
    assert [row["id"] for row in viewer_of(html_of(run))["rows"]] == ["p0", "p1", "p2", "p3"]


def test_a_run_under_way_is_shared_as_partial(run):
    log, stored = run / "verdicts.jsonl", json.loads((run / "run.json").read_text())
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:7]) + lines[7][:30])
    (run / "results.json").unlink()
    open_run = RunFolder.open(run, stored["inputs"], kind="evaluate")
    html = html_of(run)
    open_run.finish("interrupted")
    assert "partial: still running" in html
    assert "pairs are not yet judged in both orders" in html
    assert "partial: interrupted" in html_of(run)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{}", "run.json is not a run's manifest"),
        ("run.json", None, "is not a run folder: it has no run.json"),
        ("results.json", '{"n_pairs": 1}', "results.json is not in the format of this version"),
        ("verdicts.jsonl", '{"a": 1}\n{"a": 1}\n', "verdicts.jsonl, line 1: not a verdict"),
        ("annotations.jsonl", '{"a": 1}\n{"a": 1}\n', "annotations.jsonl, line 1"),
    ],
)
def test_a_broken_run_folder_is_named(run, file, content, message):
    (run / file).unlink(missing_ok=True)
    if content is not None:
        (run / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        share(run)


def test_a_full_disk_leaves_the_earlier_page(run, monkeypatch):
    share(run)
    before = (run / "report.html").read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"cannot write .*report.html: No space left on device"):
        share(run)
    monkeypatch.undo()
    assert (run / "report.html").read_bytes() == before
    assert not list(run.glob(".*tmp"))


def test_two_shares_at_once_leave_one_whole_page(run):
    threads = [threading.Thread(target=share, args=(run,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (run / "report.html").read_text().endswith("</html>\n")


def test_annotations_of_the_run_are_in_the_page(run):
    log = AnnotationLog(run / "annotations.jsonl")
    log.append(Annotation("p2", "ada", "2026-11-21T10:00:00Z", "b", "too dark"))
    log.append(Annotation("p2", "ada", "2026-11-21T10:01:00Z", "tie", "too dark, both"))
    view = viewer_of(html_of(run))["views"]["p2"]
    assert [(each["author"], each["label"], each["note"]) for each in view["annotations"]] == [
        ("ada", "tie", "too dark, both")
    ]


def test_a_megabyte_from_the_model_is_cut_and_cannot_end_the_script(here):
    text = "</script><script>alert(1)</script><!--" + "x" * 1_000_000
    run = make_run(PAIRS, here / "outputs/free", ScriptedJudge(reason=lambda pair, order: text))
    html = html_of(run)
    assert len(html) < 10_000_000
    assert "</script><script>alert" not in html
    reason = viewer_of(html)["views"]["p0"]["judges"][0]["verdicts"][0]["reason"]
    assert reason.startswith("</script><script>alert(1)")
    assert "cut: 980,038 more characters" in reason


def test_an_induction_shows_its_rubric_and_seeds(here):
    rubric = Rubric("seeds-blind", "t2i", (Theme("", criteria=(Criterion("c1", "Sharp.", source="p1, p9"),)),))
    inputs = {
        "dataset": json.loads((make_run(PAIRS, here / "outputs/x") / "run.json").read_text())["inputs"]["dataset"]
    }
    inputs |= {"judge": {"model": "shapes-1"}, "recipe": "blind"}
    with RunFolder.open(here / "outputs/in", inputs, kind="induce", parameters={"dataset_file": PAIRS}) as run:
        run.record(facts={"rubric": {"name": rubric.name, "hash": rubric.hash}, "evidence": "Undecided, n = 6."})
        save_rubric(rubric, run.path / "rubric.yaml")
    html = html_of(run.path)
    assert "The rubric seeds-blind" in html
    assert "Undecided, n = 6." in html
    assert '<a href="#pair=p1">' in html
    assert "#pair=p9" not in html
    assert len(viewer_of(html)["rows"]) == 6


def test_an_audit_shows_its_table(here):
    row = {
        "section": "reliability", "measure": "repeated verdicts agree", "unit": "share", "value": 0.9,
        "ci95": [0.8, 0.95], "n": 60, "word": "ok", "meaning": "They <b>agree</b>.",
    }  # fmt: skip
    with RunFolder.open(here / "outputs/audit", {"rubric": None}, kind="audit") as run:
        run.write("audit.json", {"rubric": "sharp", "rows": [row], "notes": [], "complete": True, "synthetic": True})
    html = html_of(run.path)
    assert "90.0% [80.0%, 95.0%]" in html
    assert "They &lt;b&gt;agree&lt;/b&gt;." in html
    assert "synthetic" in html
    (run.path / "audit.json").write_text("[]")
    with pytest.raises(ValueError, match="is not an audit"):
        share(run.path)


def test_a_parent_version_is_found_beside_the_projects_rubrics(here):
    old = Rubric("sharp", "t2i", (Theme("Look", criteria=(Criterion("c1", "The edges are soft."),)),))
    (here / "rubrics").mkdir()
    save_rubric(old, here / "rubrics/sharp.yaml")
    new = derived(old, Edited(RUBRIC, "c1 reworded"), author="ada", file="sharp.yaml")
    run = make_run(PAIRS, here / "outputs/new", ScriptedJudge("sharp"), new)
    assert "What changed from" in html_of(run)


def test_a_notebook_of_another_tool_is_told_as_far_as_it_goes_and_searched(here):
    def shown(**data):
        return {"output_type": "display_data", "data": data}

    plotly = "application/vnd.plotly.v1+json"
    title = {"title": {"text": "on gpu-9:8000"}, "height": 300}
    cells = [
        "no cell", {"cell_type": "markdown", "source": 5, "metadata": [1]},
        {"cell_type": "code", "source": None, "outputs": {"a": 1}},
        {"cell_type": "code", "source": "x", "metadata": [1], "outputs": [
            "no output", shown(**{"image/png": "é!"}), {"output_type": "display_data", "data": [1]},
            {"output_type": "error", "ename": "E", "evalue": "broken", "traceback": 5},
            shown(**{plotly: {"data": [{"y": [float("nan"), 1.0]}], "layout": title}}),
            shown(**{plotly: {"data": [], "layout": [1]}}),
        ]},
    ]  # fmt: skip
    with RunFolder.open(here / "outputs/nb", {"parameters": {}}, kind="notebook") as run:
        (run.path / "notebook.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(NotShared, match="cell 3 of the notebook, output 4: host name gpu-9"):
        share(run.path, bundle=True)
    html = html_of(run.path, bundle=True, allow=["gpu-9"])
    assert "this cell failed" in html
    assert '"y":[null,1.0]' in html
