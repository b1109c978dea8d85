"""A rubric under edit by several hands at once: what is current, what is on disk, and what may still be applied."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from workbench.rubrics.edits import Edited
from workbench.rubrics.files import load_rubric
from workbench.rubrics.history import History, State
from workbench.rubrics.rubric import Criterion, Rubric, RubricError
from workbench.rubrics.versions import ancestors, derived, file_hash, save_version

MOST_SEEN = 500
"""Revisions that are remembered, so that an edit of what one of them showed can be checked."""


class StaleEdit(RubricError):
    """An edit of something that somebody else removed or changed in the meantime; nothing was done."""


@dataclass(frozen=True, slots=True)
class FileNews:
    """What happened to the file behind the rubric since it was read or written."""

    kind: Literal["changed", "missing", "invalid"]
    message: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent view of a session; `path` is the file the rubric was read from or saved as last."""

    revision: int
    history: History
    path: Path | None
    news: FileNews | None
    author: str

    @property
    def rubric(self) -> Rubric:
        return self.history.now.rubric

    @property
    def unsaved(self) -> bool:
        return not self.history.now.saved


@dataclass(frozen=True, slots=True)
class Target:
    """What an edit concerns, as it was shown at a revision: a criterion and one of its fields, or a theme.

    - `field`: empty where all of the criterion, or of the theme with its criteria, is concerned.
    """

    revision: int
    criterion: str = ""
    field: Literal["text", "weight", "levels", "enabled", ""] = "text"
    theme: int | None = None


class RubricSession:
    """The current rubric, its history and its file; every method may be called from any thread.

    - `path`: the file the rubric is in, or will be first saved as.

    Reading and writing files happens outside the lock that guards the current rubric.
    """

    def __init__(self, rubric: Rubric, path: Path | None, author: str) -> None:
        self.author = author
        self._lock = threading.RLock()  # a change may look at the session it is applied to
        self._writing = threading.Lock()
        self._path = path
        self._known = file_hash(path) if path else None
        self._expected = self._known is not None  # a rubric may be started before its file
        self._news: tuple[str | None, FileNews | None] = ("", None)  # about the file with this hash
        held = path is not None and _holds(path, rubric)
        if not held:
            self._known = None
        self._history = History((State(rubric, file=path.name if path and held else ""),))
        self._revision = 0
        self._seen = {0: rubric}
        earlier = ancestors(rubric, path.parent) if path else ()
        self._ids = {c.id for each in (rubric, *earlier) for c in _criteria(each).values()}

    @property
    def taken(self) -> frozenset[str]:
        """Ids a new criterion must not get: what was found out about a removed one would be said of it."""
        with self._lock:
            return frozenset(self._ids)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(self._revision, self._history, self._path, self._news[1], self.author)

    def edit(self, change: Callable[[Rubric], Edited], target: Target | None = None) -> Edited:
        """Apply an edit to the current rubric; one that changes nothing leaves no trace.

        Raises `StaleEdit` if what `target` names was removed or changed since, and what `change` raises.
        """
        with self._lock:
            before = self._history.now
            if target:
                self._check(target)
            edited = change(before.rubric)
            if edited.rubric.themes != before.rubric.themes:
                made = derived(before.rubric, edited, author=self.author, file=before.file)
                self._move(self._history.then(State(made, edited.what)))
            return edited

    def replace(self, rubric: Rubric, what: str, *, file: str = "") -> None:
        """Another rubric in place of the current one, which undo brings back.

        One with the provenance of an earlier state and other words does not keep it: it was not found out about them.
        """
        with self._lock:
            for state in self._history.states if rubric.provenance or not file else ():
                if state.rubric.provenance == rubric.provenance and state.rubric.themes != rubric.themes:
                    author = "" if file else self.author  # who changed the file it does not say
                    rubric = derived(state.rubric, Edited(rubric, what), author=author, file=state.file)
                    break
            if rubric != self._history.now.rubric or file != self._history.now.file or self._history.now.lost:
                self._move(self._history.then(State(rubric, what, file)))

    def undo(self) -> None:
        """The state before; the first stays."""
        with self._lock:
            self._move(self._history.undo())

    def redo(self) -> None:
        """The state that was undone; the last stays."""
        with self._lock:
            self._move(self._history.redo())

    def save(self, path: Path | None = None) -> Path:
        """Write the current rubric as a new version beside its file, or beside `path`; edits go on from it.

        Raises `RubricError` where there is nothing to save, nowhere to save it, or it could not be written; the edits
        are kept then.
        """
        with self._writing:
            news = self.check()
            now = self.snapshot()
            beside = path or now.path
            if beside is None:
                raise RubricError("the rubric has no file yet: give RubricEditor a path, such as rubrics/mine.yaml")
            state = now.history.now
            if state.saved and not path and not news and _holds(beside.with_name(state.file), state.rubric):
                raise RubricError(f"{state.file} holds exactly this rubric: there is nothing to save")
            try:
                target = save_version(state.rubric, beside)
            except OSError as error:
                raise RubricError(
                    f"no new version of {beside.name} could be written in {beside.parent} "
                    f"({error.strerror or error}): the edits are kept here; make room or allow writing, and save again"
                ) from error
            with self._lock:
                saved = State(replace(state.rubric, name=target.stem), state.what, target.name)
                self._watch(target, file_hash(target))
                self._move(self._history.with_saved(state, saved))
            return target

    def check(self) -> FileNews | None:
        """Look whether the file is still what it was; None if so."""
        now = self.snapshot()
        if now.path is None:
            return None
        digest = file_hash(now.path)
        with self._lock:
            if digest == self._known or (digest is None and not self._expected):
                self._news = (digest, None)
            if self._news[0] == digest:
                return self._news[1]
        news = _news(now.path, now.rubric)
        with self._lock:
            if self._path == now.path:
                self._news = (digest, news)
            return self._news[1]

    def reload(self) -> None:
        """Take what is in the file now; undo brings the edits back. Raises `RubricError` if it cannot be read."""
        now = self.snapshot()
        if now.path is None:
            raise RubricError("the rubric has no file to reload")
        digest = file_hash(now.path)  # before it is read: a change in between is news again
        rubric = load_rubric(now.path, task=now.rubric.task)
        with self._lock:
            self._watch(now.path, digest)
            self._history = self._history.without(now.path.name)
            self.replace(rubric, f"{now.path.name} reloaded", file=now.path.name)

    def keep(self) -> None:
        """Go on with the edits and say no more about what is in the file now."""
        with self._lock:
            if self._path:
                if self._news[1]:
                    self._move(self._history.without(self._path.name))
                self._known = self._news[0]
                self._expected = self._known is not None
                self._news = (self._known, None)

    def _watch(self, path: Path, digest: str | None) -> None:
        self._path = path
        self._known = digest
        self._expected = True
        self._news = (self._known, None)

    def _move(self, history: History) -> None:
        if history == self._history:
            return
        self._history = history
        self._revision += 1
        self._seen[self._revision] = history.now.rubric
        self._seen.pop(self._revision - MOST_SEEN, None)
        self._ids.update(_criteria(history.now.rubric))

    def _check(self, target: Target) -> None:
        seen, now = self._seen.get(target.revision), self._history.now.rubric
        if seen is None:
            raise StaleEdit("this page shows a rubric from long ago: it has been brought up to date, edit again")
        if target.criterion:
            before, after = _criteria(seen).get(target.criterion), _criteria(now).get(target.criterion)
            if after is None:
                raise StaleEdit(f"criterion {target.criterion} is gone: it was removed elsewhere")
            if before is None or _changed(before, after, target.field):
                raise StaleEdit(
                    f"criterion {target.criterion} was changed elsewhere since you saw it: look at it, then edit again"
                )
        if target.theme is not None and not _same_theme(seen, now, target.theme, whole=not target.field):
            raise StaleEdit("the themes were changed elsewhere since you saw them: look at them, then edit again")


