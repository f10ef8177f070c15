"""The fleet's rows as an HTML table that gives way to a narrow page column by column, never its two lanes."""

from __future__ import annotations

from html import escape

from ..app.address import Address
from ..text import duration, rate, safe_text
from ..theme import LANES
from .rows import COLUMNS, Row

__all__ = ["CSS", "row_html", "table_html"]

TITLES = {
    "status": "status",
    "id": "runtime",
    "priority": f"{LANES['priority'].glyph} priority",
    "standard": f"{LANES['standard'].glyph} standard",
    "rate": "rate",
    "wait_priority": f"{LANES['priority'].glyph} wait p95",
    "wait_standard": f"{LANES['standard'].glyph} wait p95",
    "service50": "takes p50",
    "service95": "takes p95",
    "processed": "processed",
    "failed": "failed",
    "error": "last error",
}
MEANS = {
    "priority": "waiting in the priority lane, and how full that is",
    "standard": "waiting in the standard lane, and how full that is",
    "rate": "activities processed, by the agents' clock",
    "wait_priority": "95 of 100 urgent activities waited less",
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
td button { all: unset; cursor: pointer; font-weight: 600; }
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
@container (max-width: 420px) { .meter .bar { display: none; } .c-priority, .c-standard { width: 78px; }
  .c-status { width: 124px; } }
"""


def table_html(rows: dict[str, Row], sort: tuple[str, bool] | None) -> str:
    """The table of these rows, by id."""
    head = "".join(_head(name, sort) for name in COLUMNS)
    body = "".join(row_html(id, row) for id, row in rows.items())
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _head(name: str, sort: tuple[str, bool] | None) -> str:
    sorted_ = sort is not None and sort[0] == name
    order = ("descending" if sort and sort[1] else "ascending") if sorted_ else ""
    aria = f' aria-sort="{order}"' if order else ""
    arrow = {"descending": " ↓", "ascending": " ↑"}.get(order, "")
    number = " n" if name in NUMBERS else ""
    means = escape(MEANS.get(name, ""))
    button = f'<button data-do="sort" data-with="{name}" title="{means}">{TITLES[name]}{arrow}</button>'
    return f'<th class="c-{name}{number}" scope="col"{aria}>{button}</th>'


def row_html(id: str, row: Row) -> str:
    """One row. Clicking anywhere in it opens its runtime; a keyboard finds the button in it."""
    key = escape(id, quote=True)
    cells = "".join(
        f'<td class="c-{name}{" n" if name in NUMBERS else ""}">{_cell(name, row)}</td>' for name in COLUMNS
    )
    return f'<tr data-key="{key}" data-do="go" data-with="{Address("runtime", id)}">{cells}</tr>'


def _cell(name: str, row: Row) -> str:
    value = row[name]
    if name in LANES:
        look, fill = LANES[name], row[f"fill_{name}"]
        bar = f'<span class="bar" style="--tone:{look.tone}"><b style="width:{fill}%"></b></span>'
        return f'<span class="meter">{bar}<span>{value:,}</span></span>'
    if name == "status":
        return f'<span class="chip" style="--tone:{row["tone"]}">{safe_text(value)}</span>'
    if name == "id":
        return f'<button title="{safe_text(value, 200)}">{safe_text(value, 80)}</button>'
    if name == "rate":
        return rate(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return f'<span title="{safe_text(value, 200)}">{safe_text(value, 120)}</span>'
    return duration(value)
