"""RuntimeManager: the thread-safe map of runtimes, the loop they run on, and what they share."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .activity import Activity
from .clock import Clock
from .display import DisplayedDeadLetters, ManagerDisplay, Serving
from .engine import closing, commands
from .engine.counter import make_counter
from .engine.deadlines import Deadlines
from .engine.deadlock import CURRENT, deadlock_error
from .engine.disposal import Disposal
from .engine.entry import RuntimeEntry
from .engine.fork import RefusingLock, close_in_children
from .engine.handoff import InlineBudget
from .engine.hub import Hub
from .engine.isolation import Workers
from .engine.loop_host import discard, wait_for
from .engine.loop_thread import LoopChoice, as_coroutine, in_ipython, running_loop, time_of
from .engine.unread import held_by, read_records
from .engine.watchdog import Watchdog
from .errors import ConfigurationError, DeadlockError, ManagerClosedError
from .events import Event, Ring
from .feed.offer import offer as offer_feed
from .groups import Groups
from .logs import log_safely
from .publisher import Publisher
from .readouts import watchable
from .receipt import Promise, wait_all
from .runtime import Runtime
from .schema.numbers import count as count_of
from .schema.numbers import number, time_limit
from .schema.numbers import seed as check_seed
from .stored_runtimes import StoredRuntimes
from .subscription import Subscription

if TYPE_CHECKING:
    from .feed.source import Source
    from .history.live import LiveHistory
    from .history.moment import Moment
    from .history.replay import Replay
    from .journal import Journal

__all__ = ["RuntimeManager"]

logger = logging.getLogger(__name__)
T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]
Handle = Runtime[Any, Any]


class RuntimeManager(StoredRuntimes, ManagerDisplay, Serving):
    """Many runtimes on one event loop. All of it may be used on any thread.

    Use it as a context manager, sync or async, or `close()` it.

    Args:
        journal: Where all runtimes are stored, so that they go on after a restart: the path of a file, or an
            `agentrt.journal.SQLiteJournal`, which is closed with the manager. Without it they live in memory.
        loop: Where the agents run: "thread" is a background thread, "current" the running loop, "auto" a thread in
            IPython or where no loop runs, else the running loop.
        clock: Gives the agents' time; `manager.speed` changes how fast it runs.
        seed: Decides what `ctx.random` gives; a random one unless given.
        name: What the manager and its threads are called.
        ring: How many records are kept of what happened.
        offer: Whether other processes of the same user may watch and steer it, as `agentrt watch` does. It costs
            nothing until one does.

    Raises:
        ConfigurationError: A value can't work, or "current" was asked for where no loop runs.

    >>> with RuntimeManager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     manager.run(counter.ask(2))
    2
    """

    first_number = 1  # of its activities and records; another one where the numbers of several managers are to differ

    def __init__(
        self,
        journal: str | os.PathLike[str] | Journal | None = None,
        loop: LoopChoice = "auto",
        clock: Clock | None = None,
        *,
        seed: int | None = None,
        name: str = "agentrt",
        ring: int = 20_000,
        offer: bool = True,
    ) -> None:
        seed = check_seed("seed", seed)
        records = Ring(ring, read=read_records, parts=held_by)
        super().__init__(name, loop, clock, journal)
        self.closed = False
        self._closing = threading.Lock()
        self._endings: list[Promise[bool]] = []
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.chance = random.Random(self.seed)
        stored = 0 if self.journal is None else self.journal.last_activity
        self.counter = make_counter(max(self.first_number, stored + 1))
        self.number: Callable[[], int] = self.counter.__next__
        self.ring = records
        self.record = self.ring.append
        self.hub = Hub(self.ring, self.clock)
        self.groups = Groups(self)
        self.busy: set[Entry] = set()
        self.watchdog = Watchdog(self)
        self.asleep: dict[Any, None] = {}
        self.inline_budget = InlineBudget(self.loop)
        self.deadlines = Deadlines(self)
        self.dead_letters = DisplayedDeadLetters(self)
        self._publisher: Publisher | None = None
        self._source: Source | None = None
        self._origin: LiveHistory | None = None
        self.listeners: dict[Any, Callable[[], None]] = {}
        self.workers = Workers(name)
        self._offer = offer_feed(self) if offer and time_of(self.loop) is time.monotonic else None
        if in_ipython():
            from .notebook import prepare_shell, wake_loop_on_signals

            wake_loop_on_signals()
            prepare_shell()
        self._start_storage()
        self._disposal = Disposal(self, self._own)
        close_in_children(self)

    def __repr__(self) -> str:
        where = "closed" if self.closed else ("own thread" if self._own is not None else "current loop")
        journal = "" if self.journal is None else f", {self.journal!r}"
        return f"<RuntimeManager {self.name!r} {len(self)} runtimes, {where}, speed {self.speed:g}{journal}>"

    def _make_handle(self, entry: Entry) -> Handle:
        return Runtime(entry, self)

    def follow(self, handle: Handle) -> None:
        """Publish to the `param` watchers of a handle what changes."""
        with self.lock:
            if self._publisher is None:
                self._publisher = Publisher(self.hub, self.lock, watchable(Runtime))
        self._publisher.follow(handle)

    # ---- to look at

    @property
    def source(self) -> Source:
        """What the views of its runtimes are drawn from: reads, and commands that are recorded with who gave them."""
        with self.lock:
            if self._source is None:
                from .feed.live import LiveSource

                self._source = LiveSource(self)
            return self._source

    @property
    def origin(self) -> LiveHistory:
        """What its moments and its histories are read from."""
        with self.lock:
            if self._origin is None:
                from .history.live import LiveHistory

                self._origin = LiveHistory(self)
            return self._origin

    def at(self, sequence: int | None = None, time: float | None = None) -> Moment:
        """Return all runtimes as they stood at one moment: their states, mailboxes, statuses and counts. Any thread.

        Args:
            sequence: The sequence number of a record; the moment is after it. Without it, and without `time`: now.
            time: Seconds on the manager's clock; the moment is after the last record up to then.

        Raises:
            ConfigurationError: Both were given, one is no such number, or the moment is before the first record that is
                kept or after the last one.
        """
        from .history.moment import Moment

        if sequence is not None and time is not None:
            raise ConfigurationError("a moment is given by its sequence number or by its time, not by both")
        if sequence is not None:
            sequence = count_of("sequence", sequence, least=0)
        if time is not None:
            time = number("time", time, "seconds on the manager's clock", -math.inf)
        moment = Moment(self.origin, sequence, time)
        if moment.sequence > self.origin.chronicle.last:
            raise ConfigurationError(
                f"record {moment.sequence} has not happened yet; the last one is {self.origin.chronicle.last}"
            )
        return moment

    def replay(
        self,
        workflows: Mapping[str, Callable[..., Any]] | None = None,
        since: int | None = None,
        until: int | None = None,
        effects: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Replay:
        """Run again what is recorded, in its recorded order, up to the first thing that differs. Any thread.

        Each activity gets the state, the time, the chance, the results of its effects and the answers that it got then.
        Nothing is sent, no effect is repeated, and the runtimes go on untouched.

        Args:
            workflows: Other code, by the id of the runtime; the others run the code that was recorded.
            since: Only what ended after this record.
            until: Only what ended up to this record.
            effects: Functions to call in place of what the record has, by the name of the effect.

        Returns:
            Whether everything matches, the first divergence, what was skipped, and what is not honest.

        Raises:
            ConfigurationError: Nothing is recorded of a runtime or an effect that is named.
        """
        from .history.replay import replay_records

        return replay_records(self.origin, workflows, since, until, effects)

    def record_test(
        self,
        path: str | os.PathLike[str],
        ids: Collection[str | int] | str | int | None = None,
        since: int | None = None,
        until: int | None = None,
        minimise: bool = False,
    ) -> Path:
        """Write what is recorded as a pytest file that stands alone: it imports agentrt and the user's modules.

        It passes on the code that was recorded, and fails on a changed one where that does otherwise. What can't be
        repeated is left out, and the file says why.

        Args:
            path: The file; one that is there is replaced.
            ids: Of which runtimes, or the numbers of activities; all without it.
            since: Only what ended after this record.
            until: Only what ended up to this record.
            minimise: Leave out, by delta debugging, what is not needed to reach the last end of each runtime.

        Returns:
            The file.

        Raises:
            ConfigurationError: Nothing is recorded there, or a value or a workflow can't be written as source.
        """
        from .history.transcript import write_test

        return write_test(self.origin, path, ids, since, until, minimise)

    def subscribe(self) -> Subscription:
        """Return every record from now on, as an async iterator; bounded, `dropped` says how many were let go."""
        self.check_process()
        return Subscription(self.ring, self.listeners, self._is_over)

    def _is_over(self) -> bool:
        self.check_process()
        return self.closed and not self._entries

    @property
    def speed(self) -> float:
        """How many of the agents' seconds pass in a real one: 0 stops them, inf leaps to what is due next.

        It leaps when every busy runtime waits for the clock (`ctx.sleep`, a delay, a retry) or for one that does; else
        it passes as a real clock does. Above 1, an activity that does what takes real time, such as work in a thread or
        at a socket, is late once its timeout has passed in real seconds.
        """
        return self.clock.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.check_process()
        old = self.clock.speed
        self.clock.speed = speed
        speed = self.clock.speed
        self.ring.append(
            Event(self.number(), "", self.clock.now(), "speed", commands.ACTOR.get(), {"from": old, "to": speed})
        )
        self.notify()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from .notebook import mime_bundle

        return mime_bundle(self, include, exclude)

    def _display_(self) -> Any:  # what marimo asks for
        from .notebook import displayable

        return displayable(self)

    # ---- the loop

    def run(self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        """Block until an awaitable is done on the agents' loop: from a cell, a script or another thread.

        Args:
            awaitable: A coroutine, a receipt, or anything else that can be awaited.
            timeout: Real seconds; None for as long as it takes.

        Raises:
            TimeoutError: It took longer; it is cancelled.
            DeadlockError: This is the thread of the loop that must do the work; await it instead.
            ConfigurationError: `timeout` is no duration.
            ManagerClosedError: The manager is closed.
        """
        try:
            self.check_process()
            timeout = time_limit("timeout", timeout)
        except (ConfigurationError, ManagerClosedError):
            discard(awaitable)
            raise
        if threading.get_ident() != self.thread:
            return wait_for(self.submit(awaitable), timeout)
        if running_loop() is None:
            return self.loop.run_until_complete(asyncio.wait_for(as_coroutine(awaitable), timeout))
        if self._own is None and in_ipython():
            from .notebook import run_within

            return run_within(self.loop, asyncio.wait_for(as_coroutine(awaitable), timeout))
        discard(awaitable)
        raise deadlock_error(self, None, "await ...")

    def end_with_loop(self) -> None:
        """End with the loop, which somebody else has closed."""
        self._end()
        self._close_journal()

    def notify(self) -> None:
        """Wake who iterates over a subscription."""
        if self.listeners:
            for listener in tuple(self.listeners.values()):
                listener()

    @property
    def kept_letters(self) -> int:
        """How many dead letters are kept."""
        return self.dead_letters.limit

    def dead_letter(self, activity: Activity[Any], reason: str) -> None:
        """Put an undelivered activity with the dead letters."""
        self.dead_letters.add(activity, reason)

    def escalate(self, entry: Entry) -> None:
        """Let the entry's group decide about its failures."""
        self.groups.escalate(entry)

    def note_breakpoints(self, entry: Entry) -> None:
        """An entry has other breakpoints: here nobody keeps a copy."""

    def group_failures(self, id: str) -> dict[str, list[float]]:
        """When children of a runtime's groups have failed, by the name of the group."""
        return self.groups.failures(id)

    def leave(self, entry: Entry) -> None:
        """Close an entry; it leaves the map once all that waited has its fate."""
        commands.close(entry)

    def forget(self, entry: Entry) -> None:
        """Take a closed entry out of the map; its counts stay."""
        with self.lock:
            if self.holds(entry):
                self.groups.leave(entry)
                self._remove(entry)
                self._remove_from_journal(entry)
        self.notify()

    # ---- the end

    def close(self, timeout: float = 5.0) -> None:
        """Terminate every runtime and stop the loop thread. Idempotent.

        Args:
            timeout: Real seconds to wait for what still runs; then it is cancelled.

        Raises:
            DeadlockError: A workflow called it.
            ConfigurationError: `timeout` is no duration.
        """
        limit = time_limit("timeout", timeout)
        if self.is_forked:
            return
        if CURRENT.get() is not None:
            raise DeadlockError("a workflow can't close its own manager", chain=())
        if self._own is None or threading.get_ident() == self.thread:
            self._end()
            if threading.get_ident() == self.thread or self.loop.is_closed():
                self._finish_now()  # nothing can wait for a turn of the loop here
            self._close_journal()
            self.hub.close()
            return
        with self._closing:  # a second caller waits for the first
            try:
                self._wait_for_end(self._end(), limit)
            finally:
                self._close_journal()
                self._own.stop(limit)
                self._finish_now()  # something may block the loop
                self.hub.close()
                self._disposal.cancel_at_exit()

    def _wait_for_end(self, endings: list[Promise[bool]], limit: float | None) -> None:
        """Wait so many seconds until all have ended, and say what takes longer than a moment."""
        for seconds in closing.waits(limit):
            pending = [promise for promise in endings if promise.value is None]
            if not pending or self.loop.is_closed():
                return
            with suppress(TimeoutError, concurrent.futures.CancelledError):
                return wait_for(self.submit(wait_all(pending)), seconds)
            waiting = self._log_waiting()
        if limit is not None and len(pending) > waiting:
            warning = "%r did not end within %g s; what still runs is cancelled"
            log_safely(logger, warning, self, limit, level=logging.WARNING)

    def _log_waiting(self) -> int:
        return closing.log_waiting(self, tuple(self._entries.values()), stored=self.journal is not None)

    def _finish_now(self) -> None:
        """End what has not ended by itself."""
        for entry in tuple(self._entries.values()):
            commands.close(entry)
            commands.finish_close(entry)

    async def aclose(self) -> None:
        """Do what `close` does, from async code: wait until what ran has come to its end."""
        if self.is_forked:
            return
        if self._own is not None and threading.get_ident() != self.thread:
            await asyncio.to_thread(self.close)
        else:
            endings = self._end()
            notice = asyncio.get_running_loop().call_later(closing.MOMENT, self._log_waiting)
            try:
                await wait_all(endings)
            finally:
                notice.cancel()
            await asyncio.to_thread(self._close_journal)
            self.hub.close()
            if self._own is not None:
                self._disposal.cancel_at_exit()
                self._own.stop_soon()

    def close_after_fork(self, lock: RefusingLock) -> None:
        """Refuse everything from now on, in a process that was forked from the one where the agents run."""
        self.lock = self.hub.lock = lock
        self.closed = True
        self._disposal.cancel()
        self.clock.renew()
        for entry in tuple(self.busy):  # what goes on in the thread that forked runs none of them
            entry.close()
            entry.detach_driver()
        if self._own is not None:
            self._own.stop_after_fork()
        if self._offer is not None:
            self._offer.close_after_fork()

    def _end(self) -> list[Promise[bool]]:
        with self.lock:
            if self.closed:
                return self._endings
            self.closed = True
            self._disposal.cancel()
            self._close_dormant()
            self._endings = [commands.terminate(entry) for entry in tuple(self._entries.values())]
        self._end_serving()
        self.workers.close()
        self.watchdog.close()
        self.post(self._timers.stop)
        self.notify()
        return self._endings

    def __enter__(self) -> RuntimeManager:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> RuntimeManager:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()
