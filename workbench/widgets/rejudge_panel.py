"""The panel that judges chosen pairs again while a rubric is edited, and lists the verdicts that flip."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as StillRunning
from functools import lru_cache
from typing import Any

import traitlets

from workbench.background import LoopThread
from workbench.evaluation.compare import RunComparison
from workbench.evaluation.leave_one_out import Worth
from workbench.evaluation.rejudging import Rejudging, State
from workbench.foreign import displayable
from workbench.pairs.checks import check_images, check_task, one_task
from workbench.pairs.comparison import Comparison
from workbench.pairs.problems import printable
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient
from workbench.widgets.cells import close_earlier
from workbench.widgets.kernel_widget import KernelWidget, asset
from workbench.widgets.pair_grid import preview
from workbench.widgets.pair_views import pair_view
from workbench.widgets.rejudge_html import static_html
from workbench.widgets.rejudge_view import AGAINST, KnownComparisons, side_of, state_view

_SIDE = 112
_THUMBNAILS = 2048


class RejudgePanel(KernelWidget):
    """Judges `comparisons` again, in both orders, whenever the editor's rubric changes, and lists what flipped.

        panel = RejudgePanel(editor, choose_panel(test, records), connect(url))
        panel.open_in(viewer.show)
        panel

    - `editor`: anything with a trait `rubric`, such as a `RubricEditor`.
    - `client`: its settings and cache are used, by a client of the panel's own; its caps hold for both together.
    - `baseline`: what every version is compared with, the editor's rubric as it is now unless given; one without an
      enabled criterion stands for rubric-free.
    - `most_calls`: where changes are judged automatically, those that take more calls still wait to be told.

    Raises `ValueError` for comparisons of several tasks or not of the rubric's, and for a client without a cache.
    """

    _esm = asset("dom.js", "words.js", "kernel.js", "keys.js", "flips.js", "rejudge.js")
    _css = asset("base.css", "rejudge.css")
    automatic = traitlets.Bool(False).tag(sync=True)
    """Judge every change that takes at most `most_calls` calls without being told."""

    def __init__(
        self,
        editor: traitlets.HasTraits,
        comparisons: Sequence[Comparison],
        client: VlmClient,
        *,
        baseline: Rubric | None = None,
        most_calls: int = 200,
    ) -> None:
        rubric: Rubric = editor.rubric  # type: ignore[attr-defined]
        _check(comparisons, rubric)
        if client.cache is None:
            raise ValueError("the client has no cache: give it one, without it undoing an edit would ask all again")
        super().__init__()
        self.most_calls = most_calls
        self._editor = editor
        self._compared = KnownComparisons()
        self._open: Callable[[str], object] | None = None
        self._loop = LoopThread("rejudge")
        self._rejudging = Rejudging(
            comparisons, client.twin(), rubric, baseline or rubric, most_calls=most_calls, changed=self._news
        )
        self._thumbnail = lru_cache(_THUMBNAILS)(self._preview)
        editor.observe(self._edited, "rubric")
        self._loop.call(self._rejudging.look)
        close_earlier(self)

    @property
    def state(self) -> State:
        """Everything the panel shows, as it is now."""
        return self._rejudging.state

    @property
    def pairs(self) -> tuple[Comparison, ...]:
        """The pairs that are judged; set it to judge others."""
        return self.state.pairs

    @pairs.setter
    def pairs(self, comparisons: Sequence[Comparison]) -> None:
        _check(comparisons, self.state.rubric)
        self._thumbnail.cache_clear()
        self._loop.call(self._rejudging.choose, tuple(comparisons))

    @property
    def baseline(self) -> Rubric | None:
        """What every version is compared with; None for rubric-free. Set it to compare with another."""
        return self.state.baseline

    @baseline.setter
    def baseline(self, rubric: Rubric) -> None:
        self._loop.call(self._rejudging.compare_with, rubric)

    def open_in(self, function: Callable[[str], object] | None) -> None:
        """Call `function(pair_id)` when a pair is opened, such as a viewer's `show`; None undoes that."""
        if function is not None and not callable(function):
            raise TypeError(f"open_in takes a function of a pair's id, not {function!r}")
        self._open = function
        self._news()

    def judge(self, timeout_s: float = 600.0) -> RunComparison | None:
        """Judge now and wait for it: what changed from the baseline, None where nothing can be compared.

        What went wrong is in `state.problem`. Raises `TimeoutError`.
        """
        self._wait(self._rejudging.judge, timeout_s)
        return self.changes()

    def leave_one_out(self, timeout_s: float = 600.0) -> tuple[Worth, ...]:
        """Judge without each criterion in turn and wait for it: what each is worth. Raises `TimeoutError`."""
        self._wait(self._rejudging.leave_one_out, timeout_s)
        return self.state.worths

    def changes(self, against: str = "baseline") -> RunComparison | None:
        """What changed to the current verdicts from those `against` `baseline` or `previous`."""
        if against not in AGAINST:
            raise ValueError(f"against is {against!r}, it must be one of {', '.join(AGAINST)}")
        state = self.state
        before = side_of(state, against)
        return self._compared.of(before, state.current) if before and state.current else None

    def cancel(self) -> None:
        """Send nothing more; what has arrived stays."""
        self._loop.call(self._rejudging.cancel)

    def close(self) -> None:
        """Stop judging, close the client and end the thread."""
        loop = getattr(self, "_loop", None)  # None where making the panel failed
        if loop is not None and not loop.is_closed:
            self._editor.unobserve(self._edited, "rubric")
            loop.submit(self._rejudging.close()).result()
            loop.close()
        super().close()

    def to_html(self) -> str:
        """Accuracies, the sentence and the flips against the baseline, as they are now, without script."""
        return static_html(self.state, self._compared, self.most_calls)

    def answer_view(self) -> dict[str, Any]:
        """Everything but images and reasons."""
        endpoint = self._rejudging.client.endpoint
        return {
            **state_view(self.state, self._compared, self.most_calls),
            "model": displayable(endpoint.model, 80),
            "synthetic": endpoint.is_synthetic,
            "opens": self._open is not None,
        }

    def answer_judge(self) -> None:
        self._loop.call(self._rejudging.judge)

    def answer_cancel(self) -> None:
        self.cancel()

    def answer_consider(self) -> None:
        """Find out what leaving out each criterion takes."""
        self._loop.call(self._rejudging.consider_leaving_out)

    def answer_leave_out(self) -> None:
        self._loop.call(self._rejudging.leave_one_out)

    def answer_rebase(self) -> None:
        """Take the rubric as it is now as the baseline."""
        self.baseline = self.state.rubric

    def answer_open_pair(self, pair: str) -> None:
        if self._open is None:
            raise ValueError("nothing is set to open pairs: call panel.open_in(viewer.show)")
        self._open(self._pair(pair).id)

    def answer_reasons(self, pair: str, against: str) -> dict[str, Any]:
        """Both sides' verdicts on one pair in full."""
        state = self.state
        sides = {"before": side_of(state, against), "after": state.current}
        return pair_view(self._pair(pair), {name: side.of(pair) for name, side in sides.items() if side})

    def answer_thumbnail(self, pair: str, index: int | None) -> str:
        """A `data:` URL of a candidate, or of the source where `index` is None."""
        self._pair(pair)
        return self._thumbnail(pair, index)

    def _preview(self, pair: str, index: int | None) -> str:
        comparison = self._pair(pair)
        source = comparison.source_image if index is None else comparison.images[index]
        if source is None:
            raise ValueError(f"pair {displayable(pair, 80)} has no source image")
        return preview(source, _SIDE)

    def _pair(self, pair_id: str) -> Comparison:
        for pair in self.state.pairs:
            if pair.id == pair_id:
                return pair
        raise ValueError(f"pair {displayable(str(pair_id), 80)!r} is not in the panel any more")

    @traitlets.observe("automatic")
    def _automate(self, change: Any) -> None:
        if hasattr(self, "_rejudging"):
            self._loop.call(self._rejudging.automate, change["new"])

    def _edited(self, change: Any) -> None:
        self._loop.call(self._rejudging.follow, change["new"])

    def _news(self) -> None:
        self.tell("changed", {})

    def _wait(self, start: Callable[[], Any], timeout_s: float) -> None:
        async def work() -> None:
            await asyncio.wait([start()])  # one that a newer edit overtakes is cancelled, which is no error here

        future = self._loop.submit(work())
        try:
            future.result(timeout_s)
        except StillRunning:
            self.cancel()
            raise TimeoutError(f"not judged within {timeout_s:g} s; what has arrived stays, judge again") from None
        except KeyboardInterrupt:
            self.cancel()
            raise


def _check(comparisons: Sequence[Comparison], rubric: Rubric) -> None:
    one_task(comparisons, "pairs")
    check_images(comparisons, "pairs")
    check_task(comparisons, rubric.name, rubric.task, "pairs")
    if doubled := [name for name, count in Counter(pair.id for pair in comparisons).items() if count > 1]:
        raise ValueError(f"pair ids used more than once: {printable(', '.join(doubled[:5]))}; give each pair once")
