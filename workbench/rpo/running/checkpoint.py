"""Checkpoints of a run: folders that are there whole or not at all, and are refused to any other run.

`checkpoints/000050/` holds `state.pt` (adapter, average, optimizer, random states) and `checkpoint.json` (update,
configuration, hash of the state). Where training stood among the prompts follows from the update.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.rpo.config import RpoConfig
from workbench.runs.parameters import differing
from workbench.runs.storage import first_fault, storage

SCHEMA: Literal["workbench.rpo.checkpoint/1"] = "workbench.rpo.checkpoint/1"

FOLDER = "checkpoints"

_KEPT = 2
"""The latest of this number are kept, and those of every `checkpoint_every` updates."""


class CheckpointError(ValueError):
    """A checkpoint is damaged, or of another run."""


class _Description(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: Literal["workbench.rpo.checkpoint/1"] = Field(alias="schema")
    update: int
    sha256: str
    config: dict[str, Any]


def inputs(config: RpoConfig) -> dict[str, Any]:
    """What must be the same to go on with a run.

    All but its length, its patience, addresses, allowances, and what saves memory.
    """
    return _inputs(config.to_json())


def _inputs(fields: dict[str, Any]) -> dict[str, Any]:
    left_out = ("updates", "max_failure_rate", "checkpoint_every", "batch")
    kept = {name: value for name, value in fields.items() if name not in left_out}
    judges = [
        {**reward, "base_url": None, "max_calls": None}
        for reward in (*fields["rewards"], *filter(None, [fields["gold"]]))
    ]
    return {
        **kept,
        "policy": {**fields["policy"], "checkpointing": None},
        "rewards": {str(number): judge for number, judge in enumerate(judges[: len(fields["rewards"])])},
        "gold": judges[-1] if fields["gold"] else None,
    }


def save(run: Path, update: int, state: Mapping[str, Any], config: RpoConfig) -> None:
    """Write the checkpoint of an update, unless it is there, and remove older ones. Raises `StorageError`."""
    path = run / FOLDER / f"{update:06d}"
    if path.exists():
        return
    for unfinished in path.parent.glob(".*.tmp"):
        shutil.rmtree(unfinished, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with storage(path):
            temporary.mkdir(parents=True)
            _write(temporary, update, state, config)
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk has room for what is to be said about it
        raise
    *older, _ = sorted(_saved(run))
    for old in older[: 1 - _KEPT]:
        if old % config.checkpoint_every:
            shutil.rmtree(run / FOLDER / f"{old:06d}", ignore_errors=True)


def _write(folder: Path, update: int, state: Mapping[str, Any], config: RpoConfig) -> None:
    whole = io.BytesIO()  # torch.save into a file says RuntimeError when the disk is full
    torch.save({**state, "random": _random_state()}, whole)
    (folder / "state.pt").write_bytes(whole.getbuffer())
    description = {"schema": SCHEMA, "update": update, "sha256": _hash(folder / "state.pt")}
    text = json.dumps({**description, "config": config.to_json()}, indent=2)
    (folder / "checkpoint.json").write_text(text, encoding="utf-8")
    for file in (folder / "state.pt", folder / "checkpoint.json"):
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def latest(run: Path) -> Path | None:
    """The checkpoint to go on from."""
    return max((run / FOLDER / f"{update:06d}" for update in _saved(run)), default=None)


def load(path: Path, config: RpoConfig, expected: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The update and state of a checkpoint.

    - `expected`: a state of this run's shape, such as it starts with.

    Raises `CheckpointError` naming the field where it is damaged, or of another configuration or adapter.
    """
    description = _describe(path)
    if changes := list(differing(_inputs(description.config), inputs(config))):
        listed = "; ".join(f"{key}: {before!r} there, {after!r} now" for key, before, after in changes)
        raise CheckpointError(f"{path} is of another configuration ({listed}): repeat it, or choose a new folder")
    if not (path / "state.pt").exists() or _hash(path / "state.pt") != description.sha256:
        raise CheckpointError(_damaged(path, "state.pt: not what checkpoint.json has the sha256 of"))
    state: dict[str, Any] = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    for part in ("adapter", "average"):
        shapes = [{name: tuple(each.shape) for name, each in parts[part].items()} for parts in (state, expected)]
        for key, before, after in differing(shapes[0], shapes[1], f"{part}."):
            raise CheckpointError(
                f"{path} is of another adapter ({key}: {before or 'nothing'} there, {after or 'nothing'} now): "
                "use the policy it was trained on, or choose a new folder"
            )
    _restore_random_state(state.pop("random"))
    return description.update, state


def _describe(path: Path) -> _Description:
    try:
        return _Description.model_validate_json((path / "checkpoint.json").read_bytes())
    except FileNotFoundError:
        raise CheckpointError(_damaged(path, "checkpoint.json: missing")) from None
    except ValidationError as error:
        raise CheckpointError(_damaged(path, f"checkpoint.json: {first_fault(error)}")) from error


def _damaged(path: Path, what: str) -> str:
    return f"{path} is no whole checkpoint ({what}): delete this folder to go on from the one before"


def _saved(run: Path) -> list[int]:
    return [int(path.name) for path in (run / FOLDER).glob("[0-9]*") if path.name.isdigit()]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _random_state() -> dict[str, Any]:
    """Training draws from generators of its own; this is for policies that do not."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
