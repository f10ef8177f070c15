"""The chronicle of a manager that runs: of its ring, and of how its runtimes stand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from weakref import ref

from ..clock import Clock
from ..engine.entry import RuntimeEntry
from ..engine.retention import Readings
from ..errors import ManagerClosedError
from ..events import Ring
from ..feed.source import Source
from ..metrics import Fates
from .chronicle import Chronicle, Cut
from .origin import Running
from .rewind import replica_of

__all__ = ["LiveHistory", "RecordingManager"]

T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]
PATIENCE = 2.0  # real seconds to wait for a turn of the loop


class RecordingManager(Protocol):
    """A manager, as its history sees it."""

    name: str
    ring: Ring
    clock: Clock
    seed: int
    readings: Readings
    lock: AbstractContextManager[Any]
    busy: set[Entry]
    served_effects: Any

    @property
    def source(self) -> Source:
        """What its views are drawn from."""

    def entries(self) -> tuple[Entry, ...]:
        """The entries of all runtimes."""

    def fates(self) -> Fates:
        """The counts of all runtimes."""

    def do(self, call: Callable[[], T], timeout: float = 10.0) -> T:
        """Call on the loop's thread."""


class LiveHistory:
    """What a manager's moments are read from. It does not keep the manager alive."""

    not_recorded: frozenset[str] = frozenset()

    def __init__(self, manager: RecordingManager) -> None:
        self._manager = ref(manager)
        self.name = manager.name
        self.clock = manager.clock
        self.seed = manager.seed
        self.readings = manager.readings.find
        self.chronicle = Chronicle(manager.ring, self._cut)

    def _alive(self) -> RecordingManager:
        manager = self._manager()
        if manager is None:
            raise ManagerClosedError(f"the manager {self.name!r} is gone; keep it, and its moments can be read")
        return manager

    def _cut(self) -> Cut:
        """All of the ring, and how the runtimes stand, with nothing happening in between."""
        manager = self._alive()

        def read() -> Cut:
            with manager.lock:
                records, cursor, let_go = manager.ring.since(0)
                replicas = [replica_of(entry) for entry in manager.entries()]
                return Cut(records, cursor, let_go, replicas, manager.fates())

        try:
            return manager.do(read, PATIENCE)
        except TimeoutError:  # a workflow blocks the loop: what it does is one activity, and not over
            return read()

    def make_manager(self, **options: Any) -> Any:
        """Make another manager of the same kind, on a thread of its own."""
        manager = self._alive()
        make: Any = type(manager)
        return make(loop="thread", ring=manager.ring.limit, **options)

    def of_branch(self) -> tuple[Any, Any]:
        """What gives the results of effects, and what was sent before, where the manager is a branch; else None."""
        manager = self._alive()
        return manager.served_effects, getattr(manager, "recorded_sends", None)

    def present(self) -> Source | None:
        """The source of the manager; None once nobody keeps it."""
        manager = self._manager()
        return None if manager is None else manager.source

    def running(self) -> dict[str, Running]:
        """What each runtime processes now."""
        manager = self._manager()
        found: dict[str, Running] = {}
        for entry in () if manager is None else tuple(manager.busy):
            started, current = entry.started, entry.current
            if current is not None:
                of, spans = entry.spans
                found[entry.id] = Running(current, started, spans if of == current.id else ())
        return found

    def now(self) -> float:
        """Seconds on the manager's clock."""
        return self.clock.now()

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self.clock.wall(at)

    def describe(self) -> str:
        """What this is."""
        return f"the manager {self.name}"
