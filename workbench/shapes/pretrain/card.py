"""Model cards of the tiny policies: what was measured, put into the template beside this file."""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from workbench.evaluation.statistics import Estimate


def write_card(template: str, rows: Mapping[str, Sequence[Estimate]], **facts: float | str) -> str:
    """The card as Markdown; `rows` are its table's, `facts` fill the other places of `template` (`tiny_flux`)."""
    text = files("workbench.shapes.pretrain").joinpath(f"{template}.md").read_text(encoding="utf-8")
    table = "\n".join(f"| {name} | {' | '.join(each.percent() for each in row)} |" for name, row in rows.items())
    return text.format(rows=table, **facts)
