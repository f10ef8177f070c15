"""The fleet: every runtime in one table. It is sorted, searched and paged here; the browser gets the rows of one page.

Not a Tabulator: in a page of panel-material-ui (0.16.6, Panel 1.9.4) its resizing waits for style sheets that never
load. That takes a whole core of the browser while the page is open, and raises errors while it loads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import Source
from ..feed import Schedule, Update, run_now
from ..html import NOT_IN_FILE, empty, pre, quiet
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..text import quantity
from .rows import COLUMNS, PAGE, FleetRows, Row
from .table import CSS, row_html, table_html

__all__ = ["Fleet"]

RESORT = 2.0  # seconds between two sorts by a column that changes
EVERY = 0.25  # real seconds between two readings: figures that change faster can't be read
REORDERS = {"created", "terminated"}
EXAMPLE = """async def counter(activity, state):
    return state + activity.payload

runtime = manager.create("counter", 0, counter)
runtime.send_nowait(1)"""
EMPTY = empty("No runtime yet. Make one, in the notebook or script that runs this manager:", pre(EXAMPLE))


class Fleet(pn.viewable.Viewer):
    """The table of all runtimes. A click on a row calls `go("runtime/JFK")`. An update costs per row that changed."""

    def __init__(self, source: Source, *, go: Callable[[str], Any] | None = None, schedule: Schedule = run_now) -> None:
        super().__init__()
        self.schedule = schedule
        self.rows = FleetRows(source)
        self.shown: dict[str, Row] = {}
        self.changed: set[str] = set()
        self.looked_at = 0.0
        self.table = Live(css=CSS, on={"go": go or (lambda address: None), "sort": self.sort})
        self.search = pmui.TextInput(placeholder="search runtimes", size="small", width=220, margin=0)
        self.search.param.watch(self._search, "value_input")
        self.count = Live(styles={"flex": "1 0 190px"})
        self.back = self._page_button("previous page", "left", -1)
        self.forward = self._page_button("next page", "right", 1)
        tools = line(self.search, self.count, self.back, self.forward, margin=(0, 0, 8, 0))
        self.panel = pn.Column(tools, self.table, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _page_button(self, words: str, drawing: str, pages: int) -> Any:
        button = pmui.Button(
            label="", icon=icon(drawing), size="small", variant="text", width=40, margin=0, description=words
        )
        button.disabled = True
        button.on_click(lambda event: self.turn(pages))
        return button

    def sort(self, field: str) -> None:
        """Sort by a column: largest first, then smallest first, then not at all. Other names are ignored."""
        if field not in COLUMNS:
            return
        now = self.rows.sort
        down = field not in ("id", "status", "error")
        if now is None or now[0] != field:
            self.rows.sort = (field, down)
        else:
            self.rows.sort = (field, not down) if now[1] is down else None
        self.rows.page = 0
        self.schedule(self._redraw)

    def _search(self, event: Any) -> None:
        self.rows.search, self.rows.page = event.new, 0
        self.schedule(self._redraw)

    def turn(self, pages: int) -> None:
        """Show the page so many pages on; a negative number goes back."""
        self.rows.page = min(max(0, self.rows.page + pages), self.rows.pages - 1)
        self.schedule(self._redraw)

    def update(self, update: Update) -> bool:
        """Bring the visible rows up to date. True while one of them changes without a record."""
        others = update.first or any(event.kind in REORDERS for event in update.events)
        self.changed |= update.changed
        if not others and time.monotonic() - self.looked_at < EVERY:
            return True
        self.looked_at = time.monotonic()
        if (others or self.rows.stale(RESORT)) and (self.rows.reorder() or update.first):
            self._redraw(reorder=False)
        else:
            self._patch(update)
            if others:
                self._draw_count()
        return any(map(_moves, self.shown.values()))

    def _redraw(self, reorder: bool = True) -> None:
        if reorder:
            self.rows.reorder()
        self.shown = self.rows.read(self.rows.visible)
        nothing = NOT_IN_FILE if self.rows.source.standing().recorded else EMPTY
        self.table.draw(table_html(self.shown, self.rows.sort) if self.rows.found.total else nothing)
        self._draw_count()

    def _draw_count(self) -> None:
        total, found, page = self.rows.found.total, self.rows.found.found, self.rows.page
        first = page * PAGE + 1
        place = f"{first:,} to {min(found, first + PAGE - 1):,} of " if found > PAGE else ""
        words = (
            f"{place}{quantity(found, 'runtime')}"
            if total == found
            else f"{place}{found:,} of {quantity(total, 'runtime')}"
        )
        self.count.draw(quiet(words if total else ""))
        self.back.disabled, self.forward.disabled = page == 0, page >= self.rows.pages - 1

    def _patch(self, update: Update) -> None:
        changed, self.changed = self.changed, set()
        wanted = [id for id, before in self.shown.items() if id in changed or _moves(before)]
        rows = self.rows.read(wanted, update)
        pieces = {id: row_html(id, row) for id, row in rows.items() if row != self.shown[id]}
        self.shown |= rows
        if pieces:
            self.table.patch(pieces)


def _moves(row: Row) -> bool:
    """Whether a row may change without an update: it works, is about to, or its rate is still to fall."""
    return row["status"].endswith("processing") or bool(row["rate"] or row["priority"] or row["standard"])
