"""The history of one runtime: its states, one after the other, each with what made it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from ..activity import Activity
from ..events import Outcome, Record
from ..schema.difference import Change, changes
from ..schema.preview import preview
from ..snapshot import Snapshot
from .cause import Write, find_write, sequence_of, trace_back
from .cells import cell, table
from .origin import Origin
from .world import World

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CommittedState", "History"]

S = TypeVar("S")
MOST_ROWS = 20  # of the table that a cell shows


class CommittedState(msgspec.Struct, Generic[S], frozen=True):
    """One state of a runtime, and what made it.

    Args:
        sequence: The sequence number of the record: `manager.at(commit.sequence)` is the moment after it.
        at: When it was; seconds on the manager's clock.
        kind: What made it: "done" is an activity; "created", "restarted", "state_edited" and "redefined" are not.
        state: The state after it.
        record: The `Outcome` or the `Event`.
        activity: The activity, if one made it and its record is kept.
    """

    sequence: int
    at: float
    kind: str
    state: S
    record: Record
    activity: Activity[Any] | None = None

    def __repr__(self) -> str:
        by = "" if self.activity is None else f" by {self.activity!r}"
        return f"<CommittedState {self.sequence} {self.kind}: {preview(self.state, 120)}{by}>"


class History(Sequence[CommittedState[S]], Generic[S]):
    """The commits of a runtime, oldest first: `runtime.history`. Always current; any thread.

    It goes back as far as the records are kept. What the bound of the ring has let go is said by `let_go`.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     for n in (1, 2, 3):
    ...         outcome = counter.send_nowait(n).result(5)
    ...     [commit.state for commit in counter.history], counter.history[-1].activity.payload
    ([0, 1, 3, 6], 3)
    """

    def __init__(self, origin: Origin, id: str) -> None:
        self._origin = origin
        self.id = id

    def _records(self) -> list[Record]:
        """The records that changed the state; kept up to date by whoever asks."""
        chronicle = self._origin.chronicle
        chronicle.pull()
        track = chronicle.tracks.get(self.id)
        return [] if track is None else track.changes

    def _commit(self, record: Record) -> CommittedState[S]:
        chronicle = self._origin.chronicle
        activity = chronicle.activity(record.id) if isinstance(record, Outcome) else None
        state: S = chronicle.tracks[self.id].state_after(record)
        return CommittedState(record.sequence, record.at, record.kind, state, record, activity)

    # ---- a sequence

    def __len__(self) -> int:
        return len(self._records())

    @overload
    def __getitem__(self, index: int) -> CommittedState[S]: ...
    @overload
    def __getitem__(self, index: slice) -> list[CommittedState[S]]: ...
    def __getitem__(self, index: int | slice) -> CommittedState[S] | list[CommittedState[S]]:
        found = self._records()[index]
        return [self._commit(each) for each in found] if isinstance(found, list) else self._commit(found)

    def __iter__(self) -> Iterator[CommittedState[S]]:
        return map(self._commit, tuple(self._records()))

    def __repr__(self) -> str:
        gone = f", the first {self.let_go:,} records were let go" if self.let_go else ""
        return f"<History of {self.id!r}: {len(self)} commits{gone}>"

    @property
    def let_go(self) -> int:
        """How many records of the manager are no longer kept."""
        self._origin.chronicle.pull()
        return self._origin.chronicle.let_go

    # ---- to ask

    def at(self, sequence: int | None = None, time: float | None = None) -> Snapshot:
        """Return the runtime as it stood at a moment, see `RuntimeManager.at`."""
        return World(self._origin, sequence, time)[self.id].snapshot()

    def diff(self, a: int, b: int) -> list[Change]:
        """Return what differs between the states at two moments, 200 changes at most.

        Args:
            a: The sequence number of the first moment.
            b: The sequence number of the second one.
        """
        first, second = (World(self._origin, each)[self.id].state for each in (a, b))
        return changes(first, second)

    def search(self, predicate: Callable[[S], object], monotone: bool = False) -> CommittedState[S] | None:
        """Return the first commit whose state satisfies a predicate; None if none does.

        Args:
            predicate: A function of the state.
            monotone: Whether it stays satisfied once it is: then it is found by bisection, in a few steps.
        """
        records = tuple(self._records())
        state_after = self._origin.chronicle.tracks[self.id].state_after if records else None
        if state_after is None:
            return None
        if monotone:
            place = bisect_right(records, False, key=lambda each: bool(predicate(state_after(each))))
            return self._commit(records[place]) if place < len(records) else None
        return next((self._commit(each) for each in records if predicate(state_after(each))), None)

    def last_write(self, field: str = "", sequence: int | None = None) -> Write | None:
        """Return what last wrote a field of the state: the activity, and what led to it.

        Args:
            field: The path of the field, such as `"carriers[0].delay"`; all of the state if left out.
            sequence: Up to this record; without it, up to now.

        Returns:
            The write, with the chain of activities that led to it; None if nothing that is kept wrote it.

        Raises:
            ConfigurationError: That is no path of a field.
        """
        chronicle = self._origin.chronicle
        chronicle.pull()
        return find_write(chronicle, self.id, field, chronicle.last if sequence is None else sequence)

    def causes(self, commit: CommittedState[S]) -> tuple[Activity[Any], ...]:
        """Return the activities that led to a commit, the first cause first, as far as they are kept."""
        return trace_back(self._origin.chronicle, commit.record)

    def place(self, sequence: int) -> int:
        """Return the index of the last commit up to a sequence number; -1 if there is none."""
        return bisect_right(self._records(), sequence, key=sequence_of) - 1

    # ---- to show

    def frame(self) -> pd.DataFrame:
        """Return the commits as a table: sequence, at, kind, activity, lane, source, payload, state."""
        from ..optional import explain_missing

        with explain_missing("a table needs"):
            import pandas as pd
        return pd.DataFrame([_cells(each) for each in self], columns=list(COLUMNS))

    def _repr_html_(self) -> str:
        rows = ["".join(map(cell, _cells(each))) for each in self[-MOST_ROWS:]]
        return table(repr(self)[1:-1], COLUMNS, rows)


COLUMNS = ("sequence", "at", "kind", "activity", "lane", "source", "payload", "state")


def _cells(commit: CommittedState[Any]) -> tuple[Any, ...]:
    activity = commit.activity
    of = (None,) * 4 if activity is None else (activity.id, activity.lane.value, activity.source, activity.payload)
    return (commit.sequence, commit.at, commit.kind, *of, commit.state)
