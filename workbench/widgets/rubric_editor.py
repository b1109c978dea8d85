"""The rubric editor: a rubric as a tree that several people, tabs and cells change at once."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench.annotations.annotation import default_author
from workbench.foreign import displayable
from workbench.pairs.comparison import Comparison
from workbench.rubrics import edits
from workbench.rubrics.diff import diff
from workbench.rubrics.edits import Edited
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric, RubricError
from workbench.rubrics.session import RubricSession, StaleEdit, Target
from workbench.rubrics.versions import ancestors, list_versions
from workbench.widgets.kernel_widget import KernelWidget, asset
from workbench.widgets.rubric_html import rubric_html
from workbench.widgets.rubric_origin import origin
from workbench.widgets.rubric_views import diff_view, id_of, key_of, restored, rubric_view, versions_view

CURRENT = ""
"""What the unsaved rubric is called where a version is asked for."""

_PARTS = (
    "dom.js",
    "words.js",
    "kernel.js",
    "keys.js",
    "draft.js",
    "origin.js",
    "versions.js",
    "tree.js",
    "drag.js",
    "editor.js",
)


class RubricEditor(KernelWidget):
    """Edit a rubric in the notebook; what is current is in `.rubric`, an immutable `Rubric` that others observe.

        editor = RubricEditor(load_rubric(path), path, seeds=load(seeds), events=run / "events.jsonl")
        editor.observe(lambda change: print(change.new.hash), "rubric")

    - `path`: its file; versions are saved beside it as NAME_v2.yaml, ... and nothing is ever overwritten.
    - `author`: who edits; `default_author()` unless given.
    - `seeds`: the pairs it was induced from, shown with the criteria they gave rise to.
    - `events`: the `events.jsonl` of its induction.

    Observers are called one after the other, on the thread of some edit, when no lock is held. Edits that come while
    they run are told together afterwards.
    """

    _esm = asset(*_PARTS)
    _css = asset("base.css", "editor.css")
    rubric = traitlets.Instance(Rubric, read_only=True)

    def __init__(
        self,
        rubric: Rubric,
        path: Path | str | None = None,
        *,
        author: str = "",
        seeds: Sequence[Comparison] = (),
        events: Path | None = None,
    ) -> None:
        self._session = RubricSession(rubric, Path(path) if path else None, author or default_author())
        self._seeds: Mapping[str, Comparison] = {seed.id: seed for seed in seeds}
        self._events = events
        self._announcing = threading.Lock()
        super().__init__()
        self.set_trait("rubric", rubric)

    def set(self, rubric: Rubric) -> None:
        """Put another rubric in place of the current one; undo brings it back."""
        self._session.replace(rubric, f"replaced by {rubric.name}")
        self._changed()

    def edit(self, change: Callable[[Rubric], Edited]) -> None:
        """Apply an operation of `rubrics.edits` to the current rubric, as by hand.

        >>> editor.edit(lambda rubric: enable(rubric, "c3", False))  # doctest: +SKIP
        """
        self._session.edit(change)
        self._changed()

    def undo(self) -> None:
        """Take the last edit back."""
        self._session.undo()
        self._changed()

    def redo(self) -> None:
        """Bring an undone edit back."""
        self._session.redo()
        self._changed()

    def save_version(self, path: Path | str | None = None) -> Path:
        """Write the current rubric as the next version beside its file, or beside `path`, and return where it is.

        Raises `RubricError` where there is nothing to save, or it cannot be written; the edits are kept then.
        """
        saved = self._session.save(Path(path) if path else None)
        self._changed()
        return saved

    def to_html(self) -> str:
        """The rubric as a static tree."""
        return rubric_html(self._session.snapshot().rubric)

    def answer_state(self) -> dict[str, Any]:
        self._session.check()
        return rubric_view(self._session.snapshot())

    def answer_text(self, key: str, revision: int, text: str) -> dict[str, Any]:
        def change(rubric: Rubric, id: str) -> Edited:
            stored = edits.find(rubric, id).text
            typed = restored(text, stored).strip()
            return edits.set_text(rubric, id, stored if typed == stored.strip() else typed)

        return self._edit(key, revision, "text", change)

    def answer_weight(self, key: str, revision: int, weight: str) -> dict[str, Any]:
        return self._edit(key, revision, "weight", lambda r, id: edits.set_weight(r, id, _weight(weight, id)))

    def answer_levels(self, key: str, revision: int, text: str) -> dict[str, Any]:
        def change(rubric: Rubric, id: str) -> Edited:
            levels = edits.find(rubric, id).levels
            stored = edits.levels_text(levels)
            typed = restored(text, stored)  # of levels left as they are not even the spaces change
            return edits.set_levels(rubric, id, levels if typed == stored else edits.parse_levels(typed))

        return self._edit(key, revision, "levels", change)

    def answer_enable(self, key: str, revision: int, enabled: bool) -> dict[str, Any]:
        return self._edit(key, revision, "enabled", lambda r, id: edits.enable(r, id, enabled))

    def answer_remove(self, key: str, revision: int) -> dict[str, Any]:
        return self._edit(key, revision, "", edits.remove)

    def answer_shift(self, key: str, revision: int, by: int) -> dict[str, Any]:
        return self._edit(key, revision, "text", lambda r, id: edits.shift(r, id, 1 if by > 0 else -1))

    def answer_move(self, key: str, revision: int, theme: int, before: str | None) -> dict[str, Any]:
        """Before another criterion, or to the end of a theme."""

        def change(rubric: Rubric, id: str) -> Edited:
            other = id_of((rubric,), before) if before is not None else None
            to = theme if other is None else edits.theme_of(rubric, other)
            ids = [c.id for c in rubric.themes[to].criteria if c.id != id] if to < len(rubric.themes) else []
            return edits.move(rubric, id, to, ids.index(other) if other in ids else len(ids))

        return self._edit(key, revision, "text", change, theme=theme if before is None else None)

    def answer_add(self, revision: int, text: str, theme: int, after: str | None) -> dict[str, Any]:
        """A new criterion behind another one, or at the end of a theme."""

        def change(rubric: Rubric) -> Edited:
            taken = self._session.taken
            if after is None:
                return edits.add(rubric, text.strip(), theme=theme, taken=taken)
            id = id_of((rubric,), after)
            to = edits.theme_of(rubric, id)
            index = [c.id for c in rubric.themes[to].criteria].index(id) + 1
            return edits.add(rubric, text.strip(), theme=to, index=index, taken=taken)

        return self._apply(change, Target(revision, theme=theme if after is None else None))

    def answer_add_theme(self, name: str) -> dict[str, Any]:
        return self._apply(lambda rubric: edits.add_theme(rubric, name.strip()), None)

    def answer_rename_theme(self, theme: int, revision: int, name: str) -> dict[str, Any]:
        def change(rubric: Rubric) -> Edited:
            stored = rubric.themes[theme].name
            return edits.rename_theme(rubric, theme, restored(name, stored).strip())

        return self._apply(change, Target(revision, theme=theme))

    def answer_theme_weight(self, theme: int, revision: int, weight: str) -> dict[str, Any]:
        value = _weight(weight, f"theme {theme + 1}")
        return self._apply(lambda r: edits.set_theme_weight(r, theme, value), Target(revision, theme=theme))

    def answer_remove_theme(self, theme: int, revision: int) -> dict[str, Any]:
        return self._apply(lambda r: edits.remove_theme(r, theme), Target(revision, field="", theme=theme))

    def answer_shift_theme(self, theme: int, revision: int, by: int) -> dict[str, Any]:
        return self._apply(lambda r: edits.shift_theme(r, theme, 1 if by > 0 else -1), Target(revision, theme=theme))

    def answer_undo(self) -> None:
        self.undo()

    def answer_redo(self) -> None:
        self.redo()

    def answer_save(self) -> dict[str, str]:
        try:
            return {"file": self.save_version().name}
        finally:
            self._tell()  # what saving found out about the file

    def answer_check(self) -> None:
        before = self._session.snapshot().news
        if self._session.check() != before:
            self._tell()

    def answer_reload(self) -> None:
        self._session.reload()
        self._changed()

    def answer_keep(self) -> None:
        self._session.keep()
        self._changed()

    def answer_versions(self) -> list[dict[str, Any]]:
        path = self._session.snapshot().path
        return versions_view(list_versions(path)) if path else []

    def answer_diff(self, before: str, after: str) -> dict[str, Any]:
        return diff_view(diff(self._version(before), self._version(after)))

    def answer_origin(self, key: str) -> dict[str, Any]:
        now = self._session.snapshot()
        held = [state.rubric for state in reversed(now.history.states[: now.history.at]) if state.file]
        last = held[-1] if held else now.rubric
        on_disk = ancestors(last, now.path.parent) if now.path else ()
        lineage = (now.rubric, *held, *on_disk)
        return origin(id_of((now.rubric,), key), lineage, self._seeds, self._events)

    def _version(self, file: str) -> Rubric:
        """The current rubric, or a version on disk by its name, which is looked up and never used as a path."""
        now = self._session.snapshot()
        if file == CURRENT:
            return now.rubric
        for version in list_versions(now.path) if now.path else ():
            if version.path.name == file:
                return version.rubric or load_rubric(version.path)
        raise RubricError(f"version {file!r} is not there any more")

    def _edit(
        self, key: str, revision: int, field: Any, change: Callable[[Rubric, str], Edited], theme: int | None = None
    ) -> dict[str, Any]:
        states = self._session.snapshot().history.states
        id = id_of((state.rubric for state in reversed(states)), key)
        return self._apply(lambda rubric: change(rubric, id), Target(revision, id, field, theme))

    def _apply(self, change: Callable[[Rubric], Edited], target: Target | None) -> dict[str, Any]:
        try:
            edited = self._session.edit(change, target)
        except StaleEdit:
            self._tell()
            raise
        self._changed()
        revision = self._session.snapshot().revision
        return {"what": displayable(edited.what), "criterion": key_of(edited.criterion), "revision": revision}

    def _changed(self) -> None:
        self._session.check()
        self._tell()
        self._announce()

    def _tell(self) -> None:
        """All tabs hear the newest state; they pass over one that is older than what they show."""
        self.tell("state", rubric_view(self._session.snapshot()))

    def _announce(self) -> None:
        """Set `.rubric`, whose observers run without any lock; whoever is at it tells later changes too."""
        while self._session.snapshot().rubric is not self.rubric:
            if not self._announcing.acquire(blocking=False):
                return
            try:
                self.set_trait("rubric", self._session.snapshot().rubric)
            finally:
                self._announcing.release()


def _weight(text: str, owner: str) -> float:
    try:
        return float(str(text).replace(",", "."))
    except ValueError:
        raise RubricError(f"{owner}: weight {text!r} is no number: give one from 0 up, such as 1 or 0.5") from None
