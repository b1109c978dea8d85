"""`workbench annotations`: what people said of pairs, joined, compared, and made into seed pairs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import AllowOutside, Task
from workbench.pairs.problems import printable

if TYPE_CHECKING:
    from workbench.annotations.merge import Merged

Pairs = Annotated[Path, typer.Argument(help="Dataset the annotations are about.")]
Files = Annotated[list[Path], typer.Argument(help="annotations.jsonl files, or JSON that a shared page exported.")]


def annotations_merge(
    files: Files,
    out: Annotated[Path, typer.Option(help="File to write; may be one of those read.")],
    pairs: Annotated[Path | None, typer.Option(help="Dataset, to find annotations about none of its pairs.")] = None,
    task: Task = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Join several people's annotations into one file, nothing twice and nothing dropped."""
    from workbench.annotations.merge import merge_files
    from workbench.pairs.identity import dataset_identity
    from workbench.pairs.loading import load

    comparisons, hashes = None, set[str]()
    if pairs is not None:
        comparisons = load(pairs, task=task, allow_outside=allow_outside)
        identity = dataset_identity(pairs, comparisons)
        hashes = {identity["hash"], identity["with_ids"]}
    merged = merge_files(files, out, comparisons, hashes=hashes)
    _print_lines(_merged_text(merged))
    print(f"{len(merged.annotations):,} annotations in {out}; {merged.duplicates:,} copies left out")
    if pairs is None:
        print("no --pairs: whether each annotation is about a pair was not looked at", file=sys.stderr)


def annotations_agreement(
    pairs: Pairs,
    files: Files,
    run: Annotated[list[Path] | None, typer.Option(help="Run folder of a judge to compare; any number.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    most: Annotated[int, typer.Option(min=0, help="Most disputed pairs to list.")] = 10,
    task: Task = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Say how far people agree with each other, with judges and with the dataset's label, and where they do not."""
    from workbench.annotations.agreement import agreement
    from workbench.annotations.merge import merge, read_files
    from workbench.annotations.raters import judge_of_run
    from workbench.pairs.loading import load

    comparisons = load(pairs, task=task, allow_outside=allow_outside)
    judges = [judge_of_run(folder, comparisons) for folder in run or []]
    report = agreement(
        comparisons,
        merge(read_files(files)).annotations,
        {judge.name: judge.labels for judge in judges},
        seed=seed,
        synthetic=any(judge.synthetic for judge in judges),
    )
    _print_lines(report.to_text(most))


def annotations_seeds(
    pairs: Pairs,
    files: Files,
    out: Annotated[Path, typer.Option(help="Pairs file (JSONL) to write.")],
    rule: Annotated[str, typer.Option(help="majority, unanimous, or an author's name.")] = "majority",
    task: Task = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Write the pairs people labelled, with their labels, as seed pairs for `workbench induce`."""
    from workbench.annotations.merge import merge, read_files
    from workbench.annotations.seeds import labelled
    from workbench.pairs.loading import load
    from workbench.pairs.writing import holds, write_jsonl

    if out.exists() and out.resolve() in {each.resolve() for each in (pairs, *files)}:
        raise ValueError(f"--out {out} is one of the files read; name a new file")
    found = labelled(
        load(pairs, task=task, allow_outside=allow_outside), merge(read_files(files)).annotations, rule=rule
    )
    if not found.comparisons:
        raise ValueError(f"no seed pairs: {found.summary()}; nothing was written")
    if out.exists() and not holds(out, found.comparisons):
        raise ValueError(f"--out {out} holds something else, which would be lost; name another file")
    write_jsonl(found.comparisons, out)
    _print_lines(f"{out}: {found.summary()}")


def _merged_text(merged: "Merged") -> str:
    """A row for each person, then every orphan's and conflict's reason."""
    from workbench.annotations.annotation import shown

    width = max([6, *(len(shown(person.author)) for person in merged.people)])
    lines = [f"{'person':{width}}  labels  ties  skips  notes  orphans  conflicts"]
    lines += [
        f"{shown(each.author):{width}}  {each.labels:6,}  {each.ties:4,}  {each.skips:5,}  {each.notes:5,}"
        f"  {each.orphans:7,}  {each.conflicts:9,}"
        for each in merged.people
    ]
    lines += [
        f"orphan, kept: {shown(each.annotation.pair_id)} by {shown(each.annotation.author)}: {each.why}"
        for each in merged.orphans
    ]
    lines += [f"found by what it shows: {shown(old)} is now {shown(new)}" for old, new in merged.renamed.items()]
    for each in merged.conflicts:
        how = "both at one time" if each.at_once else "the later"
        said = f"{each.other or 'no label'} and {each.taken or 'no label'}; {how}, {each.taken or 'no label'} counts"
        lines.append(f"conflict: {shown(each.author)} on {shown(each.pair_id)} says {said}")
    return "\n".join(lines)


def _print_lines(text: str) -> None:
    print("\n".join(printable(line) for line in text.split("\n")))
