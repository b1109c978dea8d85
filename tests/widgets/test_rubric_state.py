"""The rubric editor's Python half: what observers, other tabs and saved notebooks get."""

import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from workbench.induction.events import Event, EventLog
from workbench.pairs.comparison import Comparison
from workbench.rubrics import edits
from workbench.rubrics.diff import diff
from workbench.rubrics.files import load_rubric, save_rubric
from workbench.rubrics.rubric import Criterion, Level, Rubric, RubricError, Theme
from workbench.widgets.diff_html import diff_html
from workbench.widgets.rubric_editor import RubricEditor
from workbench.widgets.rubric_html import rubric_html

INDUCED = Path(__file__).parents[2] / "rubrics" / "shapes_t2i_blind.yaml"
HOSTILE = [
    "<script>alert(1)</script>",
    "</bdi></li></ul><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "<!-- </style><style>*{display:none}</style>",
    "&lt;script&gt;&#60;script&#62;",
    "\u202egnp.exe\u2066 \u200bhidden",
]


def rubric(text: str = "Three circles.") -> Rubric:
    return Rubric("mine", "t2i", (Theme("Content", criteria=(Criterion("c1", text), Criterion("c2", "Lit."))),))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(buffer, "PNG")
    return buffer.getvalue()


def state(editor: RubricEditor) -> dict:
    return editor.answer_state()


def row(editor: RubricEditor, key: str) -> dict:
    return next(c for theme in state(editor)["themes"] for c in theme["criteria"] if c["key"] == key)


def test_observers_hear_every_change_when_no_lock_is_held():
    editor = RubricEditor(rubric(), author="anna")
    heard = []

    def observe(change) -> None:
        other = threading.Thread(target=editor.answer_state)  # would wait for a lock that the notifier holds
        other.start()
        other.join(timeout=5)
        heard.append((edits.find(change.new, "c1").text, other.is_alive()))

    editor.observe(observe, "rubric")
    editor.answer_text("c1", 0, "Four.")
    editor.undo()
    editor.redo()
    editor.set(rubric("Five."))
    assert heard == [("Four.", False), ("Three circles.", False), ("Four.", False), ("Five.", False)]


def test_edits_of_many_threads_end_in_one_rubric_which_observers_hear_last():
    editor = RubricEditor(rubric(), author="anna")
    heard = []
    editor.observe(lambda change: heard.append(change.new), "rubric")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: editor.answer_add(0, f"New {i}.", 0, None), range(40)))
    assert len(editor.rubric.themes[0].criteria) == 42
    assert heard[-1] is editor.rubric
    assert state(editor)["hash"] == editor.rubric.hash[:12]
    sizes = [len(each.themes[0].criteria) for each in heard]
    assert sizes == sorted(sizes)  # never an older one after a newer one


def test_an_edit_from_code_is_told_like_one_by_hand():
    editor = RubricEditor(rubric(), author="ada")
    editor.edit(lambda current: edits.enable(current, "c2", False))
    assert [(edit["author"], edit["what"]) for edit in editor.rubric.provenance["edits"]] == [("ada", "c2: disabled")]
    with pytest.raises(RubricError, match="c9"):
        editor.edit(lambda current: edits.enable(current, "c9", False))
    editor.undo()
    assert editor.rubric == rubric()


def test_an_observer_may_edit_itself():
    editor = RubricEditor(rubric(), author="anna")
    heard = []

    def tidy(change) -> None:
        heard.append(edits.find(change.new, "c1").text)
        if heard[-1] == "bad":
            editor.undo()

    editor.observe(tidy, "rubric")
    editor.answer_text("c1", 0, "bad")
    assert heard == ["bad", "Three circles."]


def test_a_refused_edit_brings_the_tab_up_to_date():
    editor = RubricEditor(rubric(), author="anna")
    told = []
    editor.tell = lambda event, content, buffers=(): told.append(content)
    editor.answer_text("c1", 0, "Four.")
    with pytest.raises(RubricError, match="c1 was changed elsewhere"):
        editor.answer_text("c1", 0, "Five.")
    assert [content["revision"] for content in told] == [1, 1]


def test_hidden_signs_are_shown_as_codes_and_survive_an_edit_of_the_words_around_them():
    arabic = "الصورة\u200f واضحة"
    editor = RubricEditor(rubric(arabic), author="anna")
    shown = row(editor, "c1")
    assert shown["text"] == "الصورة⟨U+200F⟩ واضحة"
    assert not shown["locked"]
    editor.answer_text("c1", 0, shown["text"] + " جدا")
    assert edits.find(editor.rubric, "c1").text == arabic + " جدا"


