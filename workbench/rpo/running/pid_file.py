"""The file by which a launched process is found again: who it is, and a lock it holds for as long as it lives."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from workbench.runs.lock import is_locked, take_lock
from workbench.runs.storage import storage

_BYTES = 512
_MAPPING = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class PidFile:
    """A lock does what a number cannot: it goes with its process, however that ends, and never names another one."""

    path: Path

    @property
    def is_held(self) -> bool:
        """Whether a living process holds the lock."""
        return is_locked(self.path)

    @contextmanager
    def held(self) -> Iterator[int]:
        """The lock as an open file, for a process to inherit, which holds it from then on.

        Raises `BlockingIOError` while another one does, `StorageError` when the file cannot be written.
        """
        with storage(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not take_lock(file):
                raise BlockingIOError
            yield file
        finally:
            os.close(file)

    def read(self) -> Mapping[str, Any]:
        """What was written last; nothing where there is no file."""
        return read_json(self.path)

    def write(self, content: Mapping[str, Any]) -> None:
        """In place, as the lock is on this very file, and in one write of one size, so that nobody reads half of it."""
        with storage(self.path), self.path.open("r+b", buffering=0) as file:
            file.write(json.dumps(content).encode().ljust(_BYTES))


def read_json(path: Path) -> Mapping[str, Any]:
    """The mapping in a file; an empty one where there is no file, or nothing in it yet."""
    try:
        return _MAPPING.validate_json(path.read_bytes() or b"{}")
    except FileNotFoundError:
        return {}
