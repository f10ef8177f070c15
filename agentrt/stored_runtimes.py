"""StoredRuntimes: what a manager does with its journal. Without one, nothing of it is imported."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakMethod

from .activity import Activity
from .clock import Clock
from .dead_letters import DeadLetters
from .engine import commands
from .engine.baseline import record_baseline
from .engine.durability import Durability, Upgrade
from .engine.entry import RuntimeEntry
from .engine.loop_thread import in_ipython, time_of
from .engine.workflow import Workflow
from .errors import ConfigurationError
from .limits import Limits
from .logs import log_safely
from .metrics import Fates
from .receipt import Promise
from .runtime_factory import RuntimeFactory
from .schema.numbers import count, refuse
from .snapshot import fates

if TYPE_CHECKING:
    from .engine.storage import Storage
    from .journal import Journal

__all__ = ["StoredRuntimes"]

Entry = RuntimeEntry[Any, Any]
logger = logging.getLogger(__name__)


class StoredRuntimes(RuntimeFactory):
    """A map of runtimes that may be stored. `journal` is None where they live in memory only."""

    journal: Journal | None
    dead_letters: DeadLetters
    _storage: Storage | None = None

    def __init__(self, name: str, loop: str, clock: Clock | None, journal: Any) -> None:
        self.journal = None if journal is None else open_journal(journal)
        try:
            super().__init__(name, loop, clock)
        except BaseException:
            if self.journal is not None:
                self.journal.close()
            raise
        if self.journal is not None and in_ipython():
            self.journal.when_replaced = WeakMethod(self._make_room)

    def _make_room(self) -> None:
        """Close, as the cell that opens the journal is run again."""
        log_safely(logger, "closed %r: the cell with its journal was run again", self, level=logging.INFO)
        self._host.close()

    @property
    def _host(self) -> Any:
        """It as its entries see it: the manager has the rest of a `Host`."""
        return self

    @property
    def pending_writes(self) -> int:
        """How many writes of durable runtimes are not stored yet."""
        return 0 if self._storage is None else self._storage.pending

    def _start_storage(self) -> None:
        """Have ids, dead letters and everything that is created go on from the journal."""
        if self.journal is not None:
            from .engine.storage import Storage

            self._storage = Storage(self._host, self.journal)
            retired = self.journal.retired
            self.dead_letters.restore(self.journal.letters, retired.get("resent", 0), retired.get("discarded", 0))
            self._retired = Fates.of(retired)

    def _make_clock(self) -> Clock:
        """One that goes on: it counts from 1970 on, and never from before the last time that is stored."""
        if self.journal is None:
            return super()._make_clock()
        source = time_of(self.loop)
        now = time.time() if source is time.monotonic else source()
        ahead = max(now, self.journal.last_time) - source()
        return Clock(source=lambda: source() + ahead)

    def _durability(
        self, durable: bool, resume: bool, state_version: int, upgrade: Upgrade | None
    ) -> Durability | None:
        version = count("state_version", state_version, least=1)
        steps = upgrade.values() if isinstance(upgrade, Mapping) else () if upgrade is None else (upgrade,)
        if not all(map(callable, steps)):
            raise refuse("upgrade", upgrade, "a function, or a dict with a function for each version")
        if not durable or self._storage is None:
            return None
        return Durability(resume, version, upgrade)

    def _make_entry(self, id: str, state: Any, workflow: Workflow, limits: Limits, wanted: Durability | None) -> Entry:
        if wanted is None or self._storage is None:
            return RuntimeEntry(self._host, id, state, workflow, limits)
        from .engine.durable_entry import DurableEntry

        return DurableEntry(self._host, id, state, workflow, limits, self._storage)

    def _begin_in_journal(self, entry: Any, wanted: Durability) -> None:
        from .engine.resume import begin

        begin(entry, wanted)

    def _find_dormant(self, id: str) -> Entry | None:
        if self._storage is None or self.closed:
            return None
        from .engine.resume import dormant_entry

        with self.lock:
            return dormant_entry(self._storage, self, id)

    def terminate(self, id: str, drain: bool = False) -> Promise[bool]:
        """`Runtime.terminate` by id. Without `drain` also what the journal holds and no code has created yet."""
        if not drain and isinstance(id, str):
            self._adopt(id)
        return super().terminate(id, drain)

    def _adopt(self, id: str) -> None:
        """Put what the journal holds and nobody has created into the map, so that it can end."""
        if self._storage is None:
            return
        from .engine.resume import adopt

        with self.lock:
            entry = None if self.closed or id in self._entries else adopt(self._storage, self, id)
            if entry is not None:
                self._add(entry)
                record_baseline(entry, "created", "", commands.ACTOR.get())

    def _remove_from_journal(self, entry: Entry) -> None:
        """A runtime has ended for good: nothing of it is read back but its dead letters."""
        if self._storage is not None and not self.closed and entry.effects is not None:
            from .journal import Removed

            self._storage.append(Removed(runtime=entry.id, counts=fates(entry).counts()))

    def close_letter(self, activity: Activity[Any], fate: Literal["", "resent", "discarded"] = "") -> None:
        """A dead letter was sent again, discarded or, without a fate, let go: it is not read back."""
        if self._storage is not None and not self.closed:
            from .journal import LetterClosed

            self._storage.append(LetterClosed(runtime=activity.runtime, activity=activity.id, fate=fate))

    def keep_letter(self, activity: Activity[Any], reason: str, at: float) -> None:
        """A dead letter that was closed is one again: it is read back."""
        if self._storage is not None and not self.closed:
            from .journal import LetterKept

            self._storage.append(LetterKept(activity=activity, reason=reason, at=at))

    def _close_dormant(self) -> None:
        """Who waits for what nobody has created hears that it waits for the next manager."""
        if self._storage is not None:
            for entry in tuple(self._storage.dormant.values()):
                commands.close(entry)

    def _close_journal(self) -> None:
        """Store what is left and close the file; whoever waits for that hears of it. It blocks as long as it takes."""
        if self._storage is not None:
            self._storage.close()


def open_journal(journal: Any) -> Journal:
    """The journal that was given, or the one of a path or of an address."""
    if not isinstance(journal, str | os.PathLike):
        if not callable(getattr(journal, "append", None)) or not hasattr(journal, "last_activity"):
            raise ConfigurationError(
                f"journal is {journal!r:.80}; give the path of a file, such as 'agents.db', a SQLiteJournal "
                "or a PostgresJournal"
            )
        return journal  # type: ignore[no-any-return]
    from .journal import PostgresJournal, SQLiteJournal
    from .journal.location import SERVER

    if isinstance(journal, str) and journal.startswith(SERVER):
        return PostgresJournal(journal)
    return SQLiteJournal(journal)
