"""Several managers side by side: those that are served on this machine, each asked for its summary once a second.

None of them can be steered from here, and none is shown in a frame: a card is a few figures and a link. With the
operator's link of this page come the operators' links of all, with the viewer's link the viewers' links.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
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
from .common_time import CommonTimeBar

__all__ = ["ManagerSummary", "ManagersPage"]

log = logging.getLogger(__name__)

SAME_TIME = 60.0  # seconds by which a clock may differ from this machine's
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
    now: float = 0.0  # what its clock reads, in seconds since 1970
    since: float | None = None  # when the first record was made that it keeps
    moment: int | None = None  # of what is earlier: after which record it is
    absent: str = ""  # why it can't be shown as it was

    @property
    def has_common_time(self) -> bool:
        """Whether its clock reads the time of this machine."""
        return abs(self.now - time.time()) < SAME_TIME


class OpenPage(NamedTuple):
    """A page that is open somewhere."""

    session: Session
    role: Role
    bar: CommonTimeBar


class ManagersPage:
    """The page. It asks the managers only while it is open somewhere."""

    name = title = "All managers"
    listed = False
    watches: int | None = None

    def __init__(self) -> None:
        self.pages: dict[Live, OpenPage] = {}
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()  # somebody has set another time

    def page(self, role: Role) -> Any:
        """The page of the session that is being made now; it is drawn when the managers have answered."""
        document: Any = pn.state.curdoc
        session = Session(document)
        live = Live(p("asking the managers of this machine", cls="muted"), css=CSS)
        document.on_session_destroyed(lambda context: self._remove(live))
        bar = CommonTimeBar(lambda: session.loop.call_soon_threadsafe(self._changed.set))
        page = OpenPage(session, role, bar)
        # Not before: what changes while it loads does not reach the browser.
        pn.state.onload(lambda: session.schedule(lambda: self._add(live, page)))
        root = root_of(pn.state.location.pathname or "/") if pn.state.location else "./"
        window = Window(_ignore, _ignore, health=f"{root}health", name_of_page=self.title, root=root, paths=True)
        main = [column(window, bar.panel, live, padding="12px")]
        return page_template(title=self.title, main=main)

    def summary(self, at: float | None = None) -> dict[str, Any]:
        """How many managers there are."""
        return {"name": self.name, "managers": len(_servers())}

    def close(self) -> None:
        """Stop asking."""
        self.pages.clear()
        if self._task is not None:
            self._task.cancel()

    def _remove(self, live: Live) -> None:
        self.pages.pop(live, None)

    def _add(self, live: Live, page: OpenPage) -> None:
        self.pages[live] = page
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = page.session.loop.create_task(self._refresh())

    async def _refresh(self) -> None:
        while self.pages:
            self._changed.clear()
            found = _servers()
            times = list(dict.fromkeys((None, *(page.bar.at for page in self.pages.values()))))
            fetched = await asyncio.gather(*(_fetch_all(found, at) for at in times))
            answers = dict(zip(times, fetched, strict=True))
            for live, page in tuple(self.pages.items()):
                page.session.schedule(partial(_draw_page, live, page, found, answers))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), PERIOD)


Answers = list["ManagerSummary | None"]


def _draw_page(live: Live, page: OpenPage, servers: list[ServerRecord], answers: dict[float | None, Answers]) -> None:
    now, at = answers[None], page.bar.at
    if at not in answers:
        return  # it was set meanwhile: the next answers are of that time
    timed = [each for each in now if each is not None and each.has_common_time]
    page.bar.set_range(min((each.since for each in timed if each.since is not None), default=None), time.time())
    shown = now if at is None else [_as_it_was(*each) for each in zip(now, answers[at], strict=True)]
    live.draw(managers_html(list(zip(servers, shown, strict=True)), page.role))


def _as_it_was(now: ManagerSummary | None, then: ManagerSummary | None) -> ManagerSummary | None:
    """A manager at the common time; one with a clock of its own has no such time."""
    if now is None or then is None or now.has_common_time:
        return then
    reads = datetime.fromtimestamp(now.now)
    return ManagerSummary(now.name, absent=f"Its clock reads {reads:%Y-%m-%d %H:%M}: it has no time in common.")


def _ignore(what: str) -> None:
    """The page has no addresses of its own, and no keys."""


async def _fetch_all(servers: list[ServerRecord], at: float | None) -> Answers:
    return list(await asyncio.gather(*(fetch_summary(server, at) for server in servers)))


async def fetch_summary(server: ServerRecord, at: float | None = None) -> ManagerSummary | None:
    """The summary of a manager, now or at a time, with the token of its viewer's link; None if it does not answer."""
    link = urlsplit(server.view_url)
    query = link.query if at is None else f"{link.query}&at={at!r}"
    url = link._replace(path="/summary", query=query).geturl()
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
    absent = sum(summary is not None and bool(summary.absent) for _, summary in managers)
    words = (
        f"{quantity(troubled, 'manager')} of {len(managers):,} need a look." if troubled else "All managers are fine."
    )
    if absent:
        words = f"{quantity(absent, 'manager')} of {len(managers):,} can't be shown as of then."
    cards = [_card(server, summary, role) for server, summary in managers]
    return fragment(p(words, cls="say", role="status"), div(cards, cls="managers"))


def _card(server: ServerRecord, summary: ManagerSummary | None, role: Role) -> Markup:
    url = server.url if role is Role.OPERATOR else server.view_url
    if summary is not None and summary.moment is not None:
        url += f"&moment={summary.moment}"
    name = safe_text(summary.name if summary is not None and summary.name else server.name, 60)
    page = a("open", href=plain(url, 500), target="_blank", rel="noopener noreferrer")
    head = div(h2(name), quiet(f"process {server.pid} ", page), cls="row spread")
    return section(head, _figures(summary), cls="manager", data_key=f"{server.pid}-{server.port}")


def _figures(summary: ManagerSummary | None) -> Content:
    if summary is None:
        look = STATUSES["stuck"]
        return p(symbol(look), " It does not answer.", cls="words tone", style=f"--tone:{look.tone}")
    if summary.absent:
        return p(safe_text(summary.absent, 300), cls="words muted")
    waits = [fragment(glyph(look), f" {n:,}") for look, n in zip(LANES.values(), summary.waiting, strict=True)]
    return (
        p(safe_text(summary.sentence, 300), cls="words"),
        p(f"{quantity(summary.runtimes, 'runtime')}, waiting ", join(" ", waits)),
        div(fates_bar(summary.fates)),
    )
