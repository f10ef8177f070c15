"""The fleet: every runtime in one table. Sorted, searched and paged here; the browser gets one page of rows, then patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import HTMLTemplateFormatter

from .feed import News
from .layout import line
from .live import Live
from .rows import COLUMNS, PAGE, Row, Rows
from .text import count
from .theme import LANES

__all__ = ["Fleet"]

RESORT = 2.0  # seconds between two sortings by something that changes
LIVELY = ("processing",)
ORDERED = {"created", "terminated", "failed"}
EMPTY = """<div class="empty">No runtime yet. Make one, in the notebook or script that runs this manager:
<pre>async def counter(activity, state):
    return state + activity.payload

runtime = manager.create("counter", 0, counter)
runtime.send_nowait(1)</pre></div>"""

BAR = """<span style="display:flex;align-items:center;gap:8px"><span style="flex:1;min-width:0;height:9px;border-radius:5px;
background:color-mix(in srgb, currentColor 9%, transparent);overflow:hidden"><span style="display:block;height:100%;
width:<%- FILL %>%;background:TONE"></span></span><span style="min-width:2.6em;text-align:right"><%- value.toLocaleString('en') %></span></span>"""
TIME = """<% var d = (n) => String(parseFloat(n.toPrecision(n >= 99.95 ? 3 : 2)));
var words = value == null ? '–' : value >= 3570 ? d(value / 3600) + ' h' : value >= 99.5 ? d(value / 60) + ' min'
: value >= 0.9995 ? d(value) + ' s' : value >= 0.0009995 ? d(value * 1e3) + ' ms' : value > 0 ? d(value * 1e6) + ' µs' : '0 s' %><%- words %>"""
RATE = "<%- value > 0 && value < 0.5 ? (value * 60).toFixed(1) + '/min' : (value ? value.toFixed(value < 99.5 ? 1 : 0) : '0') + '/s' %>"
STATUS = """<span style="display:inline-block;padding:0 9px;border-radius:99px;font-weight:600;font-size:12px;line-height:20px;
color:color-mix(in srgb, <%- tone %> 42%, currentColor);background:color-mix(in srgb, <%- tone %> 16%, transparent);
border:1px solid color-mix(in srgb, <%- tone %> 45%, transparent)"><%- value %></span>"""
TITLES = {
    "status": "status", "id": "runtime", "priority": "▲ priority", "standard": "▬ standard", "rate": "rate",
    "wait_priority": "▲ wait p95", "wait_standard": "▬ wait p95", "service50": "takes p50", "service95": "takes p95",
    "processed": "processed", "failed": "failed", "error": "last error",
}  # fmt: skip
WIDTHS = {"status": 118, "rate": 84, "wait_priority": 112, "wait_standard": 112, "service50": 102, "service95": 102}
WIDTHS |= {"processed": 108, "failed": 82}
ROOM = {
    "id": {"minWidth": 84, "widthGrow": 3},
    "priority": {"minWidth": 66, "widthGrow": 2},
    "standard": {"minWidth": 66, "widthGrow": 2},
    "error": {"minWidth": 180, "widthGrow": 5},
}
# Which columns give way first where the table is narrow: the highest numbers.
GIVE_WAY = {"service50": 9, "service95": 8, "wait_priority": 7, "rate": 6, "wait_standard": 5, "error": 4, "failed": 3, "processed": 2}


def _formatter(column: str) -> Any:
    if column in LANES:
        return HTMLTemplateFormatter(template=BAR.replace("FILL", f"fill_{column}").replace("TONE", LANES[column].tone))
    templates = {"status": STATUS, "rate": RATE, "id": "<b><%- value %></b>", "error": "<%- value %>"}
    if column in ("processed", "failed"):
        return HTMLTemplateFormatter(template="<%- value.toLocaleString('en') %>")
    return HTMLTemplateFormatter(template=templates.get(column, TIME))


