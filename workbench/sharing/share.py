"""`workbench share`: a run folder as one HTML file that shows everything without a kernel, a server or a network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.atomic import replacing
from workbench.runs.storage import storage
from workbench.sharing.bundle import bundle_files, bundle_texts, write_bundle
from workbench.sharing.narrative import Narrative
from workbench.sharing.notebook_story import notebook_story
from workbench.sharing.page import make_page
from workbench.sharing.previews import make_previews
from workbench.sharing.run_story import run_story
from workbench.sharing.secrets import NotShared, find
from workbench.sharing.subject import Subject, read_subject
from workbench.sharing.viewer_data import viewer_data

REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class Shared:
    """What was written, or with `check` would have been.

    - `path`, `bundle`: the files; None for what was not written. - `size`: bytes of the page; `sizes`: what takes them.
    - `missing_pictures`: how many could not be read. - `notes`: what a reader is told is missing.
    """

    path: Path | None
    bundle: Path | None
    size: int
    sizes: Mapping[str, int]
    missing_pictures: int
    notes: Sequence[str]


def share(
    run: str | Path,
    *,
    out: str | Path | None = None,
    against: str | Path | None = None,
    pairs: str | Path | None = None,
    question: str = "",
    bundle: bool = False,
    check: bool = False,
    allow: Iterable[str] = (),
) -> Shared:
    """Write a run folder as one HTML file, `report.html` in it unless `out` names another.

    - `against`: a run of another judge on the same pairs, or the run whose rubric this one's is a change of.
    - `pairs`: the dataset's file, where it is no longer where the run says.
    - `bundle`: write also a zip of the run folder with the pictures as they are, beside the page.
    - `check`: only look whether anything must not be shared. - `allow`: findings that may be, as they were quoted.

    Raises `NotShared` with all that must not be shared, and writes nothing then; `ValueError` for a folder that is no
    run's or is broken; `StorageError` when the file cannot be written.
    """
    run = Path(run)
    if run.is_file():
        raise ValueError(f"{run} is a file: share a run folder; `workbench run NOTEBOOK` executes a notebook into one")
    subject = read_subject(run, against=Path(against) if against else None, pairs=Path(pairs) if pairs else None)
    path = Path(out) if out else run / REPORT
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {path}: must end in .html")
    narrative = _told(subject, question)
    previews = make_previews(subject.dataset.comparisons)
    page = make_page(subject, narrative, viewer_data(subject, previews), previews)
    zipped = path.with_suffix(".zip") if bundle else None
    files = bundle_files(subject) if bundle else {}
    texts = [*page.texts, *(bundle_texts(subject, files) if bundle else ())]
    if found := find(texts, allow):
        raise NotShared(found)
    html = page.html()
    data = html.encode("utf-8", "replace")
    if not check:
        with storage(path), replacing(path) as temporary:
            temporary.write_bytes(data)
        if zipped:
            write_bundle(subject, files, data, zipped)
    notes = (subject.dataset.note,) if subject.dataset.note else ()
    return Shared(
        None if check else path, None if check else zipped, len(data), page.sizes, len(previews.problems), notes
    )


def _told(subject: Subject, question: str) -> Narrative:
    narrative = notebook_story(subject.notebook) if subject.notebook else run_story(subject)
    return replace(narrative, question=question) if question else narrative
