"""What a cell shows: a runtime as a compact card, a manager as its fleet. Without a kernel: a picture."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import HasRuntime, HasSource, Source, Subject, subject_of
from ...snapshot import Snapshot
from ..app.address import Address
from ..app.dashboard import Dashboard
from ..app.routes import StillView
from ..app.timed_view import TimedView
from ..app.vantage import Vantage
from ..feed import Feed, Schedule, Update, run_now
from ..html import Content, Markup, div, span, strong, symbol
from ..inject.inject import Inject
from ..layout import WIDE
from ..live import Live
from ..role import Commands
from ..runtime.lanes import fill_bar
from ..runtime.last_error import LastError
from ..runtime.log import Log
from ..runtime.runtime import headline, moves_by_itself
from ..runtime.state import State
from ..runtime.steer import Steer
from ..server.links import page_link
from ..server.process import ServerProcess
from ..server.server import Server
from ..text import percent, plain
from ..theme import CSS, LANES
from ..timeline.axes import TimeAxis
from ..timeline.timeline import Timeline
from .cell import bundle, kernel_loop
from .live_widget import LiveWidget, Still, show_in_marimo
from .static_render import text_and_picture

__all__ = ["Card", "display", "repr_mimebundle"]

log = logging.getLogger(__name__)

TALL = 90  # pixels of a tab: with the time bar, all of it is under 420 high
BOX = (
    CSS
    + """
:host { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px; padding: 8px 14px;
  max-height: 418px; overflow-y: auto; overflow-x: hidden; }
"""
)
BARS = """
.bars { display: grid; grid-template-columns: 1fr 1fr; gap: var(--s4); }
.bars > div { display: grid; grid-template-columns: auto 1fr auto; gap: var(--s2); align-items: center;
  white-space: nowrap; }
"""


def bars_html(snapshot: Snapshot) -> Markup:
    """Both lanes in one line."""
    cells = []
    for look, depth, capacity in zip(LANES.values(), snapshot.depth, snapshot.capacity, strict=True):
        words = f"{look.word} lane: {depth:,} of {capacity:,} waiting, {percent(depth, capacity)} full"
        bar = fill_bar(depth, capacity, look.tone, words)
        cells.append(
            div(span(symbol(look), f" {look.word}", cls="tone", style=f"--tone:{look.tone}"), bar, strong(f"{depth:,}"))
        )
    return div(cells, cls="bars")


class Card(pn.viewable.Viewer):
    """One runtime in under 420 pixels: how it is, both lanes, what it did, its state, and ways to take part."""

    def __init__(
        self,
        source: Source,
        id: str,
        commands: Commands | None = None,
        *,
        schedule: Schedule = run_now,
        link: Content = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.id = id
        self.commands = commands or Commands(source)
        self.link = link
        self.axis = TimeAxis(source)
        self.head, self.bars = Live(), Live(css=BARS, margin=(6, 0, 2, 0))
        self.timeline = Timeline(self.axis, height=96)
        self.state, self.log, self.last_error = State(TALL), Log(source, TALL), LastError(source, schedule=schedule)
        self.inject = Inject(source, id, self.commands, schedule=None if schedule is run_now else schedule)
        self.steer = Steer(source, id, self.commands, limits=False, schedule=schedule)
        self.commands.tell = self.steer.say
        self.panel = self._lay_out()

    def _lay_out(self) -> Any:
        tall = {"max-height": f"{TALL}px", "overflow-y": "auto"}
        tabs = pmui.Tabs(
            ("State", self.state.panel),
            ("Inject", pn.Column(self.inject, **{**WIDE, "styles": {**WIDE["styles"], **tall}})),
            ("Events", self.log.panel),
            ("Last error", pn.Column(self.last_error.panel, **{**WIDE, "styles": {**WIDE["styles"], **tall}})),
            sizing_mode="stretch_width",
            margin=0,
            sx={
                ".MuiTab-root": {"textTransform": "none", "minHeight": "34px", "padding": "4px 14px"},
                ".MuiTabs-root": {"minHeight": "34px"},
            },
        )
        return pn.Column(
            self.head, self.bars, self.timeline.panel, self.steer.panel, tabs, **{**WIDE, "stylesheets": [BOX]}
        )

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> bool:
        """Draw what is new. True while it moves by itself."""
        snapshot = self.source.snapshot(self.id)
        if snapshot is None:
            return False
        records = update.of.get(snapshot.id, [])
        self.axis.move(snapshot.at)
        self.head.draw(headline(snapshot, self.link))
        self.bars.draw(bars_html(snapshot))
        self.timeline.draw(snapshot, update, records, lambda: self.source.mailbox(self.id).items)
        self.state.draw(snapshot.state)
        self.log.draw(update, records)
        self.last_error.draw(snapshot)
        self.steer.draw(snapshot)
        moves = self.inject.update(update)
        return moves_by_itself(snapshot) or bool(moves)


# ---- in a notebook


def repr_mimebundle(item: HasRuntime | HasSource, include: Any = None, exclude: Any = None) -> Any:
    """The mime bundle of a runtime or a manager."""
    subject, server = subject_of(item), getattr(getattr(item, "manager", item), "server", None)
    loop = kernel_loop()
    if loop is not None:
        try:
            return _live(subject, server, loop)
        except Exception:  # the picture is better than an error under every cell
            log.exception("the live view can't be shown; this is a picture")
    text, picture = text_and_picture(subject)
    return {"text/plain": text, **({} if picture is None else {"text/html": str(picture)})}, {}


def _live(subject: Subject, server: Server | ServerProcess | None, loop: asyncio.AbstractEventLoop) -> Any:
    fill = partial(_filling(subject, server), schedule=loop.call_soon_threadsafe)
    return bundle(subject.source, loop, fill, *text_and_picture(subject))


def display(item: HasRuntime | HasSource) -> LiveWidget | Still:
    """What marimo shows for a runtime or a manager: its live view, or a picture where no kernel runs."""
    subject, server = subject_of(item), getattr(getattr(item, "manager", item), "server", None)
    text, picture = text_and_picture(subject)
    return show_in_marimo(subject.source, _filling(subject, server), text if picture is None else picture)


def _filling(subject: Subject, server: Server | ServerProcess | None) -> Callable[..., Any]:
    """What puts the view of a runtime or a manager into a holder."""
    if subject.id is None:
        return partial(_show_manager, subject.source)
    return partial(_show_runtime, subject.source, subject.id, _page_link(server, subject.id))


def _show_runtime(source: Source, id: str, link: Content, holder: Any, feed: Feed, schedule: Schedule) -> None:
    vantage = Vantage(source, feed, Commands(source))

    def make() -> Any:
        if id not in vantage.source.runtimes and id not in vantage.source.ended:
            return StillView(f"There was no runtime {plain(id, 80)} then.")
        return Card(vantage.source, id, vantage.commands, schedule=schedule, link=link)

    timed = TimedView(vantage, make, schedule, id)
    timed.show(None)
    feed.follow(timed.bar)
    timed.bar.panel.margin = (6, 0, 0, 0)  # clear of what the cell prints
    holder.objects = [timed.bar.panel, timed.place]


def _show_manager(source: Source, holder: Any, feed: Feed, schedule: Schedule) -> None:
    board = Dashboard(source, feed, Commands(source), schedule=schedule)
    board.panel.stylesheets = [BOX.replace("418px", "560px")]
    holder.append(board.panel)
    board.draw()


def _page_link(server: Server | ServerProcess | None, id: str) -> Content:
    if server is None or not server.running:
        return None
    return page_link("page", server.url, str(Address("runtime", id)), title=plain(id, 60))
