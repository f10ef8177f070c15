"""A manager whose runtimes note what each step touches: which arrivals, takes, commands and looks."""

from __future__ import annotations

import math
from typing import Any

from ...clock import Clock, Timer
from ...engine.workflow import Workflow
from ...events import Outcome
from ...limits import Limits
from ...manager import RuntimeManager
from ...runtime import Runtime
from ..discard import discard_manager
from .entries import ExploredEntry, ExploredNotes
from .observer import Observer

__all__ = ["ExploredManager"]

# What a handle has that neither looks at the runtime nor changes it, besides sending. Commands note themselves.
BLIND = {
    "send", "send_nowait", "ask", "id", "entry", "manager", "pause", "resume", "step", "recover", "terminate",
    "swap", "param", "name", "grant", "_param__private",
}  # fmt: skip


class ExploredClock(Clock):
    """A clock on which a slice is over after each activity: each take is a step of its own."""

    @property
    def pace(self) -> float:
        """So few seconds that no slice has time for two activities."""
        return -math.inf

    @pace.setter
    def pace(self, pace: float) -> None:
        """Nothing changes it."""


class ExploredRuntime(Runtime[Any, Any]):
    """A handle: whoever looks at the runtime through it is noted."""

    def __getattribute__(self, name: str) -> Any:
        if name not in BLIND and not name.startswith("__"):
            entry = object.__getattribute__(self, "__dict__").get("entry")
            if isinstance(entry, ExploredNotes):
                if name == "state":
                    entry.current_run.read(entry.marks.state)
                else:
                    entry.note_command()
        return super().__getattribute__(name)


class _Numbers:
    """Ids that depend on who draws them and not on the order: `ctx.random` gives the same in every order."""

    def __init__(self, run: Observer) -> None:
        self._next = run.next_number

    def __iter__(self) -> _Numbers:
        return self

    def __next__(self) -> int:
        return self._next()


class ExploredManager(RuntimeManager):
    """The manager that a scenario is given: an ordinary one that notes what each step touches."""

    def __init__(self, run: Observer, seed: int, journal: Any = None) -> None:
        self.current_run = run
        super().__init__(journal, "current", ExploredClock(source=run.loop.time), seed=seed, offer=False)
        self.ring.append = self.record = self._note_record
        if journal is None:
            self.counter: Any = _Numbers(run)
            self.number = self.counter.__next__

    def abandon(self) -> None:
        """Leave it all as it stands: its process has ended. What it has begun is kept, as nothing of it goes on."""
        self.closed = True
        self._disposal.cancel()
        self.current_run.abandoned.append(self)

    def discard(self) -> None:
        """Let go of it all, without giving what waits a fate: the run is over."""
        discard_manager(self)

    def forget_activities(self) -> None:
        """Let go of all activities, wherever they are."""
        self.ring.records.clear()
        entries: list[Any] = [*self._entries.values()]
        for entry in entries:
            entry.abandon()
            entry.mailbox.clear()
            if entry.effects is not None:
                entry.commits.clear()
                entry.outbox.clear()
        if self._storage is not None:
            self._storage._waiting.clear()

    def _note_record(self, record: Any) -> None:
        self.ring.records.append(record)
        if type(record) is Outcome:
            self.current_run.decide(record)

    def _make_entry(self, id: str, state: Any, workflow: Workflow, limits: Limits, wanted: Any) -> Any:
        self.current_run.reach(workflow.call, state, id)
        if wanted is None or self._storage is None:
            return ExploredEntry(self._host, id, state, workflow, limits)
        from .durable_world import ExploredDurableEntry

        return ExploredDurableEntry(self._host, id, state, workflow, limits, self._storage)

    def _start_storage(self) -> None:
        super()._start_storage()
        if self._storage is not None:
            from .durable_world import wait_for_flush

            wait_for_flush(self._storage)

    def _make_handle(self, entry: Any) -> Any:
        return ExploredRuntime(entry, self)

    def entry(self, to: Any) -> Any:
        """The entry of an id or a handle; note that the map was asked."""
        if isinstance(to, str):
            self.current_run.read(self.current_run.keys.bit("id", to))
        return super().entry(to)

    def get(self, id: str) -> Any:
        """The handle of an id, or None; note that the map was asked."""
        self.current_run.read(self.current_run.keys.bit("id", id))
        return super().get(id)

    def __contains__(self, id: object) -> bool:
        self.current_run.read(self.current_run.keys.bit("id", id))
        return super().__contains__(id)

    def __iter__(self) -> Any:
        self.current_run.write(self.current_run.keys.bit("ids"))
        return super().__iter__()

    def __len__(self) -> int:
        self.current_run.write(self.current_run.keys.bit("ids"))
        return super().__len__()

    def snapshots(self, metrics: bool = False) -> Any:
        """Snapshots of all; note that somebody looks at them."""
        self.current_run.write(self.current_run.keys.bit("ids"))
        for entry in tuple(self._entries.values()):
            entry.note_command()  # type: ignore[attr-defined]
        return super().snapshots(metrics)

    def _add(self, entry: Any) -> None:
        self._note_id(entry)
        super()._add(entry)

    def _remove(self, entry: Any) -> None:
        self._note_id(entry)
        super()._remove(entry)

    def _note_id(self, entry: Any) -> None:
        keys = self.current_run.keys
        self.current_run.write(keys.bit("id", entry.id))
        self.current_run.read(keys.bit("ids"))

    def call_at(self, when: float, call: Any) -> Timer:
        """Call at a time; note that the order of timers matters."""
        self.current_run.touch_clock()
        return super().call_at(when, call)
