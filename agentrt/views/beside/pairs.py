"""Runtimes of two runs side by side, as HTML: how each is on the left and on the right, and what differs is marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...schema.difference import NOTHING, Change, changes
from ...snapshot import Snapshot
from ..html import (
    Content,
    Markup,
    chip,
    code,
    details,
    div,
    fragment,
    h3,
    mark,
    p,
    quiet,
    row,
    section,
    span,
    strong,
    summary,
)
from ..runtime.lanes import fill_bar
from ..text import brief, plain, quantity, safe_text
from ..theme import LANES, STATUSES, look_of

__all__ = ["CSS", "Half", "Pair", "alike_html", "pairs_html", "values_html"]

MOST_FIELDS = 6  # of a state, that differ and are shown
MOST_IDS = 200  # that are listed of what is alike
CSS = """
.beside { display: grid; gap: var(--s3); }
.beside .cols { display: grid; grid-template-columns: 1fr 1fr; gap: var(--s3); }
.beside .cols > * { min-width: 0; overflow-wrap: anywhere; }
.beside .heads { padding: 0 var(--s4); }
.beside .who { font-size: var(--t1); font-weight: 600; }
.beside .who .muted { font-weight: 400; }
.beside .pair { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px;
  padding: var(--s3) var(--s4); display: grid; gap: var(--s2); }
.beside .pair.first { border: 2px solid #D55E00; }
.beside .half { display: grid; gap: var(--s2); align-content: start; }
.beside .half .side { display: none; font-weight: 600; }
.beside .step { padding: 6px 10px; border-radius: 6px; background: var(--rt-fill); }
.beside .step.differs { background: color-mix(in srgb, #D55E00 13%, transparent);
  box-shadow: inset 3px 0 #D55E00; }
.beside .small-lanes { display: flex; flex-wrap: wrap; gap: 2px var(--s3); align-items: center; }
.beside .small-lanes > span { display: inline-flex; gap: 6px; align-items: center; white-space: nowrap; }
.beside .small-lanes .bar { width: 60px; }
.beside .values { display: grid; gap: 2px;
  font: var(--t0)/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.beside mark { color: inherit; background: color-mix(in srgb, #E69F00 30%, transparent); border-radius: 3px;
  padding: 0 4px; }
.beside .say { font-size: var(--t2); line-height: 1.45; }
.beside .say .muted { font-size: var(--t1); }
.beside .alike { border: 1px solid var(--rt-line); border-radius: 10px; padding: var(--s2) var(--s4); }
.beside .alike summary { cursor: pointer; }
.beside .alike p { margin-top: var(--s2); overflow-wrap: anywhere; }
@media (max-width: 700px) {
  .beside .cols { grid-template-columns: 1fr; }
  .beside .heads .who { font-weight: 400; }
  .beside .half .side { display: block; }
  .beside .half + .half { border-top: 1px solid var(--rt-line); padding-top: var(--s2); }
}
"""


class Half(NamedTuple):
    """A runtime on one side.

    Args:
        shot: How it is; None where there is no such runtime.
        step: The step that differs, in words.
        note: In place of how it is.
    """

    shot: Snapshot | None
    step: Content = None
    note: str = "There is no such runtime here."


class Pair(NamedTuple):
    """A runtime on both sides.

    Args:
        id: Its id.
        words: What is to be said of it.
        left: One side.
        right: The other side.
        is_first: Whether the first difference is here.
        links: Where to go from here.
        when: When both are as shown, in a word.
        most: How many fields that differ are shown.
    """

    id: str
    words: Content
    left: Half
    right: Half
    is_first: bool = False
    links: Content = None
    when: str = "now"
    most: int = MOST_FIELDS


def pairs_html(names: tuple[str, str], heads: tuple[Content, Content], pairs: Iterable[Pair]) -> Markup:
    """Two columns with their headings, and a box for each runtime.

    Args:
        names: What the sides are called, in one word each.
        heads: The headings of the columns.
        pairs: The runtimes.
    """
    head = div([div(each, cls="who") for each in heads], cls="cols heads")
    return fragment(head, [_pair_html(names, pair) for pair in pairs])


def _pair_html(names: tuple[str, str], pair: Pair) -> Markup:
    look = STATUSES["error"]
    first = chip(look, "first difference") if pair.is_first else None
    head = div(row(h3(safe_text(pair.id, 80)), first, quiet(pair.words)), quiet(pair.links), cls="row spread")
    differs = pair.left.step is not None or pair.right.step is not None
    fields = _state_changes(pair) if differs else []
    sides = zip(names, (pair.left, pair.right), (0, 1), strict=True)
    halves = [_half_html(name, half, pair.when, values_html(fields, side, pair.most)) for name, half, side in sides]
    cls = "pair first" if pair.is_first else "pair"
    return section(head, div(halves, cls="cols"), cls=cls, data_key=safe_text(pair.id, 400))


def _state_changes(pair: Pair) -> list[Change]:
    left, right = pair.left.shot, pair.right.shot
    return [] if left is None or right is None else changes(left.state, right.state, pair.most + 1)


def _half_html(name: str, half: Half, when: str, fields: Markup | None) -> Markup:
    shot, side = half.shot, div(name, cls="side")
    step = div(half.step, cls="step differs") if half.step is not None else None
    if shot is None:
        return div(side, step, quiet(half.note), cls="half")
    lanes = zip(LANES.values(), shot.depth, shot.capacity, strict=True)
    bars = div([_small_lane(*lane) for lane in lanes], cls="small-lanes")
    state = fields or div(code(safe_text(brief(shot.state, 200), 200)))
    now = quiet(when) if step else None
    return div(side, step, row(now, chip(look_of(shot.status.value)), bars), state, cls="half")


def _small_lane(look: Any, depth: int, capacity: int) -> Markup:
    words = f"{look.word} lane: {depth:,} of {capacity:,} waiting"
    bar = fill_bar(depth, capacity, look.tone, words)
    return span(span(look.word, cls="tone", style=f"--tone:{look.tone}"), bar, strong(f"{depth:,}"))


def values_html(fields: list[Change], side: int, most: int = MOST_FIELDS) -> Markup | None:
    """What one side has of what differs, each with its path; None where nothing differs."""
    if not fields:
        return None
    rows = [
        div(f"{plain(each.path, 80) or 'state'}: ", _value_html((each.old, each.new)[side])) for each in fields[:most]
    ]
    more = quiet("More differs than is shown.") if len(fields) > most else None
    return div(rows, more, cls="values")


def _value_html(value: Any) -> Markup:
    return quiet("not there") if value is NOTHING else mark(safe_text(brief(value, 160), 160))


def alike_html(ids: list[str], count: int) -> Content:
    """How many runtimes are alike; their ids are folded behind that."""
    if not count:
        return None
    words = f"{quantity(count, 'runtime')} {'is' if count == 1 else 'are'} alike"
    more = f" and {count - len(ids):,} more" if count > len(ids) else ""
    listed = ", ".join(plain(each, 60) for each in ids)
    return details(summary(words), p(listed, more, cls="muted"), cls="alike", data_key="alike")
