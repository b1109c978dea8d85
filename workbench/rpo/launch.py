"""Training in a process of its own: started from a notebook, it outlives the kernel, and is found again by its folder.

Three files stand beside the run folder `outputs/rpo-1`: `rpo-1.yaml` (what was asked for), `rpo-1.log` (what training
said) and `rpo-1.pid` (the launcher's process, which holds a lock on the file for as long as it lives).

>>> training = start(RpoConfig.load("rpo.yaml"), "outputs/rpo-1")  # doctest: +SKIP
>>> Training.attach("outputs/rpo-1").stop()  # tomorrow, from another kernel  # doctest: +SKIP
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from workbench.rpo.config import RpoConfig
from workbench.rpo.prompts import read_prompts
from workbench.rpo.rewards_from import BY_A_PERSON
from workbench.rpo.running.journal import read_metrics
from workbench.rpo.running.pid_file import PidFile
from workbench.rpo.running.status import STATUS, State, Status
from workbench.runs.folder import LOCK_NAME, RunInUseError, is_in_use
from workbench.runs.manifest import FILE_NAME
from workbench.runs.parameters import differing

MODULE = "workbench.rpo.train"

_TAIL = 12  # lines of a log that are shown
_PATIENCE = 120.0  # seconds until training has its run folder: imports on a slow network disk
_POLL = 0.1


class TrainingError(RuntimeError):
    """Training ended without having been asked to; the message has the end of its log."""


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
        return cls(training.out, int(training._pid_file.read().get("processes", 1)))

    @property
    def config_path(self) -> Path:
        """What was asked for."""
        return _beside(self.out, ".yaml")

    @property
    def log_path(self) -> Path:
        """What training said."""
        return _beside(self.out, ".log")

    @property
    def _pid_file(self) -> PidFile:
        return PidFile(_beside(self.out, ".pid"))

    @property
    def config(self) -> RpoConfig:
        """The configuration it was started with last."""
        return RpoConfig.load(self.config_path)

    def status(self) -> Status:
        """What training last said, corrected by whether its processes live."""
        is_running, is_launched = is_in_use(self.out), self._pid_file.is_held
        said, launch = Status.read(self.out), self._pid_file.read()  # what is said last, after who lives
        if not (is_running or said.is_alive) and _changed(self.out / STATUS) != launch.get("status_before"):
            return said
        state: State = "running" if is_running else "starting" if is_launched else "failed"
        problem = "" if state != "failed" else f"training died; its last words:\n{self.log_tail()}"
        if state == "failed" and launch.get("asked_to_stop"):
            state, problem = "stopped", ""
        return said.model_copy(update={"state": state, "problem": problem})

    def metrics(self) -> list[dict[str, Any]]:
        """One mapping for each update so far."""
        return read_metrics(self.out)

    def grids(self) -> list[Path]:
        """Pictures of samples of the fixed prompts: the frozen base's, and the latest."""
        grids = sorted(self.out.glob("grids/*.webp"))
        return grids[:1] + grids[1:][-1:]

    def log_tail(self) -> str:
        """The last lines training wrote."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_TAIL:])

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until training is done, stopped or paused.

        Raises `TrainingError` when it failed and `TimeoutError` after `timeout` seconds; training goes on then.
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.status()).is_alive or self._pid_file.is_held:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.out}: still {status.state} after {timeout:g} s; it goes on")
            time.sleep(_POLL)
        if status.state == "failed":
            raise TrainingError(f"{self.out}: {status.problem}")
        return status

    def follow(self, say: Callable[[str], object], every: float = 0.5) -> Status:
        """Hand on every line of the log, as it comes, until training is done, stopped or paused; raises as `wait`."""
        with self.log_path.open(encoding="utf-8", errors="replace") as log:
            is_alive = True
            while is_alive:
                is_alive = self.status().is_alive or self._pid_file.is_held
                for line in log:
                    say(line.rstrip("\n"))
                if is_alive:
                    time.sleep(every)
        return self.wait()

    def stop(self, timeout: float | None = None) -> Status:
        """Ask training to write a checkpoint and end, and wait for it; nothing happens where none runs.

        Raises `ValueError` where it runs on another machine.
        """
        launch = self._pid_file.read()
        if not self.status().is_alive:
            return self.status()
        if launch.get("host") != socket.gethostname():
            raise ValueError(f"{self.out}: training runs on {launch.get('host')}: stop it there")
        self._pid_file.write({**launch, "asked_to_stop": True})
        with suppress(ProcessLookupError):  # it ended by itself just now
            # The process that holds the folder, not its launcher: a launcher would be gone before the checkpoint is
            # written, or, with several processes, give them 30 seconds.
            if holder := _holder(self.out):
                os.kill(holder, signal.SIGTERM)
            else:
                os.killpg(launch["pid"], signal.SIGTERM)
        return self.wait(timeout)

    def resume(self) -> Self:
        """Go on from the last checkpoint. Raises `RunInUseError` while training runs."""
        _launch(self)
        return self


def start(config: RpoConfig, out: str | os.PathLike[str], *, processes: int = 1) -> Training:
    """Train into a run folder in the background, and return once training has it; what is there goes on.

    A run of the same configuration is found while it lives, resumed where it ended early or has more `updates` to
    make, and returned as it is when it has finished: the same cell may run again.

    Raises `ValueError` for a person as judge, who could not be asked from there (see `workbench.rpo.train.train`), bad
    prompts, a folder of another configuration (naming the fields) or of something else, or more `processes` than
    `config.groups` or the machine's accelerators allow, and `TrainingError` with the end of the log when training died
    at once.
    """
    config.per_process(processes)
    if people := [name for name, each in config.judges.items() if each.kind == "person"]:
        raise ValueError(f"{people[0]}: {BY_A_PERSON}, as a process in the background cannot ask")
    training = Training(Path(out), processes)
    is_used = training.out.exists() and any(training.out.iterdir())
    if is_used or training._pid_file.is_held:
        return _go_on(training, config)
    read_prompts(config.prompts)  # minutes may pass before the process itself would say so
    _launch(training, config)
    return training


def _go_on(training: Training, config: RpoConfig) -> Training:
    from workbench.rpo.running.checkpoint import inputs

    if not training.config_path.exists():
        raise ValueError(f"{training.out} holds files, but no training was started there: choose a new folder")
    before = training.config
    if changed := list(differing(inputs(before), inputs(config))):
        listed = "; ".join(f"{name}: {old!r} there, {new!r} now" for name, old, new in changed)
        raise ValueError(f"{training.out} holds another run ({listed}): choose a new folder")
    status = training.status()
    if status.is_alive or (status.state == "finished" and config.updates <= before.updates):
        return Training.attach(training.out)
    _launch(training, config)
    return training


def _launch(training: Training, config: RpoConfig | None = None) -> None:
    """Start the processes; without `config` those of the training as it was asked for before."""
    command = _launcher(training.processes)
    try:
        with training._pid_file.held() as lock:
            if is_in_use(training.out):  # by a process that was not started from here
                raise BlockingIOError
            before = _changed(training.out / STATUS)
            if config is not None:
                config.save(training.config_path)
            if not (training.out / FILE_NAME).exists():
                training.log_path.unlink(missing_ok=True)
            process = _spawn([*command, *_arguments(training)], training.log_path, lock)
    except BlockingIOError:
        raise RunInUseError(
            f"{training.out}: training runs there: Training.attach({str(training.out)!r}) finds it; wait or stop it"
        ) from None
    launch = {"pid": process.pid, "host": socket.gethostname(), "processes": training.processes}
    training._pid_file.write({**launch, "status_before": before})
    try:
        _await_folder(training, process)
    finally:
        threading.Thread(target=process.wait, daemon=True).start()  # or it stays behind as a zombie


def _arguments(training: Training) -> list[str]:
    resume = ["--resume"] if (training.out / FILE_NAME).exists() else []
    return ["-m", MODULE, str(training.config_path), "--out", str(training.out), *resume]


def _spawn(command: Sequence[str], log_path: Path, lock: int) -> "subprocess.Popen[bytes]":
    # Logs hold lines: no progress bars, and nothing about image processors that are not used.
    quiet = {"PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with open(log_path, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # what ends the kernel does not reach it
            pass_fds=(lock,),  # it holds the lock for as long as the launcher lives
            env={**quiet, **os.environ},
        )


def _launcher(processes: int) -> list[str]:
    """The command before `-m MODULE`; every setting is said, as accelerate fills others in from the user's own file."""
    import torch

    accelerators = torch.cuda.device_count()
    if accelerators and processes > accelerators:
        raise ValueError(f"processes={processes}: this machine has {accelerators} accelerators, one for each process")
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, len(os.sched_getaffinity(0)) // processes)
    if not accelerators and processes > 1:  # `accelerate launch --cpu` would run one process without a word
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        return ["env", f"OMP_NUM_THREADS={threads}", *torchrun]
    kind = ["--multi_gpu"] if processes > 1 else [] if accelerators else ["--cpu"]
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--quiet", *kind),
        *(f"--num_processes={processes}", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"),
        f"--num_cpu_threads_per_process={threads}",
    ]


def _await_folder(training: Training, process: "subprocess.Popen[bytes]") -> None:
    """Wait until training has its run folder; raises `TrainingError` with its last words where it failed before."""
    end = time.monotonic() + _PATIENCE
    while not is_in_use(training.out) and time.monotonic() < end:
        if process.poll() is not None:
            if training.status().state == "failed":  # and not where it paused at once
                raise TrainingError(f"training ended at once (exit {process.returncode}):\n{training.log_tail()}")
            return
        time.sleep(_POLL)


def _holder(out: Path) -> int | None:
    """The process that holds a folder; None where none does."""
    while is_in_use(out):
        if written := (out / LOCK_NAME).read_text():
            return int(written)
        time.sleep(_POLL)  # it has taken the folder just now
    return None


def _changed(path: Path) -> int | None:
    """When a file was written, in nanoseconds; None where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)
