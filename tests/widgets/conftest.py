"""Widgets are shown in a browser tab of their own."""

from collections.abc import Iterator
from typing import Any

import pytest
from widget_page import BrowserPage


@pytest.fixture
def browser_page(chromium: Any) -> Iterator[BrowserPage]:
    """A fresh tab; a test fails if its page had an error nobody asserted on (clear `errors` to accept them)."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    shown = BrowserPage(context.new_page())
    yield shown
    context.close()  # first: what a page still asks must not meet a bridge that is closed
    for bridge in shown.bridges:
        bridge.close()
    assert shown.errors == []