class Fleet(pn.viewable.Viewer):
    """The table of all runtimes. `open(id)` is called when a row is clicked. `update(news)` costs per changed visible row."""

    def __init__(self, manager: Any, open: Callable[[str], Any] | None = None, **params: Any) -> None:
        super().__init__(**params)
        self.rows = Rows(manager)
        self.open = open or (lambda id: None)
        self.shown: dict[str, Row] = {}
        self.table = self._table()
        self.empty = Live(EMPTY, visible=False)
        self.search = pmui.TextInput(placeholder="search runtimes", size="small", width=220, margin=0)
        self.search.param.watch(self._searched, "value_input")
        self.count = Live(sizing_mode="stretch_width", styles={"min-width": "120px", "flex": "1"})
        self.pager = self._pager()
        tools = line(self.search, self.count, self.pager, margin=(0, 0, 8, 0))
        self.panel = pn.Column(tools, self.table, self.empty, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> Any:
        return self.panel

    def _table(self) -> Any:
        left = {name: "right" for name in COLUMNS if name not in ("status", "id", "error", "priority", "standard")}
        columns = [
            {"field": name, "responsive": GIVE_WAY.get(name, 0), "resizable": False, **ROOM.get(name, {})} for name in COLUMNS
        ]
        table = pn.widgets.Tabulator(
            self._frame(),
            show_index=False,
            disabled=True,
            selectable=False,
            layout="fit_columns",
            hidden_columns=["tone", "fill_priority", "fill_standard"],
            titles=TITLES,
            widths=WIDTHS,
            text_align=left,
            formatters={name: _formatter(name) for name in COLUMNS},
            configuration={"responsiveLayout": "hide", "columns": columns, "placeholder": "none found"},
            stylesheets=[STYLE],
            sizing_mode="stretch_width",
            margin=0,
        )
        table.on_click(self._clicked)
        table.param.watch(self._sorted, "sorters")
        return table

    def _pager(self) -> Any:
        self.back = pmui.Button(label="", icon="chevron_left", size="small", variant="text", width=40, margin=0, description="previous page")
        self.on = pmui.Button(label="", icon="chevron_right", size="small", variant="text", width=40, margin=0, description="next page")
        self.back.on_click(lambda event: self.turn(-1))
        self.on.on_click(lambda event: self.turn(1))
        return pn.Row(self.back, self.on, visible=False, margin=0)

    def _frame(self) -> pd.DataFrame:
        names = [*COLUMNS, "tone", "fill_priority", "fill_standard"]
        rows = list(self.shown.values())
        return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object if not rows else None) for name in names})

    def _clicked(self, event: Any) -> None:
        ids = list(self.shown)
        if 0 <= event.row < len(ids):
            self.open(ids[event.row])

    def _sorted(self, event: Any) -> None:
        self.rows.sort = (event.new[0]["field"], event.new[0]["dir"] == "desc") if event.new else None
        self._redraw()

    def _searched(self, event: Any) -> None:
        self.rows.search, self.rows.page = event.new, 0
        self._redraw()

    def turn(self, pages: int) -> None:
        """Go on or back by so many pages."""
        self.rows.page = min(max(0, self.rows.page + pages), self.rows.pages - 1)
        self._redraw(reorder=False)

    def update(self, news: News) -> bool:
        """Bring the visible rows up to date."""
        others = news.first or (len(news.records) > 0 and any(record.kind in ORDERED for record in news.records))
        if (others or self.rows.stale(RESORT)) and (self.rows.reorder() or news.first):
            self._redraw(reorder=False)
        else:
            self._patch(news.changed or None)
        return any(row["status"].endswith(LIVELY) or row["rate"] for row in self.shown.values())

    def _redraw(self, reorder: bool = True) -> None:
        if reorder:
            self.rows.reorder()
        self.shown = {id: row for id in self.rows.visible if (row := self.rows.read(id)) is not None}
        self.rows.rates.keep(set(self.shown)) if len(self.rows.order) > 20 * PAGE else None
        self.table.value = self._frame()
        self._count()

    def _count(self) -> None:
        total, found, page = self.rows.total, len(self.rows.order), self.rows.page
        first = page * PAGE + 1
        place = f"{first:,} to {min(found, first + PAGE - 1):,} of " if found > PAGE else ""
        words = f"{place}{count(found, 'runtime')}" if total == found else f"{place}{found:,} of {count(total, 'runtime')}"
        self.count.show(f'<span class="muted">{words if total else ""}</span>')
        self.pager.visible = self.rows.pages > 1
        self.empty.visible, self.table.visible = not total, bool(total)

    def _patch(self, changed: set[str] | None) -> None:
        cells: dict[str, list[tuple[int, Any]]] = {}
        for at, (id, before) in enumerate(list(self.shown.items())):
            quiet = not before["status"].endswith(LIVELY) and not before["rate"] and not before["priority"] + before["standard"]
            if (changed is not None and id not in changed) and quiet:
                continue
            row = self.rows.read(id)
            if row is None or row == before:
                continue
            self.shown[id] = row
            for name, value in row.items():
                if value != before[name]:
                    cells.setdefault(name, []).append((at, value))
        if cells:
            self.table.patch(cells, as_index=False)


STYLE = """
:host { font-variant-numeric: tabular-nums; }
.tabulator { font-size: 13px; background: transparent; border: none; }
.tabulator .tabulator-header, .tabulator .tabulator-header .tabulator-col { background: transparent; font-size: 12px; font-weight: 600; }
.tabulator .tabulator-row { cursor: pointer; min-height: 34px; background: transparent; }
.tabulator .tabulator-row.tabulator-row-even { background: transparent; }
.tabulator .tabulator-row .tabulator-cell { padding: 6px 8px; font-size: 13px; }
.tabulator .tabulator-row:hover { background: color-mix(in srgb, #0072B2 9%, transparent) !important; }
"""
