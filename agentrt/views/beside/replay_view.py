"""A replay beside its record: what first differs, on both sides, and what led there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import panel as pn

from ...activity import Activity
from ...feed.source import Source
from ...schema.difference import NOTHING, Change
from ..app.address import Address
from ..feed import Update
from ..html import Content, Markup, bullets, details, div, fragment, h4, link, mark, p, quiet, strong, summary
from ..live import Live
from ..text import brief, plain, quantity, safe_text
from .pairs import CSS, Half, Pair, alike_html, pairs_html

__all__ = ["Departure", "ReplayReadout", "ReplayView"]

NAMES = ("record", "replay")
MOST_LISTED = 20  # activities that were skipped, or that are not honest
MOST_CHANGES = 20
NOT_KNOWN = "A replay ends at the first difference: what it would have left is not known."
CHAIN = """
.beside .chain { display: grid; gap: 2px; }
.beside .chain h4 { margin: 0; }
.beside .chain ul { padding-left: var(--s4); }
.beside .notes ul { margin-top: var(--s2); padding-left: var(--s4); overflow-wrap: anywhere; }
.beside .notes summary { cursor: pointer; }
"""


class Departure(Protocol):
    """The first thing that differs, see `agentrt.history.replay.Divergence`."""

    @property
    def activity(self) -> Activity[Any]:
        """The activity that did otherwise."""

    @property
    def what(self) -> str:
        """What differs."""

    @property
    def expected(self) -> Any:
        """What the record says."""

    @property
    def got(self) -> Any:
        """What it did."""

    @property
    def chain(self) -> Sequence[Activity[Any]]:
        """The activities that led to it, the first cause first."""

    @property
    def changes(self) -> list[Change]:
        """What differs between the two, path by path."""


class ReplayReadout(Protocol):
    """What came of a replay, see `agentrt.history.replay.Replay`."""

    @property
    def count(self) -> int:
        """How many activities were run again."""

    @property
    def divergence(self) -> Departure | None:
        """The first thing that differs."""

    @property
    def skipped(self) -> Sequence[Any]:
        """What could not be run again; each has `activity`, `runtime` and `why`."""

    @property
    def dishonest(self) -> Sequence[Any]:
        """What makes an activity depend on more than its record; each has `activity` and a text."""

    @property
    def runs(self) -> Mapping[str, int]:
        """How many activities of each runtime did again what the record says."""


class ReplayView(pn.viewable.Viewer):
    """The view. Nothing in it changes.

    Args:
        source: Everything as it stood when the activity that differs had ended.
        replay: What came of the replay.
        go: Opens another page of the source.
    """

    def __init__(self, source: Source, replay: ReplayReadout, *, go: Callable[[str], Any] | None = None) -> None:
        super().__init__()
        self.source = source
        self.replay = replay
        self.panel = Live(self._draw(), css=CSS + CHAIN, on={"go": go or (lambda address: None)})

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> None:
        """Nothing changes."""

    def _draw(self) -> Markup:
        found = self.replay.divergence
        pairs = [] if found is None else [self._pair(found)]
        alike = [id for id in self.replay.runs if found is None or id != found.activity.runtime]
        heads = (NAMES[0], quiet(f" · {self.source.name}")), (NAMES[1], quiet(f" · {self._count_words()}"))
        columns = pairs_html(NAMES, heads, pairs) if pairs else None
        chain = None if found is None else _chain_html(found.chain)
        return div(self._sentence(), columns, chain, self._alike(alike), self._notes(), cls="beside")

    def _count_words(self) -> str:
        return f"{quantity(self.replay.count, 'activity')} run again"

    def _sentence(self) -> Markup:
        found, same = self.replay.divergence, sum(self.replay.runs.values())
        if found is None:
            done = f"{quantity(same, 'activity')} did again what the record says."
            return p(strong("No difference: "), done, cls="say", role="status")
        activity = found.activity
        time = f"{self.source.wall(self.source.now()):%H:%M:%S.%f}"[:-3]
        what, old, new = _contrast_words(found)
        same_before = f"{quantity(same, 'activity')} before it did the same"
        return p(
            ("First difference: ", strong(safe_text(activity.runtime, 60)), " after "),
            (strong(safe_text(brief(activity.payload, 80), 80)), f", {what} "),
            (strong(old), " in the record and ", strong(new), " in the replay. "),
            quiet(f"Activity {activity.id}, ended at {time}; {same_before}."),
            cls="say",
            role="status",
        )

    def _pair(self, found: Departure) -> Pair:
        activity = found.activity
        shot = self.source.snapshot(activity.runtime, metrics=False)
        other = None
        if shot is not None and found.what == "state":
            other = msgspec.structs.replace(shot, state=found.got)
        what, *values = _contrast_words(found)
        steps = [_step_html(activity, what, value) for value in values]
        same = self.replay.runs.get(activity.runtime, 0)
        words = f"{quantity(same, 'activity')} of it did the same before" if same else "from its first activity on"
        return Pair(
            activity.runtime,
            words,
            Half(shot, steps[0]),
            Half(other, steps[1], NOT_KNOWN),
            is_first=True,
            links=link(Address("runtime", activity.runtime), "open it as it was then"),
            when="after it",
            most=MOST_CHANGES,
        )

    def _alike(self, ids: list[str]) -> Content:
        """What did the same, each with how many activities."""
        words = [f"{plain(id, 60)} ({quantity(self.replay.runs[id], 'activity')})" for id in ids[:MOST_LISTED]]
        return alike_html(words, len(ids))

    def _notes(self) -> Content:
        skipped = [f"activity {each.activity} of {plain(each.runtime, 60)}: {each.why}" for each in self.replay.skipped]
        honest = [str(each) for each in self.replay.dishonest]
        count = len({each.activity for each in self.replay.dishonest})
        return (
            _note(f"{quantity(len(skipped), 'activity')} could not be run again", skipped),
            _note(f"{quantity(count, 'activity')} depended on more than the record", honest),
        )


def _contrast_words(found: Departure) -> tuple[str, Markup, Markup]:
    """In what both differ, as a verb that goes before a value; and what one and the other has."""
    what, old, new = f"the {found.what} is", found.expected, found.got
    first = next(iter(found.changes), None)
    if any(hasattr(each, "kind") for each in (old, new)):  # calls of the workflow
        what = "its call is"
    elif found.what in ("state", "reply") and first is not None and first.path:
        what, old, new = f"{plain(first.path, 80)} of the {found.what} is", first.old, first.new
    return what, _value_words(old), _value_words(new)


def _value_words(value: Any) -> Markup:
    """A call or a text as it is, anything else as its repr."""
    if value is None or value is NOTHING:
        return safe_text("nothing")
    if hasattr(value, "kind"):
        return safe_text(repr(value), 120)
    return safe_text(value if isinstance(value, str) else brief(value, 120), 120)


def _step_html(activity: Activity[Any], what: str, value: Markup) -> Markup:
    head = ("processed ", strong(safe_text(brief(activity.payload, 120), 120)))
    return fragment(head, div(f"{what} ", mark(value)))


def _chain_html(chain: Iterable[Activity[Any]]) -> Content:
    """The activities that led there, the first cause first."""
    items = [
        (
            link(Address("activity", str(each.id)), f"activity {each.id}"),
            " of ",
            strong(safe_text(each.runtime, 60)),
            f", from {plain(each.source or 'outside', 60)}: ",
            safe_text(brief(each.payload, 120), 120),
        )
        for each in chain
    ]
    return div(h4("What led there"), bullets(items), cls="chain") if items else None


def _note(words: str, items: list[str]) -> Content:
    if not items:
        return None
    listed = [safe_text(each, 300) for each in items[:MOST_LISTED]]
    more = [f"and {len(items) - MOST_LISTED:,} more"] if len(items) > MOST_LISTED else []
    return details(summary(words), bullets([*listed, *more]), cls="notes alike", data_key=words)
