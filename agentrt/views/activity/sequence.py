"""Who caused what, as a sequence diagram: a line down for each runtime, an arrow for each message, later is lower.

A bar shows the activity where it was processed: pale while it waited, solid while it worked. The way down is not to
scale (milliseconds and hours are on one picture): a longer gap is a longer way, and the times stand at the left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from ..app.address import Address
from ..text import brief, duration, plain, safe_text
from ..theme import FATES, LANES, STATUSES, Look
from .activity_records import UNKNOWN, Message, Story

__all__ = ["CSS", "Rows", "sequence_svg", "words_of_message"]

LEFT, LANE, TOP, BAR, LEAST, MOST, SHORT = 78, 210, 34, 12, 18.0, 64.0, 20
OUTSIDE = ""
CSS = """
.sequence { overflow-x: auto; }
.sequence svg { display: block; max-width: max(100%, 520px); height: auto;
  font: 12px system-ui, "Segoe UI", Roboto, sans-serif; }
.sequence text { fill: var(--rt-text); } .sequence .time { fill: var(--rt-muted); text-anchor: end; }
.sequence .life { stroke: var(--rt-line); stroke-dasharray: 3 4; }
.sequence .head { fill: var(--rt-fill); stroke: var(--rt-line); }
.sequence .name { font-weight: 600; text-anchor: middle; }
.sequence .arrow { stroke: var(--rt-muted); fill: none; stroke-width: 1.3; }
.sequence .near { stroke: transparent; stroke-width: 16; }
.sequence .tip { fill: var(--rt-muted); }
.sequence .reply { stroke-dasharray: 5 4; }
.sequence .own .arrow { stroke: var(--rt-text); stroke-width: 2; } .sequence .own .tip { fill: var(--rt-text); }
.sequence .own text { font-weight: 700; }
.sequence .waits { opacity: .28; } .sequence g[data-do] { cursor: pointer; }
.sequence g[data-do]:hover text { text-decoration: underline; }
.sequence .mark { font-weight: 700; }
"""


class Rows(NamedTuple):
    """How far down each time is."""

    at: dict[float, float]
    bottom: float

    @classmethod
    def of(cls, times: Iterable[float]) -> Rows:
        """A longer gap is a longer way down, by its order of magnitude."""
        found, way, last = {}, float(TOP + 26), None
        for time in sorted(set(times)):
            if last is not None:
                way += min(MOST, LEAST + 5.5 * max(0.0, math.log10(max(time - last, 1e-9)) + 4))
            found[time], last = way, time
        return cls(found, way)


def look_of_message(message: Message) -> Look:
    """The look of its fate, or of what it does now."""
    return FATES.get(message.fate) or STATUSES.get(message.fate) or FATES["pending"]


def words_of_message(message: Message, now: float) -> str:
    """One activity in words. Plain text."""
    source = plain(message.source, 60) if message.source is not None else "outside"
    started, finished = message.started, message.finished
    waited = duration((started if started is not None else finished if finished is not None else now) - message.created)
    took = "" if started is None else f", took {duration((now if finished is None else finished) - started)}"
    word = look_of_message(message).word
    return f"activity {message.id} from {source} to {plain(message.runtime, 60)}: waited {waited}{took}, {word}"


def sequence_svg(told: Story) -> str:
    """The diagram of a story. Every string in it is safe."""
    if told.message is None:
        return ""
    messages = [*told.ancestors, told.message, *told.descendants]
    lanes = {name: LEFT + LANE // 2 + n * LANE for n, name in enumerate(_lifelines(messages))}
    rows = Rows.of(time for message in messages for time in _times(message, told.at))
    width, height = LEFT + LANE * len(lanes) + 30, rows.bottom + 30
    heads = "".join(_lifeline(name, x, height) for name, x in lanes.items())
    times = _time_labels(rows, messages[0].created)
    drawn = "".join(_message_svg(each, told, lanes, rows) for each in messages)
    words = "; ".join(words_of_message(each, told.at) for each in messages[:8])
    box = f'width="{width}" height="{height:.0f}" viewBox="0 0 {width} {height:.0f}"'
    svg = f'<svg role="img" {box} aria-label="{safe_text(words, 900)}">{heads}{times}{drawn}</svg>'
    return f'<div class="sequence" tabindex="0" role="group" aria-label="sequence diagram">{svg}</div>'


def _lifelines(messages: Iterable[Message]) -> list[str]:
    found: dict[str, None] = {}
    for message in messages:
        found.setdefault(message.source if message.source is not None else OUTSIDE)
        found.setdefault(message.runtime)
    return list(found)


def _times(message: Message, now: float) -> list[float]:
    ends = [message.started, message.finished if message.finished is not None else now]
    return [message.created, *(time for time in ends if time is not None)]


def _lifeline(name: str, x: int, height: float) -> str:
    text = safe_text(name, 22) if name != OUTSIDE else "outside"
    full = safe_text(name, 200) if name != OUTSIDE else "sent by no runtime: a cell, a script, a person"
    box = f'<rect class="head" x="{x - 84}" y="4" width="168" height="24" rx="6"></rect>'
    label = f'<text class="name" x="{x}" y="20">{text}</text>'
    line = f'<line class="life" x1="{x}" x2="{x}" y1="28" y2="{height - 6:.0f}"></line>'
    return f"<g><title>{full}</title>{line}{box}{label}</g>"


def _time_labels(rows: Rows, zero: float) -> str:
    said, last, parts = "", -99.0, []
    for time, y in rows.at.items():
        text = f"+{duration(time - zero)}"
        if text != said and y - last >= 13:
            parts.append(f'<text class="time" x="{LEFT - 12}" y="{y + 4:.0f}">{text}</text>')
            said, last = text, y
    return "".join(parts)


def _message_svg(message: Message, told: Story, lanes: dict[str, int], rows: Rows) -> str:
    source, target = lanes[message.source if message.source is not None else OUTSIDE], lanes[message.runtime]
    top = rows.at[message.created]
    end = rows.at[message.finished if message.finished is not None else told.at]
    look = look_of_message(message)
    own = ' class="own"' if message.id == told.id else ""
    link = "" if own else f' data-do="go" data-with="{Address("activity", str(message.id))}"'
    parts = [
        _bar(message, target, rows, end),
        _arrow(source, target, top),
        _label(_said(message), source, target, top),
        _mark(f"{look.glyph} {look.word}", target, end, left=source > target),
    ]
    if message.reply is not UNKNOWN and message.finished is not None and source != target:
        parts.append(_arrow(target, source, end, kind="arrow reply"))
    return f"<g{own}{link}><title>{safe_text(words_of_message(message, told.at), 300)}</title>{''.join(parts)}</g>"


def _said(message: Message) -> str:
    """Which activity, and the beginning of what it says."""
    payload = "" if message.payload is UNKNOWN else f": {safe_text(brief(message.payload, 60), SHORT)}"
    return f"{LANES[message.lane].glyph} {message.id}{payload}"


def _mark(text: str, x: int, y: float, *, left: bool) -> str:
    """On the side of the bar where its message did not come from."""
    place = f'x="{x - BAR // 2 - 6}" text-anchor="end"' if left else f'x="{x + BAR // 2 + 6}"'
    return f'<text class="mark" {place} y="{y + 4:.0f}">{text}</text>'


def _bar(message: Message, x: int, rows: Rows, end: float) -> str:
    tone, top = LANES[message.lane].tone, rows.at[message.created]
    begin = rows.at[message.started] if message.started is not None else end
    shape = f'x="{x - BAR // 2}" width="{BAR}" fill="{tone}"'
    waits = f'<rect class="waits" {shape} y="{top:.1f}" height="{max(0.0, begin - top):.1f}"></rect>'
    works = f'<rect class="works" {shape} y="{begin:.1f}" height="{max(2.0, end - begin):.1f}" rx="2"></rect>'
    return waits + (works if message.started is not None else "")


def _arrow(source: int, target: int, y: float, kind: str = "arrow") -> str:
    if source == target:
        right, low = source + 46, y + 10
        path = f"M{source} {y:.1f} H{right} V{low:.1f} H{source + BAR // 2 + 5}"
        return f'<path class="{kind}" d="{path}"></path>{_tip(source + BAR // 2, low, -1)}'
    way = 1 if target > source else -1
    end = target - way * (BAR // 2)
    path = f"M{source} {y:.1f} H{end - way * 5}"
    return f'<path class="near" d="{path}"></path><path class="{kind}" d="{path}"></path>{_tip(end, y, way)}'


def _tip(x: float, y: float, way: int) -> str:
    return f'<path class="tip" d="M{x} {y:.1f} l{-way * 8} -4 v8 z"></path>'


def _label(text: str, source: int, target: int, y: float) -> str:
    back = target < source
    place = f'x="{source + (-14 if back else 14)}" text-anchor="{"end" if back else "start"}"'
    return f'<text {place} y="{y - 5:.0f}">{text}</text>'
