"""Who caused what, as a sequence diagram: a lifeline for each runtime, an arrow for each message, later is lower.

A bar shows the activity on the lifeline of its runtime: pale while it waited, solid while it worked. The vertical axis
is not linear, since milliseconds and hours are in one diagram: it grows with the order of magnitude of a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...events import PROCESSED
from .. import svg
from ..app.address import Address
from ..html import Markup, div, fragment
from ..text import brief, duration, plain, safe_text
from ..theme import FATES, LANES, STATUSES, Look
from .activity_records import UNKNOWN, CausalTrace, Message

__all__ = ["CSS", "TimeScale", "sequence_svg", "words_of_message"]

LEFT, LANE, TOP, BAR, SIGN, LEAST, MOST, SHORT = 78, 210, 34, 12, 12, 18.0, 64.0, 20
OUTSIDE = ""
CSS = """
.sequence { overflow-x: auto; }
.sequence svg { display: block; max-width: max(100%, 400px); height: auto;
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
.sequence .fate { fill: color-mix(in srgb, var(--tone) 70%, var(--rt-text)); }
"""


class TimeScale(NamedTuple):
    """How far down each time is, in pixels."""

    at: dict[float, float]
    bottom: float

    @classmethod
    def of(cls, times: Iterable[float]) -> TimeScale:
        """The scale for these times."""
        found, way, last = {}, float(TOP + 26), None
        for time in sorted(set(times)):
            if last is not None:
                way += min(MOST, LEAST + 5.5 * max(0.0, math.log10(max(time - last, 1e-9)) + 4))
            found[time], last = way, time
        return cls(found, way)


def look_of_message(message: Message) -> Look:
    """The look of its fate, or of its status while it has none."""
    return FATES.get(message.fate) or STATUSES.get(message.fate) or FATES["pending"]


def words_of_message(message: Message, now: float) -> str:
    """One activity in words, as plain text."""
    source = plain(message.source, 60) if message.source is not None else "outside"
    started, finished = message.started, message.finished
    waited = duration((started if started is not None else finished if finished is not None else now) - message.created)
    took = "" if started is None else f", took {duration((now if finished is None else finished) - started)}"
    word = look_of_message(message).word
    did = "ended after" if started is None and message.fate in PROCESSED else "waited"
    return f"activity {message.id} from {source} to {plain(message.runtime, 60)}: {did} {waited}{took}, {word}"


def sequence_svg(trace: CausalTrace) -> Markup:
    """The diagram of a trace."""
    if trace.message is None:
        return fragment()
    messages = [*trace.ancestors, trace.message, *trace.descendants]
    lanes = {name: LEFT + LANE // 2 + n * LANE for n, name in enumerate(_lifelines(messages))}
    scale = TimeScale.of(time for message in messages for time in _times(message, trace.at))
    width, height = LEFT + LANE * len(lanes) + 30, scale.bottom + 30
    words = "; ".join(words_of_message(each, trace.at) for each in messages[:8])
    diagram = svg.drawing(
        [_lifeline(name, x, height) for name, x in lanes.items()],
        _time_labels(scale, messages[0].created),
        [_message_svg(each, trace, lanes, scale) for each in messages],
        role="img",
        width=width,
        height=f"{height:.0f}",
        viewBox=f"0 0 {width} {height:.0f}",
        aria_label=plain(words, 900),
    )
    return div(diagram, cls="sequence", tabindex=0, role="group", aria_label="sequence diagram")


def _lifelines(messages: Iterable[Message]) -> list[str]:
    found: dict[str, None] = {}
    for message in messages:
        found.setdefault(message.source if message.source is not None else OUTSIDE)
        found.setdefault(message.runtime)
    return list(found)


def _times(message: Message, now: float) -> list[float]:
    ends = [message.started, message.finished if message.finished is not None else now]
    return [message.created, *(time for time in ends if time is not None)]


def _lifeline(name: str, x: int, height: float) -> Markup:
    text = safe_text(name, 22) if name != OUTSIDE else "outside"
    full = safe_text(name, 200) if name != OUTSIDE else "sent by no runtime: a cell, a script, a person"
    line = svg.line(cls="life", x1=x, x2=x, y1=28, y2=f"{height - 6:.0f}")
    box = svg.rect(cls="head", x=x - 84, y=4, width=168, height=24, rx=6)
    return svg.g(svg.title(full), line, box, svg.text(text, cls="name", x=x, y=20))


def _time_labels(scale: TimeScale, zero: float) -> Iterator[Markup]:
    """The times at the left, where one differs from the one above and there is room for it."""
    above, last = "", -99.0
    for time, y in scale.at.items():
        text = f"+{duration(time - zero)}"
        if text != above and y - last >= 13:
            yield svg.text(text, cls="time", x=LEFT - 12, y=f"{y + 4:.0f}")
            above, last = text, y


def _message_svg(message: Message, trace: CausalTrace, lanes: dict[str, int], scale: TimeScale) -> Markup:
    source, target = lanes[message.source if message.source is not None else OUTSIDE], lanes[message.runtime]
    top = scale.at[message.created]
    end = scale.at[message.finished if message.finished is not None else trace.at]
    look = look_of_message(message)
    own = message.id == trace.id
    replied = message.reply is not UNKNOWN and message.finished is not None and source != target
    return svg.g(
        svg.title(safe_text(words_of_message(message, trace.at), 300)),
        _activity_bar(message, target, scale, end),
        _arrow(source, target, top),
        _label(_message_label(message), source, target, top),
        _fate_mark(look, target, end, left=source > target),
        _arrow(target, source, end, kind="arrow reply") if replied else None,
        cls="own" if own else None,
        data_do=None if own else "go",
        data_with=None if own else str(Address("activity", str(message.id))),
    )


def _message_label(message: Message) -> str:
    """Its number, and the beginning of its payload."""
    payload = "" if message.payload is UNKNOWN else f": {plain(brief(message.payload, 60), SHORT)}"
    return f"{LANES[message.lane].glyph} {message.id}{payload}"


def _fate_mark(look: Look, x: int, y: float, *, left: bool) -> Markup:
    """The fate at the end of the bar, on the side that no arrow comes from."""
    side = x - BAR // 2 - 6 if left else x + BAR // 2 + 6
    drawing = svg.path(
        cls="fate", d=look.drawing, style=f"--tone:{look.tone}",
        transform=f"translate({side - SIGN if left else side} {y - SIGN / 2:.1f})",
    )  # fmt: skip
    beside = side - SIGN - 4 if left else side + SIGN + 4
    return fragment(
        drawing, svg.text(look.word, cls="mark", x=beside, y=f"{y + 4:.0f}", text_anchor="end" if left else None)
    )


def _activity_bar(message: Message, x: int, scale: TimeScale, end: float) -> Markup:
    top = scale.at[message.created]
    begin = scale.at[message.started] if message.started is not None else end
    bar = svg.rect.with_(x=x - BAR // 2, width=BAR, fill=LANES[message.lane].tone)
    waits = bar(cls="waits", y=f"{top:.1f}", height=f"{max(0.0, begin - top):.1f}")
    works = bar(cls="works", y=f"{begin:.1f}", height=f"{max(2.0, end - begin):.1f}", rx=2)
    return fragment(waits, works if message.started is not None else None)


def _arrow(source: int, target: int, y: float, kind: str = "arrow") -> Markup:
    if source == target:
        right, low = source + 46, y + 10
        path = f"M{source} {y:.1f} H{right} V{low:.1f} H{source + BAR // 2 + 5}"
        return fragment(svg.path(cls=kind, d=path), _arrow_head(source + BAR // 2, low, -1))
    way = 1 if target > source else -1
    end = target - way * (BAR // 2)
    path = f"M{source} {y:.1f} H{end - way * 5}"
    return fragment(svg.path(cls="near", d=path), svg.path(cls=kind, d=path), _arrow_head(end, y, way))


def _arrow_head(x: float, y: float, way: int) -> Markup:
    return svg.path(cls="tip", d=f"M{x} {y:.1f} l{-way * 8} -4 v8 z")


def _label(text: str, source: int, target: int, y: float) -> Markup:
    back = target < source
    anchor = "end" if back else "start"
    return svg.text(text, x=source + (-14 if back else 14), text_anchor=anchor, y=f"{y - 5:.0f}")
