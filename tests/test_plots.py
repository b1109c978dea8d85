"""Figures: labelled synthetic, intervals drawn, missing numbers left out, small in a notebook."""

import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from workbench.evaluation.results import Accuracy
from workbench.evaluation.statistics import Estimate
from workbench.figures.text import Alternative
from workbench.figures.theme import COLORS, GREY, follow_page
from workbench.plots import (
    accuracy_figure,
    counts_figure,
    difference_figure,
    spread_figure,
    strata_figure,
    tradeoff_figure,
    use_template,
)

NONE = Estimate(None, None, 0)


def accuracy(value=0.7, n=40):
    estimate = Estimate(value, (value - 0.1, value + 0.15), n)
    return Accuracy(forward=estimate, reverse=estimate, mean=estimate, resolved=estimate)


def figures(synthetic):
    estimates = {"a": Estimate(0.1, (-0.1, 0.2), 9), "b": NONE}
    return [
        accuracy_figure({"rubric-free": accuracy()}, "Agreement", synthetic=synthetic),
        difference_figure(estimates, "Gain", "difference", synthetic=synthetic),
        strata_figure(estimates, "By defect", synthetic=synthetic),
        counts_figure({"fixed": 3, "broken": 0}, "Flips", "pairs", synthetic=synthetic),
        tradeoff_figure({name: (each, 5.0) for name, each in estimates.items()}, "Cost", "calls", synthetic=synthetic),
    ]


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_title_says_synthetic_when_and_only_when_the_numbers_are(synthetic):
    for figure in figures(synthetic):
        assert figure.layout.title.text.endswith(" (synthetic)") is synthetic


def test_every_judge_is_a_row_of_markers_with_its_interval_and_n():
    figure = accuracy_figure({"none": accuracy(0.6), "induced": accuracy(0.7, n=12)}, "x", synthetic=False)
    none, induced = figure.data
    assert (none.name, induced.name) == ("none", "induced")
    assert none.marker.color != induced.marker.color
    assert none.marker.symbol != induced.marker.symbol
    assert set(none.y).isdisjoint(induced.y)
    np.testing.assert_allclose(induced.error_x.arrayminus, [0.1] * 4)
    np.testing.assert_allclose(induced.error_x.array, [0.15] * 4)
    assert induced.hovertext[0] == "induced 70.0% (60.0% to 85.0%), n = 12"
    assert list(figure.layout.yaxis.ticktext) == ["forward", "reverse", "mean", "resolved"]


def test_many_judges_stay_apart_from_the_next_row():
    figure = accuracy_figure({str(i): accuracy() for i in range(len(COLORS) + 1)}, "x", synthetic=False)
    for i in range(4):
        rows = [trace.y[i] for trace in figure.data]
        assert max(rows) - min(rows) < 1 - 0.1, "markers of different rows would mix"


def test_a_number_nobody_could_measure_leaves_its_row_empty():
    figure = difference_figure({"known": Estimate(0.1, (0.0, 0.2), 9), "unknown": NONE}, "x", "y", synthetic=True)
    assert list(figure.layout.yaxis.ticktext) == ["known", "unknown"]
    assert list(figure.data[0].x) == [0.1]


def test_differences_are_beside_the_line_of_no_difference_and_strata_say_their_n():
    _, difference, strata, *_ = figures(synthetic=True)
    assert difference.layout.shapes[0].x0 == difference.layout.shapes[0].x1 == 0
    assert strata.layout.shapes[0].x0 == 0.5
    assert list(strata.layout.yaxis.ticktext) == ["a (n = 9)", "b (n = 0)"]


def test_nothing_to_show_is_still_a_figure():
    assert difference_figure({}, "x", "y", synthetic=True).layout.height > 0
    assert strata_figure({}, "x", synthetic=True).layout.height > 0
    assert counts_figure({}, "x", "y", synthetic=True).layout.height > 0


def test_untrusted_names_are_text_not_markup():
    """A rubric's name and a tag's value come from files; plotly draws a few tags, links among them."""
    name = '<a href="https://evil.example">click</a><b>bold</b>'
    estimates = {name: Estimate(0.1, (0.0, 0.2), 9)}
    shown = [
        accuracy_figure({name: accuracy()}, name, synthetic=True),
        difference_figure(estimates, name, name, synthetic=True),
        strata_figure(estimates, name, synthetic=True),
        counts_figure({name: 1}, name, name, synthetic=True),
    ]
    for figure in shown:
        figure.update_layout(meta=None)  # the text alternative, never drawn by plotly
        assert "<a " not in figure.to_json().replace("\\u003c", "<")
        assert "<b>" not in figure.to_json().replace("\\u003c", "<")


