"""What every kind of journal has in common: it needs a log of rows in order, and knows where everything stands."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from threading import Lock, RLock
from time import monotonic
from typing import Any, TypeVar

import msgspec

from ..activity import Activity
from ..errors import JournalError
from .codec import Codec
from .index import Index, RuntimePlaces
from .protocol import (
    UNCHANGED,
    Accepted,
    Created,
    StoredLetter,
    StoredRuntime,
    StoredWhole,
    Then,
    Unreadable,
    WaitingActivity,
    Write,
)
from .retention import Retention
from .rows import AcceptedRow, CommitRow, EffectRow, Row, RowWriter, RuntimeRow, make_activity
from .split import join_state

__all__ = ["Append", "IndexedJournal"]

T = TypeVar("T")
PORTION = 500  # rows that are read, or let go, at a time
PORTION_BYTES = 256 << 10  # of the rows that are let go at a time, and one row more
LOOK_EVERY = 100  # rows, until their age is looked at again
REFUSABLE = (Accepted, Created)  # writes that somebody waits for, who hears that they are not stored


class Append(msgspec.Struct):
    """The rows of one call of `append`.

    A refusable one fails when writing fails. Others are tried until they are stored, so that what was processed is not
    processed again.
    """

    rows: list[Row]
    then: Then | None
    refusable: bool
    more: bool = False  # whether another append, or `flush`, is to come at once
    at: float = 0.0  # when, in real seconds


class IndexedJournal(ABC):
    """A journal over a log. A kind of it stores appends in their order and reads rows back by their positions."""

    when_replaced: Callable[[], Callable[[], object] | None] | None = None

    def __init__(self, modules: Collection[str] = (), keep: Retention | None = None) -> None:
        self.codec = Codec(modules)
        self.keep = keep or Retention()
        self._rows = RowWriter(self.codec)
        self._index = Index()
        self._order = RLock()  # rows are made and handed over in one order
        self._wakers: dict[asyncio.AbstractEventLoop, _Waker] = {}
        self._looked_at = 0
        self._full_at = 0  # rows of the log below which letting go brings nothing

    # ---- what a kind does

    @abstractmethod
    def _submit(self, append: Append) -> None:
        """Store an append after all others; raises if the journal is closed."""

    @abstractmethod
    def _call(self, function: Callable[[], T]) -> T:
        """What a function returns that reads the log and the index, while nobody changes them."""

    @abstractmethod
    def _fetch(self, positions: list[int]) -> list[Row]:
        """The rows at these positions, in this order."""

    # ---- writes

    def append(self, *writes: Write, then: Then | None = None, required: bool = False, more: bool = False) -> None:
        """Store all of these or none, after everything that was appended before; see `Journal.append`."""
        refusable = not required and all(type(each) in REFUSABLE for each in writes)
        with self._order:
            self._submit(Append(self._rows.rows(writes), then, refusable, more, monotonic()))

    def flush(self, here: bool = False) -> bool:
        """Have stored what was appended with `more`. Here each append is."""
        return False

    async def put(self, *writes: Write) -> None:
        """`append`, and wait until it is durable.

        Raises:
            JournalError: It is not stored.
        """
        loop = asyncio.get_running_loop()
        waker = self._wakers.get(loop)
        if waker is None:
            self._wakers = {each: known for each, known in self._wakers.items() if not each.is_closed()}
            waker = self._wakers[loop] = _Waker(loop)
        future = loop.create_future()
        self.append(*writes, then=partial(waker.decide, future))
        await future

    def check(self, value: Any, what: str) -> None:
        """Raise `JournalError` unless a value can be stored; `what` is what the message calls it."""
        self.codec.encode(value, what)

    # ---- reads

    def runtimes(self) -> list[StoredRuntime]:
        """What is stored, in the order of creation."""
        return self._call(lambda: [self._describe(name, places) for name, places in self._index.runtimes.items()])

    def find(self, runtime: str) -> StoredRuntime | None:
        """One runtime, None if nothing is stored of it."""
        return self._call(lambda: self._find(runtime))

    def ids(self) -> list[str]:
        """The ids of what is stored, in the order of creation."""
        return self._call(lambda: list(self._index.runtimes))

    def load(self, runtimes: Iterable[str]) -> dict[str, Callable[[], StoredWhole]]:
        """Read several runtimes at once, by id; those that are stored. See `Journal.load`."""
        return self._call(lambda: self._load([each for each in runtimes if each in self._index.runtimes]))

    def _load(self, runtimes: list[str]) -> dict[str, Callable[[], StoredWhole]]:
        found = {runtime: self._index.runtimes[runtime].copy() for runtime in runtimes}
        wanted = list(dict.fromkeys(place for each in found.values() for place in each.positions()))
        rows: dict[int, Any] = dict(zip(wanted, self._fetch_all(wanted), strict=True))
        return {runtime: partial(self._whole, runtime, places, rows) for runtime, places in found.items()}

    def _whole(self, runtime: str, places: RuntimePlaces, rows: dict[int, Any]) -> StoredWhole:
        state: Any = UNCHANGED
        with suppress(JournalError):  # whoever wants it asks again, and hears why
            if places.state is not None:
                state = self.codec.decode(rows[places.state].state, "the state")
            elif places.fields:
                state = self._join(places, rows, False)
        waiting = _sort_waiting(rows[place] for place in places.waiting.values())
        described = self._describe(runtime, places)
        return StoredWhole(described, self._waiting(waiting, places.attempts), dict(places.keys), state)

    def _find(self, runtime: str) -> StoredRuntime | None:
        places = self._index.runtimes.get(runtime)
        return None if places is None else self._describe(runtime, places)

    def _describe(self, runtime: str, places: RuntimePlaces) -> StoredRuntime:
        return StoredRuntime(
            id=runtime,
            # Of a file that was repaired the state may be lost: then it begins anew, with what waits.
            created=places.created if places.state is not None or places.fields else None,
            limits=self._decode(places.limits, "the limits"),
            paused=places.paused,
            workflow=places.workflow,
            version=places.version,
            supervision=self._decode(places.supervision, "the supervision"),
            counts=dict(places.counts),
            waiting=len(places.waiting),
        )

    def _decode(self, data: bytes | None, what: str) -> Any:
        return None if data is None else self.codec.decode(data, what)

    def state(self, runtime: str) -> Any:
        """The last state of a runtime.

        Raises:
            JournalError: There is none, or it no longer fits its class; the message has the path of the field.
        """
        return self._call(lambda: self._state(runtime, False))

    def plain_state(self, runtime: str) -> Any:
        """The last state with dicts for records: what an upgrade begins with."""
        return self._call(lambda: self._state(runtime, True))

    def _state(self, runtime: str, plain: bool) -> Any:
        places = self._places(runtime)
        if places.state is not None:
            row = self._fetch([places.state])[0]
            assert isinstance(row, RuntimeRow | CommitRow)
            assert row.state is not None
            decode = self.codec.decode_plain if plain else self.codec.decode
            return decode(row.state, "the state")
        if not places.fields:
            raise JournalError(f"no state of {runtime!r} is stored: it was never created", runtime=runtime)
        rows: dict[int, Any] = {position: None for position, _ in places.fields.values()}
        rows.update(zip(rows, self._fetch_all(rows), strict=True))
        return self._join(places, rows, plain)

    def _join(self, places: RuntimePlaces, rows: dict[int, Any], plain: bool) -> Any:
        fields = {name: rows[position].values[name] for name, (position, _) in places.fields.items()}
        return join_state(self.codec, places.head, fields, plain)

    def waiting(self, runtime: str) -> Iterator[WaitingActivity]:
        """What waits: the priority lane, then the standard one, each in its order."""
        rows, attempts = self._call(lambda: self._waiting_rows(runtime))
        yield from self._waiting(rows, attempts)

    def _waiting(self, rows: list[AcceptedRow], attempts: dict[int, Any]) -> list[WaitingActivity]:
        found = []
        for row in rows:
            tried, not_before = attempts.get(row.activity, (0, None))
            found.append(WaitingActivity(make_activity(self.codec, row), tried, not_before, row.rank))
        return found

    def _waiting_rows(self, runtime: str) -> tuple[list[AcceptedRow], dict[int, Any]]:
        places = self._places(runtime)
        return _sort_waiting(self._fetch_all(places.waiting.values())), dict(places.attempts)

    def keys(self, runtime: str) -> dict[str, tuple[int, float]]:
        """The remembered keys: the activity of each, and until when."""
        return self._call(lambda: dict(self._places(runtime).keys))

    def letters(self) -> list[StoredLetter]:
        """The dead letters that were neither sent again nor discarded, oldest first; see `Journal.letters`."""
        return self._call(self._letters)

    def _letters(self) -> list[StoredLetter]:
        found = [letter for places in self._index.runtimes.values() for letter in places.letters.values()]
        rows: Iterable[Any] = self._fetch_all(position for position, _, _ in found)
        made = [
            StoredLetter(self._dead_activity(row), reason, at) for row, (_, reason, at) in zip(rows, found, strict=True)
        ]
        return sorted(made, key=lambda letter: (letter.at, letter.activity.id))

    def _dead_activity(self, row: AcceptedRow) -> Activity[Any]:
        try:
            return make_activity(self.codec, row)
        except JournalError as error:
            reason = self.codec.encode(Unreadable(str(error)))
            return make_activity(self.codec, msgspec.structs.replace(row, payload=reason, more=None))

    def effects(self, runtime: str, activity: int) -> dict[str, Any]:
        """The effects of an activity that was interrupted, by name."""
        return self._call(lambda: self._effects(runtime, activity))

    def _effects(self, runtime: str, activity: int) -> dict[str, Any]:
        rows = self._fetch_all(self._places(runtime).effects.get(activity, {}).values())
        return {
            row.name: self.codec.decode(row.value, f"the effect {row.name!r}")
            for row in rows
            if isinstance(row, EffectRow)
        }

    @property
    def lag(self) -> float:
        """How many real seconds the oldest of what is being stored waits for that."""
        since = self._oldest()
        return 0.0 if since is None else max(0.0, monotonic() - since)

    def _oldest(self) -> float | None:
        """When the first of what is being stored was appended."""
        return None

    @property
    def retired(self) -> dict[str, int]:
        """The sum of the counts of all runtimes that were removed."""
        return self._call(lambda: dict(self._index.retired))

    @property
    def last_activity(self) -> int:
        """The highest id of an activity that was ever stored."""
        return self._index.last_activity

    @property
    def last_time(self) -> float:
        """The latest time that anything stored has, in seconds on the manager's clock."""
        return self._index.now

    def _places(self, runtime: str) -> RuntimePlaces:
        places = self._index.runtimes.get(runtime)
        if places is None:
            raise JournalError(f"nothing is stored of {runtime!r}", runtime=runtime)
        return places

    def _fetch_all(self, positions: Iterable[int]) -> list[Row]:
        wanted = list(positions)
        portions = (wanted[start : start + PORTION] for start in range(0, len(wanted), PORTION))
        return [row for portion in portions for row in self._fetch(portion)]

    # ---- at the start, and as the log grows

    def _learn_states(self) -> None:
        """Remember what is stored of large states, so that the next one is written by its changes."""
        for runtime, places in self._index.runtimes.items():
            if places.fields:
                digests = {name: known for name, (_, known) in places.fields.items()}
                self._rows.states.learn(runtime, (places.head, digests))

    def _may_be_over(self, rows: int, size: int) -> bool:
        """Whether it is worth while to look at the first rows; the age is looked at now and then."""
        keep, last = self.keep, self._looked_at
        if rows <= self._full_at:
            return False
        if (keep.records is not None and rows > keep.records) or (keep.bytes is not None and size > keep.bytes):
            return True
        if keep.age is None or abs(rows - last) < LOOK_EVERY:
            return False
        self._looked_at = rows
        return True

    def _count_over(self, head: list[tuple[int, Row]], rows: int, size: int) -> int:
        """How many of the first rows of the log are beyond the bounds."""
        keep, most = self.keep, len(head)
        over = 0 if keep.records is None else min(most, rows - keep.records)
        if keep.bytes is not None and size > keep.bytes:
            over = most
        if keep.age is not None:
            before = self._index.now - keep.age
            young = (place for place, (_, row) in enumerate(head) if written_at(row) >= before)
            over = max(over, next(young, most))
        return max(0, over)

    def _notice_use(self, rows: int, over: int, carried: int) -> None:
        """Letting go of rows that have to be written again brings nothing: wait until there are more."""
        self._looked_at = -LOOK_EVERY  # there may be more: with rows that come meanwhile their number may be as before
        if carried * 5 > over * 4:
            self._full_at = rows + max(PORTION, rows // 4)


def _sort_waiting(rows: Iterable[Any]) -> list[AcceptedRow]:
    """The priority lane, then the standard one, each in its order."""
    return sorted(rows, key=lambda row: (not row.lane, row.activity if row.rank is None else row.rank, row.activity))


def written_at(row: Row) -> float:
    """When a row was written, as far as it says so."""
    if isinstance(row, AcceptedRow):
        return row.created
    return row.at if isinstance(row, CommitRow) else 0.0


class _Waker:
    """Wakes the tasks of one loop that wait for writes: once for all that became durable together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = Lock()
        self._decided: deque[tuple[asyncio.Future[None], JournalError | None]] = deque()

    def decide(self, future: asyncio.Future[None], error: JournalError | None) -> None:
        """Have the loop decide a future. On any thread."""
        with self._lock:
            self._decided.append((future, error))
            first = len(self._decided) == 1
        if first:
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        while self._decided:
            future, error = self._decided[0]
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error.copy())
            with self._lock:
                self._decided.popleft()
