"""A widget's two halves joined without JupyterLab: the Python object here, its ES module in headless Chromium.

    page = browser_page.show(PairViewer(...))      # renders it and returns Playwright's page
    page.keyboard.press("a")

What JupyterLab does over a websocket is done by a queue that the page reads: state, custom messages and buffers go
both ways, and every message from the browser is handled on a thread of its own, as ipykernel's subshells do.
"""

import base64
import json
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# The model that anywidget hands to `render`, its messages pulled from Python.
STUB = """
async (start) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const listeners = {};
  const emit = (event, ...args) => (listeners[event] ?? []).slice().forEach((each) => each(...args));
  const state = start.state;
  let changed = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; changed[name] = value; emit("change:" + name); emit("change"); },
    save_changes: () => { window.toKernel(JSON.stringify({ state: changed })); changed = {}; },
    send: (content) => window.toKernel(JSON.stringify({ content })),
    on: (event, each) => (listeners[event] ??= []).push(each),
    off: (event, each) => { listeners[event] = (listeners[event] ?? []).filter((one) => one !== each); },
    widget_manager: {},
  };
  window.model = model;
  const poll = async () => {
    for (const message of JSON.parse(await window.fromKernel())) {
      if (message.state) {
        for (const [name, value] of Object.entries(message.state)) { state[name] = value; emit("change:" + name); }
        emit("change");
      } else emit("msg:custom", message.content, message.buffers.map(bytes));
    }
    setTimeout(poll, 15);
  };
  const style = document.createElement("style");
  style.textContent = start.css;
  document.head.append(style);
  const url = URL.createObjectURL(new Blob([start.esm], { type: "text/javascript" }));
  const module = (await import(url)).default;
  const widget = typeof module === "function" ? await module() : module;
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  await widget.initialize?.({ model });
  window.destroy = await widget.render({ model, el });
  poll();
}
"""


class Bridge:
    """A widget's comm: what it sends waits for every page that shows it, what a page sends reaches the widget."""

    def __init__(self, widget: Any) -> None:
        self.widget = widget
        self.tabs: list[queue.Queue[dict[str, Any]]] = []
        self.received: list[dict[str, Any]] = []
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="subshell")
        self._in_order = threading.Lock()
        widget.comm.send = self._send

    def _send(self, data: Any = None, metadata: Any = None, buffers: Sequence[bytes] | None = None) -> None:
        kind = (data or {}).get("method")
        if kind == "update":
            assert not buffers, "state with binary buffers is not bridged: send it as a message"
            self._tell({"state": data["state"]})
        elif kind == "custom":
            encoded = [base64.b64encode(bytes(part)).decode() for part in buffers or ()]
            self._tell({"content": data["content"], "buffers": encoded})

    def _tell(self, message: Mapping[str, Any]) -> None:
        for tab in self.tabs:
            tab.put(json.loads(json.dumps(message)))

    def pull(self, tab: int) -> str:
        messages = []
        while not self.tabs[tab].empty():
            messages.append(self.tabs[tab].get())
        return json.dumps(messages)

    def push(self, text: str) -> None:
        message = json.loads(text)
        self.received.append(message)
        self._threads.submit(self._handle, message)

    def _handle(self, message: Mapping[str, Any]) -> None:
        if "state" in message:
            with self._in_order:
                self.widget.set_state(message["state"])
        else:
            self.widget._handle_custom_msg(message["content"], [])

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class BrowserPage:
    """Shows widgets in a Chromium tab, or several; `errors` are exceptions and console errors of the pages, `requests`
    the URLs they asked the network for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.bridges: list[Bridge] = []
        self._watch(page)

    def _watch(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.expose_function("fromKernel", lambda: self.bridges[-1].pull(0 if page is self.page else 1))
        page.expose_function("toKernel", lambda text: self.bridges[-1].push(text))

    def show(self, widget: Any, *, dark: bool = False) -> Any:
        """Render the widget in an empty page, and return Playwright's page."""
        self.page.goto("about:blank")  # what was shown before must not ask the new bridge
        self.bridges.append(Bridge(widget))
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self._render(self.page)
        return self.page

    def second_tab(self) -> Any:
        """The widget shown last, in another tab as well."""
        page = self.page.context.new_page()
        self._watch(page)
        self._render(page)
        return page

    def _render(self, page: Any) -> None:
        widget = self.bridge.widget
        self.bridge.tabs.append(queue.Queue())
        page.goto("about:blank")
        page.evaluate(STUB, {"state": _state(widget), "esm": str(widget._esm), "css": str(widget._css)})

    @property
    def bridge(self) -> Bridge:
        """Of the widget shown last."""
        return self.bridges[-1]


def _state(widget: Any) -> dict[str, Any]:
    state = widget.get_state()
    own = {name: state[name] for name in state if not name.startswith("_") and name not in ("layout", "tabbable")}
    return dict(json.loads(json.dumps(own)))