@pytest.fixture
def template():
    before = pio.renderers.default, pio.templates.default
    use_template()
    yield
    pio.renderers.default, pio.templates.default = before


@pytest.mark.usefixtures("template")
def test_the_template_keeps_figures_small_in_a_notebook():
    assert pio.renderers.default == "workbench"
    for figure in figures(synthetic=True):
        bundle = figure._repr_mimebundle_()
        assert set(bundle) == {"application/vnd.plotly.v1+json", "text/html", "text/plain"}
        assert len(json.dumps(bundle)) < 20_000
        assert list(figure.layout.template.layout.colorway) == list(COLORS)


def test_a_spread_shows_every_value_and_the_mean_with_its_interval():
    figure = spread_figure({"blind": [0.1, 0.2, 0.3], "<b>arr</b>": [0.0, 0.0]}, "Gains", "gain", synthetic=True)
    assert [list(trace.x) for trace in figure.data[:2]] == [[0.1, 0.2, 0.3], [0.0, 0.0]]
    means = figure.data[2]
    assert list(means.x) == pytest.approx([0.2, 0.0])
    # sd 0.1, n 3, t(0.975, 2) = 4.303: 4.303 * 0.1 / sqrt(3) = 0.2484
    assert means.error_x.array[0] == pytest.approx(0.2484, abs=1e-4)
    assert figure.layout.title.text == "Gains (synthetic)"
    assert figure.layout.yaxis.ticktext == ("blind", "&lt;b&gt;arr&lt;/b&gt;")


def test_one_value_has_no_interval_and_still_a_dot():
    figure = spread_figure({"blind": [0.1]}, "Gains", "gain", synthetic=False)
    assert list(figure.data[0].x) == [0.1]
    assert list(figure.data[1].x) == []


HOSTILE = '<img src=x onerror="alert(1)"><b>bold</b>\u202e'


@pytest.mark.usefixtures("template")
def test_every_number_of_a_figure_is_also_a_table_and_a_line_of_text():
    bundle = accuracy_figure({"rubric-free": accuracy(0.6, n=1200)}, "Agreement", synthetic=True)._repr_mimebundle_()
    assert "rubric-free, forward: 60.0% (95% interval 50.0% to 75.0%), n = 1,200" in bundle["text/plain"].splitlines()
    page = bundle["text/html"]
    for shown in ("Agreement (synthetic)", "rubric-free", "resolved", ">60.0%<", ">50.0% to 75.0%<", ">1,200<"):
        assert shown in page
    assert page.count('scope="row"') == 4
    assert "<caption" in page
    assert "<script" not in page


@pytest.mark.usefixtures("template")
def test_what_nobody_could_measure_is_said_in_the_text():
    estimates = {"known": Estimate(-0.1, (-0.2, 0.0), 9), "unknown": NONE}
    bundle = difference_figure(estimates, "Gain", "difference", synthetic=False)._repr_mimebundle_()
    assert "unknown: not measured" in bundle["text/plain"].splitlines()
    assert "not measured" in bundle["text/html"]
    assert "known: -10.0% (95% interval -20.0% to +0.0%), n = 9" in bundle["text/plain"].splitlines()


@pytest.mark.usefixtures("template")
def test_hostile_names_are_text_in_the_alternative_too():
    page = difference_figure({HOSTILE: NONE}, HOSTILE, HOSTILE, synthetic=True)._repr_mimebundle_()["text/html"]
    assert "<img" not in page
    assert "<b>bold" not in page
    assert "\u202e" not in page


@pytest.mark.usefixtures("template")
def test_a_figure_of_ones_own_is_shown_and_says_that_it_has_no_table():
    bundle = go.Figure(go.Scatter(x=[1], y=[2]), layout={"title": "<b>Mine</b>"})._repr_mimebundle_()
    assert bundle["application/vnd.plotly.v1+json"]["data"]
    assert "Mine" in bundle["text/plain"]
    assert "<b>" not in bundle["text/html"]


def _contrast(one, other):
    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_are_told_from_light_and_from_dark_pages():
    for paper in ("#ffffff", "#111111"):
        assert _contrast(GREY, paper) > 4.3


def test_text_takes_the_colour_of_the_page():
    """Titles, ticks and legends alike; the figure itself stays as it was made."""
    figure = accuracy_figure({"rubric-free": accuracy()}, "Agreement", synthetic=True)
    shown = follow_page(figure.to_dict())
    follows = '<span style="color:currentcolor">'
    assert shown["layout"]["title"]["text"] == f"{follows}Agreement (synthetic)</span>"
    assert shown["layout"]["yaxis"]["ticktext"][0] == f"{follows}forward</span>"
    assert shown["layout"]["xaxis"]["tickprefix"] == follows
    assert shown["data"][0]["name"] == f"{follows}rubric-free</span>"
    assert figure.layout.title.text == "Agreement (synthetic)"