def _criteria(rubric: Rubric) -> dict[str, Criterion]:
    return {criterion.id: criterion for theme in rubric.themes for criterion in theme.criteria}


def _changed(before: Criterion, after: Criterion, field: str) -> bool:
    if not field:
        return before != after
    return before.text != after.text or bool(getattr(before, field) != getattr(after, field))


def _same_theme(seen: Rubric, now: Rubric, index: int, *, whole: bool) -> bool:
    """Whether the place of a theme still names the same one: themes of one name are told apart by all that they are."""
    names = [theme.name for theme in seen.themes]
    if names != [theme.name for theme in now.themes]:
        return False
    whole = whole or names.count(names[index] if index < len(names) else "") > 1  # a first theme may be there only soon
    return not whole or seen.themes[index : index + 1] == now.themes[index : index + 1]


def _holds(path: Path, rubric: Rubric) -> bool:
    try:
        return load_rubric(path, task=rubric.task).themes == rubric.themes
    except RubricError:
        return False


def _news(path: Path, rubric: Rubric) -> FileNews:
    if not os.path.exists(path):  # which, unlike the method, is False where nobody may look
        return FileNews(
            "missing", f"{path.name} was deleted or moved. The rubric is still here: save it as a new version."
        )
    try:
        there = load_rubric(path, task=rubric.task)
    except RubricError as error:
        return FileNews("invalid", f"{path.name} was changed and cannot be read now: {error}")
    told = "it holds another rubric" if there.themes != rubric.themes else "it holds the same criteria as here"
    return FileNews("changed", f"{path.name} is not as it was when it was opened: {told}. Nothing is overwritten.")
