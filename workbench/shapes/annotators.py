"""Simulated people of the embedded world, who label its pairs by its hidden rule, each with habits of their own."""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator

from workbench.annotations.annotation import SKIP, TIE, Annotation, content_hash
from workbench.atomic import replacing
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.identity import dataset_identity
from workbench.pairs.images import decode
from workbench.pairs.loading import load
from workbench.pairs.sources import read_bytes
from workbench.shapes.attributes import satisfaction
from workbench.shapes.measure import observe
from workbench.shapes.rule import CLAUSES, HiddenRule
from workbench.shapes.world import WORLD_FILE

COMMITTED_ANNOTATIONS_SEED = 11
FIRST_LOOK = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
SECONDS_A_PAIR = 17


@dataclass(frozen=True, slots=True)
class Annotator:
    """One simulated person. What they like of two pictures is `utility(b) - utility(a)`, as they see it.

    - `noise`: standard deviation of what they misjudge, in utilities. - `side`: how much they lean to candidate a.
    - `tie_below`: nearer pictures are a tie to them. - `skips`, `notes`, `second_thoughts`: the share of pairs they
      skip, say why about, and label a second time after a while, in [0, 1].
    """

    name: str
    noise: float
    side: float = 0.0
    tie_below: float = 0.0
    skips: float = 0.0
    notes: float = 0.0
    second_thoughts: float = 0.0


CAREFUL = Annotator("sim-ada", noise=0.04, tie_below=0.02, notes=0.2, second_thoughts=0.05)
HURRIED = Annotator("sim-ben", noise=0.15, side=0.06, skips=0.06, notes=0.05)
UNDECIDED = Annotator("sim-cho", noise=0.06, tie_below=0.09, skips=0.02, notes=0.1)


def annotate(
    comparisons: Sequence[Comparison],
    rule: HiddenRule,
    annotator: Annotator,
    *,
    seed: int,
    dataset: str | None = None,
    start: datetime = FIRST_LOOK,
) -> list[Annotation]:
    """What the person writes about each of the pairs of two candidates, in their order, second thoughts last.

    What they say about one pair depends on the seed, their name and the pair's id alone.
    """
    first, second = [], []
    for comparison in comparisons:
        rng = np.random.default_rng([seed, *(zlib.crc32(text.encode()) for text in (annotator.name, comparison.id))])
        gains = _gains(comparison, rule)
        first.append((comparison, *_say(annotator, gains, rule, rng)))
        if rng.random() < annotator.second_thoughts:
            second.append((comparison, *_say(annotator, gains, rule, rng)))
    said = []
    for number, (comparison, label, note) in enumerate([*first, *second]):
        time = (start + timedelta(seconds=SECONDS_A_PAIR * number)).isoformat()
        content = content_hash(comparison)
        said.append(Annotation(comparison.id, annotator.name, time, label, note, dataset=dataset, content=content))
    return said


def make_committed_annotations(folder: str | Path = "data/shapes/t2i") -> None:
    """Write what three simulated people say about the first 60 test pairs of a world, 30 of which all three see.

    The committed files were made so:
    `python -c "from workbench.shapes.annotators import make_committed_annotations as make; make()"`.
    """
    folder = Path(folder)
    rule = HiddenRule.from_json(json.loads((folder / WORLD_FILE).read_text(encoding="utf-8"))["rule"])
    test = folder / "test.parquet"
    comparisons = load(test, check_images=False)
    dataset = dataset_identity(test, comparisons)["with_ids"]
    for person, (begin, end) in {CAREFUL: (0, 50), HURRIED: (10, 60), UNDECIDED: (20, 60)}.items():
        start = FIRST_LOOK + timedelta(days=begin // 10)
        told = annotate(
            comparisons[begin:end], rule, person, seed=COMMITTED_ANNOTATIONS_SEED, dataset=dataset, start=start
        )
        _write(told, folder / "annotations" / f"{person.name}.jsonl")


def _gains(comparison: Comparison, rule: HiddenRule) -> dict[str, float]:
    """How much each part of the rule, as measured in the pictures, speaks for b and against a."""
    source = None if comparison.source_image is None else observe(decode(read_bytes(comparison.source_image)))

    def seen(image: ImageSource) -> dict[str, float]:
        return satisfaction(comparison.task, comparison.prompt, observe(decode(read_bytes(image))), source)

    a, b = (seen(image) for image in comparison.images)
    gains = {name: weight * (b[name] - a[name]) for name, weight in rule.weights.items()}
    plain = sum(gains.values())
    # What a condition adds has no words of its own.
    return {**gains, "": rule.utility(b) - rule.utility(a) - plain}


def _say(annotator: Annotator, gains: dict[str, float], rule: HiddenRule, rng: Generator) -> tuple[str, str]:
    """Label and note."""
    gain = sum(gains.values()) + rng.normal(0.0, annotator.noise) - annotator.side
    skips, explains = rng.random() < annotator.skips, rng.random() < annotator.notes
    if skips:
        return SKIP, "cannot tell" if explains else ""
    if abs(gain) < annotator.tie_below:
        return TIE, "too close to call" if explains else ""
    label = "b" if gain > 0 else "a"
    return label, _reason(label, gains, rule) if explains else ""


def _reason(label: str, gains: dict[str, float], rule: HiddenRule) -> str:
    """The weightiest thing that speaks for the picture chosen, in words."""
    sign = 1 if label == "b" else -1
    speaking = {name: sign * gain for name, gain in gains.items() if name in CLAUSES and sign * gain > 0}
    if not speaking:
        return f"{label}, I just like it more"
    weightiest = max(speaking, key=speaking.__getitem__)
    more, less = CLAUSES[weightiest]
    return f"{label} is the one {more if rule.weights[weightiest] > 0 else less}"


def _write(annotations: Iterable[Annotation], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(annotation.to_line() for annotation in annotations))
