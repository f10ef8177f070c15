"""Fixtures of the tests that look at one view in a browser."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page

from agentrt import RuntimeManager
from agentrt.views.feed import Feed
from tests.harness.shown import loaded, shown


@pytest.fixture
def show(page: Page) -> Iterator[Callable[..., Page]]:
    """Serves a view and opens it: `show(manager, lambda feed: Flow(manager.source))`."""
    with ExitStack() as stack:

        def show(manager: RuntimeManager, make: Callable[[Feed], Any]) -> Page:
            page.goto(stack.enter_context(shown(manager, make)))
            loaded(page)
            return page

        yield show
