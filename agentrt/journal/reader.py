"""A journal file as it was last written, for who only looks at it: read from a copy, so that the file stays as it is.

>>> import tempfile, agentrt.journal as journals
>>> with tempfile.TemporaryDirectory() as folder:
...     with journals.SQLiteJournal(f"{folder}/agents.db") as journal:
...         journal.append(journals.Created(runtime="counter", state=5))
...     with JournalReader(f"{folder}/agents.db") as reader:
...         reader.state("counter"), reader.depth("counter")
(5, (0, 0))
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from ..activity import Activity
from ..errors import JournalError
from .database import Database
from .indexed import Append, IndexedJournal
from .log_copy import LogCopy
from .protocol import Unreadable
from .rows import AcceptedRow, Row, make_activity

__all__ = ["JournalReader"]

T = TypeVar("T")


class JournalReader(IndexedJournal):
    """What a journal file holds. It is copied, and neither changed nor held.

    Values whose classes are not imported here are read as plain ones, with dicts for records.

    Args:
        path: The file, which no process holds.
        modules: The modules that may be imported to find the classes of what is stored.

    Raises:
        JournalError: There is no such file, a process holds it, it is damaged, of a newer version, or no journal.
    """

    def __init__(self, path: str | os.PathLike[str], *, modules: Collection[str] = ()) -> None:
        super().__init__(modules)
        self._log = log = LogCopy(path, modules)
        self.codec, self.path, self.written = log.codec, log.path, log.written
        self.accepted_priority: Counter[str] = Counter()  # by runtime, as far as the history goes back
        self._priority: set[int] = set()  # positions of what waits, and what of it has a rank or a time of its own
        self._ranks: dict[int, float] = {}
        self._due: dict[int, float] = {}
        try:
            with log.explain_errors():
                self._replay(log.database)
        except BaseException:
            log.close()
            raise

    def _replay(self, database: Database) -> None:
        for position, row in database.read():
            self._note(position, row)
            self._index.apply(position, row)
        self._index.last_activity = max(self._index.last_activity, database.meta.last_activity)
        self._index.retired.update(database.meta.retired)
        waiting = {place for places in self._index.runtimes.values() for place in places.waiting.values()}
        self._priority &= waiting
        self._ranks = {place: rank for place, rank in self._ranks.items() if place in waiting}
        self._due = {place: at for place, at in self._due.items() if place in waiting}

    def _note(self, position: int, row: Row) -> None:
        if isinstance(row, AcceptedRow):
            if row.lane:
                self._priority.add(position)
                places = self._index.runtimes.get(row.runtime)
                if not row.again and (places is None or row.activity not in places.waiting):
                    self.accepted_priority[row.runtime] += 1
            if row.rank is not None:
                self._ranks[position] = row.rank
            if row.not_before is not None:
                self._due[position] = row.not_before

    # ---- what a kind does

    def _submit(self, append: Append) -> NoReturn:
        raise JournalError(f"the journal {self.path} is only read: nothing is stored in it")

    def _call(self, function: Callable[[], T]) -> T:
        return self._log.call(function)

    def _fetch(self, positions: list[int]) -> list[Row]:
        return self._log.fetch(positions)

    # ---- what is shown

    def state(self, runtime: str) -> Any:
        """The last state; plain where its classes are not here, `Unreadable` if it can't be read or was never stored.

        Raises:
            JournalError: Nothing is stored of this runtime.
        """
        self._places(runtime)
        try:
            return super().state(runtime)
        except JournalError as error:
            try:
                return super().plain_state(runtime)
            except JournalError:
                return Unreadable(str(error))

    def depth(self, runtime: str) -> tuple[int, int]:
        """How many wait in each lane, (priority, standard); those not yet due included."""
        waiting = self._places(runtime).waiting
        priority = sum(place in self._priority for place in waiting.values()) if self._priority else 0
        return priority, len(waiting) - priority

    def lists(self, runtime: str) -> tuple[list[int], list[int], list[int]]:
        """The ids of what waits, in order: in the priority lane, in the standard lane, and not yet due."""
        waiting, now = self._places(runtime).waiting, self.last_time
        order = sorted(waiting, key=lambda id: (self._ranks.get(waiting[id], id), id))
        delayed = [id for id in sorted(waiting) if (self.due(runtime, id) or now) > now]
        ready = set(delayed)
        lanes: tuple[list[int], list[int]] = ([], [])
        for id in order:
            if id not in ready:
                lanes[waiting[id] not in self._priority].append(id)
        return *lanes, delayed

    def due(self, runtime: str, activity: int) -> float | None:
        """When an activity that waits may be processed at the earliest; None if at any time."""
        places = self._places(runtime)
        retry = places.attempts.get(activity, (0, None))[1]
        return retry if retry is not None else self._due.get(places.waiting[activity])

    def activities(self, runtime: str, ids: Iterable[int]) -> list[Activity[Any]]:
        """Activities that wait, by their ids."""
        wanted = list(ids)
        waiting = self._places(runtime).waiting
        rows: list[Any] = self._call(lambda: self._fetch_all(waiting[id] for id in wanted))
        made = [make_activity(self.codec, row) for row in rows]
        return [msgspec.structs.replace(each, not_before=self.due(runtime, each.id)) for each in made]

    def history(self, most: int) -> tuple[list[tuple[int, Row]], int]:
        """The last rows with their positions, and how many there are before them."""
        before, count = self._log.extent
        first = before + 1 + max(0, count - most)
        return list(self._log.rows(first)), first - 1

    # ---- the file

    @property
    def error(self) -> JournalError | None:
        """Nothing is stored, so nothing fails."""
        return None

    @property
    def size(self) -> int:
        """How many bytes the file takes, with the write-ahead log beside it."""
        return self._log.size

    def backup(self, path: str | Path) -> NoReturn:
        """Refused: nobody holds the file, so copy it."""
        raise JournalError(f"the journal {self.path} is only read: nobody holds the file, so copy it")

    def compact(self) -> NoReturn:
        """Refused: it would change the file."""
        raise JournalError(f"the journal {self.path} is only read: `agentrt journal compact {self.path}`")

    def close(self) -> None:
        """Remove the copy. Safe to call again."""
        self._log.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
