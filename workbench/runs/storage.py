"""Writing files of a run so that a kill or a full disk leaves the previous state whole."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage(path):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _free_space(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free / 2**20:,.0f} MiB free on its disk"
    except OSError:
        return "free space unknown"