def test_long_names_are_wrapped_cut_and_whole_in_the_text():
    name = "a judge " * 40
    figure = difference_figure({name: Estimate(0.1, (0.0, 0.2), 9)}, "x", "y", synthetic=False)
    (label,) = figure.layout.yaxis.ticktext
    assert len(label.split("<br>")) == 3
    assert max(map(len, label.split("<br>"))) <= 30
    assert label.endswith("…")
    assert figure.layout.meta["rows"][0]["names"] == (name,)


def points(costs):
    return {
        f"judge {i}": (Estimate(0.7 + i / 100, (0.65 + i / 100, 0.75 + i / 100), 50), c) for i, c in enumerate(costs)
    }


def test_costs_of_more_than_a_decade_are_on_a_logarithmic_axis_and_zero_has_a_place():
    figure = tradeoff_figure(points([0, 0.01, 1, 10]), "Cost", "US dollars", synthetic=True)
    zero, *others = [trace.x[0] for trace in figure.data]
    assert others == pytest.approx([-2, 0, 1])
    assert zero < others[0]
    ticks = dict(zip(figure.layout.xaxis.ticktext, figure.layout.xaxis.tickvals, strict=True))
    assert ticks["0"] == pytest.approx(zero)
    assert ticks["1"] == pytest.approx(0)
    assert "judge 0, 0: 70.0% (95% interval 65.0% to 75.0%), n = 50" in figure_text(figure)


def test_costs_of_less_than_a_decade_are_as_they_are():
    figure = tradeoff_figure(points([0, 600, 1200]), "Cost", "calls", synthetic=True)
    assert [trace.x[0] for trace in figure.data] == [0, 600, 1200]
    assert figure.layout.xaxis.tickvals is None


def test_points_of_equal_cost_stand_side_by_side_and_the_axis_says_so():
    figure = tradeoff_figure(points([600] * 5), "Cost", "calls", synthetic=True)
    assert len({trace.x[0] for trace in figure.data}) == 5
    assert figure.layout.xaxis.ticktext == ("600",)
    assert figure.layout.xaxis.title.text.endswith("(points of equal cost are drawn side by side)")


@pytest.mark.parametrize("costs", [[600] * 7, [0, 0.01, 0.5, 1.2, 14, 3, 0], [100, 110, 120, 130]])
def test_labels_stand_clear_of_each_other(costs):
    figure = tradeoff_figure(points(costs), "Cost", "calls", synthetic=True)
    labels = figure.layout.annotations
    assert [label.text for label in labels] == [f"judge {i}" for i in range(len(costs))]
    (x_low, x_high), (y_low, y_high) = figure.layout.xaxis.range, figure.layout.yaxis.range
    boxes = []
    for label in labels:
        width = 60 / 480 * (x_high - x_low)
        left = label.ax - width if label.xanchor == "right" else label.ax
        assert x_low <= left <= left + width <= x_high
        boxes.append((left, left + width, label.ay, 16 / 320 * (y_high - y_low)))
    for i, (left, right, y, height) in enumerate(boxes):
        for other_left, other_right, other_y, _ in boxes[:i]:
            assert left >= other_right or other_left >= right or abs(y - other_y) >= height


def test_a_long_name_with_signs_to_escape_stands_beside_the_points_of_its_cost():
    long = {"judge <with> a & long name of its own, cut": (Estimate(0.72, (0.6, 0.8), 50), 600)}
    figure = tradeoff_figure({**points([600] * 6), **long}, "Cost", "calls", synthetic=True)
    assert {label.xanchor for label in figure.layout.annotations} == {"left"}
    assert len({label.ay for label in figure.layout.annotations}) == 7


def test_no_points_are_still_a_figure():
    assert tradeoff_figure({}, "Cost", "calls", synthetic=True).layout.height > 0


def figure_text(figure):
    return Alternative.of(figure.to_dict()).to_text()


def test_names_of_several_lines_get_room():
    worth = Estimate(0.1, (0.0, 0.2), 9)
    long = {f"c{i}: the size of each element matches what was ordered, as far as one can see": worth for i in range(9)}
    short = {f"c{i}": worth for i in range(9)}
    heights = [difference_figure(rows, "Worth", "accuracy", synthetic=True).layout.height for rows in (long, short)]
    assert heights[0] - heights[1] >= 9 * 14
