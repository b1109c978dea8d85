"""Rubric Policy Optimization: sample groups, have them judged meanwhile, step on what the verdicts say.

An update happens wholly or not at all. Each draws its random numbers from its own number, so a run goes on after a stop
as if there had been none, and comes out the same on any number of processes up to the order of additions.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator

from workbench.background import LoopThread
from workbench.rpo.advantages import advantages
from workbench.rpo.config import RpoConfig
from workbench.rpo.draws import Noise, generator, own_groups, prompts_of_update
from workbench.rpo.learner import Learner
from workbench.rpo.plan import Plan, make_plan
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.reward import Judged, RewardPanel, comparison_of
from workbench.rpo.rollout import Evaluation, Rollout, batches
from workbench.rpo.running import checkpoint
from workbench.rpo.running.journal import Journal
from workbench.rpo.running.processes import Processes, Stopped, launched
from workbench.rpo.running.status import State
from workbench.rpo.running.stopwatch import Stopwatch
from workbench.rpo.running.tally import Tally, TooManyFailures, check_failures
from workbench.rpo.strategies import learn, sample_for
from workbench.rpo.watching.against_base import TRAINING, AgainstBase
from workbench.runs.folder import RunFolder
from workbench.runs.storage import storage
from workbench.vlm.errors import BudgetSpent, StopRun

Asked = list[tuple[Rollout, "Future[list[Judged]]"]]


class Trainer:
    """Trains the adapter of `policy` on what `panel` says of its pictures of `prompts`, into the folder `run`.

    >>> with Trainer(config, policy, panel, prompts, folder) as trainer:  # doctest: +SKIP
    ...     trainer.train()
    'finished'

    Goes on from the folder's latest checkpoint. Writes `metrics.jsonl`, `status.json`, `grids/`, `checkpoints/` and in
    the end `lora/`, from the main process only.

    - `gold`: judges that are only watched. - `report`: is given every line of the metrics.

    Raises `ValueError` for no prompts and groups that do not divide, `CheckpointError` for another run's checkpoint.
    """

    def __init__(
        self,
        config: RpoConfig,
        policy: Policy,
        panel: RewardPanel,
        prompts: Sequence[Prompt],
        run: RunFolder | Path,
        *,
        gold: RewardPanel | None = None,
        accelerator: Accelerator | None = None,
        report: Callable[[Mapping[str, Any]], object] = lambda line: None,
    ) -> None:
        self.config, self.policy, self.prompts, self._report = config, policy, prompts, report
        self.path = run.path if isinstance(run, RunFolder) else run
        self.processes = Processes(accelerator or launched())
        config.per_process(self.processes.count)
        if not prompts:
            raise ValueError(f"prompts: {config.prompts} has none to train on")
        self.learner, self.update = Learner(policy.trainable(), config.optimizer), 0
        if saved := checkpoint.latest(self.path):
            self.update, state = checkpoint.load(saved, config, self.learner.state())
            self.learner.load(state)
        else:
            self.processes.share(self.learner.parameters)
        self._journal = Journal(self.path, self.update, config.updates) if self.processes.is_main else None
        self._stop, self._loop = threading.Event(), LoopThread("judging")
        self._panel = panel
        self._panels = {TRAINING: panel, **({"gold_win_rate_base": gold} if gold else {})}
        self._base = AgainstBase(config, policy, prompts, self._panels, self._loop, self.processes, self.path)

    def train(self) -> State:
        """Train to the end, or until asked to stop; says how that ended, with the last whole update saved in any case.

        - `finished`, `stopped`: as asked. - `paused`: a judge failed too often, or for good.

        Raises `StopRun` where the judges never answered or the disk is full at the end, `NotFiniteError`, `MemoryError`
        with a way out, and what else makes training fail.
        """
        ended: State = "finished"
        problem = ""
        self._say("running")
        try:
            if self._base.is_on and self.update < self.config.updates:
                self._base.start()
            while self.update < self.config.updates:
                self.one_update()
        except Stopped:
            ended = "stopped"
        except (StopRun, TooManyFailures) as error:
            if self.update == 0 and isinstance(error, StopRun) and not isinstance(error, BudgetSpent):
                self._say("failed", str(error))
                raise
            ended, problem = "paused", str(error)
        except Exception as error:
            told = error
            if isinstance(error, torch.OutOfMemoryError):
                from workbench.rpo.estimate import advice  # and with it all of diffusers

                told = MemoryError(f"update {self.update + 1}: {error}; {advice(self.config)}")
            self._say("failed", str(told))
            if self.update:
                self._save()
            raise told from (error.__cause__ if told is error else error)
        try:
            self._save()
            self._export()
        except Exception as error:
            self._say("failed", str(error))
            raise
        self._say(ended, problem)
        return ended

    def stop(self) -> None:
        """Ask training to end with the last whole update; any thread may, and handlers of signals."""
        self._stop.set()

    def close(self) -> None:
        """End judging and close the judges' connections."""
        for panel in self._panels.values():
            self._loop.submit(panel.close()).result()
        self._loop.close()
        if self._journal:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def one_update(self) -> None:
        """One more update, with a look at the fixed prompts and a checkpoint where they are due.

        Raises what makes training stop, pause or fail; until the update is whole, that leaves everything as it was.
        """
        update, whole = self.update + 1, self.learner.state()
        self._watch, asked = Stopwatch(), Asked()
        try:
            for _ in range(self.config.objective.rounds):
                line = self._round(update, asked)
        except BaseException:
            for _, future in asked:
                future.cancel()
            self.learner.load(whole)
            raise
        self.update, looked = update, {}
        try:
            if self._base.is_due(update):
                with self._watch.part("evaluate"), self.learner.averaged():
                    looked = self._base.look(update, self._await)
        finally:  # a stop while looking does not undo the update
            line |= {**looked, "seconds": self._watch.seconds()}
            if self._journal:
                self._journal.add(line)
                self._report(line)
        if update % self.config.checkpoint_every == 0:
            self._save()

    def _round(self, update: int, asked: Asked) -> dict[str, Any]:
        """One step on an update's groups, the same on all processes; samples them where none are `asked` about yet."""
        plan = make_plan(self.config.sampling, generator(self.config.seed, "update", update, "plan"))
        tally = Tally()
        problem: Exception | None = None
        try:
            if not asked:
                self._sample(update, plan, asked)
            tally = self._learn(asked)
        except Exception as error:
            problem = error
        gradient = self.learner.take_gradient()
        total = self.processes.total(torch.cat([gradient, tally.vector(self.processes, gradient)]), problem)
        gradient, tally = total[: len(gradient)], Tally.of(total[len(gradient) :])
        check_failures(tally, self.config, update)
        norm, lr = None, None
        if tally.decided:
            steps = tally.received * self.config.sampling.group * len(plan.trained)
            norm, lr = self.learner.step(gradient / steps, update)
        return {"update": update, "grad_norm": norm, "lr": lr, **tally.line()}

    def _sample(self, update: int, plan: Plan, asked: Asked) -> None:
        """Sample this process's groups, each batch judged while the next is sampled."""
        config, prompts = self.config, prompts_of_update(self.config, self.prompts, update)
        evaluation = Evaluation(self.policy, plan, config.sampling.truncate, update)
        mine = own_groups(config, self.processes.index, self.processes.count)
        for numbers in batches(self.policy, prompts, mine, config.batch):
            self._go_on(asked)
            with self._watch.part("sample"):
                cond = self.policy.encode([prompts[j] for j in numbers])
                noise = Noise.of(config, update, numbers)
                rollout = sample_for(config.objective, evaluation, cond, noise)
                pictures = rollout.pictures()
                shown = [pictures[at : at + rollout.group] for at in range(0, len(pictures), rollout.group)]
            comparisons = [
                comparison_of(update, j, self.policy.task, prompts[j].text, candidates, prompts[j].source)
                for j, candidates in zip(numbers, shown, strict=True)
            ]
            asked.append((rollout, self._panel.submit(comparisons, self._loop)))

    def _learn(self, asked: Asked) -> Tally:
        """Gradients of all batches in the order sampled, whichever verdict comes first."""
        tally, objective = Tally(), self.config.objective
        for rollout, future in asked:
            with self._watch.part("judge_wait"):
                judged = self._await(future)
            with self._watch.part("train"):
                values = [value for each in judged for value in advantages(objective.advantage, each)]
                learned = learn(rollout, values, objective)
            for each in judged:
                tally = tally.with_verdict(each)
            tally = replace(tally, learned=tally.learned + learned)
        return tally

    def _await(self, future: "Future[list[Judged]]") -> list[Judged]:
        while not wait([future], timeout=0.1).done:
            self._go_on([])
        return future.result()

    def _go_on(self, asked: Asked) -> None:
        """Raises `Stopped` once asked to stop, and what made judging fail, while there is still something to sample."""
        if self._stop.is_set():
            raise Stopped("asked to stop")
        for _, future in asked:
            if future.done():
                future.result()

    def _save(self) -> None:
        if self.processes.is_main:
            checkpoint.save(self.path, self.update, self.learner.state(), self.config)

    def _export(self) -> None:
        if self.processes.is_main and self.update:
            with storage(self.path / "lora"), self.learner.averaged():
                self.policy.export(self.path / "lora")

    def _say(self, state: State, problem: str = "") -> None:
        if self._journal:
            self._journal.say(state, problem)
