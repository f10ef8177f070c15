"""One view on a page of its own, live, for a browser to look at."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import panel as pn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from agentrt.views.app.page_template import page_template
from agentrt.views.feed import feed_page
from tests.harness.place import free_port
from tests.harness.wait import wait_until

FRAME = "MuiLinearProgress"  # of the page around the view


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def shown(manager: Any, make: Callable[[], Any]) -> Iterator[str]:
    """Serve the view that `make()` makes, fed, and give its address."""

    def app() -> Any:
        view = make()
        feed_page(manager.source, pn.state.curdoc).follow(view)
        return page_template(title="One view", main=[view.panel])

    port = free_port()
    server = pn.serve(app, port=port, show=False, threaded=True, address="127.0.0.1", verbose=False)
    try:
        wait_until(lambda: answers(port), 10, "the page is served")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def loaded(page: Page) -> None:
    """Wait until the page has loaded, and is fed from then on."""
    page.wait_for_function("() => window.Bokeh?.documents.length && Bokeh.documents.every((doc) => doc.is_idle)")


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical in the view, each with the element it is about; not in the frame around it."""
    bad = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    nodes = [(each["id"], node["html"]) for each in bad for node in each["nodes"]]
    return [f"{rule}: {html[:160]}" for rule, html in nodes if FRAME not in html]
