"""Several managers side by side: those that are served on this machine, each asked for its summary once a second.

None of them can be steered from here, and none is shown in a frame: a card is a few figures and a link. With the
operator's link of this page come the operators' links of all, with the viewer's link the viewers' links.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import panel as pn
from tornado.httpclient import AsyncHTTPClient

from ... import discovery
from ...discovery import ServerRecord
from ...errors import ConfigurationError
from ...metrics import Fates
from ..app.address import root_of
from ..app.bar import column
from ..app.page_template import page_template
from ..app.window import Window
from ..feed import Session
from ..fleet.overview import CSS as TILES
from ..fleet.overview import fates_bar
from ..html import Content, Markup, a, div, empty, fragment, glyph, h2, join, p, pre, quiet, section, symbol
from ..live import Live
from ..role import Role
from ..text import plain, quantity, safe_text
from ..theme import LANES, STATUSES

__all__ = ["ManagerSummary", "ManagersPage"]

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two requests
TIMEOUT = 3.0  # seconds for an answer
CSS = (
    TILES
    + """
.managers { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); gap: var(--s3); }
.manager { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px; min-width: 0;
  padding: var(--s3) var(--s4); display: grid; gap: var(--s2); align-content: start; }
.manager .words { overflow-wrap: anywhere; min-height: 2.9em; }
"""
)
NONE = empty("No manager is served on this machine now. In the program that has one:", pre("server = manager.serve()"))


class ManagerSummary(msgspec.Struct):
    """The answer of a manager to `/summary`. Fields that are not listed here are ignored."""

    name: str = ""
    runtimes: int = 0
    wrong: int = 0
    sentence: str = ""
    waiting: tuple[int, int] = (0, 0)
    fates: Fates = Fates()


class ManagersPage:
    """The page. It asks the managers only while it is open somewhere."""

    name = title = "All managers"
    listed = False
    watches: int | None = None

    def __init__(self) -> None:
        self.pages: dict[Live, tuple[Session, Role]] = {}
        self._task: asyncio.Task[None] | None = None

    def page(self, role: Role) -> Any:
        """The page of the session that is being made now; it is drawn when the managers have answered."""
        document: Any = pn.state.curdoc
        loop = asyncio.get_running_loop()
        live = Live(p("asking the managers of this machine", cls="muted"), css=CSS)
        document.on_session_destroyed(lambda context: self._remove(live))
        self.pages[live] = (Session(document, loop), role)
        pn.state.onload(lambda: self._start(loop))
        root = root_of(pn.state.location.pathname or "/") if pn.state.location else "./"
        window = Window(_ignore, _ignore, health=f"{root}health", name_of_page=self.title, root=root, paths=True)
        main = [column(window, live, padding="12px")]
        return page_template(title=self.title, main=main)

    def summary(self) -> dict[str, Any]:
        """How many managers there are."""
        return {"name": self.name, "managers": len(_servers())}

    def close(self) -> None:
        """Stop asking."""
        self.pages.clear()
        if self._task is not None:
            self._task.cancel()

    def _remove(self, live: Live) -> None:
        self.pages.pop(live, None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._refresh())

    async def _refresh(self) -> None:
        while self.pages:
            found = _servers()
            summaries = await asyncio.gather(*map(fetch_summary, found))
            for live, (session, role) in tuple(self.pages.items()):
                html = managers_html(list(zip(found, summaries, strict=True)), role)
                session.schedule(partial(live.draw, html))
            await asyncio.sleep(PERIOD)


def _ignore(what: str) -> None:
    """The page has no addresses of its own, and no keys."""


async def fetch_summary(server: ServerRecord) -> ManagerSummary | None:
    """The summary of a manager, with the token of its viewer's link; None if it does not answer."""
    link = urlsplit(server.view_url)
    url = link._replace(path="/summary").geturl()
    try:
        response = await AsyncHTTPClient().fetch(url, request_timeout=TIMEOUT)
        return msgspec.json.decode(response.body, type=ManagerSummary)
    except Exception as error:  # whatever is wrong with another process, its card says that it does not answer
        log.debug("%s does not answer: %s", server.name, error)
        return None


def _servers() -> list[ServerRecord]:
    """The servers of this machine; none where there is no directory for a list."""
    try:
        return discovery.list_servers()
    except ConfigurationError as error:
        log.warning("there is no list of servers: %s", error)
        return []


def managers_html(managers: list[tuple[ServerRecord, ManagerSummary | None]], role: Role) -> Markup:
    """A card for each manager."""
    if not managers:
        return NONE
    troubled = sum(summary is None or summary.wrong > 0 for _, summary in managers)
    words = (
        f"{quantity(troubled, 'manager')} of {len(managers):,} need a look." if troubled else "All managers are fine."
    )
    cards = [_card(server, summary, role) for server, summary in managers]
    return fragment(p(words, cls="say", role="status"), div(cards, cls="managers"))


def _card(server: ServerRecord, summary: ManagerSummary | None, role: Role) -> Markup:
    url = server.url if role is Role.OPERATOR else server.view_url
    name = safe_text(summary.name if summary is not None and summary.name else server.name, 60)
    page = a("open", href=plain(url, 500), target="_blank", rel="noopener noreferrer")
    head = div(h2(name), quiet(f"process {server.pid} ", page), cls="row spread")
    return section(head, _figures(summary), cls="manager", data_key=f"{server.pid}-{server.port}")


def _figures(summary: ManagerSummary | None) -> Content:
    if summary is None:
        look = STATUSES["stuck"]
        return p(symbol(look), " It does not answer.", cls="words tone", style=f"--tone:{look.tone}")
    waits = [fragment(glyph(look), f" {n:,}") for look, n in zip(LANES.values(), summary.waiting, strict=True)]
    return (
        p(safe_text(summary.sentence, 300), cls="words"),
        p(f"{quantity(summary.runtimes, 'runtime')}, waiting ", join(" ", waits)),
        div(fates_bar(summary.fates)),
    )
