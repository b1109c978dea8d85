"""A person as a judge: pairs are shown in the notebook one after the other, and a key says which is better."""

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.annotations.annotation import TIE, Annotation, content_hash, default_author
from workbench.annotations.log import AnnotationLog
from workbench.foreign import displayable
from workbench.html import FONT
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison, letter
from workbench.vlm.errors import StorageFailed
from workbench.widgets.cells import close_earlier
from workbench.widgets.kernel_widget import KernelWidget, asset
from workbench.widgets.viewer_images import ViewerImages

CHOICES = ("first", "second", TIE)
RANKS = {"a": (1, 2), "b": (2, 1), TIE: (1, 1)}


@dataclass(frozen=True, slots=True)
class _Question:
    """A pair somebody waits for; `shown` is the order of its candidates on the page."""

    comparison: Comparison
    shown: tuple[int, int]
    waiting: list[Future[str]] = field(default_factory=list)


class VotePanel(KernelWidget):
    """Shows pairs that are to be judged, oldest first, and waits for a person: `a`, `b` or `t` for a tie.

        panel = VotePanel("votes.jsonl")
        panel  # shown by this cell
        train(config, "outputs/rpo-me", person=panel)  # of `workbench.rpo.train`, in the next one

    - `votes`: the file of annotations that votes go to; those it holds already are not asked for again.
    - `author`: who votes, `default_author()` unless given.
    - `seed`: of which candidate is shown first. The order a caller asks for is not used: one vote answers both.

    A kernel that runs a cell hears votes all the same (JupyterLab asks on a thread of its own). Raises `ValueError`
    for a file that holds anything else than annotations.
    """

    _esm = asset("dom.js", "keys.js", "kernel.js", "vote.js")
    _css = asset("base.css", "vote.css")

    name = "person"

    def __init__(self, votes: str | Path | None = None, *, author: str = "", seed: int = 0) -> None:
        self._author = author or default_author()
        self._seed = seed
        self._log = AnnotationLog(votes) if votes is not None else None
        known = self._log.latest().values() if self._log else ()
        self._said = {
            each.content: each.label
            for each in known
            if each.author == self._author and each.content and each.label in RANKS
        }
        self._questions: dict[str, _Question] = {}
        self._images = ViewerImages()
        self._lock = threading.Lock()
        self._saying = threading.Lock()
        super().__init__()
        close_earlier(self)

    @property
    def waiting(self) -> int:
        """How many pairs wait for a vote."""
        return len(self._questions)

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts."""
        return {"judge": "person", "author": self._author, "seed": self._seed}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Wait for a person's vote on a pair. Raises `ValueError` for another number of candidates than two."""
        if len(comparison.images) != 2:
            raise ValueError(f"{comparison.id} has {len(comparison.images)} candidates; people vote on two at a time")
        key = content_hash(comparison)
        with self._lock:
            said = self._said.get(key)
            vote: Future[str] = Future()
            if said is None:
                self._questions.setdefault(key, _Question(comparison, self._order_of(key))).waiting.append(vote)
        if said is None:
            self.tell("changed", {})
            try:
                said = await asyncio.wrap_future(vote)
            finally:
                self._forget(key, vote)
        return Verdict(ranks=RANKS[said], reason=f"{self._author} voted")

    def to_html(self) -> str:
        """How many votes were given and how many pairs wait."""
        line = f"{len(self._said):,} votes given, {self.waiting:,} pairs wait; voting needs a running kernel."
        return f'<div style="{FONT}">{line}</div>'

    def answer_next(self) -> tuple[dict[str, Any], list[bytes]]:
        """The pair that has waited longest: its prompt, and its pictures as buffers, for edits the source first."""
        with self._lock:
            key, question = next(iter(self._questions.items()), (None, None))
            counts = {"waiting": len(self._questions), "given": len(self._said)}
        if question is None:
            return {**counts, "id": None, "prompt": "", "names": [], "mimes": []}, []
        pair = question.comparison
        sources = [pair.images[index] for index in question.shown]
        names = ["A", "B"]
        if pair.source_image is not None:
            sources, names = [pair.source_image, *sources], ["source", *names]
        files = [self._images.full(source) for source in sources]
        about = {"id": key, "prompt": displayable(pair.prompt, 2000), "names": names, "mimes": [m for m, _ in files]}
        return {**counts, **about}, [data for _, data in files]

    def answer_vote(self, id: str, choice: str) -> tuple[dict[str, Any], list[bytes]]:
        """Take a vote, `first`, `second` or `tie` of those on the page, and give the next pair."""
        if choice not in CHOICES:
            raise ValueError(f"choice is {displayable(choice, 40)!r}, must be one of {', '.join(CHOICES)}")
        with self._saying:  # two tabs may vote at once, and the first one counts
            with self._lock:
                question = self._questions.get(id)
            if question is None:
                raise ValueError("nobody waits for this pair any more")
            label = TIE if choice == TIE else letter(question.shown[CHOICES.index(choice)])
            self._keep(Annotation.of(question.comparison, self._author, label))
            with self._lock:
                self._said[id] = label
                self._questions.pop(id, None)
        for vote in question.waiting:
            if vote.set_running_or_notify_cancel():
                vote.set_result(label)
        self.tell("changed", {})
        return self.answer_next()

    def _keep(self, vote: Annotation) -> None:
        if self._log is None:
            return
        try:
            self._log.append(vote)
        except StorageFailed as error:
            raise ValueError(str(error)) from error

    def _order_of(self, key: str) -> tuple[int, int]:
        digest = hashlib.sha256(f"{self._seed}|{key}".encode()).digest()
        return (0, 1) if digest[0] % 2 else (1, 0)

    def _forget(self, key: str, vote: Future[str]) -> None:
        """Take back a question that nobody waits for any more."""
        with self._lock:
            question = self._questions.get(key)
            if question is None:
                return
            question.waiting.remove(vote)
            if not question.waiting:
                del self._questions[key]
        self.tell("changed", {})
