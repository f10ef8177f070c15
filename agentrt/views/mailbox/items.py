"""What waits in a mailbox, for people: which items are on the page, how old they are, and each as a row of HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from ...activity import Activity
from ..app.address import Address
from ..text import brief, count, duration, plain, safe_block, safe_text
from ..theme import Look

__all__ = ["CSS", "PAGE", "Ages", "Lane", "Texts", "age_html", "detail_html", "footer_html", "legend_html", "row_html"]

PAGE = 50
LIMITS = (1.0, 5.0, 15.0, 60.0)  # seconds, of a person

CSS = """
.items { list-style: none; margin: var(--s1) 0 0; padding: 0; }
.box { height: 340px; overflow-y: auto; }
@media (max-width: 600px) { .box { height: 230px; } }
.later { max-height: 180px; overflow-y: auto; }
.items li { border-bottom: 1px solid var(--rt-line); }
.items .line { all: unset; box-sizing: border-box; cursor: pointer; width: 100%; display: grid; align-items: center;
  grid-template-columns: 74px minmax(40px, max-content) minmax(0, 1fr) auto; gap: var(--s2); padding: 3px var(--s1);
  border-radius: 6px; }
.items .line:hover { background: var(--rt-fill); }
.items .line:focus-visible, .items .act:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
.items .line code { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.items .line .muted { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 110px; }
.items li.open { background: var(--rt-fill); border-radius: 6px; }
.age { text-align: center; border-radius: 5px; padding: 0 6px; font-size: var(--t0); line-height: 1.7;
  white-space: nowrap; border: 1px solid var(--rt-line); }
.a1 { background: color-mix(in srgb, #D55E00 12%, transparent); }
.a2 { background: color-mix(in srgb, #D55E00 26%, transparent); }
.a3 { background: color-mix(in srgb, #D55E00 42%, transparent); }
.a4 { background: color-mix(in srgb, #D55E00 58%, transparent); border-color: #D55E00; font-weight: 700; }
.due { border-style: dashed; }
.detail { padding: var(--s1) var(--s3) var(--s3); }
.detail pre { max-height: 220px; overflow: auto; background: var(--rt-surface); border: 1px solid var(--rt-line);
  border-radius: 6px; padding: var(--s2); margin: var(--s1) 0 var(--s2); white-space: pre-wrap;
  overflow-wrap: anywhere; }
.act { all: unset; cursor: pointer; border: 1px solid color-mix(in srgb, var(--rt-text) 38%, transparent);
  border-radius: 6px; padding: 3px 11px; font-size: var(--t0); background: var(--rt-surface); line-height: 1.6; }
.act:hover { border-color: var(--rt-text); }
.act[aria-pressed=true], .act.sure { border-color: var(--tone); font-weight: 600;
  background: color-mix(in srgb, var(--tone) 18%, transparent); }
.act[disabled] { cursor: default; color: var(--rt-muted); border-color: var(--rt-line); }
.ask { margin-top: var(--s2); padding: var(--s2) var(--s3); border-left: 4px solid var(--tone);
  border-radius: 0 6px 6px 0; background: color-mix(in srgb, var(--tone) 9%, transparent); overflow-wrap: anywhere; }
.ask .row { margin-top: var(--s2); }
.legend { font-size: var(--t0); }
.foot { padding: var(--s2) var(--s1); }
.lane-head { border-top: 3px solid var(--tone); padding-top: var(--s2); }
"""


def pace(speed: float) -> float:
    """What a second of a person is on the agents' clock, where that is longer.

    >>> pace(60), pace(0.1), pace(float("inf"))
    (60, 1.0, 1.0)
    """
    return speed if 1 < speed < float("inf") else 1.0


class Ages:
    """What counts as old: seconds of a person, so on a clock that runs 60 times as fast a minute is one."""

    def __init__(self, speed: float) -> None:
        self.limits = tuple(limit * pace(speed) for limit in LIMITS)

    def of(self, age: float) -> int:
        """From 0 (fresh) to 4 (old).

        >>> [Ages(1).of(age) for age in (0.5, 3, 15, 3600)], Ages(60).of(3)
        ([0, 1, 3, 4], 0)
        """
        return sum(age >= limit for limit in self.limits)

    def words(self) -> list[str]:
        """What each step stands for.

        >>> Ages(1).words()
        ['under 1 s', '1 s to 5 s', '5 s to 15 s', '15 s to 60 s', 'over 60 s']
        """
        names = [duration(limit).replace(".0 ", " ") for limit in self.limits]
        between = [f"{low} to {high}" for low, high in pairwise(names)]
        return [f"under {names[0]}", *between, f"over {names[-1]}"]


def legend_html(ages: Ages) -> str:
    """The colours and what they stand for."""
    chips = "".join(f'<span class="age a{step}">{words}</span>' for step, words in enumerate(ages.words()))
    return f'<div class="row legend"><span class="muted">waits for</span>{chips}</div>'


class Texts:
    """The payload of each waiting activity as one short line; made once for each."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Activity[Any], str, str]] = {}

    def of(self, activity: Activity[Any]) -> str:
        """Plain text: whoever draws it must escape it."""
        return self._of(activity)[1]

    def _of(self, activity: Activity[Any]) -> tuple[Activity[Any], str, str]:
        made = self._made.get(activity.id)
        if made is None or made[0] is not activity:
            text = plain(brief(activity.payload, 160), 160)
            made = activity, text, f"{activity.id} {text} {activity.source or ''}".casefold()
            self._made[activity.id] = made
        return made

    def keep(self, items: list[Activity[Any]]) -> None:
        """Forget what no longer waits, now and then."""
        if len(self._made) > 2 * len(items) + PAGE:
            ids = {activity.id for activity in items}
            self._made = {id: made for id, made in self._made.items() if id in ids}

    def matches(self, activity: Activity[Any], wanted: str) -> bool:
        """Whether its id, its payload or where it comes from has this in it (lower case)."""
        return wanted in self._of(activity)[2]


class Lane(NamedTuple):
    """The items of one lane: those on the page, where the page begins, how many there are and how many match."""

    items: list[Activity[Any]]
    start: int
    found: int
    total: int

    @classmethod
    def of(cls, items: list[Activity[Any]], texts: Texts, wanted: str, page: int) -> Lane:
        """One page of the items that match; the last one where there are no more so many."""
        found = [each for each in items if texts.matches(each, wanted)] if wanted else items
        start = min(page, max(0, (len(found) - 1) // PAGE)) * PAGE
        return cls(found[start : start + PAGE], start, len(found), len(items))


def age_html(activity: Activity[Any], now: float, ages: Ages) -> str:
    """How long it waits, or until when it is held back, coloured."""
    key = f'data-key="a{activity.id}"'
    if activity.not_before is not None and activity.not_before > now:
        return f'<span class="age due" {key}>in {duration(whole(activity.not_before - now))}</span>'
    age = max(0.0, now - activity.created)
    return f'<span class="age a{ages.of(age)}" {key}>{duration(whole(age))}</span>'


def whole(seconds: float) -> float:
    """Without the part of a second, which would only flicker."""
    return float(int(seconds))


def row_html(activity: Activity[Any], text: str, now: float, ages: Ages, detail: str = "") -> str:
    """One item; with its detail, opened."""
    source = f'<span class="muted">{safe_text(activity.source, 40)}</span>' if activity.source else "<span></span>"
    kind, opened = (' class="open"', "true") if detail else ("", "false")
    return f"""<li data-key="i{activity.id}"{kind}><button class="line" data-do="open" data-with="{activity.id}"
      aria-expanded="{opened}" data-key="b{activity.id}">{age_html(activity, now, ages)}<strong>{activity.id}</strong>
      <code>{safe_text(text, 160)}</code>{source}</button>{detail}</li>"""


def detail_html(activity: Activity[Any], clock: Any, acts: str) -> str:
    """Everything about one item, and what can be done with it."""
    facts = [f"accepted {clock.wall(activity.created):%H:%M:%S}"]
    if activity.source:
        facts.append(f"from {link(Address('runtime', activity.source), safe_text(activity.source, 60))}")
    if activity.parent is not None:
        facts.append(f"caused by {link(Address('activity', str(activity.parent)), f'activity {activity.parent}')}")
    facts += [f"timeout {duration(activity.timeout)}"] if activity.timeout is not None else []
    facts += [f"key {safe_text(activity.key, 60)}"] if activity.key else []
    facts.append(link(Address("activity", str(activity.id)), "its story"))
    payload = safe_block(brief(activity.payload, 2000), width=2000)
    return f"""<div class="detail" data-reveal="{activity.id} {len(acts)}"><div class="muted">{", ".join(facts)}</div>
      <pre tabindex="0">{payload}</pre>{acts}</div>"""


def link(address: Address, words: str) -> str:
    """A link to another page of the dashboard. The words must be safe."""
    return f'<button class="link" data-do="go" data-with="{escape(str(address))}">{words}</button>'


def footer_html(lane: Lane, name: str) -> str:
    """Where the page is, and the ways to the next and to the one before."""
    more = lane.found - lane.start - len(lane.items)
    if not lane.start and not more:
        return ""
    place = f"{lane.start + 1:,} to {lane.start + len(lane.items):,} of {lane.found:,}"
    left = f", … {more:,} more" if more else ""
    back = _turn(name, -1, f"previous {PAGE}", not lane.start)
    on = _turn(name, 1, f"next {PAGE}", not more)
    return f'<div class="row foot"><span class="muted">{place}{left}</span>{back}{on}</div>'


def _turn(name: str, by: int, words: str, off: bool) -> str:
    disabled = " disabled" if off else ""
    return f'<button class="act" data-do="turn" data-with="{name}:{by}"{disabled}>{words}</button>'


def head_html(look: Look, lane: Lane, of: str) -> str:
    """The name of a lane and how many wait in it. `of` is what it can hold, or empty."""
    matching = f", {lane.found:,} match" if lane.found != lane.total else ""
    return f"""<div class="row spread lane-head" style="--tone:{look.tone}"><span class="tone">
      <span aria-hidden="true">{look.glyph}</span> {look.word}</span>
      <span class="muted">{lane.total:,}{of} waiting{matching}</span></div>"""


def list_html(rows: Iterable[str]) -> str:
    """The rows of a lane."""
    return f'<ol class="items">{"".join(rows)}</ol>'


def nothing_html(lane: Lane, wanted: str) -> str:
    """What stands where no row is."""
    if lane.total:
        return f'<p class="muted">None of {count(lane.total, "activity")} has {safe_text(wanted, 60)} in it.</p>'
    return '<p class="muted" style="padding:6px 4px">Nothing waits here.</p>'
