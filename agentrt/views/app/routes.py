"""What is on each page of the dashboard: which views, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ...feed.source import Source, Subject
from ..activity.activity import ActivityView
from ..download import downloads
from ..feed import Feed, View
from ..fleet.fleet import Fleet
from ..fleet.overview import Overview
from ..flow.flow import Flow
from ..html import empty
from ..inject.inject import Inject
from ..layout import beside, section
from ..live import Live
from ..mailbox.dead_letters import DeadLettersView
from ..mailbox.microscope import Microscope
from ..queueing.theory import Theory
from ..queueing.waits import Waits
from ..role import Commands
from ..runtime.log import Events
from ..runtime.runtime import RuntimeView
from ..runtime.steer import Soon, at_once
from ..text import listing, plain
from ..timeline.swimlanes import Swimlanes
from .address import TABS, Address
from .tabs import Tabs

__all__ = ["Board", "Made", "build"]


LEGEND = "pale: waiting, solid: working, marks: what did not end well"


class Board(Protocol):
    """What shows a page: it has it fed, carries out its commands, and leads on to others."""

    source: Source
    feed: Feed
    commands: Commands
    soon: Soon

    def go(self, address: str) -> None:
        """Show another page."""

    def mark(self, at: Address) -> None:
        """Say what is shown, without drawing it again."""


class Made(NamedTuple):
    """A page: what is drawn from top to bottom, which views of it are to be fed, and what ends the others."""

    objects: list[Any]
    views: list[View]
    ends: tuple[Callable[[], Any], ...] = ()


def build(board: Board, at: Address) -> Made:
    """The page of an address; for one that is not there, what there is."""
    if not at.known:
        return _nothing(f"There is no page {plain(str(at), 80)}.")
    return PAGE.get(at.page, _runtime)(board, at)


def _nothing(words: str) -> Made:
    return Made([Live(empty(words))], [])


def _first(board: Board, at: Address) -> Made:
    overview = Overview(board.source, board.go)
    timeline = Swimlanes(board.source, commands=board.commands, go=board.go, soon=board.soon, lanes=8)
    flow = Flow(board.source, board.commands, go=board.go, soon=board.soon)
    fleet = Fleet(board.source, go=board.go, soon=board.soon)
    happened = section("What happened", timeline, note=LEGEND, grow=3)
    table = section("Runtimes", fleet, note="click one to open it")
    parts = [overview.panel, beside(happened, section("Who sends to whom", flow, grow=2)), table]
    return Made(parts, [overview, timeline, flow, fleet])


def _runtime(board: Board, at: Address) -> Made:
    source, id = board.source, at.of
    if id not in source.runtimes and id not in source.ended:
        known = listing([plain(each, 40) for each in source.runtimes], most=6) or "none yet"
        return _nothing(f"There is no runtime {plain(id, 80)}. There are: {known}.")
    tabs = _tabs(board, id, at.page)
    files = downloads(Subject(source, id)) if id in source.runtimes else None
    view = RuntimeView(source, id, board.commands, tabs.panel, files=files, go=board.go, soon=board.soon)
    return Made([view], [view], (tabs.end,))


def _tabs(board: Board, id: str, page: str) -> Tabs:
    """What there is to see of a runtime beside what always is. One that has ended takes no activity any more."""
    source, soon = board.source, board.soon
    makers: dict[str, Callable[[], Any]] = {
        "mailbox": lambda: Microscope(source, id, board.commands, go=board.go, soon=soon),
        "inject": lambda: Inject(source, id, board.commands, soon=None if soon is at_once else soon),
        "waits": lambda: Waits(source, id),
        "theory": lambda: Theory(source, id),
        "events": lambda: Events(source, id, go=board.go),
    }
    if id not in source.runtimes:
        makers = {"events": makers["events"]}

    def chosen(title: str) -> None:
        board.mark(Address(next(name for name, words in TABS.items() if words == title), id))

    shown = {TABS[name]: make for name, make in makers.items()}
    return Tabs(shown, board.feed.follow, first=TABS.get(page, ""), chosen=chosen, soon=soon)


def _activity(board: Board, at: Address) -> Made:
    if not at.of.isdecimal():
        return _nothing(f"{plain(at.of, 80)} is no activity: they are numbered.")
    view = ActivityView(board.source, int(at.of), board.commands, go=board.go, soon=board.soon)
    return Made([view], [view])


def _flow(board: Board, at: Address) -> Made:
    view = Flow(board.source, board.commands, go=board.go, soon=board.soon)
    return Made([section("Who sends to whom", view)], [view])


def _dead_letters(board: Board, at: Address) -> Made:
    view = DeadLettersView(board.source, board.commands, go=board.go, soon=board.soon)
    return Made([section("Dead letters", view, note="what could not be delivered")], [view])


def _timeline(board: Board, at: Address) -> Made:
    view = Swimlanes(board.source, commands=board.commands, go=board.go, soon=board.soon, search=True)
    files = downloads(Subject(board.source))
    return Made([section("What happened, in what order", view, files, note=LEGEND)], [view])


PAGE = {"": _first, "activity": _activity, "flow": _flow, "timeline": _timeline, "dead-letters": _dead_letters}
