"""Tables of notebooks: what is in them is shown, never obeyed."""

from workbench.notebook import table


def test_cells_are_escaped_and_to_the_left():
    shown = table([{"criterion": "<script>alert(1)</script>", "worth": 0.12345}]).data
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "0.123" in shown
    assert shown.count("text-align:left") == 5  # the table, two heads and two cells


def test_no_rows_are_an_empty_table():
    assert "<td" not in table([]).data
