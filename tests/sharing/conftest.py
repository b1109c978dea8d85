"""A working directory with pairs, and a browser that opens files with the network off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_runs import write_pairs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `data/pairs.jsonl`."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "data")
    return tmp_path


class Reader:
    """A colleague's browser with the network off: `errors` of pages, `requests` they made, `dialogs` they opened."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.contexts: list[Any] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []

    def open(self, file: Path, link: str = "", **options: Any) -> Any:
        """A page of its own context; `options` are Playwright's."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_offline(True)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.type), dialog.accept()))
        page.goto(f"file://{file.resolve()}{link}")
        return page

    @property
    def outside(self) -> list[str]:
        """Requests that a file with everything in it need not make."""
        return [url for url in self.requests if not url.startswith(("file://", "data:", "blob:"))]


@pytest.fixture
def reader(chromium: Any) -> Iterator[Reader]:
    reader = Reader(chromium)
    yield reader
    for context in reader.contexts:
        context.close()
    assert reader.outside == []
