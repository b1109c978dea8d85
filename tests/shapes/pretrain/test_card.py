"""The model cards of the tiny policies: the templates and what is put into them."""

import pytest

from workbench.evaluation.statistics import Estimate
from workbench.shapes.pretrain.card import write_card

FACTS = dict.fromkeys(("last_seed", "vae_steps", "flow_steps", "seed", "weights"), 4_600)


@pytest.mark.parametrize(
    ("template", "facts"),
    [
        ("tiny_flux", {"prompts": 400, "reconstructed": "99%", "scenes": 60_000}),
        ("tiny_qwen_edit", {"pairs": 500, "triples": 24_000}),
    ],
)
def test_a_card_has_a_line_for_everything_measured_and_no_empty_place(template, facts):
    share = Estimate(0.72, (0.651, 0.78), 300)
    shown = share.percent()
    columns = 1 if template == "tiny_flux" else 2
    card = write_card(template, {"fully right": [share] * columns, "count": [share] * columns}, **FACTS, **facts)
    table = card.partition("|---|")[2].splitlines()[1:3]
    assert table == [f"| {name} | {' | '.join([shown] * columns)} |" for name in ("fully right", "count")]
    assert "4,600 of flow matching" in card
    assert "{" not in card
    assert "ynthetic" in card
