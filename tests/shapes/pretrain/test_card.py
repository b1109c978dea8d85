"""What stands beside the weights of the tiny policies: cards, and configurations without paths."""

import json
from pathlib import Path

import pytest

from workbench.evaluation.statistics import Estimate
from workbench.shapes.pretrain.card import write_card
from workbench.shapes.pretrain.folder import forget_paths

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


def test_no_configuration_says_where_it_was_loaded_from(tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text('{"_name_or_path": "/home/somebody/vae", "sample_size": 64}')
    (tmp_path / "vocab.json").write_text('{"a": 1}')
    forget_paths(tmp_path)
    assert json.loads((tmp_path / "vae" / "config.json").read_text()) == {"sample_size": 64}
    assert (tmp_path / "vocab.json").read_text() == '{"a": 1}'
    committed = list((Path(__file__).parents[3] / "data/models").rglob("*.json"))
    assert len(committed) > 10
    assert [file for file in committed if "_name_or_path" in file.read_text()] == []
