"""What is on each page of the dashboard: which views, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import panel as pn

from ...feed.nodes import HasNodes
from ...feed.source import Source, Subject
from ..activity.activity import ActivityView
from ..beside.beside import beside_view, why_not
from ..download import downloads
from ..feed import Feed, Schedule, Update, View, run_now
from ..fleet.cluster_nodes import ClusterNodes
from ..fleet.fleet import Fleet
from ..fleet.overview import Overview
from ..flow.flow import Flow
from ..html import empty
from ..inject.inject import Inject
from ..layout import WIDE, beside, section
from ..live import Live
from ..mailbox.dead_letters import DeadLettersView
from ..mailbox.microscope import Microscope
from ..queueing.theory import Theory
from ..queueing.waits import Waits
from ..role import Commands
from ..runtime.log import Events
from ..runtime.runtime import RuntimeView
from ..text import listing, plain
from ..timeline.swimlanes import Swimlanes
from .address import TABS, Address
from .tabs import Tabs

__all__ = ["Board", "Deferred", "PageParts", "build_page"]


NOT_OF_A_FILE = {
    "inject": "Nothing can be sent: this is a file, and nobody runs it.",
    "waits": "How long activities waited is not stored: a journal says when one was accepted and when it ended.",
    "theory": "There is no prediction: it needs to know when activities were started, which a journal does not store.",
}
NOT_OF_A_MOMENT = {"inject": "Nothing can be sent: this is what was. Go back to live to send something."}
LEGEND = "pale: waiting, solid: working, marks: what failed"


class Board(Protocol):
    """What shows a page: it feeds its views, runs its commands, and opens other pages."""

    schedule: Schedule

    @property
    def source(self) -> Source:
        """What the page is drawn from."""

    @property
    def now(self) -> Source:
        """The same as it is now, where `source` is of a moment."""

    @property
    def feed(self) -> Feed:
        """What brings its views up to date."""

    @property
    def commands(self) -> Commands:
        """What it may do."""

    def go(self, address: str) -> None:
        """Show another page."""

    def mark(self, at: Address) -> None:
        """Show another address for the page that is shown, without drawing it again."""


class Deferred:
    """A view that is made once the page has loaded: the first paint does not wait for it, nor for its JavaScript.

    Args:
        make: Makes the view.
        height: Pixels that its place takes until then.
    """

    def __init__(self, make: Callable[[], View], height: int) -> None:
        self.make = make
        self.panel = pn.Column(**{**WIDE, "styles": {**WIDE["styles"], "min-height": f"{height}px"}})

    def show(self, follow: Callable[[View], Callable[[], Any]]) -> Callable[[], Any]:
        """Make the view and put it in its place. Returns what ends it."""
        view = self.make()
        end = follow(view)
        self.panel.objects = [view]
        return end


class StillView(pn.viewable.Viewer):
    """A sentence, in place of a view that has nothing to show."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._panel = Live(empty(words))

    def __panel__(self) -> Any:
        return self._panel

    def update(self, update: Update) -> None:
        """Nothing changes."""


class PageParts(NamedTuple):
    """A page: its objects from top to bottom, the views that are fed, and calls that end what is fed otherwise."""

    objects: list[Any]
    views: list[View]
    ends: tuple[Callable[[], Any], ...] = ()
    deferred: tuple[Deferred, ...] = ()


def build_page(board: Board, at: Address) -> PageParts:
    """The page of an address; for one that does not exist, a message that says what exists."""
    if not at.known:
        return _message_page(f"There is no page {plain(str(at), 80)}.")
    return BUILDERS.get(at.page, _runtime)(board, at)


def _message_page(words: str) -> PageParts:
    return PageParts([Live(empty(words))], [])


