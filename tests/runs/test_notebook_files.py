"""Notebook files made readable where no kernel runs, and what is said of those too large."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.runs.readable import WIDGET, size_warning, without_kernel

STATE = "application/vnd.jupyter.widget-state+json"


def notebook(*outputs, **metadata):
    saved = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("w", outputs=list(outputs))])
    saved.metadata.update(metadata)
    return saved


def shown(data):
    return new_output("display_data", data=data, metadata={WIDGET: {"isolated": True}})


def data_of(saved):
    return [dict(output.data) for output in saved.cells[1].outputs]


def test_a_widget_with_html_is_its_html():
    view = {"model_id": "1", "version_major": 2, "version_minor": 0}
    before = notebook(shown({WIDGET: view, "text/html": "<p>pairs</p>", "text/plain": "PairViewer()"}))
    after = without_kernel(before)
    assert data_of(after) == [{"text/html": "<p>pairs</p>", "text/plain": "PairViewer()"}]
    assert after.cells[1].outputs[0].metadata == {}
    assert WIDGET in before.cells[1].outputs[0].data, "the notebook that was given is left alone"
    nbformat.validate(after)


def test_a_widget_without_html_is_a_line_that_says_what_was_there():
    after = without_kernel(
        notebook(
            shown({WIDGET: {}, "text/plain": "IntSlider(value=3)"}),
            shown({WIDGET: {}, "text/plain": ["  0%|", "   | 0/10"]}),
            shown({WIDGET: {}}),
            shown({WIDGET: {}, "text/plain": "x" * 10_000}),
        )
    )
    slider, progress, unknown, long = (data["text/plain"] for data in data_of(after))
    assert slider == "[IntSlider(value=3): an interactive widget, shown only while its kernel runs]"
    assert progress.startswith("[0%| | 0/10: ")
    assert unknown.startswith("[widget: ")
    assert len(long) < 300
    nbformat.validate(after)


def test_the_state_of_widgets_is_gone_and_nothing_else():
    figure = {"application/vnd.plotly.v1+json": {"data": []}, "text/html": "<table></table>"}
    stream, error = new_output("stream", text="printed\n"), new_output("error", ename="E", evalue="v", traceback=[])
    before = notebook(shown({STATE: {}, "text/plain": "kept"}), shown(figure), stream, error, widgets={STATE: {}}, a=1)
    after = without_kernel(before)
    assert after.metadata == {"a": 1}
    assert [dict(output.get("data", {})) for output in after.cells[1].outputs] == [
        {"text/plain": "kept"},
        figure,
        {},
        {},
    ]
    assert after.cells[1].outputs[2:] == [stream, error]
    assert without_kernel(after) == after


def test_a_large_notebook_is_named_with_its_largest_outputs():
    image = shown({"image/png": "A" * 3_000_000, "text/plain": "small"})
    warning = size_warning(notebook(image, new_output("stream", text="b" * 10_000)))
    assert warning is not None
    assert warning.startswith("the executed notebook has 3.0 MB, more than 2 MB")
    assert "cell 2 (image/png, 3.0 MB), cell 2 (stdout, 0.0 MB)" in warning
    assert size_warning(notebook(new_output("stream", text="b" * 10_000))) is None
