"""What every widget of the workbench has: its module and styles, questions answered by Python, and static HTML."""

import traceback
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget

from workbench.foreign import displayable

_LONGEST = 2_000
"""Characters of a message that are shown."""

Answer = Any | tuple[Any, Sequence[bytes]]
"""JSON, or JSON and binary buffers."""


@cache
def asset(*names: str) -> str:
    """Files of `widgets/js/` one after the other: plain ES modules are joined like this, no bundler is needed.

    Only the last may export; the names of the others are its to use.
    """
    folder = files("workbench.widgets").joinpath("js")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


class KernelWidget(anywidget.AnyWidget):
    """A widget whose browser side asks questions (`ask` in `js/kernel.js`), each answered by `answer_<question>`.

    Questions come on several threads at once; what they share is the subclass's to guard. A `ValueError` or `OSError`
    becomes the message the user reads.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._receive)

    @abstractmethod
    def to_html(self) -> str:
        """The same view without script or kernel, for saved notebooks and exports."""

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/html": self.to_html()}, metadata

    def tell(self, event: str, content: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Sends news nobody asked for; `listen` in `js/kernel.js` receives it."""
        self.send({"event": event, "content": dict(content)}, list(buffers))

    def _receive(self, _: Any, message: Any, buffers: Any) -> None:
        if not isinstance(message, dict) or "ask" not in message:
            return
        question, content = str(message["ask"]), message.get("content")
        method = getattr(self, f"answer_{question}", None) if question.isidentifier() else None
        if method is None or not isinstance(content, dict):
            self._reply(message, problem=f"the kernel does not know the question {question!r}: restart it")
            return
        try:
            answer = method(**content)
        except (ValueError, OSError) as error:
            self._reply(message, problem=str(error))
        except Exception as error:  # a bug must not leave the browser waiting
            self._reply(message, problem=f"{type(error).__name__}: {error}")
            traceback.print_exc()
        else:
            self._reply(message, answer=answer)

    def _reply(self, message: Mapping[str, Any], *, answer: Answer = None, problem: str = "") -> None:
        value, buffers = answer if isinstance(answer, tuple) else (answer, ())
        told = displayable(problem, _LONGEST)  # it quotes what others wrote
        self.send({"reply": message.get("id"), "value": value, "problem": told}, list(buffers))
