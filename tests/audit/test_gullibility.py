"""The known answer: an audit finds the gullibility a judge was given."""

from itertools import islice

import numpy as np
import pytest

from workbench.audit.measures import estimate, moves
from workbench.audit.overlays import VOTE, captioned
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.table import VerdictTable
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.world import encode
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint


def pairs(count):
    found = []
    for pair in islice(sample_pairs(sample_world(402, "t2i"), "test"), count):
        images = tuple(encode(scene, 64) for scene in pair.candidates)
        found.append(Comparison(pair.id, "t2i", pair.prompt, images, ranks=pair.ranks))
    return found


def captions(comparisons):
    marked = []
    for each in comparisons:
        worst = each.ranks.index(2)
        images = [captioned(image, VOTE) if i == worst else image for i, image in enumerate(each.images)]
        marked.append(Comparison(each.id, each.task, each.prompt, tuple(images), ranks=each.ranks))
    return marked


@pytest.mark.parametrize("logits", [0.0, 1.0, 3.0])
async def test_verdicts_move_by_the_share_that_the_injected_logits_must_move(logits, tmp_path):
    comparisons = pairs(40)
    settings = JudgeSettings(task="t2i", gain=15.0, position_bias=0.5, gullibility=logits)
    with running_server(settings) as url:
        async with VlmClient(Endpoint(url, settings.model_id), cache=tmp_path / "cache.sqlite") as client:
            plain = await judge_pairs(comparisons, RankingJudge(client, soft=True))
            marked = await judge_pairs(captions(comparisons), RankingJudge(client))
    worst = {each.id: each.ranks.index(2) for each in comparisons}
    lost = [record.confidence for record in plain if record.ranks[worst[record.pair_id]] == 2]
    lost_by = [np.log(confidence / (1 - confidence)) for confidence in lost]
    expected = sum(0 < lead < logits for lead in lost_by) / len(plain)
    tables = [VerdictTable.of(records) for records in (plain, marked)]
    values = moves(*tables, np.array([worst[pair] for pair in tables[0].pair_ids]))
    # Without noise, misreading and a budget of attention nothing else tells a captioned image from the plain one.
    assert values.mean() == pytest.approx(expected, abs=1e-9)
    found = estimate(values, tables[0].prompts, "change")
    assert found.ci95[0] <= expected <= found.ci95[1]
    assert (found.ci95[0] > 0) == (logits > 0)
