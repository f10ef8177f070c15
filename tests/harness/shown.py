"""Servers for a browser to look at: a dashboard, or one view on a page of its own, live."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import panel as pn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from agentrt.views.app.page_template import page_template
from agentrt.views.feed import Feed, feed_page
from tests.harness.guard import leave_pages
from tests.harness.place import free_port
from tests.harness.wait import wait_until

OPTIONS = {"preload": False, "resultTypes": ["violations"]}  # else axe asks for styles at addresses of its own
FRAME = "MuiLinearProgress"  # of the page around the view
IDLE = "() => window.Bokeh?.documents.length && Bokeh.documents.every((doc) => doc.is_idle)"


class Stoppable(Protocol):
    """A server."""

    def stop(self) -> Any:
        """End it."""


Server = TypeVar("Server", bound=Stoppable)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Stop this server at the end, when the pages of the test have left it."""
    try:
        yield server
    finally:
        leave_pages()
        server.stop()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def shown(manager: Any, make: Callable[[Feed], Any]) -> Iterator[str]:
    """Serve the view that `make(feed)` makes, fed, and give its address."""

    feeds: list[Feed] = []

    def app() -> Any:
        feed = feed_page(manager.source, pn.state.curdoc)
        feeds.append(feed)
        view = make(feed)
        feed.follow(view)
        return page_template(title="One view", main=[view.panel])

    port = free_port()
    with serving(pn.serve(app, port=port, show=False, threaded=True, address="127.0.0.1", verbose=False)):
        wait_until(lambda: answers(port), what="the page is served")
        yield f"http://127.0.0.1:{port}"
        leave_pages()
        for feed in feeds:  # Panel's server may stop before it has begun what a feed gives it
            feed.stop()


def loaded(page: Page) -> None:
    """Wait until the page has loaded, and is fed from then on."""
    page.wait_for_function(IDLE)


def serious(page: Page, within: str | None = None) -> list[str]:
    """What axe finds serious or critical in the view, each with the element it is about; not in the frame around it."""
    violations = Axe().run(page, context=within, options=OPTIONS).response["violations"]
    bad = [each for each in violations if each["impact"] in ("serious", "critical")]
    nodes = [(each["id"], node["html"]) for each in bad for node in each["nodes"]]
    return [f"{rule}: {html[:160]}" for rule, html in nodes if FRAME not in html]
