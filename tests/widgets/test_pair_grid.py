"""Pairs as HTML: what a reader sees, and that no text of a dataset or model becomes markup."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image, ImageCms

from workbench.evaluation.record import VerdictRecord
from workbench.foreign import displayable
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_grid import pair_grid, preview


def png(color="red", size=(40, 20), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


def pair(prompt="a red circle", ranks=(2, 1), **changes):
    return Comparison("p1", changes.pop("task", "t2i"), prompt, (png(), png("blue")), ranks=ranks, **changes)


def record(comparison, order="forward", **verdict):
    return VerdictRecord.of(comparison, order, Verdict(**{"ranks": (2, 1), **verdict}))


class Reader(HTMLParser):
    """The tags, attributes and text a browser finds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(html):
    reader = Reader(html)
    assert reader.open == []
    return reader


def test_a_pair_shows_its_prompt_its_images_and_whom_people_prefer():
    page = read(pair_grid([pair()]))
    assert page.tags.count("img") == 2
    assert "a red circle" in page.text
    assert [value for name, value in page.attributes if name == "alt"] == ["a", "b · people prefer"]


def test_an_edit_shows_its_source_image_first():
    page = read(pair_grid([pair(task="edit", source_image=png("green"))]))
    assert [value for name, value in page.attributes if name == "alt"] == ["source", "a", "b · people prefer"]


@pytest.mark.parametrize(("ranks", "preferred"), [(None, 0), ((1, 1), 2), ((1, 2), 1)])
def test_nobody_is_preferred_without_a_label_and_both_are_in_a_tie(ranks, preferred):
    assert pair_grid([pair(ranks=ranks)]).count("<br>") == 2
    assert read(pair_grid([pair(ranks=ranks)])).text.count("people prefer") == preferred


def test_a_verdict_says_what_was_shown_the_outcome_and_whether_it_was_right():
    shown = pair()
    records = {"p1": [record(shown, reason="b is sharper"), record(shown, "reverse", ranks=(1, 2), reason="a is")]}
    text = read(pair_grid([shown], {"rubric-free": records})).text
    assert "rubric-free, shown b as Image 1, a as Image 2: b ✓ rightb is sharper" in text
    assert "rubric-free, shown a as Image 1, b as Image 2: a ✗ wronga is" in text


def test_verdicts_of_two_judges_stand_side_by_side_under_a_note():
    shown = pair()
    verdicts = {"before": {"p1": [record(shown, ranks=(1, 2))]}, "after": {"p1": [record(shown)]}}
    text = read(pair_grid([shown], verdicts, notes={"p1": "fixed"})).text
    assert text.startswith("fixed: a red circle")
    assert text.index("before, shown") < text.index("after, shown")


def test_a_failed_verdict_says_why_and_is_no_vote():
    shown = pair()
    failed = record(shown, ranks=None, failure="error", detail="the server went away")
    text = read(pair_grid([shown], {"rubric-free": {"p1": [failed]}})).text
    assert "error" in text
    assert "the server went away" in text
    assert "right" not in text


def test_an_unlabelled_pairs_verdict_is_neither_right_nor_wrong():
    shown = pair(ranks=None)
    text = read(pair_grid([shown], {"rubric-free": {"p1": [record(shown)]}})).text
    assert "b" in text
    assert "right" not in text
    assert "wrong" not in text


HOSTILE = [
    "<script>alert(1)</script>",
    "</b></div><img src=x onerror=alert(1)>",
    "\" onload='alert(1)' x=\"",
    "<!-- ",
    "&lt;script&gt; &#60;script&#62;",
    "\u202egnp.exe\u202c \u2067right to left\u2069",
    "</bdi></span><style>*{display:none}</style>",
    "]]><svg/onload=alert(1)>",
    "\x00\x1b[31mred\x07",
    "$$\\href{javascript:alert(1)}{x}$$",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text):
    plain = read(pair_grid([pair()], {"rubric-free": {"p1": [record(pair(), reason="plain")]}}))
    shown = pair(prompt=text)
    records = {"p1": [record(shown, reason=text), record(shown, "reverse", ranks=None, failure="error", detail=text)]}
    page = read(pair_grid([shown], {text: records}, notes={"p1": text}))
    assert set(page.tags) == set(plain.tags)
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    assert page.text.count(displayable(text)) == 6  # the note, the prompt, twice the judge and what it said
    # Marks that turn the direction of writing end with the text they are in.
    assert page.tags.count("bdi") == 6


def test_a_megabyte_of_text_is_cut():
    text = "<" * 1_000_000
    shown = pair(prompt=text)
    html = pair_grid([shown], {"rubric-free": {"p1": [record(shown, reason=text)]}})
    assert len(html) < 20_000
    assert "… (cut: 999,600 more characters)" in html


def test_an_image_that_vanished_or_is_none_is_a_box_that_says_so():
    shown = Comparison("p1", "edit", "add a hat", ("/nowhere/<b>.png", b"no image"), source_image=png())
    page = read(pair_grid([shown]))
    assert page.tags.count("img") == 1
    assert "no image: /nowhere/<b>.png does not exist" in page.text
    assert "no image: not an image file" in page.text


def test_half_of_a_surrogate_pair_does_not_break_the_notebook_file():
    assert b"half ?" in pair_grid([pair(prompt="half \ud83d")]).encode("utf-8")


def test_previews_are_small_upright_and_carry_no_metadata():
    large = Image.effect_noise((1200, 600), 80).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    exif[0x010E] = "taken at home"
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", exif=exif)
    url = preview(buffer.getvalue(), 160)
    data = base64.b64decode(url.removeprefix("data:image/webp;base64,"))
    image = Image.open(io.BytesIO(data))
    assert image.size == (80, 160)
    assert not image.getexif()
    assert b"taken at home" not in data


def test_a_small_image_is_not_enlarged_and_a_thin_one_keeps_a_pixel():
    sizes = []
    for size in ((40, 20), (3000, 2)):
        data = preview(png(size=size), 160).partition(",")[2]
        sizes.append(Image.open(io.BytesIO(base64.b64decode(data))).size)
    assert sizes == [(40, 20), (160, 1)]


def test_pictures_come_from_the_page_itself():
    html = pair_grid([pair(), pair(task="edit", source_image=png())])
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 5
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert "http" not in html


def test_a_preview_carries_nothing_but_its_pixels():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(buffer, "JPEG", icc_profile=profile, exif=exif)
    for side, size in ((30, (30, 15)), (160, (40, 20))):
        shown = Image.open(io.BytesIO(base64.b64decode(preview(buffer.getvalue(), side).partition(",")[2])))
        assert shown.size == size
        assert not {"icc_profile", "exif"} & set(shown.info)
