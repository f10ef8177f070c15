"""The live source: a manager in this process, read from any thread and steered through its engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..debugger import Whereabouts, whereabouts
from ..engine.commands import items
from ..engine.entry import RuntimeEntry
from ..engine.hub import Frame, Hub
from ..engine.id_changes import IdChanges
from ..errors import AgentError
from ..events import Outcome, Record
from ..metrics import Fates
from ..snapshot import Snapshot, snapshot
from .branch_point import BranchPoint
from .commands import LiveCommands, SteeredManager, waiting
from .extra_pages import ExtraPages
from .find import LastRates, cut, find_entries, find_ids, is_active
from .forms import form_of, form_with
from .ids import IdsUpdate
from .nodes import Usage, UsageMeter
from .source import (
    COMMANDS,
    READS,
    BurstProgress,
    Found,
    JournalStanding,
    Page,
    PayloadForm,
    Reply,
    Settings,
    Source,
    Standing,
    Watching,
)

if TYPE_CHECKING:
    from ..journal import Journal

__all__ = ["Ids", "LiveManager", "LiveSource"]

Entry = RuntimeEntry[Any, Any]

MOMENTS = 4  # that are kept
FORMS = 1000  # forms that are kept; past that they are made anew


class LiveManager(SteeredManager, Protocol):
    """A manager, as its source sees it."""

    name: str
    hub: Hub

    id_changes: IdChanges
    journal: Journal | None

    @property
    def pending_writes(self) -> int:
        """How many writes are not stored yet."""

    def entries(self) -> tuple[Entry, ...]:
        """The entries of all runtimes."""

    def __contains__(self, id: object) -> bool:
        """Whether a runtime has this id."""

    def __len__(self) -> int:
        """How many runtimes there are."""

    @property
    def terminated(self) -> Mapping[str, Snapshot]:
        """The last snapshots of runtimes that ended."""

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot:
        """A snapshot of one runtime, the last one if it was terminated. Raises `AgentError`."""

    def snapshots(self, metrics: bool = False) -> list[Snapshot]:
        """A snapshot of every runtime."""


class Ids(Collection[str]):
    """Ids that are always current. To go through them while they change is safe."""

    def __init__(self, of: Collection[str]) -> None:
        self._of = of

    def __contains__(self, id: object) -> bool:
        return id in self._of

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._of))

    def __repr__(self) -> str:
        return f"<{len(self)} ids>"


class LiveSource:
    """The source of a manager in this process: `manager.source`. See `Source` for what each method does.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    ...     sent = manager.source.command("send", "sum", typed="2", lane="standard")
    ...     manager.run(runtime.ask(1)), manager.source.outcomes([sent.activity])[sent.activity].state
    (3, 2)
    """

    capabilities = COMMANDS | READS

    def __init__(self, manager: LiveManager) -> None:
        self.extra_pages: ExtraPages = {}
        self._manager = manager
        self._commands = LiveCommands(manager)
        self._rates = LastRates()
        self._meter = UsageMeter()
        self._forms: dict[str, tuple[Any, PayloadForm]] = {}
        self._moments: dict[int, Source] = {}
        self._moments_lock = threading.Lock()
        self.name = manager.name
        self.runtimes = Ids(manager)
        self.ended = Ids(manager.terminated)

    def __repr__(self) -> str:
        return f"<LiveSource of {self.name!r}>"

    def _entry(self, id: str) -> Entry | None:
        if id not in self._manager:
            return None
        try:
            entry: Entry = self._manager.entry(id)
        except AgentError:  # it has ended in between
            return None
        return entry

    # ---- time

    def now(self) -> float:
        """Seconds on the manager's clock."""
        return self._manager.clock.now()

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._manager.clock.wall(at)

    @property
    def speed(self) -> float:
        """Seconds on the clock for a real one."""
        return self._manager.clock.speed

    def standing(self) -> Standing:
        """It is always of this manager, and as it is now."""
        return Standing()

    # ---- what happened

    def frame(self, cursor: int = 0) -> Frame:
        """All that happened since a cursor."""
        records, end, missed = self._manager.ring.since(cursor)
        changed = {record.runtime for record in records if record.runtime}
        return Frame(self.now(), records, missed, changed, first=not cursor, cursor=end)

    def attach(
        self, flush: Callable[[Frame], object], schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> Callable[[], None]:
        """Have `flush(frame)` called whenever something happened."""
        return self._manager.hub.attach(flush, schedule)

    def watching(self) -> Watching:
        """What it costs to watch."""
        hub = self._manager.hub
        return Watching(hub.cost, hub.pause, hub.pause > 2 * hub.interval)

    def charge(self, seconds: float) -> None:
        """Add processor seconds that were spent on drawing."""
        self._manager.hub.charge(seconds)

    # ---- how things are

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime is, or how it was when it ended."""
        if id not in self.runtimes and id not in self.ended:
            return None
        try:
            return self._manager.snapshot(id, metrics)
        except AgentError:  # it was forgotten in between
            return None

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """How several runtimes are."""
        if ids is None:
            return self._manager.snapshots(metrics)
        return [found for id in ids if (found := self.snapshot(id, metrics)) is not None]

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""
        return self.snapshots(ids, metrics)

    def active(self, recent: float = 0.0) -> list[Snapshot]:
        """Snapshots of those runtimes of which there is something to say."""
        since = self.now() - recent
        return [snapshot(entry, False) for entry in self._manager.entries() if is_active(entry, since)]

    def find(
        self, search: str = "", sort: str = "", down: bool = False, start: int = 0, count: int | None = None
    ) -> Found:
        """The ids of a part of the runtimes, searched and sorted."""
        if not sort:
            return find_ids(self.runtimes, self.ended, search, start, count)
        return cut(find_entries(self._manager.entries(), self.ended, self._rates, search, sort, down), start, count)

    def ids_since(self, number: int) -> IdsUpdate:
        """How the ids have changed since the update of this number."""
        changes = self._manager.id_changes
        now = changes.number  # first: what changes meanwhile is told again, and that is harmless
        found = changes.since(number)
        return IdsUpdate(now, list(self.runtimes), []) if found is None else IdsUpdate(now, None, found)

    def settings(self, id: str) -> Settings | None:
        """What can be set of a runtime."""
        entry = self._entry(id)
        if entry is None:
            return None
        points = entry.breakpoints
        return Settings(entry.paused, entry.limits, () if points is None else points.names, entry.initial)

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waits in a runtime, in order."""
        entry = self._entry(id)
        if entry is None:
            return Page()
        found = items(entry)
        return _page(found if lane is None else _in_lane(found, lane, self.now()), start, count)

    def where(self, id: str) -> Whereabouts | None:
        """The line that a runtime is at."""
        entry = self._entry(id)
        return None if entry is None else whereabouts(entry)

    def form(self, id: str, activity: int | None = None) -> PayloadForm | None:
        """What to ask for to make a payload."""
        entry = self._entry(id)
        if entry is None:
            return None
        if activity is not None:
            try:
                return form_with(entry.accepts, waiting(entry, activity).payload)
            except AgentError:  # it does not wait any more
                return None
        return self._form(entry)

    def _form(self, entry: Entry) -> PayloadForm:
        known = self._forms.get(entry.id)
        if known is None or known[0] is not entry.accepts:
            if len(self._forms) > FORMS:
                self._forms.clear()
            known = self._forms[entry.id] = (entry.accepts, form_of(entry.accepts))
        return known[1]

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        return self._manager.fates()

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters, oldest first."""
        letters = self._manager.dead_letters
        return Page((), len(letters)) if count == 0 else _page(letters[:], start, count)

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        return self._manager.dead_letters.ledger()

    def events(self) -> list[tuple[int, Record]]:
        """What is recorded of what happened, each with its sequence number."""
        return [(record.sequence, record) for record in self.frame().records]

    def past(self, moment: int) -> Source:
        """Everything as it was after a record. The last few are kept: each page asks for several parts of one."""
        with self._moments_lock:
            found: Any = self._moments.pop(moment, None)
            if found is None:
                found = self._manager.at(moment).source
                found.pace = self.speed
            self._moments[moment] = found
            while len(self._moments) > MOMENTS:
                del self._moments[next(iter(self._moments))]
            past: Source = found
            return past

    def branch_point(self) -> BranchPoint | None:
        """Where it was branched off; None if it is no fork."""
        found: BranchPoint | None = self._manager.branch_point
        return found

    def journal(self, id: str = "") -> JournalStanding | None:
        """How far the journal is."""
        journal = self._manager.journal
        if journal is None:
            return None
        if id:
            entry = self._entry(id)
            if entry is None or entry.effects is None:
                return None
        name, error = getattr(journal, "name", "") or Path(getattr(journal, "path", "")).name, journal.error
        pending = self._manager.pending_writes
        lag = journal.lag if pending else 0.0
        return JournalStanding(name, journal.size, pending, lag, "" if error is None else str(error))

    def usage(self) -> Usage:
        """What the manager has to do, and what its process uses."""
        return self._meter.read(self._manager.entries)

    def outcomes(self, activities: Iterable[int]) -> dict[int, Outcome]:
        """The outcomes of activities that were sent from here."""
        receipts = ((id, self._commands.receipts.get(id)) for id in activities)
        return {id: found.outcome for id, found in receipts if found is not None and found.outcome is not None}

    def burst(self, number: int) -> BurstProgress | None:
        """How far a burst is."""
        found = self._commands.bursts.get(number)
        return None if found is None else found.progress()

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command."""
        return self._commands.carry_out(name, id, arguments)

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> Future[Reply]:
        """Carry out a command on the agents' loop, between two activities."""

        async def on_loop() -> Reply:
            return self._commands.carry_out(name, id, arguments)

        return self._manager.submit(on_loop())


def _in_lane(found: list[Activity[Any]], lane: str, now: float) -> list[Activity[Any]]:
    delayed = [each for each in found if each.not_before is not None and each.not_before > now]
    if lane == "delayed":
        return sorted(delayed, key=lambda each: each.not_before or 0.0)
    held = {each.id for each in delayed}
    return [each for each in found if each.lane == lane and each.id not in held]


def _page(found: Any, start: int, count: int | None) -> Page[Any]:
    return Page(tuple(found[start : None if count is None else start + count]), len(found))