def test_a_text_applied_as_it_was_shown_is_no_edit():
    for text in ("  spaces around \n", "a\u202eb", "two\nlines"):
        editor = RubricEditor(rubric(text), author="anna")
        editor.answer_text("c1", 0, row(editor, "c1")["text"])
        assert state(editor)["revision"] == 0


@pytest.mark.parametrize(("text", "why"), [("x" * 1_000_000, "shown in part"), ("a\r\nb", "cannot be typed")])
def test_a_text_that_cannot_be_shown_whole_is_locked_and_stays_as_it_is(text, why):
    editor = RubricEditor(rubric(text), author="anna")
    shown = row(editor, "c1")
    assert why in shown["locked"]
    assert len(shown["text"]) < 30_000
    editor.answer_weight("c1", 0, "2")
    assert edits.find(editor.rubric, "c1").text == text


@pytest.mark.parametrize(("typed", "problem"), [("a lot", "'a lot' is no number"), ("-1", "weight -1"), ("inf", "inf")])
def test_a_weight_that_is_none_is_refused_by_name_and_value(typed, problem):
    editor = RubricEditor(rubric(), author="anna")
    with pytest.raises(RubricError, match=rf"c1\b.*{problem}"):
        editor.answer_weight("c1", 0, typed)
    editor.answer_weight("c1", 0, "0,5")
    assert edits.find(editor.rubric, "c1").weight == 0.5


def test_ids_that_look_alike_when_cut_are_different_criteria():
    long = [Criterion("x" * 200 + end, f"Text {end}.") for end in "ab"]
    editor = RubricEditor(Rubric("mine", "t2i", (Theme("", criteria=tuple(long)),)), author="anna")
    keys = [c["key"] for c in state(editor)["themes"][0]["criteria"]]
    assert len(set(keys)) == 2
    editor.answer_text(keys[1], 0, "Other.")
    assert [c.text for c in editor.rubric.enabled_criteria()] == ["Text a.", "Other."]


def test_nothing_of_a_rubric_is_stored_in_the_notebook_but_its_static_tree():
    editor = RubricEditor(rubric("A text to look for."), author="anna")
    synced = {name: value for name, value in editor.get_state().items() if name not in ("_esm", "_css")}
    assert "look for" not in repr(synced)
    data, _ = editor._repr_mimebundle_()
    assert "A text to look for." in data["text/html"]


def test_only_versions_in_the_folder_can_be_compared(tmp_path):
    save_rubric(rubric(), tmp_path / "mine.yaml")
    save_rubric(rubric("Secret."), tmp_path / "other.yaml")
    editor = RubricEditor(load_rubric(tmp_path / "mine.yaml"), tmp_path / "mine.yaml", author="anna")
    editor.answer_text("c1", 0, "Four.")
    assert editor.answer_diff("mine.yaml", "")["sentence"] == "1 changed"
    for name in ("other.yaml", "../mine.yaml", str(tmp_path / "mine.yaml")):
        with pytest.raises(RubricError, match="is not there any more"):
            editor.answer_diff(name, "")


