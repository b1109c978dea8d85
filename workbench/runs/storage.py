"""Writing files of a run so that a kill or a full disk leaves the previous state whole, and saying what broke one."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.atomic import replacing
from workbench.vlm.errors import StorageFailed


class StorageError(StorageFailed):
    """A file of a run could not be written; a `StopRun`, as nothing more should be asked of a model until it can be."""


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turns an `OSError` while writing `path` into a `StorageError` that names the file and the free space."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error} ({_free_space(path)}); what was written before is whole: "
            "make room or choose another outputs folder, then run the same command again to resume"
        ) from error


def write_json(path: Path, payload: Any) -> None:
    """Replaces `path` atomically with `payload` as indented JSON; NaN and infinity are refused."""
    text = json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with storage(path), replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def first_fault(error: ValidationError) -> str:
    """The first of pydantic's complaints about a file, with the field it is about: `start: Field required`."""
    fault = error.errors(include_url=False)[0]
    return ": ".join([*filter(None, [".".join(str(part) for part in fault["loc"])]), fault["msg"]])


def _free_space(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free / 2**20:,.0f} MiB free on its disk"
    except OSError:
        return "free space unknown"
