"""What a notebook shows of a training run: where it stands, its curves, what is alarming, and its latest samples.

>>> view = LiveView(training)  # doctest: +SKIP
>>> view.watch()  # follows training in place until it ends  # doctest: +SKIP
"""

import base64
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image
from plotly.io.base_renderers import PlotlyRenderer

from workbench.figures.theme import follow_page
from workbench.foreign import displayable, foreign_html
from workbench.html import FONT
from workbench.rpo.launch import Training, TrainingError
from workbench.rpo.running.status import Status
from workbench.widgets.training_curves import curves_figure, curves_table

_WIDEST = 768  # pixels of a grid in a notebook
_ALARMS = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """One output, in the forms that JupyterLab, an export without script, and a terminal can show."""

    text: str
    html: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": self.text, "text/html": self.html, **self.more}


class LiveView:
    """A training run as outputs that are rewritten in place; nothing in them needs a kernel once they are saved."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._synthetic = training.config.is_synthetic
        self._handles: list[Any] = []
        self._shown: tuple[Shown, ...] = ()

    def display(self) -> None:
        """Show the run as it is now, below the running cell."""
        from IPython.display import display

        self._shown = self._parts(self.training.status())
        self._handles = [display(part, display_id=True) for part in self._shown]

    def watch(self, every: float = 2.0) -> Status:
        """Show the run and follow it until it ends; `every` is in seconds. To stop watching leaves it running.

        Raises `TrainingError` when training failed, or is paused for a judge: nothing should go on as if it were done.
        """
        self.display()
        while self.training.status().is_alive:
            time.sleep(every)
            self._refresh()
        self._refresh()
        status = self.training.wait()
        if status.state == "paused":
            raise TrainingError(f"{self.training.out} is paused: {status.problem}; run this again to go on")
        return status

    def to_html(self) -> str:
        """All of it as one block of HTML without script; the curves are a table."""
        return "".join(part.html for part in self._parts(self.training.status()))

    def _ipython_display_(self) -> None:
        self.display()

    def _refresh(self) -> None:
        before, self._shown = self._shown, self._parts(self.training.status())
        for handle, old, part in zip(self._handles, before, self._shown, strict=True):
            if handle is None or part == old:  # outside a notebook nothing can be rewritten
                continue
            if part.more:  # JupyterLab's plotly draws a figure once: without it for a moment, it is drawn anew
                handle.update(Shown(part.text, part.html))
            handle.update(part)

    def _parts(self, status: Status) -> tuple[Shown, Shown, Shown]:
        metrics = self.training.metrics()
        return (
            status_shown(status, metrics, synthetic=self._synthetic),
            curves_shown(metrics, self.training.out.name, synthetic=self._synthetic),
            grids_shown(self.training.grids()),
        )


def status_shown(status: Status, metrics: Sequence[Mapping[str, Any]], *, synthetic: bool) -> Shown:
    """A line such as `running · update 35 of 200 · 0:04:10 left · 2,240 images · 1,120 judge calls`, and alarms."""
    line = " · ".join(_facts(status, metrics)) + (" (synthetic)" if synthetic else "")
    alarms = [displayable(str(alarm), 300) for each in metrics for alarm in each.get("alarms") or ()]
    told = alarms[-_ALARMS:]
    if len(alarms) > len(told):
        told = [f"{len(alarms) - len(told)} earlier alarms", *told]
    problem = [displayable(status.problem, 2_000)] if status.problem else []
    html = f"<p><b>{escape(line)}</b></p>"
    html += "".join(f'<pre style="white-space:pre-wrap;margin:4px 0">{foreign_html(each)}</pre>' for each in problem)
    if told:
        html += f"<p>Alarms:</p><ul>{''.join(f'<li>{foreign_html(each)}</li>' for each in told)}</ul>"
    text = "\n".join([line, *problem, *(f"alarm, {each}" for each in told)])
    return Shown(text, f'<div role="status" style="{FONT}">{html}</div>')


def _facts(status: Status, metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    facts = [status.state, f"update {status.update:,} of {status.updates:,}"]
    if status.is_alive and status.seconds_left is not None:
        facts.append(f"{timedelta(seconds=round(status.seconds_left))} left")
    if metrics:
        total = {key: sum(each.get(key) or 0 for each in metrics) for key in ("images", "judge_calls", "cost_usd")}
        facts += [f"{total['images']:,} images", f"{total['judge_calls']:,} judge calls"]
        facts += [f"${total['cost_usd']:.4f}"] if total["cost_usd"] else []
        groups = {key: sum(each.get(key) or 0 for each in metrics) for key in ("decided", "tied", "failed")}
        facts.append(", ".join(f"{count:,} {key}" for key, count in groups.items()) + " groups")
    return facts


def curves_shown(metrics: Sequence[Mapping[str, Any]], name: str, *, synthetic: bool) -> Shown:
    """The curves as a figure, and as a table where figures are not drawn."""
    if not metrics:
        return Shown("no update yet", f'<p style="{FONT}">No update yet.</p>')
    title = f"Training {displayable(name, 60)}"
    figure = curves_figure(metrics, escape(title, quote=False), synthetic=synthetic)
    drawn = PlotlyRenderer().to_mimebundle(follow_page(figure.to_dict()))
    caption = f"{title} (synthetic)" if synthetic else title
    html = f'<div style="{FONT}"><b>{escape(caption)}</b>{curves_table(metrics)}</div>'
    return Shown(f"{caption}: curves of {len(metrics)} updates", html, drawn)


def grids_shown(paths: Sequence[Path]) -> Shown:
    """Samples of the fixed prompts as pictures within the notebook, side by side where there is room."""
    if not paths:
        return Shown("no samples yet", f'<p style="{FONT}">No samples yet.</p>')
    said = [f"Samples of the fixed prompts, {_of_update(path)}" for path in paths]
    figures = [
        f'<figure style="margin:8px 16px 8px 0;display:inline-block"><img src="{_picture(path)}" alt="{escape(words)}" '
        f'style="max-width:100%"><figcaption>{escape(words)}</figcaption></figure>'
        for path, words in zip(paths, said, strict=True)
    ]
    return Shown("\n".join(said), f'<div style="{FONT}">{"".join(figures)}</div>')


def _of_update(path: Path) -> str:
    number = int(path.stem.rpartition("-")[2])
    return f"update {number:,}" if number else "frozen base"


def _picture(path: Path) -> str:
    """As a data URL, no larger than a notebook can bear."""
    with Image.open(path) as image:
        image.thumbnail((_WIDEST, 4 * _WIDEST))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
