"""A page that is watched: no console error, no page error, no request that leaves this machine."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    WebError,
    WebSocket,
    expect,
)

from tests.harness.wait import PATIENCE

LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
LOCAL_SCHEMES = {"about", "blob", "data"}
expect.set_options(timeout=1000 * PATIENCE)


def leaves(url: str) -> bool:
    """Whether a request for this address goes to another machine."""
    parts = urlsplit(url)
    return parts.scheme not in LOCAL_SCHEMES and parts.hostname not in LOCAL_HOSTS


class Guard:
    """Watches every page of one browser context and remembers what none of them should do."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        context.set_default_timeout(1000 * PATIENCE)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("page", lambda page: page.on("websocket", self._websocket))

    def allow(self, *patterns: str) -> None:
        """Problems in which one of these is found are expected: a test says so before it provokes them."""
        self._allowed += [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def allow_loss(self) -> None:
        """A server ends while pages show it, as the test wants it: what they say then is expected."""
        self.allow(r"net::ERR_|websocket|connection|not connected|failed to fetch|a network error")

    def check(self) -> None:
        """Raise `AssertionError` with everything that no pattern allows."""
        self._settle()
        found = [problem for problem in self.problems if not any(p.search(problem) for p in self._allowed)]
        assert not found, "the page did what it should not:\n" + "\n".join(found)

    def leave(self) -> None:
        """Take every page away from what it shows. What it still loads is not asked for any more."""
        for page in self.context.pages:
            page.goto("about:blank")

    def _settle(self) -> None:
        # A round trip to each page: what it reported before is here then. Unlike `evaluate`, this has a deadline.
        for page in self.context.pages:
            with suppress(Error):
                page.wait_for_function("() => true", polling=50)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console error: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"page error: {error.error}")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _websocket(self, socket: WebSocket) -> None:
        self._address(socket.url)

    def _address(self, url: str) -> None:
        if urlsplit(url).scheme not in LOCAL_SCHEMES:
            self.requests.append(url)
        if leaves(url):
            self.problems.append(f"request left this machine: {url}")


_guards: list[Guard] = []


def leave_pages() -> None:
    """Take the pages of this test away from the servers that end now.

    A page whose server ends while it loads a style or a script, or has a WebSocket open, says so in its console.
    """
    for guard in _guards:
        guard.leave()


@contextmanager
def guarded(browser: Browser, **options: Any) -> Iterator[Guard]:
    """A browser context of its own, with its guard; what it did is checked at the end, unless the test failed already.

    The options are Playwright's: `viewport`, `color_scheme`, `reduced_motion`, ...
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    guard = Guard(context)
    _guards.append(guard)
    try:
        yield guard
        guard.check()
    finally:
        _guards.remove(guard)
        context.close()


@contextmanager
def guarded_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """One watched page."""
    with guarded(browser, **options) as guard:
        yield guard.context.new_page()
