"""How a judge of the shapes world paraphrases criteria."""

from itertools import product

import numpy as np
import pytest

from workbench.audit.variants import paraphrased
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.shapes.judge.reader import read_criterion
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import Vocabulary, perfect
from workbench.shapes.judge.writer import reword
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint

SENTENCES = ("The edges are crisp.", "The right number of objects.", "Soft, blurred edges are preferred.", "No specks.")


@pytest.mark.parametrize("text", SENTENCES)
def test_other_words_mean_the_same_to_a_reader_of_the_same_vocabulary(text: str) -> None:
    said = {reword(Vocabulary(), "t2i", text, np.random.default_rng(seed)) for seed in range(5)}
    assert len(said | {text}) > 2
    before = read_criterion(text, "t2i", Vocabulary()).shares
    understood = [read_criterion(other, "t2i", Vocabulary()).shares == before for other in said]
    assert sum(understood) >= len(said) / 2  # the rest falls to synonyms the reader was not given


def test_what_is_not_understood_comes_back_as_it_was() -> None:
    text = "A certain something."
    assert reword(Vocabulary(), "t2i", text, np.random.default_rng(0)) == text


async def test_a_paraphrase_comes_in_order_and_number_and_is_the_same_every_time() -> None:
    texts = [f"{a} {b}" for a, b in product(SENTENCES[:2], ("", "A certain something."))]
    criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(texts))
    rubric = Rubric("r", "t2i", (Theme("Criteria", criteria=criteria),))
    settings = perfect("t2i")
    with running_server(settings) as url:
        async with VlmClient(Endpoint(url, settings.model_id), cache=None) as client:
            one, other = await paraphrased(rubric, client), await paraphrased(rubric, client)
    assert one == other
    read = [set(read_criterion(c.text, "t2i", Vocabulary()).shares) for c in one.enabled_criteria()]
    assert read[:2] == [{"sharpness"}, {"sharpness"}]
