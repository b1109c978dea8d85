"""Where a training run stands: one file in its folder, which training writes and whoever follows it reads."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from workbench.rpo.running.pid_file import read_json
from workbench.runs.storage import write_json

STATUS = "status.json"

State = Literal["starting", "running", "finished", "paused", "stopped", "failed"]


class Status(BaseModel):
    """Where training stands: `update` of `updates` are done.

    - `starting`: it has not said anything yet.
    - `paused`: a judge failed too often; `problem` says which and how, `resume()` goes on.
    - `seconds`: spent on updates, in all sessions. - `seconds_left`: by the updates so far; None before the first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State
    update: int = 0
    updates: int = 0
    problem: str = ""
    seconds: float = 0.0
    seconds_left: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it trains, or is about to."""
        return self.state in ("starting", "running")

    @classmethod
    def read(cls, run: Path) -> Self:
        """What training in this folder said last."""
        return cls.model_validate({"state": "starting", **read_json(run / STATUS)})

    def write(self, run: Path) -> None:
        """Say it, in place of what was said before."""
        write_json(run / STATUS, self.model_dump())
