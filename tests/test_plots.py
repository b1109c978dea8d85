"""Figures: labelled synthetic, intervals drawn, missing numbers left out, small in a notebook."""

import json

import numpy as np
import plotly.io as pio
import pytest

from workbench.evaluation.results import Accuracy
from workbench.evaluation.statistics import Estimate
from workbench.plots import (
    COLORS,
    accuracy_figure,
    counts_figure,
    difference_figure,
    spread_figure,
    strata_figure,
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
    _, difference, strata, _ = figures(synthetic=True)
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


def test_the_template_keeps_figures_small_in_a_notebook():
    before = pio.renderers.default, pio.templates.default
    try:
        use_template()
        assert pio.renderers.default == "workbench"
        for figure in figures(synthetic=True):
            assert len(json.dumps(figure.to_plotly_json(), default=str)) < 20_000
            assert list(figure.layout.template.layout.colorway) == list(COLORS)
    finally:
        pio.renderers.default, pio.templates.default = before


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