def _overview(board: Board, at: Address) -> PageParts:
    source, commands, go, schedule = board.source, board.commands, board.go, board.schedule
    overview = Overview(source, go)
    timeline = Deferred(lambda: Swimlanes(source, commands=commands, go=go, schedule=schedule, lanes=8), 470)
    flow = Deferred(lambda: Flow(source, commands, go=go, schedule=schedule), 300)
    fleet = Fleet(source, go=go, schedule=schedule)
    what_happened = section("What happened", timeline.panel, note=LEGEND, grow=3)
    table = section("Runtimes", fleet, note="click one to open it")
    parts = [overview.panel, beside(what_happened, section("Who sends to whom", flow.panel, grow=2)), table]
    views: list[View] = [overview, fleet]
    if isinstance(source, HasNodes):
        nodes = ClusterNodes(source)
        parts.insert(1, section("Nodes", nodes.panel))
        views.append(nodes)
    return PageParts(parts, views, deferred=(timeline, flow))


def _runtime(board: Board, at: Address) -> PageParts:
    source, id = board.source, at.of
    if id not in source.runtimes and id not in source.ended:
        known = listing([plain(each, 40) for each in source.runtimes], most=6) or "none yet"
        return _message_page(f"There is no runtime {plain(id, 80)}. There are: {known}.")
    tabs = _tabs(board, at)
    files = downloads(Subject(source, id)) if id in source.runtimes else None
    view = RuntimeView(source, id, board.commands, tabs.panel, files=files, go=board.go, schedule=board.schedule)
    return PageParts([view], [view], (tabs.end,))


def _tabs(board: Board, at: Address) -> Tabs:
    """The tabs of a runtime. One that has ended has only its events."""
    source, schedule, id = board.source, board.schedule, at.of
    makers: dict[str, Callable[[], Any]] = {
        "mailbox": lambda: Microscope(source, id, board.commands, go=board.go, schedule=schedule),
        "inject": lambda: Inject(source, id, board.commands, schedule=None if schedule is run_now else schedule),
        "waits": lambda: Waits(source, id),
        "theory": lambda: Theory(source, id),
        "events": lambda: Events(source, id, go=board.go),
    }
    if id not in source.runtimes:
        makers = {"events": makers["events"]}
    if source.standing().recorded:
        is_manager = at.moment is not None and source.standing().recorded.startswith("the manager ")
        absent = NOT_OF_A_MOMENT if is_manager else NOT_OF_A_FILE
        makers |= {name: partial(StillView, words) for name, words in absent.items() if name in makers}

    def mark(title: str) -> None:
        board.mark(Address(next(name for name, words in TABS.items() if words == title), id))

    shown = {TABS[name]: make for name, make in makers.items()}
    return Tabs(shown, board.feed.follow, first=TABS.get(at.page, ""), on_choose=mark, schedule=schedule)


def _activity(board: Board, at: Address) -> PageParts:
    if not at.of.isdecimal():
        return _message_page(f"{plain(at.of, 80)} is no activity: they are numbered.")
    view = ActivityView(board.source, int(at.of), board.commands, go=board.go, schedule=board.schedule)
    return PageParts([view], [view])


def _flow(board: Board, at: Address) -> PageParts:
    view = Flow(board.source, board.commands, go=board.go, schedule=board.schedule)
    return PageParts([section("Who sends to whom", view)], [view])


def _dead_letters(board: Board, at: Address) -> PageParts:
    view = DeadLettersView(board.source, board.commands, go=board.go, schedule=board.schedule)
    return PageParts([section("Dead letters", view, note="what could not be delivered")], [view])


def _timeline(board: Board, at: Address) -> PageParts:
    view = Swimlanes(board.source, commands=board.commands, go=board.go, schedule=board.schedule, search=True)
    files = downloads(Subject(board.source))
    return PageParts([section("What happened, in what order", view, files, note=LEGEND)], [view])


def _beside(board: Board, at: Address) -> PageParts:
    view = beside_view(board.source, board.feed, board.go, board.now)
    if view is None:
        return _message_page(why_not(board.now))
    return PageParts([section("Fork and origin", view, note="what both did since the fork")], [view], (view.end,))


BUILDERS = {
    "": _overview, "activity": _activity, "flow": _flow, "timeline": _timeline, "dead-letters": _dead_letters,
    "beside": _beside,
}  # fmt: skip
