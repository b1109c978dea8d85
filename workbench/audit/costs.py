"""What a rubric costs beside judging without one, what its audit took, and what lint finds in it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from workbench.audit.arms import FREE, RUBRIC, Arm
from workbench.audit.report import Row
from workbench.audit.words import Word
from workbench.evaluation.table import VerdictTable
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.lint import lint
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient

MOST_TIMES = 2.0
"""A verdict that takes more times the tokens of a rubric-free one is called weak."""


def lint_row(rubric: Rubric) -> Row:
    """How many faults lint finds; `ok` for none."""
    findings = lint(rubric)
    kinds = Counter(finding.kind for finding in findings)
    found = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    said = f"{found}. `workbench lint` says where." if findings else "Lint finds no fault."
    n = len(rubric.enabled_criteria())
    return Row("wording", "lint findings", "count", len(findings), None, n, "weak" if findings else "ok", said)


def cost_rows(
    rubric: Rubric,
    comparisons: Sequence[Comparison],
    client: VlmClient,
    tables: Mapping[Arm, VerdictTable],
    written: Mapping[Arm, float],
    *,
    writer_calls: int,
    writer_cost_usd: float,
) -> Iterator[Row]:
    """Tokens a verdict relative to rubric-free, and the audit's own calls and dollars, earlier sessions included.

    - `written`: mean tokens of the reasons, by arm.
    """
    n = len(comparisons)
    free, ruled = (RankingJudge(client, each).estimate(comparisons) for each in (None, rubric))
    said = f"About {ruled.input_tokens // (2 * n):,} tokens a verdict, images included."
    yield _times("input tokens a verdict", ruled.input_tokens / free.input_tokens, n, said)
    yield _output_row(written, n)
    calls = writer_calls + sum(table.usage.calls for table in tables.values())
    yield Row(
        "cost", "calls of this audit", "count", calls, None, n, "fact", "Requests sent; the cache answered the rest."
    )
    if ruled.cost_usd is None:
        unknown = "Not measured: the model's price is unknown; state it in prices.yaml in the user's settings folder."
        yield Row("cost", "price of this audit", "dollars", None, None, 0, "not measured", unknown)
        return
    cost = writer_cost_usd + sum(table.usage.cost_usd for table in tables.values())
    yield Row("cost", "price of this audit", "dollars", cost, None, n, "fact", "US dollars.")


def _output_row(written: Mapping[Arm, float], n: int) -> Row:
    """From the lengths of the reasons judges gave: what came from the cache does not say what it took."""
    if not all(written.get(arm) for arm in (FREE, RUBRIC)):
        why = "Not measured: there are no reasons to go by."
        return Row("cost", "output tokens a verdict", "times", None, None, 0, "not measured", why)
    said = f"About {written[RUBRIC]:,.0f} tokens a verdict, going by the reasons."
    return _times("output tokens a verdict", written[RUBRIC] / written[FREE], n, said)


def _times(measure: str, ratio: float, n: int, said: str) -> Row:
    word: Word = "ok" if ratio <= MOST_TIMES else "weak"
    return Row("cost", measure, "times", ratio, None, n, word, f"{said} Without a rubric: 1.")
