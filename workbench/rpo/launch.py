"""Training in a process of its own: started from a notebook, it outlives the kernel, and is found again by its folder.

Three files stand beside the run folder `outputs/rpo-1`: `rpo-1.yaml` (what was asked for), `rpo-1.log` (what training
said) and `rpo-1.pid` (the launcher's process, which holds a lock on the file for as long as it lives).

>>> training = start(RpoConfig.load("rpo.yaml"), "outputs/rpo-1")  # doctest: +SKIP
>>> Training.attach("outputs/rpo-1").stop()  # tomorrow, from another kernel  # doctest: +SKIP
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from workbench.rpo.config import RpoConfig
from workbench.runs.folder import LOCK_NAME, RunInUseError, is_in_use
from workbench.runs.lines import read_lines
from workbench.runs.storage import storage

MODULE = "workbench.rpo.train"

STATUS = "status.json"

State = Literal["starting", "running", "finished", "paused", "stopped", "failed"]
ENDED = ("finished", "paused", "stopped", "failed")

_MAPPING = TypeAdapter(dict[str, Any])
_TAIL = 12  # lines of a log that are shown
_PATIENCE = 120.0  # seconds until training has its run folder: imports on a slow network disk
_POLL = 0.1
_PID_BYTES = 512


class TrainingError(RuntimeError):
    """Training ended without having been asked to; the message has the end of its log."""


class Status(BaseModel):
    """Where training stands: `update` of `updates` are done.

    - `paused`: a judge failed too often; `problem` says which and how, `resume()` goes on.
    - `seconds_left`: by the updates so far; None before the first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State
    update: int = 0
    updates: int = 0
    problem: str = ""
    seconds_left: float | None = None

    @property
    def is_alive(self) -> bool:
        return self.state in ("starting", "running")


