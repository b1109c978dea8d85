"""Undo and redo: the states of a rubric as an immutable list with a place in it."""

from dataclasses import dataclass, replace

from workbench.rubrics.rubric import Rubric

MOST_STATES = 1_000
"""States kept; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class State:
    """A rubric at one moment.

    - `what`: the edit that led to it; empty for the first.
    - `file`: the name of the file it was read from or written to; empty while it is nowhere but here.
    - `lost`: that file is known to hold something else by now, or to be gone.
    """

    rubric: Rubric
    what: str = ""
    file: str = ""
    lost: bool = False

    @property
    def saved(self) -> bool:
        """Whether a file holds exactly this rubric, as far as is known."""
        return bool(self.file) and not self.lost


@dataclass(frozen=True, slots=True)
class History:
    """States in the order they were made; `at` is the current one.

    >>> history = History((State(first),)).then(State(second, "c1 removed"))  # doctest: +SKIP
    >>> history.undo().now.rubric == first                                    # doctest: +SKIP
    True
    """

    states: tuple[State, ...]
    at: int = 0

    @property
    def now(self) -> State:
        return self.states[self.at]

    @property
    def undoes(self) -> str:
        """The edit that `undo` would take back; empty if there is none."""
        return self.now.what if self.at > 0 else ""

    @property
    def redoes(self) -> str:
        """The edit that `redo` would bring back; empty if there is none."""
        return self.states[self.at + 1].what if self.at + 1 < len(self.states) else ""

    def then(self, state: State) -> "History":
        """A new state after the current one; what had been undone is forgotten."""
        states = (*self.states[: self.at + 1], state)[-MOST_STATES:]
        return History(states, len(states) - 1)

    def undo(self) -> "History":
        """The state before; the same history if there is none."""
        return replace(self, at=max(0, self.at - 1))

    def redo(self) -> "History":
        """The state that was undone; the same history if there is none."""
        return replace(self, at=min(len(self.states) - 1, self.at + 1))

    def with_saved(self, unsaved: State, saved: State) -> "History":
        """One state replaced by what was written of it, wherever undo and redo have gone meanwhile."""
        return replace(self, states=tuple(saved if state is unsaved else state for state in self.states))

    def without(self, file: str) -> "History":
        """The states that a file held, which holds them no longer, are saved nowhere."""
        return replace(self, states=tuple(replace(s, lost=True) if s.file == file else s for s in self.states))
