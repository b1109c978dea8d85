"""A zip of a run folder with its dataset and the pictures as they are, for colleagues who want to compute."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.atomic import replacing
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import inspect
from workbench.pairs.sources import ImageError, read_bytes
from workbench.runs.storage import storage
from workbench.sharing.markup import metadata_of
from workbench.sharing.notebook_story import picture_outputs
from workbench.sharing.previews import pictures_of
from workbench.sharing.secrets import Text
from workbench.sharing.subject import Judged, Subject

TEXTS = (".json", ".jsonl", ".yaml", ".yml", ".txt", ".md", ".csv", ".ipynb", ".log")
"""Files of a run folder that are text and are taken along; others would go out unsearched, so they stay."""

_README = """A run of the workbench, with the pairs it judged.

report.html          opens in any browser, without network
run/                 the run folder: run.json says what was run, results.json what came out
judges/              the runs of the other judges in the report
pairs.jsonl          the pairs, images/ their pictures as they were judged
"""


def bundle_files(subject: Subject) -> dict[str, bytes]:
    """Files of the run folders by their names in the zip, read once: a run under way writes on while they are searched.

    Hidden ones and reports stay.
    """
    return {name: file.read_bytes() for name, file in _files(subject)}


def bundle_texts(subject: Subject, files: Mapping[str, bytes]) -> Iterator[Text]:
    """Everything in the zip that is not in the page, line by line, and what its pictures hold besides pixels."""
    for name, data in files.items():
        yield Text("a file's name", name)
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            yield Text(f"{name}, line {number}", line)
    if subject.notebook:
        for place, output in picture_outputs(subject.notebook):
            yield from _metadata(f"notebook.ipynb, {place}", output)
    for each in subject.dataset.comparisons:
        for number, source in enumerate(pictures_of(each), start=1):
            if (picture := _read(source)) is not None:
                yield from _metadata(f"pair {each.id!r:.80}, picture {number}", picture)
        yield Text(f"pairs.jsonl, pair {each.id!r:.80}", json.dumps(_record(each), ensure_ascii=False))


def write_bundle(subject: Subject, files: Mapping[str, bytes], page: bytes, path: Path) -> None:
    """The page, the run folders' `files`, the pairs and their pictures, each picture once."""
    with storage(path), replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        file.writestr("README.txt", _README)
        file.writestr("report.html", page, zipfile.ZIP_DEFLATED)
        for name, data in files.items():
            file.writestr(name, data, zipfile.ZIP_DEFLATED)
        lines = [json.dumps(_record(each), ensure_ascii=False) for each in subject.dataset.comparisons]
        if lines:
            file.writestr("pairs.jsonl", "\n".join(lines) + "\n", zipfile.ZIP_DEFLATED)
        written = set()
        for each in subject.dataset.comparisons:
            for source in pictures_of(each):
                found = _read(source)
                if found is not None and (name := _name(found)) not in written:
                    written.add(name)
                    file.writestr(name, found)  # pictures are compressed already


def _files(subject: Subject) -> Iterator[tuple[str, Path]]:
    others: list[Judged] = [each for each in subject.judged if each.path.resolve() != subject.path.resolve()]
    folders = [("run", subject.path), *((f"judges/{each.path.resolve().name}", each.path) for each in others)]
    for prefix, folder in folders:
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            hidden = any(part.startswith(".") for part in relative.parts)
            if file.is_file() and not file.is_symlink() and not hidden and file.suffix.lower() in TEXTS:
                yield str(PurePosixPath(prefix, *relative.parts)), file


def _metadata(place: str, data: bytes) -> Iterator[Text]:
    try:
        found = metadata_of(data)
    except ImageError:
        return
    if found:
        yield Text(place, "", metadata=tuple(found))


def _record(each: Comparison) -> dict[str, Any]:
    names = [_name(data) if (data := _read(source)) is not None else "missing" for source in pictures_of(each)]
    optional = {
        "ranks": list(each.ranks) if each.ranks else None,
        "tags": dict(each.tags) or None,
        "source_image": names[-1] if each.source_image is not None else None,
    }
    told = {"id": each.id, "task": each.task, "prompt": each.prompt, "images": names[: len(each.images)]}
    return {**told, **{name: value for name, value in optional.items() if value is not None}}


def _name(data: bytes) -> str:
    try:
        ending = inspect(data).format.lower()
    except ImageError:
        ending = "bin"
    return f"images/{sha256(data).hexdigest()[:20]}.{ending}"


def _read(source: ImageSource) -> bytes | None:
    try:
        return read_bytes(source)
    except ImageError:
        return None
