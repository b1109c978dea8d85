"""Running an induction into a run folder: its events, its rubric, what it took."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.events import Event, EventLog
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.progress import Progress
from workbench.rubrics.files import check_rubric_path, load_rubric, save_rubric
from workbench.rubrics.rubric import Rubric
from workbench.runs.folder import RunFolder
from workbench.runs.parameters import run_id
from workbench.vlm.client import VlmClient

RUBRIC_FILE = "rubric.yaml"


@dataclass(frozen=True, slots=True)
class Induced:
    """A finished induction: its run folder, its rubric, and what it sent this time."""

    path: Path
    rubric: Rubric
    calls: int
    cached: int

    def summary(self) -> str:
        """What became of the seed pairs, in one paragraph."""
        counts = self.rubric.provenance["counts"]
        text = (
            f"{counts['kept']} of {counts['seed_pairs']} seed pairs gave criteria that passed "
            f"({counts['passed_first_time']} at the first try, {counts['failed']} failed without an answer); "
            f"{counts['criteria_before_structuring']} criteria became {len(self.rubric.enabled_criteria())} "
            f"in {len(self.rubric.themes)} themes. {self.calls} calls, {self.cached} answers from the cache."
        )
        if problem := self.rubric.provenance.get("structuring_failed"):
            text += f" Sorting them into themes failed, they are one list: {problem}"
        return textwrap.fill(text, 100) + f"\nrun folder: {self.path}"


async def induce(
    seeds: Sequence[Comparison],
    client: VlmClient,
    settings: ArrSettings,
    *,
    dataset: str | Path,
    out: Path | None = None,
    outputs: str | Path = "outputs",
    allow_urls: bool = False,
) -> Induced:
    """Induce a rubric into a run folder, and into the file `out` where one is named.

    - `dataset`: what to call the seeds, usually their path.
    - `allow_urls`: fetch images that are http(s) URLs, to hash them.

    A killed run resumes: answers come from the client's cache, and events already on disk are not written again.
    Raises as `induce_arr` does, and `ValueError` for an `out` that is no rubric file.
    """
    if out:
        check_rubric_path(out)
    identity = dataset_identity(dataset, seeds, allow_urls=allow_urls)
    inputs = {"dataset": identity, "recipe": "arr", "settings": settings.to_json(), "writer": client.identity()}
    path = Path(outputs) / run_id("induce", (identity["name"],), inputs)
    before = replace(client.usage)
    with RunFolder.open(path, inputs, kind="induce", parameters={"dataset_file": dataset}) as run:
        with EventLog(path / "events.jsonl") as log, Progress("inducing", len(seeds), client.usage) as progress:

            def record(event: Event) -> None:
                log.record(event)
                if event.pair_id and event.step in ("kept", "dropped", "failed"):
                    progress.advance()

            rubric_name = out.stem if out else f"{identity['name']}-arr"
            induced = await induce_arr(seeds, client, settings, name=rubric_name, record=record)
        rubric = replace(induced, provenance={**induced.provenance, "dataset": identity})
        own = path / RUBRIC_FILE
        before_this = load_rubric(own).hash if own.exists() else None
        save_rubric(rubric, own)
        if out:
            if out.exists() and load_rubric(out).hash not in (rubric.hash, before_this):
                raise ValueError(
                    f"{out} holds another rubric, perhaps edited by hand; the induced one is {own}: name another file"
                )
            save_rubric(rubric, out)
        run.record(counts=rubric.provenance["counts"], facts={"rubric": {"name": rubric.name, "hash": rubric.hash}})
    used = client.usage
    return Induced(path, rubric, used.calls - before.calls, used.cached - before.cached)
