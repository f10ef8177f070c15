"""A fork beside its origin: what both do, live, and where they first differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import panel as pn
from msgspec import UNSET

from ...activity import Activity
from ...events import Outcome
from ...feed.branch_point import BranchPoint, find_branch_point
from ...feed.source import Source
from ...schema.difference import NOTHING, has_changed
from ..app.address import Address
from ..feed import Feed, Update
from ..html import Content, Markup, div, fragment, link, mark, p, quiet, strong
from ..live import Live
from ..runtime.log import record_words
from ..text import brief, quantity, safe_text
from .comparison import LEFT, RIGHT, Comparison, Contrast, Difference, contrast
from .pairs import CSS, MOST_IDS, Half, Pair, alike_html, pairs_html

__all__ = ["Beside", "beside_view", "why_not"]

MOST_PAIRS = 20  # runtimes that are shown
NAMES = ("origin", "fork")
NO_FORK = (
    "This manager was not branched off another one, so there is nothing to compare it with. Go back in time with the "
    "time bar and choose Fork from here, or call manager.at(...).fork(): the fork has this page."
)
ELSEWHERE = (
    "The manager that this one was branched off from runs in another process, where both can be compared: "
    "fork.serve() there gives a page with this view."
)
GONE = "The manager that this one was branched off from is gone, so there is nothing to compare it with."


class Side:
    """What the feed of the origin keeps up to date: its records go to the comparison, and the view is drawn."""

    def __init__(self, take: Callable[[Update], bool]) -> None:
        self.take = take

    def update(self, update: Update) -> bool:
        """Take what is new."""
        return self.take(update)


class Beside(pn.viewable.Viewer):
    """The view. Left is the origin, right the fork; `end()` lets go of the origin.

    Args:
        origin: The source of the manager that was branched off.
        fork: The source of the fork, or of a moment of it.
        point: Where it was branched off.
        feed: Feeds the view; the origin is fed beside it.
        go: Opens another page of the fork.
    """

    def __init__(
        self, origin: Source, fork: Source, point: BranchPoint, feed: Feed, *, go: Callable[[str], Any] | None = None
    ) -> None:
        super().__init__()
        self.sources = (origin, fork)
        self.comparison = Comparison((point.sequence, point.start))
        self.comparison.note_waiting(fork.frame().records)
        self.panel = Live(css=CSS, on={"go": go or (lambda address: None)})
        self._is_ready = False  # once it has the records of both
        self._feed = feed.accompany(origin)
        self._feed.follow(Side(lambda update: self._take(LEFT, update)))

    def __panel__(self) -> Any:
        return self.panel

    def end(self) -> None:
        """Let go of the origin. Idempotent."""
        self._feed.stop()

    def update(self, update: Update) -> bool:
        """Draw what is new in the fork."""
        self._is_ready = True
        return self._take(RIGHT, update)

    def _take(self, side: int, update: Update) -> bool:
        self.comparison.add(side, update.records, update.missed)
        if self._is_ready:
            self.panel.draw(div(self._draw(), cls="beside"))
        return False

    # ---- drawing

    def _draw(self) -> Markup:
        lost = any(self.comparison.lost)
        ahead = {} if lost else self.comparison.ahead()
        extra = self.comparison.extra(self._rest()) if ahead else {}
        first = self.comparison.first(extra.values())
        differing = extra | self.comparison.differing
        found = dict.fromkeys([first.runtime] if first else ())
        found |= dict.fromkeys([*differing, *self._alone(), *ahead, *(self._differing_states() if lost else ())])
        shown = list(islice(found, MOST_PAIRS))
        pairs = [self._pair(id, differing.get(id), ahead.get(id), first) for id in shown]
        return fragment(
            self._sentence(first),
            pairs_html(NAMES, (self._head(LEFT), self._head(RIGHT)), pairs),
            self._more(len(found) - len(shown)),
            self._alike(found),
        )

    def _rest(self) -> tuple[bool, bool]:
        """Whether each side has nothing left to do."""
        left, right = (not source.runtimes or source.fates().pending == 0 for source in self.sources)
        return left, right

    def _alone(self) -> list[str]:
        """Which runtimes are on one side only, while both sides have any."""
        left, right = (set(source.runtimes) for source in self.sources)
        return sorted(left ^ right) if left and right else []

    def _differing_states(self) -> Iterator[str]:
        """Which runtimes have other states now: all that can be said once records were let go."""
        left, right = (
            {shot.id: shot.state for shot in source.snapshots() or source.snapshots(source.ended)}
            for source in self.sources
        )
        return (id for id, state in left.items() if id in right and brief(state, 1000) != brief(right[id], 1000))

    def _head(self, side: int) -> Content:
        source = self.sources[side]
        standing = source.standing().recorded
        words = "as it was then" if standing else "live" if source.runtimes else "it has ended"
        count = f" · {quantity(self.comparison.counts[side], 'activity')} processed since"
        known = "" if any(self.comparison.lost) else count
        return f"{NAMES[side]} ", safe_text(source.name, 60), quiet(f" · {words}{known}")

    def _pair(self, id: str, difference: Difference | None, ahead: int | None, first: Difference | None) -> Pair:
        shots = [source.snapshot(id, metrics=False) for source in self.sources]
        if difference is None:
            words = "" if ahead is None else f"the {NAMES[ahead]} has done more so far"
            return Pair(id, words, Half(shots[LEFT]), Half(shots[RIGHT]))
        left, right = map(Half, shots, _steps(difference))
        is_first = first is not None and first.runtime == id
        return Pair(id, _same_words(difference.same), left, right, is_first, self._links(difference))

    def _links(self, difference: Difference) -> Content:
        """To the fork as it was after that step."""
        record = difference.right
        if record is None:
            return link(Address("runtime", difference.runtime), "open it in the fork")
        return link(Address("runtime", difference.runtime, record.sequence), "open the fork as it was then")

    def _sentence(self, first: Difference | None) -> Markup:
        if first is None:
            return p(self._words_of_none(), cls="say", role="status")
        where = strong(safe_text(first.runtime, 60))
        when = "; ".join(
            f"{self.sources[side].wall(record.at):%H:%M:%S.%f}"[:-3]
            + f" in the {NAMES[side]}, record {record.sequence:,}"
            for side, record in ((LEFT, first.left), (RIGHT, first.right))
            if record is not None
        )
        return p("First difference: ", where, difference_words(first), quiet(f" {when}"), cls="say", role="status")

    def _words_of_none(self) -> Content:
        if any(self.comparison.lost):
            why = "Records since the fork were let go before they were compared: only what is now can be compared."
            return strong("No first difference is known. "), why
        cut = " One side is too far ahead to be compared further." if self.comparison.is_cut else None
        return strong("No difference so far. "), counts_words(*self.comparison.counts), self._hint(), cut

    def _hint(self) -> str:
        """How the fork is made to go on, where it only waits for that."""
        fork = self.sources[RIGHT]
        if fork.fates().pending == 0 or any(shot.status != "paused" for shot in fork.active()):
            return ""
        return " The fork is paused: Resume all lets it go on."

    def _more(self, count: int) -> Content:
        return p(f"{quantity(count, 'more runtime')} that are not alike.", cls="muted") if count > 0 else None

    def _alike(self, found: dict[str, Any]) -> Content:
        every = self.sources[RIGHT].runtimes or self.sources[RIGHT].ended
        alike = (id for id in every if id not in found)
        return alike_html(list(islice(alike, MOST_IDS)), len(every) - sum(id in every for id in found))


def _same_words(same: int) -> str:
    if not same:
        return "from the first step on"
    return f"{quantity(same, 'step')} before it {'was' if same == 1 else 'were'} the same"


def _steps(difference: Difference) -> Iterator[Content]:
    """The step of each side."""
    found = contrast(difference) or Contrast("", None, None)
    records = (difference.left, difference.right)
    for record, payload, value in zip(records, difference.payloads, found[1:], strict=True):
        yield step_html(record, payload, found.what, value)


def counts_words(left: int, right: int) -> str:
    """How many activities both have processed."""
    if left == right:
        return (
            f"Both have processed {quantity(left, 'activity')} since then."
            if left
            else "Neither has done anything yet."
        )
    return f"Since then the origin has processed {quantity(left, 'activity')}, the fork {right:,}."


def difference_words(difference: Difference) -> Content:
    """A difference as the rest of a sentence that begins with the runtime."""
    left, right = difference.left, difference.right
    if left is None or right is None:
        side, record = (LEFT, left) if right is None else (RIGHT, right)
        return " ", _did(record, difference.payloads[side]), f", in the {NAMES[side]} only."
    found = contrast(difference)
    assert found is not None  # else it is no difference
    left_payload, payload = difference.payloads
    is_known = isinstance(left, Outcome) and not has_changed(left_payload, payload)
    after = (" after ", _short(payload), ",") if is_known else ":"
    values = (_short(found.left), " in the origin and ", _short(found.right), " in the fork.")
    return fragment(after, " ", safe_text(found.what, 100), " is ", *values)


def _did(record: Any, payload: Any) -> Content:
    if isinstance(record, Activity):
        return "was sent ", _short(payload), " from ", safe_text(record.source or "outside", 60)
    if isinstance(record, Outcome):
        return "processed ", _short(payload)
    return "was changed by hand: ", safe_text(record.kind.replace("_", " "), 40)


def _short(value: Any) -> Markup:
    return strong("nothing" if value is NOTHING or value is UNSET else safe_text(brief(value, 80), 80))


def step_html(record: Any, payload: Any, what: str = "", value: Any = UNSET) -> Content:
    """What one side did, in a few words, and what is otherwise on the other side."""
    if record is None:
        return quiet("did no such step")
    end = f": {record.kind.replace('_', ' ')}" if isinstance(record, Outcome) else None
    error = (", ", safe_text(str(record.error), 160)) if isinstance(record, Outcome) and record.error else None
    detail = None if isinstance(record, Activity | Outcome) else (" ", record_words(record))
    found = div(safe_text(what, 100), ": ", mark(_short(value))) if what else None
    return fragment(_did(record, payload), end, error, detail, found)


def beside_view(source: Source, feed: Feed, go: Callable[[str], Any], now: Source) -> Beside | None:
    """The view of a source that is a fork; None if it is none, or if its origin is gone.

    Args:
        source: What is shown of the fork: now, or a moment.
        feed: Feeds the view.
        go: Opens another page.
        now: The fork as it is now.
    """
    point = find_branch_point(now)
    origin = None if point is None or point.find_origin is None else point.find_origin()
    return None if point is None or origin is None else Beside(origin, source, point, feed, go=go)


def why_not(now: Source) -> str:
    """Why a manager has no such view."""
    point = find_branch_point(now)
    return NO_FORK if point is None else ELSEWHERE if point.find_origin is None else GONE
