"""Answers on disk, found by what was asked: the truth about what has been paid for."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.vlm.errors import StorageFailed
from workbench.vlm.request import Token

_VERSION = 1
_BUSY_S = 60.0
_BATCH = 500
_INSERT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)"
_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL UNIQUE, created REAL NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete reply of the server, whether or not it has the format asked for.

    - `mode`: how the schema was enforced; `model`, `fingerprint`: what the server says it is.
    - `tokens`: with their log-probabilities, where they were asked for and given.
    - `unkeyed`: what the key's canonical JSON leaves out of the request; empty for one kept by an earlier version.
    """

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    model: str
    fingerprint: str
    mode: str
    tokens: tuple[Token, ...] = ()
    unkeyed: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The answer as ASCII text."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["tokens"] = [[token.text, token.logprob, dict(token.top)] for token in self.tokens]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "Answer":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        tokens = fields.pop("tokens")
        return cls(**fields, tokens=tuple(Token(text, logprob, top) for text, logprob, top in tokens))


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer to store; `request` is the canonical JSON that `key` is the hash of."""

    key: str
    model: str
    request: str
    answer: Answer


class Cache:
    """Answers by key in one SQLite file, which several processes on one machine may use at once.

    Not for network file systems: give every machine its own file and `merge` them. The file is opened, and its folder
    made, when first needed. Raises `StorageFailed` when it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._pending: list[tuple[Entry, asyncio.Future[Answer]]] = []

    def get(self, key: str) -> Answer | None:
        """The answer stored under `key`."""
        with self._explained():
            found = self._open().execute("SELECT response FROM answers WHERE key = ?", (key,)).fetchone()
            return Answer.from_json(found[0]) if found else None

    def entry(self, key: str) -> Entry | None:
        """The answer stored under `key` with what was asked; images appear as hashes."""
        with self._explained():
            query = "SELECT key, model, request, response FROM answers WHERE key = ?"
            found = self._open().execute(query, (key,)).fetchone()
            if found is None:
                return None
            key, model, request, response = found
            return Entry(key, model, request, Answer.from_json(response))

    def put(self, entries: Sequence[Entry]) -> list[Answer]:
        """Store answers in one commit, and return what is stored now: an answer stored earlier stays."""
        now = time.time()
        rows = [(entry.key, now, entry.model, entry.request, entry.answer.to_json()) for entry in entries]
        with self._explained(), self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            added = connection.executemany(_INSERT, rows).rowcount
        if added == len(entries):
            return [entry.answer for entry in entries]
        return [self.get(entry.key) or entry.answer for entry in entries]

    async def put_soon(self, entry: Entry) -> Answer:
        """The same for one answer, in one commit with all others that come in this turn of the event loop."""
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[Answer] = loop.create_future()
        self._pending.append((entry, stored))
        if len(self._pending) == 1:
            loop.call_soon(self._commit)
        return await stored

    def remove(self, keys: Iterable[str]) -> None:
        """Forget answers; keys that are not stored are passed over."""
        with self._explained(), self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def _commit(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        try:
            answers = self.put([entry for entry, _ in pending])
        except StorageFailed as error:
            for _, stored in pending:
                if not stored.done():
                    stored.set_exception(error)
            return
        for (_, stored), answer in zip(pending, answers, strict=True):
            if not stored.done():
                stored.set_result(answer)

    def add_from(self, other: Path) -> int:
        """Copy the answers of another cache that this one lacks, and return how many."""
        added = 0
        with _read_only(other) as rows:
            while batch := rows.fetchmany(_BATCH):
                with self._explained(), self._open() as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    added += connection.executemany(_INSERT, batch).rowcount
        return added

    def close(self) -> None:
        """Commit what is pending and close the file; it opens again when needed."""
        self._commit()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=16
            )
            try:
                _prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StorageFailed(_explain(self.path, error)) from error
        except OSError as error:
            raise StorageFailed(
                f"the cache {self.path} cannot be opened ({error}): name another file with --cache"
            ) from error
        except (ValueError, TypeError, KeyError) as error:
            raise StorageFailed(
                f"the cache {self.path} holds a row this version cannot read ({error}): "
                "move the file aside, or name another with --cache"
            ) from error


def default_path() -> Path:
    """The cache all runs share: `workbench/answers.sqlite` in the user's cache folder (`XDG_CACHE_HOME`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench" / "answers.sqlite"


def merge(into: Path, others: Iterable[Path]) -> int:
    """Copy all answers of `others` into one cache, keeping those it has, and return how many were added.

    Raises `StorageFailed` for a file that is missing or no cache.
    """
    cache = Cache(into)
    try:
        return sum(cache.add_from(other) for other in others)
    finally:
        cache.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes that create the file at once: SQLite does not wait for the other here.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives kill -9, though perhaps not a power cut
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _VERSION):
        raise StorageFailed(
            f"the cache {path} has format {version}, this version reads {_VERSION}: name another file with --cache"
        )
    if version == 0:
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Cursor]:
    if not path.is_file():
        raise StorageFailed(f"the cache {path} does not exist: check the path")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        yield connection.execute("SELECT key, created, model, request, response FROM answers ORDER BY rowid")
    except sqlite3.DatabaseError as error:
        raise StorageFailed(_explain(path, error)) from error
    finally:
        connection.close()


def _explain(path: Path, error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        remedy = "the file is damaged or no cache: move it aside (with its -wal and -shm files) and start again"
    elif code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        remedy = "free some disk space, then run again: what is stored is kept"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = f"another process has held it for {_BUSY_S:g} s: stop that process, then run again"
    else:
        remedy = "check the path and its permissions, or name another file with --cache"
    return f"the cache {path} failed ({error}): {remedy}"
