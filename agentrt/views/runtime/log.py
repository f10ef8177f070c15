"""The event log of one runtime: its latest records, newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import panel as pn

from ...events import Outcome
from ...feed.source import Source, Time
from ..app.address import Address
from ..feed import Update
from ..html import Content, Markup, div, fragment, link, p, quiet, span, with_glyph
from ..live import Live
from ..text import brief, duration, plain, safe_text
from ..theme import FATES, LANES, STATUSES, UNKNOWN, Look, look_of_fate

__all__ = ["Events", "Log", "record_row", "record_words"]

KEEP = 80  # rows
CSS = """
.log { font-size: var(--t0); }
.log > div { display: grid; grid-template-columns: 92px 116px 1fr; gap: var(--s2); padding: 3px 0;
  border-bottom: 1px solid var(--rt-line);
  align-items: baseline; }
.log > div > * { min-width: 0; overflow-wrap: anywhere; }
.log { container-type: inline-size; }
@container (max-width: 480px) { .log > div { grid-template-columns: 92px 1fr; gap: 0 var(--s2); }
  .log > div > :last-child { grid-column: 1 / -1; } }
"""
KINDS = {"paused": "paused", "failed": "failed", "stuck": "stuck", "terminated": "terminated", "resumed": "processing"}
OTHER = STATUSES["idle"]._replace(glyph="·", drawing=UNKNOWN.drawing)


def record_words(record: Any) -> Content:
    """A record in words, without its kind."""
    if record.kind == "accepted":
        lane = LANES[record.lane.value].word
        source = (" from ", safe_text(record.source, 60)) if record.source else None
        return f"activity {record.id} in the {lane} lane", source, ": ", safe_text(brief(record.payload, 120), 120)
    if isinstance(record, Outcome):
        took = f", took {duration(record.service)}" if record.service is not None else ""
        error = (": ", safe_text(str(record.error), 160)) if record.error is not None else None
        did = "ended after" if record.was_processed and record.service is None else "waited"
        return f"activity {record.id} {did} {duration(record.wait)}{took}", error
    who = ("by ", safe_text(record.who, 60), " ") if record.who else None
    return who, safe_text(_detail(record), 200)


def _detail(record: Any) -> str:
    """The detail of an event, as plain text."""
    detail = record.detail
    if detail is None:
        return ""
    if not isinstance(detail, dict):
        return detail if isinstance(detail, str) else brief(detail)
    if record.kind == "step":
        return f"{detail.get('name')} of activity {detail.get('activity')}" + _took(detail, record.at)
    if record.kind == "paused":
        return f"by activity {detail.get('activity')}" + (f": {detail['why']}" if detail.get("why") else "")
    if record.kind == "breakpoint":
        raised = f", which raised {detail['error']}" if "error" in detail else ""
        return f"{detail.get('at')}, activity {detail.get('activity')}{raised}"
    if record.kind in ("limit", "speed"):
        return f"{detail.get('name', '')} from {detail.get('from')} to {detail.get('to')}".strip().replace("_", " ")
    return ", ".join(f"{key} {brief(value, 60)}" for key, value in detail.items())


def _took(detail: dict[str, Any], at: float) -> str:
    started = detail.get("started")
    return f" took {duration(at - started)}" if isinstance(started, int | float) else ""


def record_row(record: Any, clock: Time) -> Markup:
    """A record as one row: its time, its kind, its words and a link to its activity."""
    time = f"{clock.wall(record.at):%H:%M:%S.%f}"[:-5]
    return div(
        quiet(time),
        with_glyph(_look_of_record(record)),
        span(record_words(record), _look_link(record)),
        data_key=record.sequence,
    )


def _look_of_record(record: Any) -> Look:
    if isinstance(record, Outcome):
        return look_of_fate(record.kind)
    look = STATUSES[KINDS[record.kind]] if record.kind in KINDS else FATES.get(record.kind, OTHER)
    return look._replace(word=plain(record.kind, 24).replace("_", " "))


def _look_link(record: Any) -> Content:
    if record.kind != "accepted" and not isinstance(record, Outcome):
        return None
    return " ", link(Address("activity", str(record.id)), "look")


class Log:
    """The pane. It holds the last rows, and counts the events that it missed."""

    def __init__(self, clock: Time, height: int = 320, *, go: Callable[[str], Any] | None = None) -> None:
        self.clock = clock
        self.rows: deque[Markup] = deque(maxlen=KEEP)
        self.missed = 0
        self.panel = Live(
            p("Nothing happened yet.", cls="muted"),
            css=CSS,
            on={"go": go or (lambda address: None)},
            styles={"max-height": f"{height}px", "overflow-y": "auto"},
        )

    def draw(self, update: Update, records: list[Any]) -> None:
        """Add the new records on top."""
        if update.missed and not update.first:
            self.missed += update.missed
        if records:
            self.rows.extendleft(record_row(record, self.clock) for record in _last(records))
            self._show()

    def _show(self) -> None:
        missed = f"{self.missed:,} events passed too quickly to be shown."
        self.panel.draw(fragment(div(self.rows, cls="log"), p(missed, cls="muted") if self.missed else None))


class Events(pn.viewable.Viewer):
    """The log of one runtime as a view of its own."""

    def __init__(self, source: Source, id: str, *, go: Callable[[str], Any] | None = None, height: int = 480) -> None:
        super().__init__()
        self.id = id
        self.log = Log(source, height, go=go)

    def __panel__(self) -> Any:
        return self.log.panel

    def update(self, update: Update) -> bool:
        """Add the new records on top."""
        self.log.draw(update, update.of.get(self.id, []))
        return False


def _last(records: Iterable[Any]) -> Iterable[Any]:
    return list(records)[-KEEP:]
