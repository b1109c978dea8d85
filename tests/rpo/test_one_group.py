"""One group, looked at: it is the training's own, and what a page says of it is what was judged."""

from pathlib import Path

from said_judges import FAILED, TIE, SaidJudge, by_order, scores, win
from toy_policy import PROMPTS, RedJudge, ToyPolicy, perturbed
from toy_runs import config, panel, trainer

from workbench.pairs.comparison import Comparison
from workbench.rpo.watching.one_group import one_group


class Remembering(RedJudge):
    """Keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen: dict[str, Comparison] = {}

    async def compare(self, comparison, order, sample=0):
        self.seen[comparison.id] = comparison
        return await super().compare(comparison, order, sample)


async def test_it_is_a_group_that_training_judges(tmp_path: Path):
    judge, asked = Remembering(), config(updates=1, seed=1)
    with trainer(tmp_path / "run", asked, panel(judge), policy=perturbed(ToyPolicy(tokens=4))) as training:
        training.train()
    found = await one_group(perturbed(ToyPolicy(tokens=4)), asked, PROMPTS, panel(RedJudge()), update=1, tries=1)
    assert found.comparison.id == "u1-g0"
    assert found.comparison == judge.seen["u1-g0"]
    assert len(set(found.comparison.images)) == 2
    assert sorted(found.advantages) == [-1, 1]
    assert found.judged.values[found.advantages.index(1)] == 1


async def test_the_first_decided_group_of_the_next_update_is_shown():
    tied = SaidJudge(lambda comparison, _: TIE if comparison.id < "u5-g2" else win(1))
    found = await one_group(ToyPolicy(), config(), PROMPTS, panel(tied))
    assert (found.comparison.id, found.judged.status) == ("u5-g2", "decided")
    found = await one_group(ToyPolicy(), config(), PROMPTS, panel(tied), tries=2)
    assert (found.comparison.id, found.judged.status) == ("u5-g1", "tied")
    assert "learns nothing" in found._repr_html_()


async def page(judge, **fields) -> str:
    return (await one_group(ToyPolicy(), config(**fields), PROMPTS, panel(judge), tries=1))._repr_html_()


async def test_the_page_has_pictures_advantages_and_both_verdicts():
    html = await page(by_order({(0, 1): win(0, reason="<b>rounder</b>"), (1, 0): win(0)}))
    assert html.count("data:image/webp;base64,") == 2
    assert "a: reward 1, advantage +1.00" in html
    assert "b: reward 0, advantage -1.00" in html
    assert "shown a as Image 1, b as Image 2: <b>prefers a</b>" in html
    assert "shown b as Image 1, a as Image 2: <b>prefers a</b>" in html
    assert "&lt;b&gt;rounder" in html
    assert "(synthetic)" in html
    assert "noise added in step" in html


async def test_orders_that_differ_and_verdicts_that_fail_are_told():
    html = await page(by_order({(0, 1): win(0), (1, 0): win(1)}))
    assert "<b>prefers a</b>" in html
    assert "<b>prefers b</b>" in html
    assert "Tied:" in html
    html = await page(by_order({(0, 1): win(0), (1, 0): FAILED}))
    assert "<b>no verdict (error)</b>" in html
    assert "no answer" in html
    assert "reward none, advantage +0.00" in html


async def test_larger_groups_and_scores_are_shown_by_their_own_letters():
    html = await page(SaidJudge(lambda *_: win(1)), sampling={"group": 3})
    assert "shown b as Image 1, c as Image 2: <b>prefers c</b>" in html
    html = await page(SaidJudge(lambda *_: win(1)), sampling={"group": 4})
    assert "and 4 more verdicts" in html
    html = await page(scores(0.25, 0.5))
    assert "shown each by itself: <b>scores a 0.25, b 0.5</b>" in html