class TestOrigin:
    SEED = "t2i-w7-seed-00031"

    def editor(self, tmp_path: Path) -> RubricEditor:
        path = tmp_path / INDUCED.name
        path.write_bytes(INDUCED.read_bytes())
        induced = load_rubric(path)
        text = edits.find(induced, "c1").text
        with EventLog(tmp_path / "events.jsonl") as log:
            log.record(Event(self.SEED, "generated", 0, (text, "Something else."), reason="people like it"))
            log.record(Event("another", "generated", 0, ("Something else.",)))
            log.record(Event("another", "verified", 0, passed=True))
            log.record(Event(self.SEED, "verified", 1, passed=False, detail="forward: right, reverse: b"))
            log.record(Event("", "selected", 1, (text,)))
        image = png()
        seed = Comparison(self.SEED, "t2i", "four diamonds", (image, "gone.png"), ranks=(2, 1))
        return RubricEditor(induced, path, author="anna", seeds=[seed], events=tmp_path / "events.jsonl")

    def test_it_shows_the_seed_pair_the_steps_and_what_the_criterion_is_worth(self, tmp_path):
        told = self.editor(tmp_path).answer_origin("c1")
        (pair,) = told["pairs"]
        assert (pair["prompt"], pair["label"]) == ("four diamonds", "people prefer b")
        assert pair["images"][0]["url"].startswith("data:image/webp;base64,")
        assert "gone.png does not exist" in pair["images"][1]["problem"]
        assert [(e["step"], e["passed"], e["itself"]) for e in told["events"]] == [
            ("generated", None, True),
            ("verified", False, False),
            ("selected", None, True),
        ]
        measured = told["measured"]
        assert re.fullmatch(r"\+21\.7\spoints\s\[\+11\.2,\s\+\d+\.\d\], n\s=\s60", measured["worth"])
        assert measured["synthetic"]
        assert not measured["earlier"]

    def test_once_reworded_its_worth_belongs_to_the_earlier_wording_in_later_versions_too(self, tmp_path):
        editor = self.editor(tmp_path)
        editor.answer_text("c1", 0, "The number of shapes is the one asked for.")
        saved = editor.save_version()
        for each in (editor, RubricEditor(load_rubric(saved), saved, author="ben")):
            told = each.answer_origin("c1")
            assert told["measured"]["earlier"] == "The objects add up to the count described."
            assert [edit["author"] for edit in told["edits"]] == ["anna"]
            assert each.answer_origin("c2")["measured"]["others_changed"]
            assert each.answer_origin("c2")["measured"]["earlier"] == ""
            assert [pair["id"] for pair in told["pairs"]] == [self.SEED]

    def test_a_broken_log_and_strange_provenance_are_told_and_hide_nothing_else(self, tmp_path):
        editor = self.editor(tmp_path)
        (tmp_path / "events.jsonl").write_text('{"pair_id": 3}\n{}\n')
        assert "line 1: not an event" in editor.answer_origin("c1")["problem"]
        (tmp_path / "events.jsonl").unlink()
        assert "No such file" in editor.answer_origin("c1")["problem"]
        for selection in (3, {"criteria": []}, {"criteria": {"c1": {"worth": {"value": "x", "ci95": [1]}}}}):
            strange = Rubric("x", "t2i", rubric().themes, {"selection": selection, "judge": 1, "seed_pairs": "no"})
            assert not (RubricEditor(strange, author="anna").answer_origin("c1")["measured"] or {}).get("worth")


class Reader(HTMLParser):
    """The tags and attributes a browser finds, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def everywhere(text: str) -> Rubric:
    criterion = Criterion("-".join(text.split()), text, 2, (Level(0, text), Level(1, "yes")), source=text)
    told = {"parent": {"name": text, "recipe": text}, "edits": [{"author": text, "time": text, "what": text}]}
    return Rubric(text, "edit", (Theme(text, 3, (criterion, Criterion("c2", "Better."))),), told)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_in_the_static_tree_and_in_differences(text):
    for plain, hostile in (
        (rubric_html(everywhere("plain")), rubric_html(everywhere(text))),
        (
            diff_html(diff(everywhere("plain"), rubric())),
            diff_html(diff(everywhere(text), rubric())),
        ),
    ):
        assert Reader(hostile).tags == Reader(plain).tags
        assert Reader(hostile).names == Reader(plain).names == {"style", "dir"}
        assert not re.search("[\u202e\u2066\u200b]", hostile)


def test_the_static_tree_tells_weights_levels_lint_and_provenance():
    read = Reader(rubric_html(everywhere("The sky is clear.")))
    for said in ("weight 3", "weight 2", "0: The sky is clear.", "comparative", "no source protection", "1 edit by"):
        assert said in read.text
    assert "No criteria yet." in Reader(rubric_html(Rubric("new", "t2i", ()))).text


def test_a_megabyte_is_cut_in_the_static_tree():
    assert len(rubric_html(rubric("<" * 1_000_000))) < 20_000


def test_levels_applied_as_they_were_shown_are_no_edit():
    levels = (Level(0, "none\n\nat all\n"), Level(1, " all"))
    graded = Rubric("mine", "t2i", (Theme("", criteria=(Criterion("c1", "Circles.", levels=levels),)),))
    editor = RubricEditor(graded, author="anna")
    editor.answer_levels("c1", 0, row(editor, "c1")["levels_text"])
    assert editor.rubric is graded


def test_half_a_sign_typed_into_a_text_leaves_answers_that_can_be_sent():
    editor = RubricEditor(rubric(), author="anna")
    answer = editor.answer_text("c1", 0, "\ud800 Four.")
    sent = json.dumps([answer, state(editor), editor.answer_origin("c1")], ensure_ascii=False).encode()
    assert "? Four." in sent.decode()
