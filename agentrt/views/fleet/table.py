"""The rows of the fleet as an HTML table. A narrow page hides one column after the other, never the two lanes."""

from __future__ import annotations

from functools import lru_cache

from ..app.address import Address
from ..html import Content, Markup, action, bar, button, chip, span, symbol, table, tbody, td, th, thead, tr
from ..text import duration, plain, rate
from ..theme import LANES, look_of
from .rows import COLUMNS, Row

__all__ = ["CSS", "row_html", "table_html"]

TITLES: dict[str, Content] = {
    "status": "status",
    "id": "runtime",
    "priority": (symbol(LANES["priority"]), span(" priority", cls="word")),
    "standard": (symbol(LANES["standard"]), span(" standard", cls="word")),
    "rate": "rate",
    "wait_priority": (symbol(LANES["priority"]), " wait p95"),
    "wait_standard": (symbol(LANES["standard"]), " wait p95"),
    "service50": "service p50",
    "service95": "service p95",
    "processed": "processed",
    "failed": "failed",
    "error": "last error",
}
MEANS = {
    "priority": "waiting in the priority lane, and how full that is",
    "standard": "waiting in the standard lane, and how full that is",
    "rate": "activities processed, by the agents' clock",
    "wait_priority": "95 of 100 priority activities waited less",
    "wait_standard": "95 of 100 standard activities waited less",
    "service50": "half of the activities took less",
    "service95": "95 of 100 activities took less",
}
NUMBERS = {
    "priority",
    "standard",
    "rate",
    "wait_priority",
    "wait_standard",
    "service50",
    "service95",
    "processed",
    "failed",
}

CSS = """
.live { container-type: inline-size; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th { text-align: left; padding: 0 8px 6px; font-size: var(--t0); border-bottom: 1px solid var(--rt-line);
  white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; color: var(--rt-muted); max-width: 100%; overflow: hidden;
  text-overflow: ellipsis; display: inline-block; vertical-align: bottom; }
th button:hover, th[aria-sort] button { color: var(--rt-text); }
th button:focus-visible, td button:focus-visible { outline: 2px solid #0072B2; outline-offset: 2px;
  border-radius: 3px; }
td { padding: 7px 8px; border-bottom: 1px solid var(--rt-line); overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
tbody tr { cursor: pointer; }
tbody tr:hover { background: color-mix(in srgb, #0072B2 8%, transparent); }
.n { text-align: right; }
td button { all: unset; cursor: pointer; font-weight: 600; display: block; max-width: 100%; overflow: hidden;
  text-overflow: ellipsis; }
.meter { display: flex; align-items: center; gap: 8px; }
.meter .bar { flex: 1; min-width: 0; } .meter span:last-child { min-width: 2.4em; text-align: right; }
.c-status { width: 134px; } .c-id { width: 12%; } .c-rate { width: 82px; } .c-error { width: 15%; }
.c-priority, .c-standard { width: 11%; }
.c-wait_priority, .c-wait_standard, .c-service50, .c-service95, .c-processed { width: 96px; } .c-failed { width: 70px; }
@container (max-width: 1180px) { .c-service50, .c-wait_priority { display: none; } }
@container (max-width: 980px) { .c-service95, .c-rate { display: none; }
  .c-id, .c-priority, .c-standard { width: auto; } }
@container (max-width: 760px) { .c-wait_standard, .c-processed { display: none; } .c-error { width: 26%; } }
@container (max-width: 560px) { .c-error { display: none; } .c-failed { display: none; } td, th { padding-left: 5px;
  padding-right: 5px; } }
@container (max-width: 420px) { .meter .bar { display: none; } .c-priority, .c-standard { width: 52px; }
  .word { display: none; }
  .c-status { width: 124px; } }
"""


def table_html(rows: dict[str, Row], sort: tuple[str, bool] | None) -> Markup:
    """The table of these rows, by id."""
    head = thead(tr(_column_head(name, sort) for name in COLUMNS))
    return table(head, tbody(row_html(id, row) for id, row in rows.items()))


def _column_head(name: str, sort: tuple[str, bool] | None) -> Markup:
    order = None
    if sort is not None and sort[0] == name:
        order = "descending" if sort[1] else "ascending"
    return HEADS[name](
        action("sort", TITLES[name], ARROWS[order], value=name, title=MEANS.get(name, "")), aria_sort=order
    )


def row_html(id: str, row: Row) -> Markup:
    """One row. A click anywhere in it opens its runtime; the keyboard finds the button in it."""
    cells = [cell(_content(name, row)) for name, cell in CELLS.items()]
    return tr(*cells, data_key=id, data_do="go", data_with=str(Address("runtime", id)))


def _content(name: str, row: Row) -> Content:
    value = row[name]
    if name in LANES:
        return _lane_meter(name, value, row[f"fill_{name}"])
    if name == "status":
        return _status_chip(value)
    if name == "id":
        return button(plain(value, 80), title=plain(value, 200))
    if name == "rate":
        return rate(value, row["speed"])
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return span(plain(value, 120), title=plain(value, 200))
    return duration(value)


@lru_cache(maxsize=256)
def _lane_meter(lane: str, depth: int, percent: int) -> Markup:
    return span(bar(percent, LANES[lane].tone), span(f"{depth:,}"), cls="meter")


@lru_cache(maxsize=32)
def _status_chip(status: str) -> Markup:
    return chip(look_of(status))


ARROWS = {None: "", "descending": " ↓", "ascending": " ↑"}
CLASSES = {name: f"c-{name}{' n' if name in NUMBERS else ''}" for name in COLUMNS}
HEADS = {name: th.with_(cls=cls, scope="col") for name, cls in CLASSES.items()}
CELLS = {name: td.with_(cls=cls) for name, cls in CLASSES.items()}
