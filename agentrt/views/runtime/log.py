"""The event log of one runtime: what happened, newest first, bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import panel as pn

from ...events import Outcome
from ..app.address import Address
from ..feed import Update
from ..live import Live
from ..text import brief, duration, plain, safe_text
from ..theme import FATES, LANES, look_of, toned

__all__ = ["Events", "Log", "line", "words_of"]

KEEP = 80
CSS = """
.log { font-size: var(--t0); }
.log > div { display: grid; grid-template-columns: 92px 116px 1fr; gap: var(--s2); padding: 3px 0;
  border-bottom: 1px solid var(--rt-line);
  align-items: baseline; }
.log > div > * { min-width: 0; overflow-wrap: anywhere; }
"""
KINDS = {"paused": "paused", "failed": "failed", "stuck": "stuck", "terminated": "terminated", "resumed": "processing"}


def words_of(record: Any) -> str:
    """A record as a short text, safe for HTML."""
    if record.kind == "accepted":
        lane = LANES[record.lane.value].word
        source = f" from {safe_text(record.source, 60)}" if record.source else ""
        return f"activity {record.id} in the {lane} lane{source}: {safe_text(brief(record.payload, 120), 120)}"
    if isinstance(record, Outcome):
        took = f", took {duration(record.service)}" if record.service is not None else ""
        error = f": {safe_text(str(record.error), 160)}" if record.error is not None else ""
        return f"activity {record.id} waited {duration(record.wait)}{took}{error}"
    who = f"by {safe_text(record.who, 60)} " if record.who else ""
    return who + safe_text(_detail(record), 200)


def _detail(record: Any) -> str:
    """What an event says besides its kind. Plain text."""
    detail = record.detail
    if detail is None:
        return ""
    if not isinstance(detail, dict):
        return detail if isinstance(detail, str) else brief(detail)
    if record.kind == "step":
        return f"{detail.get('name')} of activity {detail.get('activity')}" + _took(detail, record.at)
    if record.kind in ("limit", "speed"):
        return f"{detail.get('name', '')} from {detail.get('from')} to {detail.get('to')}".strip().replace("_", " ")
    return ", ".join(f"{key} {brief(value, 60)}" for key, value in detail.items())


def _took(detail: dict[str, Any], at: float) -> str:
    started = detail.get("started")
    return f" took {duration(at - started)}" if isinstance(started, int | float) else ""


def line(record: Any, clock: Any) -> str:
    """A record as one row."""
    word = plain(record.kind, 24).replace("_", " ")
    look = look_of(record.kind) if record.kind in FATES or record.kind in KINDS else look_of("idle")._replace(glyph="·")
    label = toned(look, safe_text(word))
    time = f"{clock.wall(record.at):%H:%M:%S.%f}"[:-5]
    cells = f'<span class="muted">{time}</span>{label}<span>{words_of(record)}{_link(record)}</span>'
    return f'<div data-key="{record.sequence}">{cells}</div>'


def _link(record: Any) -> str:
    if record.kind != "accepted" and not isinstance(record, Outcome):
        return ""
    address = Address("activity", str(record.id))
    return f' <button class="link" data-do="go" data-with="{address}">look</button>'


class Log:
    """The pane. Keeps the last rows; says how many events it did not see."""

    def __init__(self, clock: Any, height: int = 320, *, go: Callable[[str], Any] | None = None) -> None:
        self.clock = clock
        self.rows: deque[str] = deque(maxlen=KEEP)
        self.missed = 0
        self.panel = Live(
            '<p class="muted">Nothing happened yet.</p>',
            css=CSS,
            on={"go": go or (lambda address: None)},
            styles={"max-height": f"{height}px", "overflow-y": "auto"},
        )

    def draw(self, update: Update, records: list[Any]) -> None:
        """Put what is new on top."""
        if update.missed and not update.first:
            self.missed += update.missed
        if records:
            self.rows.extendleft(line(record, self.clock) for record in _last(records))
            self._show()

    def _show(self) -> None:
        left_out = f'<p class="muted">{self.missed:,} events passed too quickly to be kept.</p>' if self.missed else ""
        self.panel.draw(f'<div class="log">{"".join(self.rows)}</div>{left_out}')


class Events(pn.viewable.Viewer):
    """The log of one runtime as a view of its own."""

    def __init__(self, runtime: Any, *, go: Callable[[str], Any] | None = None, height: int = 480) -> None:
        super().__init__()
        self.id = runtime.id
        self.log = Log(runtime.manager.clock, height, go=go)

    def __panel__(self) -> Any:
        return self.log.panel

    def update(self, update: Update) -> bool:
        """Put what is new on top."""
        self.log.draw(update, update.of.get(self.id, []))
        return False


def _last(records: Iterable[Any]) -> Iterable[Any]:
    return list(records)[-KEEP:]
