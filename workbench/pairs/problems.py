"""What is wrong with a dataset, all of it at once."""

from collections.abc import Sequence
from dataclasses import dataclass

_BRIEF = 60

SHOWN = 20
"""Problems a message lists; `DatasetError.problems` has all."""


def brief(value: object) -> str:
    """A value for a message: short, on one line, its type visible."""
    text = repr(value)
    return text if len(text) <= _BRIEF else text[:_BRIEF] + "..."


def printable(text: str) -> str:
    """Text from a file or a model without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a dataset file and what to do about it.

    `line` counts from 1 (rows, for Parquet); None means the whole file.
    """

    file: str
    line: int | None
    id: str | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        name = "" if self.id is None else f" [{self.id}]"
        return f"{place}:{name} {self.problem}; {self.remedy}"


class DatasetError(ValueError):
    """A dataset that cannot be used as it is: `problems` has every fault, the message the first 20."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more")
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the dataset:", *lines]))
