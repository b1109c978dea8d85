"""`workbench share`: a run folder as one offline HTML file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.pairs.problems import printable

LARGE = 30 * 2**20
"""Bytes of a page beyond which mail and reviewers' patience end."""


def share(
    run: Annotated[Path, typer.Argument(help="Run folder: an evaluation's, a notebook's, an induction's, an audit's.")],
    out: Annotated[Path | None, typer.Option(help="HTML file; report.html in the run folder unless given.")] = None,
    against: Annotated[Path | None, typer.Option(help="Run folder it is compared with, on the same pairs.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="The dataset's file, where it was moved.")] = None,
    question: Annotated[str, typer.Option(help="The question it answers, for the head of the page.")] = "",
    bundle: Annotated[bool, typer.Option("--bundle", help="Also a zip with the run's files and whole images.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look for what must not be shared.")] = False,
    allow: Annotated[list[str] | None, typer.Option(help="Share this finding all the same; again for more.")] = None,
) -> None:
    """Write a run as one offline HTML file: card, narrative, figures, pairs; refuse if keys or home paths are in it."""
    from workbench.sharing.share import share as share_run

    shared = share_run(
        run, out=out, against=against, pairs=pairs, question=question, bundle=bundle, check=check, allow=allow or ()
    )
    for note in shared.notes:
        print(f"WARNING: {printable(note)}", file=sys.stderr)
    if shared.missing_pictures:
        print(f"WARNING: {shared.missing_pictures:,} pictures could not be read; the page says which", file=sys.stderr)
    parts = ", ".join(f"{name} {_megabytes(size)}" for name, size in shared.sizes.items() if size > 10_000)
    print(f"{_megabytes(shared.size)}" + (f": {parts}" if parts else ""))
    if shared.size > LARGE:
        print(
            f"WARNING: larger than {_megabytes(LARGE)}; evaluate fewer pairs (--limit) to share fewer, or put it where "
            "it can be downloaded",
            file=sys.stderr,
        )
    if check:
        print("nothing found that must not be shared; nothing was written (--check)")
    else:
        print(f"written: {shared.path}")
    if shared.bundle:
        print(f"written: {shared.bundle}")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
