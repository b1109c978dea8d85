"""Versions of a rubric: files NAME.yaml, NAME_v2.yaml, NAME_v3.yaml, ... beside each other, none of them ever replaced.

A version made by hand says in its provenance what it was made from and by whom:

    parent: {name, hash, file}
    edits: [{author, time, what}]
"""

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.rubrics.edits import Edited
from workbench.rubrics.files import MAX_BYTES, check_rubric_path, load_rubric, save_rubric
from workbench.rubrics.rubric import Rubric, RubricError

KEPT = ("seed_pairs", "dataset", "prompt", "partial")
"""What stays true of a rubric that was reworded, or makes it mean less; all else was found out about its parent."""
_NUMBERED = re.compile(r"(.+)_v([1-9]\d{0,5})", re.DOTALL)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EXDEV)
_MOST_ANCESTORS = 100


@dataclass(frozen=True, slots=True)
class Version:
    """One file of a rubric; `rubric` is None where it cannot be read, and `problem` says why."""

    number: int
    path: Path
    rubric: Rubric | None
    problem: str = ""

    @property
    def edits(self) -> list[dict[str, str]]:
        """Who did what and when, from the parent to this version."""
        return edits_of(self.rubric) if self.rubric else []


def derived(before: Rubric, edited: Edited, *, author: str, file: str = "", time: str = "") -> Rubric:
    """The edited rubric with a provenance of its own: what was found out about the old wording is left behind.

    - `file`: the name of the file that holds `before`, which thereby becomes the parent; empty while `before` is itself
      an edit that was not saved, whose edits are continued.
    - `time`: of the edit; now, in UTC, unless given.
    """
    told = {"author": author, "time": time or datetime.now(UTC).isoformat(timespec="seconds"), "what": edited.what}
    old = before.provenance
    kept = {name: old[name] for name in KEPT if name in old}
    if not file and old.get("recipe") == "edit":
        same = {"parent": old["parent"]} if "parent" in old else {}
        return replace(edited.rubric, provenance={**kept, "recipe": "edit", **same, "edits": [*edits_of(before), told]})
    parent: dict[str, Any] = {"name": before.name, "hash": before.hash}
    if file:
        parent["file"] = file
    if "recipe" in old:
        parent["recipe"] = old["recipe"]
    made = {"parent": parent} if file or before.themes else {}
    return replace(edited.rubric, provenance={**kept, "recipe": "edit", **made, "edits": [told]})


def edits_of(rubric: Rubric) -> list[dict[str, str]]:
    """The hand edits its provenance tells of; what does not look like one is left out."""
    edits = rubric.provenance.get("edits")
    rows = [edit for edit in edits if isinstance(edit, Mapping)] if isinstance(edits, list) else []
    return [{name: str(edit.get(name, "")) for name in ("author", "time", "what")} for edit in rows]


def save_version(rubric: Rubric, path: str | Path) -> Path:
    """Write a rubric as the next version of the file `path`, and return where it is.

    The number is one above the highest beside it, and above the rubric's parent's, should that be gone. NAME.yaml is
    written if there is no version at all. Two writers at once get different numbers, and a file that is there is never
    replaced. The version is called after its file. Raises `RubricError` for a rubric too large to be read again, and
    `OSError` where the folder cannot be written; nothing is left behind.
    """
    path = Path(path)
    check_rubric_path(path)
    folder, (stem, _) = path.parent, _family(path)
    folder.mkdir(parents=True, exist_ok=True)
    parent = parent_file(rubric)
    of_parent = _family(Path(parent)) if parent else ("", 0)
    number = max([*(v for v, _ in _files(path)), of_parent[1] if of_parent[0] == stem else 0]) + 1
    while True:
        target = folder / (f"{stem}_v{number}.yaml" if number > 1 else f"{stem}.yaml")
        if _write_new(replace(rubric, name=target.stem), target):
            return target
        number += 1


def list_versions(path: str | Path) -> tuple[Version, ...]:
    """The versions of a rubric that lie beside `path`, oldest first, unreadable ones too."""
    found = []
    for number, file in _files(Path(path)):
        try:
            found.append(Version(number, file, load_rubric(file)))
        except RubricError as error:
            found.append(Version(number, file, None, str(error)))
    return tuple(found)


def ancestors(rubric: Rubric, folder: str | Path) -> tuple[Rubric, ...]:
    """The rubrics it was made from, the nearest first, as far as their files are in `folder` and unchanged."""
    chain: list[Rubric] = []
    while (file := parent_file(rubric)) and len(chain) < _MOST_ANCESTORS:
        try:
            parent = load_rubric(Path(folder) / file)
        except RubricError:
            break
        if parent.hash != rubric.provenance["parent"].get("hash"):
            break
        chain.append(parent)
        rubric = parent
    return tuple(chain)


def file_hash(path: str | Path) -> str | None:
    """The SHA-256 of a file's bytes; None if there is no file or it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def parent_file(rubric: Rubric) -> str:
    """The parent's file name. Provenance is somebody's text: only a name within the folder is taken from it."""
    parent = rubric.provenance.get("parent")
    file = parent.get("file") if isinstance(parent, Mapping) else None
    return file if isinstance(file, str) and file == Path(file).name and "\x00" not in file else ""


def _family(path: Path) -> tuple[str, int]:
    """The name that all versions share, and this one's number."""
    match = _NUMBERED.fullmatch(path.stem)
    return (match[1], int(match[2])) if match else (path.stem, 1)


def _files(path: Path) -> list[tuple[int, Path]]:
    stem, _ = _family(path)
    folder = path.parent
    if not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if file.suffix.lower() in (".yaml", ".yml", ".txt")]
    return sorted((_family(file)[1], file) for file in files if _family(file)[0] == stem)


def _write_new(rubric: Rubric, target: Path) -> bool:
    """Writes the file whole or not at all; False if there is one already."""
    whole = target.with_name(f".{target.stem}.{os.getpid()}.{os.urandom(4).hex()}.yaml")
    try:
        save_rubric(rubric, whole)
        if (size := whole.stat().st_size) > MAX_BYTES:
            raise RubricError(
                f"rubric {rubric.name} would be a file of {size:,} bytes, at most {MAX_BYTES:,} can be read again: "
                "shorten its criteria"
            )
        try:
            os.link(whole, target)  # unlike a rename it never replaces
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _copy_new(whole, target)
        return True
    finally:
        whole.unlink(missing_ok=True)


def _copy_new(whole: Path, target: Path) -> bool:
    """The same where a file system has no links."""
    try:
        file = target.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(whole.read_bytes())
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True
