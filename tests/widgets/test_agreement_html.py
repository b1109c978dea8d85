import re

from workbench.annotations.agreement import agreement
from workbench.annotations.annotation import Annotation
from workbench.pairs.comparison import Comparison
from workbench.widgets.agreement_html import agreement_html

TIME = "2026-11-21T10:00:00Z"
HOSTILE = "<img src=x onerror=alert(1)>\u202e"
PAIRS = [Comparison(f"p{i}{HOSTILE}", "t2i", f"prompt {i}", (b"a", b"b"), ranks=(1, 2)) for i in range(30)]


def said(author: str, labels: str, note: str = "") -> list[Annotation]:
    return [Annotation(pair.id, author, TIME, label, note) for pair, label in zip(PAIRS, labels, strict=True)]


def test_the_report_is_a_table_with_n_and_intervals_and_its_disputed_pairs():
    report = agreement(PAIRS, said("ada", "ab" * 15) + said("ben", "ab" * 10 + "aa" * 5, "because"))
    html = agreement_html(report, most=2)
    assert "ada and ben" in html
    assert re.search(r"83\.3%<br>\[\d\d\.\d%,\s\d\d\.\d%\]", html)
    assert html.count(">30<") == 2 * 3, "pairs and prompts, but of the majority, who are of two minds on 5"
    assert "more than chance" in html
    assert "5 disputed pairs, the 2 most disputed" in html
    assert html.count("ada: b · ben: a (because)") == 2


def test_names_ids_and_notes_of_other_people_are_text():
    report = agreement(PAIRS, said(HOSTILE, "ab" * 15, HOSTILE) + said("</table><script>", "ba" * 15, "x" * 20_000))
    html = agreement_html(report)
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("</table>") == 2
    assert "\u202e" not in html
    assert len(html) < 20_000


def test_without_anything_to_compare_it_says_so():
    assert "Nobody labelled a pair" in agreement_html(agreement(PAIRS, []))
