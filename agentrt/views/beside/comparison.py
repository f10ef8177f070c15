"""What two runs of the same runtimes did, step by step, and where they first differ. Nothing here draws."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ...activity import Activity
from ...events import PROCESSED, Baseline, Outcome
from ...schema.difference import Change, changes, has_changed

__all__ = ["LEFT", "RIGHT", "Comparison", "Contrast", "Difference", "contrast"]

LEFT, RIGHT = 0, 1
MOST_AHEAD = 20_000  # records that one side may be ahead of the other
# What changes a runtime from outside. That it is paused or stepped changes when it goes on, and not what it does.
BY_HAND = frozenset(
    {"state_edited", "swapped", "redefined", "limit", "recovered", "edited", "moved", "dropped_by_hand"}
)
Key = tuple[str, str, str]  # a runtime, what kind of steps, and from whom


class Difference(NamedTuple):
    """A step that the two did not do alike; a side that did no such step has None.

    Args:
        runtime: The id of the runtime.
        left: The record of one.
        right: The record of the other.
        same: How many steps of this kind were the same before.
        payloads: What the activity was, on each side, as far as it is known.
    """

    runtime: str
    left: Any
    right: Any
    same: int = 0
    payloads: tuple[Any, Any] = (None, None)

    @property
    def order(self) -> int:
        """What comes first has the lowest: the lower of the two record numbers, which both count from one moment on."""
        return min(each.sequence for each in (self.left, self.right) if each is not None)


class Contrast(NamedTuple):
    """In what two records differ: in words, and what one and the other has."""

    what: str
    left: Any
    right: Any


class StepStream:
    """Steps of one kind of one runtime. Those that only one side has done so far wait to be compared."""

    __slots__ = ("ahead", "is_cut", "same", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, Any]] = deque()  # records, each with the payload of its activity
        self.ahead = LEFT  # the side that those are of
        self.same = 0
        self.is_cut = False  # whether it is compared no further


class Comparison:
    """Compares what both did since a moment. Bounded: what one side is ahead by is kept, up to 20,000 records.

    Of each runtime it compares in order what it processed, what it was sent by each sender, what was changed by hand.
    Times are not compared, nor which of two runtimes was first: these may differ from one run to the next.

    Args:
        since: The last record of each side that came before the comparison begins.
    """

    def __init__(self, since: tuple[int, int]) -> None:
        self.since = since
        self.differing: dict[str, Difference] = {}
        self.counts = [0, 0]  # activities that ended, on each side
        self.lost = [False, False]  # whether records were let go before they were compared
        self.is_cut = False  # whether one side was too far ahead to be compared further
        self._streams: dict[Key, StepStream] = {}
        self._ahead: dict[Key, StepStream] = {}
        self._waiting = 0
        self._payloads: tuple[dict[int, Any], dict[int, Any]] = ({}, {})

    def note_waiting(self, records: Iterable[Any]) -> None:
        """Take from the records of a fork what waited when it began: so it did on both sides."""
        for record in records:
            if isinstance(record, Baseline) and record.kind == "forked":
                for activity in (each for lane in record.waiting for each in lane):
                    for payloads in self._payloads:
                        payloads[activity.id] = activity.payload

    def add(self, side: int, records: list[Any], missed: int = 0) -> None:
        """Take new records of one side, in their order; `missed` were let go before them."""
        since = self.since[side]
        if missed and (not records or records[0].sequence > since + 1):
            self.lost[side] = True
        if any(self.lost):
            return  # which step is which is not known any more; what was found before stays
        for record in records:
            if record.sequence > since:
                self._add(side, record)

    def _add(self, side: int, record: Any) -> None:
        payload = None
        if isinstance(record, Activity):
            self._payloads[side][record.id] = payload = record.payload
            key = (record.runtime, "sent", record.source or "")
        elif isinstance(record, Outcome):
            payload = self._payloads[side].pop(record.id, None)
            if record.kind not in PROCESSED:
                return
            self.counts[side] += 1
            key = (record.runtime, "processed", "")
        elif record.kind in BY_HAND:
            key = (record.runtime, "by hand", "")
        else:
            return
        self._compare(key, side, record, payload)

    def _compare(self, key: Key, side: int, record: Any, payload: Any) -> None:
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = StepStream()
        if stream.waiting and stream.ahead != side:
            self._match(key, stream, (record, payload))
        elif not stream.is_cut:
            self._keep(key, stream, side, (record, payload))

    def _keep(self, key: Key, stream: StepStream, side: int, step: tuple[Any, Any]) -> None:
        if self._waiting >= MOST_AHEAD:
            stream.is_cut = self.is_cut = True
            return
        stream.ahead = side
        stream.waiting.append(step)
        self._ahead[key] = stream
        self._waiting += 1

    def _match(self, key: Key, stream: StepStream, step: tuple[Any, Any]) -> None:
        other = stream.waiting.popleft()
        self._waiting -= 1
        if not stream.waiting:
            del self._ahead[key]
        (left, one), (right, two) = (step, other) if stream.ahead == RIGHT else (other, step)
        found = Difference(key[0], left, right, stream.same, (one, two))
        if contrast(found) is None:
            stream.same += 1
            return
        self._waiting -= len(stream.waiting)
        stream.waiting.clear()
        self._ahead.pop(key, None)
        stream.is_cut = True
        before = self.differing.get(found.runtime)
        if before is None or found.order < before.order:
            self.differing[found.runtime] = found

    # ---- what was found

    def extra(self, rest: tuple[bool, bool]) -> dict[str, Difference]:
        """By runtime, the first step that one side alone did, and the other does no more.

        Args:
            rest: Whether each side has nothing left to do.
        """
        found: dict[str, Difference] = {}
        for key, stream in self._ahead.items():
            if rest[1 - stream.ahead] or key[1] == "by hand":
                step = _step_of_one_side(key[0], stream)
                if key[0] not in found or step.order < found[key[0]].order:
                    found[key[0]] = step
        return found

    def ahead(self) -> dict[str, int]:
        """By runtime, which side has done more so far. Only of those that do not differ otherwise."""
        return {key[0]: stream.ahead for key, stream in self._ahead.items() if key[0] not in self.differing}

    def first(self, extra: Iterable[Difference] = ()) -> Difference | None:
        """The first step that both did otherwise; where there is none the first one that one side alone did."""
        for several in (self.differing.values(), extra):
            found = min(several, key=lambda each: each.order, default=None)
            if found is not None:
                return found
        return None


def _step_of_one_side(runtime: str, stream: StepStream) -> Difference:
    record, payload = stream.waiting[0]
    if stream.ahead == LEFT:
        return Difference(runtime, record, None, stream.same, (payload, None))
    return Difference(runtime, None, record, stream.same, (None, payload))


def contrast(difference: Difference) -> Contrast | None:
    """In what the two records of a difference differ; None if they do not. One that is alone differs in all of it."""
    left, right = difference.left, difference.right
    if left is None or right is None:
        return Contrast("", left, right)
    return next((each for each in _contrasts(left, right, difference.payloads) if has_changed(*each[1:])), None)


def _contrasts(left: Any, right: Any, payloads: tuple[Any, Any]) -> Iterator[Contrast]:
    """What is compared of two records, what says most first."""
    if isinstance(left, Activity):
        yield Contrast("what it was sent", left.payload, right.payload)
        yield Contrast("the lane", left.lane.value, right.lane.value)
    elif isinstance(left, Outcome):
        yield Contrast("what it processed", *payloads)
        yield Contrast("the end", left.kind.replace("_", " "), right.kind.replace("_", " "))
        yield Contrast("the error", _cause_words(left), _cause_words(right))
        yield Contrast("the reply", left.reply, right.reply)
        if has_changed(left.state, right.state):
            change = next(iter(changes(left.state, right.state, 1)), Change("", left.state, right.state))
            yield Contrast(f"{change.path} of the state" if change.path else "the state", change.old, change.new)
    else:
        yield Contrast("what was changed by hand", left.kind.replace("_", " "), right.kind.replace("_", " "))
        yield Contrast(f"what was changed by hand: {left.kind.replace('_', ' ')}", left.detail, right.detail)


def _cause_words(outcome: Outcome[Any]) -> str:
    error = outcome.error
    cause = None if error is None else error.__cause__ or error
    return "" if cause is None else f"{type(cause).__name__}: {cause}"
