"""`run.json`: what a run was asked to do, with what, on what, and how it ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workbench.runs.storage import first_fault, write_json

Status = Literal["running", "finished", "failed", "interrupted"]

FILE_NAME = "run.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `run.json`; everything in it may be shown to others.

    - `inputs`: what decides the results. A run is resumed with equal inputs only. By convention it holds `dataset`
      (`{"name", "hash"}`), `rubric` (`{"name", "hash"}` or None), `judge` (its identity), `seed`.
    - `parameters`: what was asked for besides, such as concurrency; may change when a run is resumed.
    - `facts`: found out on the way, such as the server's model id and version.
    - `counts`: how much was done, such as `{"pairs": 240, "verdicts": 480, "error": 0}`.
    - `start`, `end`: of the first and last session, UTC. `environment`: packages, git, hardware of the last one.
    - `earlier_sessions`: start, end, status and environment of each session before a resume.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    kind: str
    inputs: dict[str, Any]
    start: str
    session_start: str
    status: Status = "running"
    parameters: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    end: str | None = None
    problem: str = ""
    earlier_sessions: tuple[dict[str, Any], ...] = ()
    schema: Literal["workbench.run/1"] = "workbench.run/1"

    def write(self, folder: Path) -> None:
        write_json(folder / FILE_NAME, _ADAPTER.dump_python(self, mode="json"))

    @property
    def judge(self) -> Mapping[str, Any]:
        """The judge's identity; empty where the run names none."""
        judge = self.inputs.get("judge")
        return judge if isinstance(judge, Mapping) else {}

    @property
    def models(self) -> list[str]:
        """The ids of the models the run asked."""
        parts = (self.inputs.get(name) for name in ("judge", "writer"))
        return [str(part["model"]) for part in parts if isinstance(part, Mapping) and part.get("model")]

    @property
    def session(self) -> Mapping[str, Any]:
        """What is kept of this session when another one resumes the run."""
        return {
            "start": self.session_start,
            "end": self.end,
            "status": self.status,
            "problem": self.problem,
            "environment": self.environment,
        }


_ADAPTER = TypeAdapter(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder; raises `ValueError` naming the file when it is missing or broken."""
    path = folder / FILE_NAME
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{folder} is not a run folder: it has no {FILE_NAME}") from None
    except ValidationError as error:
        raise ValueError(
            f"{path} is not a run's manifest ({first_fault(error)}); "
            "restore it, or move the folder away and run the command again"
        ) from error


def stored_results(folder: Path) -> dict[str, Any] | None:
    """The object in `results.json`, None before it is written; raises `ValueError` when it is broken."""
    path = folder / "results.json"
    if not path.exists():
        return None
    try:
        results = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); run the command again to write it anew") from error
    if not isinstance(results, dict):
        raise ValueError(f"{path} holds a {type(results).__name__} where an object was expected")
    return results


def now() -> str:
    """The time in UTC, to the second: `2026-11-21T03:38:00+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")
