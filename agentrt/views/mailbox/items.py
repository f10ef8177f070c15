"""The waiting activities of a mailbox: which are on the page, how long they wait, and each as a row of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ...activity import Activity
from ...feed.source import Time
from ..app.address import Address
from ..html import Content, Markup, action, button, code, div, join, li, link, ol, p, pre, quiet, span, strong, symbol
from ..pace import real_second
from ..text import brief, duration, plain, quantity, safe_block, safe_text
from ..theme import Look

__all__ = ["CSS", "PAGE", "Ages", "LanePage", "PayloadTexts", "age_html", "detail_html", "footer_html", "item_html"]

PAGE = 50  # items
LIMITS = (1.0, 5.0, 15.0, 60.0)  # real seconds, at which the colour changes

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


class Ages:
    """How old a waiting activity is, in steps of real time: on a clock with speed 60 a minute counts as a second."""

    def __init__(self, speed: float) -> None:
        self.limits = tuple(limit * real_second(speed) for limit in LIMITS)

    def of(self, age: float) -> int:
        """The step, from 0 (new) to 4 (old).

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


def legend_html(ages: Ages) -> Markup:
    """The colours and what they stand for."""
    steps = [span(words, cls=f"age a{step}") for step, words in enumerate(ages.words())]
    return div(quiet("waits for"), steps, cls="row legend")


class PayloadTexts:
    """The payload of each waiting activity as one short line, made once for each."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Activity[Any], str, str]] = {}

    def of(self, activity: Activity[Any]) -> str:
        """The line of one activity, as plain text."""
        return self._entry(activity)[1]

    def _entry(self, activity: Activity[Any]) -> tuple[Activity[Any], str, str]:
        entry = self._texts.get(activity.id)
        if entry is None or entry[0] is not activity:
            text = plain(brief(activity.payload, 160), 160)
            entry = activity, text, f"{activity.id} {text} {activity.source or ''}".casefold()
            self._texts[activity.id] = entry
        return entry

    def retain(self, items: Sequence[Activity[Any]]) -> None:
        """Forget those that no longer wait, once they are many."""
        if len(self._texts) > 2 * len(items) + PAGE:
            ids = {activity.id for activity in items}
            self._texts = {id: entry for id, entry in self._texts.items() if id in ids}

    def matches(self, activity: Activity[Any], wanted: str) -> bool:
        """Whether its id, its payload or its source contains this (lower case)."""
        return wanted in self._entry(activity)[2]


class LanePage(NamedTuple):
    """One page of a lane: its items, the index of the first, how many match the search and how many there are."""

    items: Sequence[Activity[Any]]
    start: int
    found: int
    total: int

    @classmethod
    def of(cls, items: Sequence[Activity[Any]], texts: PayloadTexts, wanted: str, page: int) -> LanePage:
        """This page of the items that match; the last page where there are fewer."""
        found = [each for each in items if texts.matches(each, wanted)] if wanted else items
        start = min(page, max(0, (len(found) - 1) // PAGE)) * PAGE
        return cls(found[start : start + PAGE], start, len(found), len(items))


def age_html(activity: Activity[Any], now: float, ages: Ages) -> Markup:
    """How long it waits, coloured; or how long it is still delayed."""
    key = f"a{activity.id}"
    if activity.not_before is not None and activity.not_before > now:
        return span(f"in {duration(whole_seconds(activity.not_before - now))}", cls="age due", data_key=key)
    age = max(0.0, now - activity.created)
    return AGES[ages.of(age)](duration(whole_seconds(age)), data_key=key)


def whole_seconds(seconds: float) -> float:
    """Without the fraction of a second, which would only flicker."""
    return float(int(seconds))


def item_html(activity: Activity[Any], text: str, now: float, ages: Ages, detail: Content = None) -> Markup:
    """One item as a row; with `detail`, opened."""
    id = str(activity.id)
    source = quiet(plain(activity.source, 40)) if activity.source else NO_SOURCE
    item, line = (ITEM, LINE) if detail is None else (OPEN_ITEM, OPEN_LINE)
    parts = age_html(activity, now, ages), strong(id), code(plain(text, 160)), source
    return item(line(*parts, data_with=id, data_key=f"b{id}"), detail, data_key=f"i{id}")


LINE, OPEN_LINE = (button.with_(cls="line", data_do="open", aria_expanded=opened) for opened in (False, True))
ITEM, OPEN_ITEM = li, li.with_(cls="open")
NO_SOURCE = span()
AGES = tuple(span.with_(cls=f"age a{step}") for step in range(len(LIMITS) + 1))


def detail_html(activity: Activity[Any], clock: Time, actions: Markup) -> Markup:
    """All about one item, and what can be done with it."""
    facts: list[Content] = [f"accepted {clock.wall(activity.created):%H:%M:%S}"]
    if activity.source:
        facts.append(("from ", link(Address("runtime", activity.source), safe_text(activity.source, 60))))
    if activity.parent is not None:
        cause = link(Address("activity", str(activity.parent)), f"activity {activity.parent}")
        facts.append(("caused by ", cause))
    facts += [f"timeout {duration(activity.timeout)}"] if activity.timeout is not None else []
    facts += [("key ", safe_text(activity.key, 60))] if activity.key else []
    facts.append(link(Address("activity", str(activity.id)), "its page"))
    payload = safe_block(brief(activity.payload, 2000), width=2000)
    about = div(join(", ", facts), cls="muted")
    # A question under it makes it higher: what is new of it is scrolled into view.
    return div(about, pre(payload, tabindex=0), actions, cls="detail", data_reveal=f"{activity.id} {len(actions)}")


def footer_html(page: LanePage, name: str) -> Content:
    """Which items are shown, and buttons for the next and the previous page."""
    more = page.found - page.start - len(page.items)
    if not page.start and not more:
        return None
    place = f"{page.start + 1:,} to {page.start + len(page.items):,} of {page.found:,}"
    left = f", … {more:,} more" if more else ""
    back = action("turn", f"previous {PAGE}", value=f"{name}:-1", cls="act", disabled=not page.start)
    forward = action("turn", f"next {PAGE}", value=f"{name}:1", cls="act", disabled=not more)
    return div(quiet(place, left), back, forward, cls="row foot")


def lane_head_html(look: Look, page: LanePage, of: str) -> Markup:
    """The name of a lane and how many wait in it. `of` is its capacity in words, or empty."""
    matching = f", {page.found:,} match" if page.found != page.total else ""
    name = span(symbol(look), " ", look.word, cls="tone")
    waiting = quiet(f"{page.total:,}{of} waiting{matching}")
    return div(name, waiting, cls="row spread lane-head", style=f"--tone:{look.tone}")


def items_html(rows: Iterable[Content]) -> Markup:
    """The rows of a lane as a list."""
    return ol(rows, cls="items")


def no_items_html(page: LanePage, wanted: str) -> Markup:
    """What is shown where no row is."""
    if page.total:
        return p(f"None of {quantity(page.total, 'activity')} has {plain(wanted, 60)} in it.", cls="muted")
    return p("Nothing waits here.", cls="muted", style="padding:6px 4px")
