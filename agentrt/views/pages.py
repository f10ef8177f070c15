"""What is on each page of the dashboard: which views, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .activity import ActivityView
from .address import TABS, Address
from .feed import View
from .fleet import Fleet
from .inject import Inject
from .layout import section
from .live import Live
from .log import Events
from .overview import Overview
from .past import Past
from .runtime import RuntimeView
from .steer import at_once
from .tabs import Tabs
from .text import listing, safe_text

if TYPE_CHECKING:
    from .page import Dashboard

__all__ = ["Made", "build"]


class Made(NamedTuple):
    """A page: what is drawn from top to bottom, which views of it are to be fed, and what ends the others."""

    objects: list[Any]
    views: list[View]
    ends: tuple[Callable[[], Any], ...] = ()


def build(board: Dashboard, at: Address) -> Made:
    """The page of an address; for one that is not there, what there is."""
    if not at.known:
        return _nothing(f"There is no page {safe_text(str(at), 80)}.")
    return PAGE.get(at.page, _runtime)(board, at)


def _nothing(words: str) -> Made:
    return Made([Live(f'<div class="empty">{words}</div>')], [])


def _first(board: Dashboard, at: Address) -> Made:
    overview = Overview(board.manager, board.go)
    fleet = Fleet(board.manager, go=board.go, soon=board.soon)
    return Made([overview.panel, section("Runtimes", fleet, note="click one to open it")], [overview, fleet])


def _runtime(board: Dashboard, at: Address) -> Made:
    manager, id = board.manager, at.of
    if id not in manager and id not in manager.terminated:
        known = listing([safe_text(each, 40) for each in manager], most=6) or "none yet"
        return _nothing(f"There is no runtime {safe_text(id, 80)}. There are: {known}.")
    runtime = manager.get(id) or Past(manager, id)
    tabs = _tabs(board, runtime, at.page)
    view = RuntimeView(runtime, board.commands, tabs.panel, go=board.go, soon=board.soon)
    return Made([view], [view], (tabs.end,))


def _tabs(board: Dashboard, runtime: Any, page: str) -> Tabs:
    """What there is to see of a runtime beside what always is. One that has ended takes no activity any more."""
    makers: dict[str, Callable[[], Any]] = {
        "inject": lambda: Inject(runtime, board.commands, soon=None if board.soon is at_once else board.soon),
        "events": lambda: Events(runtime, go=board.go),
    }
    if isinstance(runtime, Past):
        makers = {"events": makers["events"]}

    def chosen(title: str) -> None:
        board.mark(Address(next(name for name, words in TABS.items() if words == title), runtime.id))

    shown = {TABS[name]: make for name, make in makers.items()}
    return Tabs(shown, board.feed.follow, first=TABS.get(page, ""), chosen=chosen, soon=board.soon)


def _activity(board: Dashboard, at: Address) -> Made:
    if not at.of.isdecimal():
        return _nothing(f"{safe_text(at.of, 80)} is no activity: they are numbered.")
    view = ActivityView(board.manager, int(at.of), board.commands, go=board.go, soon=board.soon)
    return Made([view], [view])


PAGE = {"": _first, "activity": _activity}