@dataclass(frozen=True, slots=True)
class Training:
    """A training run, living or not, by its run folder; `start` and `Training.attach` make one."""

    out: Path
    processes: int = 1

    @classmethod
    def attach(cls, out: str | os.PathLike[str]) -> Self:
        """The training started into a run folder, from whichever kernel. Raises `ValueError` where there was none."""
        training = cls(Path(out))
        if not training.config_path.exists():
            raise ValueError(f"{out}: no training was started here ({training.config_path.name} is missing beside it)")
        return cls(training.out, int(_read_json(training._pid_path).get("processes", 1)))

    @property
    def config_path(self) -> Path:
        return _beside(self.out, ".yaml")

    @property
    def log_path(self) -> Path:
        return _beside(self.out, ".log")

    @property
    def _pid_path(self) -> Path:
        return _beside(self.out, ".pid")

    @property
    def config(self) -> RpoConfig:
        return RpoConfig.load(self.config_path)

    def status(self) -> Status:
        """What training last said, corrected by whether its processes live."""
        said, launch = _read_json(self.out / STATUS), _read_json(self._pid_path)
        if is_in_use(self.out):
            return Status.model_validate({**said, "state": "running", "problem": ""})
        ended = said.get("state") in ENDED and _changed(self.out / STATUS) != launch.get("status_before")
        if _is_locked(self._pid_path) and not ended:
            return Status.model_validate({**said, "state": "starting", "problem": ""})
        if ended:
            return Status.model_validate(said)
        if launch.get("asked_to_stop"):
            return Status.model_validate({**said, "state": "stopped", "problem": ""})
        return Status.model_validate({**said, "state": "failed", "problem": f"training died\n{self.log_tail()}"})

    def metrics(self) -> list[dict[str, Any]]:
        """One mapping for each update so far."""
        path = self.out / "metrics.jsonl"
        return list(read_lines(path, _MAPPING.validate_json, "an update's metrics")) if path.exists() else []

    def grid(self) -> Path | None:
        """The latest picture of samples of the fixed prompts; None before the first."""
        return max(self.out.glob("grids/*.webp"), default=None)

    def log_tail(self) -> str:
        """The last lines training wrote."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(line.rpartition("\r")[2] for line in lines[-_TAIL:])

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until training is done, stopped or paused.

        Raises `TrainingError` when it failed and `TimeoutError` after `timeout` seconds; training goes on then.
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.status()).is_alive or _is_locked(self._pid_path):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.out}: still {status.state} after {timeout:g} s; it goes on")
            time.sleep(_POLL)
        if status.state == "failed":
            raise TrainingError(f"{self.out}: {status.problem}")
        return status

    def stop(self, timeout: float | None = None) -> Status:
        """Ask training to write a checkpoint and end, and wait for it; nothing happens where none runs.

        Raises `ValueError` where it runs on another machine.
        """
        launch = _read_json(self._pid_path)
        if not self.status().is_alive:
            return self.status()
        if launch.get("host") != socket.gethostname():
            raise ValueError(f"{self.out}: training runs on {launch.get('host')}: stop it there")
        _write_launch(self._pid_path, {**launch, "asked_to_stop": True})
        with suppress(ProcessLookupError):  # it ended by itself just now
            # The process that holds the folder, not its launcher: a launcher would be gone before the checkpoint is
            # written, or, with several processes, give them 30 seconds.
            if is_in_use(self.out):
                os.kill(int((self.out / LOCK_NAME).read_text()), signal.SIGTERM)
            else:
                os.killpg(launch["pid"], signal.SIGTERM)
        return self.wait(timeout)

    def resume(self) -> Self:
        """Go on from the last checkpoint. Raises `RunInUseError` while training runs."""
        _launch(self, resume=True)
        return self


def start(config: RpoConfig, out: str | os.PathLike[str], *, processes: int = 1) -> Training:
    """Train into a new run folder, in the background; returns once training has its folder.

    Raises `RunInUseError` while another process trains there, `ValueError` for a folder that was used before or more
    `processes` than `config.groups` or the machine's accelerators allow, `TrainingError` when training died at once.
    """
    config.per_process(processes)
    training = Training(Path(out), processes)
    if training.out.exists() and not is_in_use(training.out) and any(training.out.iterdir()):
        raise ValueError(
            f"{out} holds a run already: Training.attach({str(out)!r}).resume() goes on with it, or choose a new folder"
        )
    _launch(training, config)
    return training


def _launch(training: Training, config: RpoConfig | None = None, *, resume: bool = False) -> None:
    command = [*_launcher(training.processes), "-m", MODULE, str(training.config_path), "--out", str(training.out)]
    pid_path = training._pid_path
    with storage(pid_path):
        pid_path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(pid_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _refuse_if_running(training.out, lock)
        before = _changed(training.out / STATUS)
        if config is not None:
            config.save(training.config_path)
        with open(training.log_path, "ab" if resume else "wb") as log:
            process = subprocess.Popen(
                [*command, "--resume"] if resume else command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what ends the kernel does not reach it
                pass_fds=(lock,),  # it holds the lock for as long as the launcher lives
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
    finally:
        os.close(lock)
    _write_launch(
        pid_path,
        {
            "pid": process.pid,
            "host": socket.gethostname(),
            "processes": training.processes,
            "status_before": before,
        },
    )
    try:
        _await_folder(training, process)
    finally:
        threading.Thread(target=process.wait, daemon=True).start()  # or it stays behind as a zombie


def _launcher(processes: int) -> list[str]:
    """The command before `-m MODULE`; every setting is said, as accelerate fills others in from the user's own file."""
    import torch

    accelerators = torch.cuda.device_count()
    if accelerators and processes > accelerators:
        raise ValueError(f"processes={processes}: this machine has {accelerators} accelerators, one for each process")
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    if not accelerators and processes > 1:  # `accelerate launch --cpu` would run one process without a word
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        return ["env", f"OMP_NUM_THREADS={threads}", *torchrun]
    kind = ["--multi_gpu"] if processes > 1 else [] if accelerators else ["--cpu"]
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--quiet", *kind),
        *(f"--num_processes={processes}", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"),
        f"--num_cpu_threads_per_process={threads}",
    ]


def _refuse_if_running(out: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_launching = True
    else:
        is_launching = False
    if is_launching or is_in_use(out):
        raise RunInUseError(
            f"{out}: training runs there: Training.attach({str(out)!r}) finds it; wait or stop it first"
        )


def _await_folder(training: Training, process: "subprocess.Popen[bytes]") -> None:
    """Until training has its run folder; what is wrong with a configuration is said before."""
    end = time.monotonic() + _PATIENCE
    while not is_in_use(training.out) and time.monotonic() < end:
        if process.poll() is not None:
            if training.status().state == "failed" or process.returncode:
                raise TrainingError(f"training ended at once (exit {process.returncode}):\n{training.log_tail()}")
            return
        time.sleep(_POLL)


def _is_locked(pid_path: Path) -> bool:
    """Whether the launcher lives."""
    try:
        file = os.open(pid_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _changed(path: Path) -> int | None:
    """When a file was written, in nanoseconds; None where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _write_launch(pid_path: Path, launch: Mapping[str, Any]) -> None:
    """In place, as the lock is on this very file, and in one write of one size, so that nobody reads half of it."""
    with pid_path.open("r+b", buffering=0) as file:
        file.write(json.dumps(launch).encode().ljust(_PID_BYTES))


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        return _MAPPING.validate_json(path.read_bytes() or b"{}")
    except FileNotFoundError:
        return {}
