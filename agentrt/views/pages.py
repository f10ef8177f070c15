"""What is on each page of the dashboard: which views, and how they are laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .address import Address
from .feed import View
from .fleet import Fleet
from .layout import section
from .live import Live
from .overview import Overview
from .past import Past
from .runtime import RuntimeView
from .text import listing, safe_text

if TYPE_CHECKING:
    from .page import Dashboard

__all__ = ["Made", "build"]


class Made(NamedTuple):
    """A page: what is drawn from top to bottom, and which views of it are to be fed."""

    objects: list[Any]
    views: list[View]


def build(board: Dashboard, at: Address) -> Made:
    """The page of an address; for one that is not there, what there is."""
    if not at.known:
        return _nothing(f"There is no page {safe_text(str(at), 80)}.")
    make = {"": _first, "runtime": _runtime}[at.page]
    return make(board, at)


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
    inject = None if isinstance(runtime, Past) else _inject(board, runtime)
    view = RuntimeView(runtime, board.commands, inject, go=board.go, soon=board.soon)
    return Made([view], [view] if inject is None else [view, inject])


def _inject(board: Dashboard, runtime: Any) -> Any:
    from .inject import Inject
    from .steer import at_once

    return Inject(runtime, board.commands, soon=None if board.soon is at_once else board.soon)
