"""The pairs a run judged, found again by the file the run names and known by their hash."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.evaluation.record import VerdictRecord
from workbench.notebook import project_root
from workbench.pairs.comparison import Comparison
from workbench.pairs.identity import dataset_identity
from workbench.pairs.loading import load
from workbench.pairs.problems import DatasetError
from workbench.pairs.prompts import prompt_id
from workbench.pairs.sources import ImageError
from workbench.runs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Dataset:
    """Comparisons, or none and why there are none.

    - `note`: what a reader must know of them, such as that a picture is gone.
    """

    comparisons: tuple[Comparison, ...]
    note: str = ""


def no_dataset(why: str) -> Dataset:
    """No pairs, and the reason as a sentence."""
    return Dataset((), why)


def find_dataset(manifest: Manifest, run: Path, given: Path | None, records: Sequence[VerdictRecord]) -> Dataset:
    """The pairs of a run, from the file `given` or the one it names.

    Raises `ValueError` where `given` holds other pairs; a file that is gone or was changed gives none and says so.
    """
    identity = manifest.inputs.get("dataset")
    if not isinstance(identity, Mapping):
        return no_dataset("The run does not say which pairs it judged.")
    name = str(identity.get("name", "the dataset"))
    if given:
        return _verified(given, identity, records) or _refuse(given, name)
    named = manifest.facts.get("dataset_file") or manifest.parameters.get("dataset_file")
    file = next((file for file in _places(str(named), run) if os.path.isfile(file)), None) if named else None
    if file is None:
        return no_dataset(
            f"The file of {name} is not where the run says, so its pictures and prompts are not in this page."
        )
    try:
        found = _verified(file, identity, records)
    except DatasetError:
        found = None
    return found or no_dataset(
        f"The file of {name} is no longer what the run judged, so its pictures and prompts are not in this page."
    )


def _refuse(given: Path, name: str) -> Dataset:
    raise ValueError(f"--pairs {given} does not hold the pairs that were judged ({name}): name the file that does")


def _places(named: str, run: Path) -> Iterator[Path]:
    """Where a path of a run may lead: from here, the project, or a folder above the run."""
    path = Path(os.path.expanduser(named))  # unlike Path's own it takes the name of a user who is not here
    yield path
    yield project_root() / path
    yield from (folder / path for folder in run.resolve().parents)


def _verified(file: Path, identity: Mapping[str, object], records: Sequence[VerdictRecord]) -> Dataset | None:
    """The comparisons of `file` that make the dataset of this identity; None where none do."""
    everything = _load(file)
    judged = {record.pair_id for record in records}
    of_verdicts = [each for each in everything if each.id in judged]
    of_tasks = [[each for each in everything if each.task == task] for task in ("t2i", "edit")]
    tried: list[int] = []
    for comparisons in (everything, of_verdicts, *of_tasks):
        if not comparisons or len(comparisons) in tried:
            continue
        tried.append(len(comparisons))
        try:
            if _same(dataset_identity(file, comparisons), identity):
                return Dataset(tuple(comparisons))
        except ImageError:
            return _by_prompts(of_verdicts, records, "Not all pictures can be read")
    if judged and len(of_verdicts) == len(judged) < len(everything):
        return _by_prompts(of_verdicts, records, "Not all pairs of the dataset are judged")
    return None


def _by_prompts(comparisons: Sequence[Comparison], records: Sequence[VerdictRecord], why: str) -> Dataset | None:
    """The pairs where verdicts name the same prompts, which is all that can be compared then."""
    prompts = {each.id: prompt_id(each.prompt) for each in comparisons}
    if not records or any(prompts.get(record.pair_id) != record.prompt_id for record in records):
        return None
    return Dataset(tuple(comparisons), f"{why}, so the dataset's hash could not be checked; its prompts are the same.")


def _same(found: Mapping[str, str], identity: Mapping[str, object]) -> bool:
    key = "with_ids" if "with_ids" in identity else "hash"
    return found[key] == identity.get(key)


def _load(file: Path) -> list[Comparison]:
    """All comparisons of a file; of one that mixes tasks those of both, as hashes tell which were meant."""
    try:
        return load(file, allow_outside=True, allow_urls=True, check_images=False)
    except DatasetError as mixed:
        found: list[Comparison] = []
        for task in ("t2i", "edit"):
            try:
                found += load(file, allow_outside=True, allow_urls=True, task=task, check_images=False)
            except DatasetError:
                raise mixed from None
        return found
