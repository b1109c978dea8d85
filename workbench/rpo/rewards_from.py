"""From a run's configuration to its judges; nothing else in `workbench.rpo` knows which judges there are."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from workbench.connect import connect
from workbench.judges.dropout import RubricDropout
from workbench.judges.rubric_source import RubricSource
from workbench.judges.verdict import Judge, Verdict
from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
from workbench.pairs.comparison import Comparison, Task
from workbench.rpo.config import RewardConfig
from workbench.rpo.reward import RewardPanel, WeightedJudge
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.shapes.oracle import OracleJudge
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Limits

BY_A_PERSON = (
    "a person votes in the notebook that trains: show a VotePanel there, then call "
    "workbench.rpo.train.train(config, out, person=panel)"
)


class ShuffledJudge:
    """Ranks by chance, drawn from `seed` and the comparison's id: consistent in both orders, and about nothing."""

    name = "shuffled"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {"judge": "shuffled", "seed": self.seed}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """The ranks that chance has for this comparison; `order` changes nothing."""
        draw = Random(hashlib.sha256(f"{self.seed}|{comparison.id}|{sample}".encode()).digest())
        ranks = list(range(1, len(comparison.images) + 1))
        draw.shuffle(ranks)
        return Verdict(ranks=tuple(ranks), reason="a coin")


def build_judges(
    configs: Sequence[RewardConfig],
    task: Task,
    *,
    seed: int,
    cache: Path | None,
    person: Judge | None = None,
    called: str = "rewards",
) -> RewardPanel:
    """The panel of judges that `configs` describe.

    - `seed`: of rubric dropout and of shuffled verdicts.
    - `cache`: the file for what is answered, best in the run's folder: candidates are new every time, so only a resumed
      run asks again, and then pays nothing twice; about 4 kB a call. None keeps no answers.
    - `person`: who votes where a reward is of kind `person`, such as a `VotePanel`.
    - `called`: the field of the configuration they come from, for messages.

    Rewards at one endpoint with one `max_calls` share a client. Raises `ValueError` naming the reward and what is wrong
    with it, and `StopRun` when a server cannot be used.
    """
    clients: dict[tuple[str, str, str | None, int | None], VlmClient] = {}

    def client_of(config: RewardConfig, where: str) -> VlmClient:
        if not config.base_url and config.world is None:
            raise ValueError(
                f"{where}: a {config.kind} judge needs a base_url, or the folder of a shapes world as world"
            )
        key = (config.base_url, config.model, config.world, config.max_calls)
        if key not in clients:
            clients[key] = _connected(config, cache)
        return clients[key]

    judges = []
    for number, config in enumerate(configs):
        where = f"{called}[{number}]"
        match config.kind:
            case "oracle":
                judge: Judge = OracleJudge()
            case "shuffled":
                judge = ShuffledJudge(seed)
            case "person":
                if person is None:
                    raise ValueError(f"{where}: {BY_A_PERSON}")
                judge = person
            case "ranking" | "scoring":
                judge = _rubric_judge(config, task, client_of(config, where), seed, where)
        judges.append(WeightedJudge(judge, config.weight, config.both_orders))
    return RewardPanel(tuple(judges), tuple(clients.values()))


def _connected(config: RewardConfig, cache: Path | None) -> VlmClient:
    limits = Limits(max_calls=config.max_calls)
    client = connect(config.base_url, config.model, world=config.world, limits=limits, cache=cache)
    if cache is None:
        client.cache = None  # in place of the one all runs share, which would only grow
    return client


def _rubric_judge(config: RewardConfig, task: Task, client: VlmClient, seed: int, where: str) -> Judge:
    kind: Callable[[VlmClient, Rubric | RubricSource | None], Judge] = (
        RankingJudge if config.kind == "ranking" else ScoringJudge
    )
    if config.rubric is None:
        if config.dropout:
            raise ValueError(f"{where}: dropout={config.dropout} leaves out criteria of a rubric, and there is none")
        return kind(client, None)
    try:
        rubric = load_rubric(config.rubric, task=task)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if rubric.task != task:
        raise ValueError(
            f"{where}: rubric {config.rubric} is for task {rubric.task}, prompts are for {task}: pick another"
        )
    if config.dropout:
        return kind(client, RubricDropout(rubric, config.dropout, seed=seed))
    return kind(client, rubric)
