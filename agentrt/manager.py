"""RuntimeManager: the thread-safe map of runtimes, the loop they run on, and what they share."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload
from weakref import WeakValueDictionary

from .activity import Activity, SendNowaitOptions, SendOptions
from .clock import Clock, Timer, Timers
from .dead_letters import DeadLetters
from .display import ManagerShows
from .engine import commands
from .engine.deadlines import Deadlines
from .engine.deadlock import CURRENT
from .engine.detached_tasks import watch
from .engine.entry import RuntimeEntry
from .engine.handoff import Lending
from .engine.hub import Hub
from .engine.isolation import Workers, isolated
from .engine.loop_thread import LoopThread, as_coroutine, choose, in_ipython, running_loop, time_of
from .engine.watchdog import Watchdog
from .engine.workflow import Workflow
from .errors import (
    ConfigurationError,
    DeadlockError,
    ManagerClosedError,
    RuntimeExistsError,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from .events import Event, Ring
from .grants import entry_of
from .groups import Group, Groups
from .limits import LimitOptions, Limits
from .metrics import Fates
from .publisher import Publisher
from .readouts import watchable
from .receipt import Latch, Receipt, settle, settle_all
from .runtime import Runtime
from .schema.immutability import is_frozen, warn_mutable
from .snapshot import Snapshot, fates, snapshot
from .subscription import Subscription
from .supervision import Policy, PolicyName, Rule, Strategy, StrategyName
from .workflow_types import S0, A, AgentDecorator, AsyncWorkflow, P, PlainWorkflow, S

if TYPE_CHECKING:
    from .feed.source import Source

__all__ = ["RuntimeManager"]

logger = logging.getLogger(__name__)
T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]
Handle = Runtime[Any, Any]

KEEP_TERMINATED = 1000
_REQUIRED: Any = object()


class RuntimeManager(ManagerShows):
    """Many runtimes on one event loop. Everything here may be called from any thread.

    `loop`: "thread" is a background thread of its own, "current" the running loop, "auto" a thread in IPython or where
    no loop runs, else the running loop. `clock` gives the agents' time (`manager.speed` changes how fast it runs),
    `seed` their chance. Use it as a context manager, sync or async, or `close()` it; closing twice is fine.

    >>> with RuntimeManager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     manager.run(counter.ask(2))
    2
    """

    def __init__(
        self,
        journal: None = None,
        loop: str = "auto",
        clock: Clock | None = None,
        *,
        seed: int | None = None,
        name: str = "agentrt",
        ring: int = 20_000,
    ) -> None:
        if journal is not None:
            raise ConfigurationError(
                f"journal is {journal!r}; this version keeps runtimes in memory only, leave it out"
            )
        chosen = choose(loop)
        self.name = name
        self.closed = False
        self.lock = threading.RLock()
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self._closing = threading.Lock()
        self._endings: list[Latch[bool]] = []
        self._own = LoopThread(name) if chosen is None else None
        self.loop: asyncio.AbstractEventLoop = chosen if chosen is not None else self._own.loop  # type: ignore[union-attr]
        self.thread = threading.get_ident() if self._own is None else self._own.ident
        self.clock = clock if clock is not None else Clock(source=time_of(self.loop))
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.chance = random.Random(self.seed)
        self.counter = count(1)
        self.number: Callable[[], int] = self.counter.__next__
        self.ring = Ring(ring)
        self.record = self.ring.append
        self.hub = Hub(self.ring, self.clock)
        self.groups = Groups(self)
        self.watchdog = Watchdog(self)
        self.busy: set[Entry] = set()
        self.resting: dict[Entry, None] = {}
        self.lending = Lending(self.loop)
        self.deadlines = Deadlines(self)
        self.dead_letters = DeadLetters(self)
        self.terminated: dict[str, Snapshot] = {}
        self._entries: dict[str, Entry] = {}
        self._publisher: Publisher | None = None
        self._source: Source | None = None
        self._handles: WeakValueDictionary[str, Handle] = WeakValueDictionary()
        self._retired = Fates()
        self._timers = Timers(self.clock, self.loop)
        self._woken: list[Entry] = []
        self._read: Workflow | None = None
        self._waking = False
        self.listeners: dict[Any, Callable[[], None]] = {}
        self.workers = Workers(name)
        self._server: Any = None
        watch(self.loop)
        if in_ipython():
            from .notebook import hear_stop

            hear_stop()
        if self._own is not None:
            atexit.register(self.close)

    def __repr__(self) -> str:
        where = "closed" if self.closed else ("own thread" if self._own is not None else "current loop")
        return f"<RuntimeManager {self.name!r} {len(self)} runtimes, {where}, speed {self.speed:g}>"

    # ---- the map

    @overload
    def create(
        self,
        id: str,
        state: S0,
        workflow: AsyncWorkflow[Activity[P], S0, S],
        *,
        group: Group | str | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Runtime[S, P]: ...
    @overload
    def create(
        self,
        id: str,
        state: S0,
        workflow: PlainWorkflow[Activity[P], S0, S],
        *,
        group: Group | str | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Runtime[S, P]: ...
    @overload
    def create(
        self,
        id: str,
        state: S0,
        workflow: AsyncWorkflow[A, S0, S] | PlainWorkflow[A, S0, S],
        *,
        group: Group | str | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Runtime[S, Any]: ...
    def create(
        self,
        id: str,
        state: Any,
        workflow: Callable[..., Any],
        *,
        group: Group | str | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Handle:
        """Make a runtime. Any thread.

        Args:
            id: What it is called; not empty.
            state: The initial state. With immutable states history costs a pointer an activity.
            workflow: Makes the next state: a function `(activity, state)` or `(activity, state, ctx)`, async or not.
            group: The supervision group, or its name, that it joins.
            **limits: What it may hold and how long it may take, see `Limits`.

        Returns:
            The handle. It is the same object as `manager[id]`.

        Raises:
            RuntimeExistsError: The id is taken.
            ConfigurationError: Something given can't work; the message says what would do.
            ManagerClosedError: The manager is closed.
        """
        entry = self.create_entry(id, state, workflow, Limits.of(self.groups.limits(id, group, limits)), group)
        if not is_frozen(state):
            warn_mutable(id, state)
        return self._handle(entry)

    def create_entry(
        self, id: str, state: Any, workflow: Callable[..., Any], limits: Limits, group: Group | str | None = None
    ) -> Entry:
        """`create` without the handle: what a hundred thousand runtimes cost."""
        if not isinstance(id, str) or not id:
            raise ConfigurationError(f"id is {id!r}; it must be a string that is not empty")
        prepared = self.prepare(workflow, limits)
        entry: Entry = RuntimeEntry(self, id, state, prepared, limits)
        with self.lock:
            if self.closed:
                raise ManagerClosedError(f"can't create {id!r}: the manager is closed; make a new one", runtime=id)
            if id in self._entries:
                raise RuntimeExistsError(
                    f"{id!r} exists; take it with manager[{id!r}], end it with manager.terminate({id!r}), "
                    f'or use @manager.agent("{id}", state=...), which a cell may run again',
                    runtime=id,
                )
            # With the map in one go: in between another thread could end it, or let it fail without its group.
            self.groups.join(entry, group)
            self._entries[id] = entry
            self.terminated.pop(id, None)
            entry.note("created", prepared.name, commands.ACTOR.get())
        return entry

    def prepare(self, function: Callable[..., Any], limits: Limits) -> Workflow:
        """Read a workflow function, and have it called as these limits say: in a process, in a thread, on the loop."""
        workflow = self._read
        if workflow is None or workflow.call is not function:  # many runtimes of one workflow are made in a row
            workflow = self._read = Workflow.of(function)
        return isolated(workflow, limits, self.workers)

    @overload
    def agent(
        self, id: str, *, group: Group | str | None = None, **limits: Unpack[LimitOptions]
    ) -> AgentDecorator[Any]: ...
    @overload
    def agent(
        self, id: str, state: S0, *, group: Group | str | None = None, **limits: Unpack[LimitOptions]
    ) -> AgentDecorator[S0]: ...
    def agent(
        self, id: str, state: Any = _REQUIRED, *, group: Group | str | None = None, **limits: Unpack[LimitOptions]
    ) -> Any:
        """Decorate a workflow in a notebook: the first run of the cell creates the runtime, a later one changes it.

        A later run swaps the workflow and sets these limits, from the next activity on; state, mailbox and group stay.
        If it raises, nothing has changed.

        Args:
            id: As in `create`; so are `group` and the limits.
            state: The initial state; may be left out once the runtime exists.

        Returns:
            A decorator, which returns the handle.

        Raises:
            ConfigurationError: The runtime is new and there is no state, or what `create` raises.
        """

        def decorate(workflow: Callable[..., Any]) -> Handle:
            runtime = self.get(id)
            if runtime is None:
                if state is _REQUIRED:
                    raise ConfigurationError(
                        f"{id!r} is new: give its initial state, @manager.agent({id!r}, state=...)"
                    )
                return self.create(id, state, workflow, group=group, **limits)
            Limits.of(limits)
            prepared = self.prepare(workflow, commands.changed(runtime.entry, dict(limits)))
            commands.configure(runtime.entry, dict(limits), prepared)
            return runtime

        return decorate

    def group(
        self,
        name: str,
        strategy: Strategy | StrategyName = Strategy.ONE_FOR_ONE,
        *,
        parent: Group | str | None = None,
        policy: Policy | PolicyName = Policy.RESTART,
        intensity: int = 5,
        period: float = 60.0,
    ) -> Group:
        """Make a supervision group, or give the one of that name another rule. Any thread.

        Args:
            name: What it is called; not empty.
            strategy: Whom the failure of a child concerns: that child, all of them, or it and those that joined later.
            parent: The group, or its name, whose child it is.
            policy: What happens to those that are concerned.
            intensity: How many restarts are made within `period`; the next failure escalates.
            period: Seconds on the manager's clock.

        Raises:
            ConfigurationError: A value can't work, or the group exists with another parent.
        """
        return self.groups.group(name, Rule(strategy, policy, intensity, period), parent)

    def __getitem__(self, id: str) -> Handle:
        return self._handle(self.entry(id))

    def get(self, id: str) -> Handle | None:
        """The runtime of an id, or None."""
        entry = self._entries.get(id) if isinstance(id, str) else None
        return None if entry is None else self._handle(entry)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def runtimes(self) -> list[Handle]:
        """All runtimes, in the order they were made."""
        return [self._handle(entry) for entry in tuple(self._entries.values())]

    def snapshots(self, metrics: bool = False) -> list[Snapshot]:
        """A snapshot of every runtime; without metrics a few microseconds each."""
        return [snapshot(entry, metrics) for entry in tuple(self._entries.values())]

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot:
        """A snapshot of one runtime, the last one if it was terminated."""
        entry = self._entries.get(id)
        if entry is None and id in self.terminated:
            return self.terminated[id]
        return snapshot(self.entry(id), metrics)

    def entry(self, to: Any) -> Entry:
        """The entry of an id, a handle or a grant to send. For the modules of this package."""
        if isinstance(to, Runtime):
            return to.entry
        if not isinstance(to, str):
            return entry_of(to)
        entry = self._entries.get(to)
        if entry is None:
            if to in self.terminated:
                raise RuntimeTerminatedError(f"{to!r} was terminated; create it again", runtime=to)
            known = ", ".join(list(self._entries)[:8]) or "none yet"
            raise RuntimeNotFoundError(f"no runtime has the id {to!r}; there are: {known}", runtime=to)
        return entry

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is in the map."""
        return self._entries.get(entry.id) is entry

    def follow(self, handle: Handle) -> None:
        """Publish to the `param` watchers of a handle what changes."""
        with self.lock:
            if self._publisher is None:
                self._publisher = Publisher(self.hub, self.lock, watchable(Runtime))
            self._publisher.follow(handle)

    def _handle(self, entry: Entry) -> Handle:
        with self.lock:
            handle = self._handles.get(entry.id)
            if handle is None or handle.entry is not entry:
                handle = self._handles[entry.id] = Runtime(entry, self)
            return handle

    # ---- by id

    async def send(self, id: str, payload: Any, **options: Unpack[SendOptions]) -> Receipt:
        """`Runtime.send` by id."""
        return await self[id].send(payload, **options)

    def send_nowait(self, id: str, payload: Any, **options: Unpack[SendNowaitOptions]) -> Receipt:
        """`Runtime.send_nowait` by id."""
        return self.entry(id).send_nowait(payload, **options)

    async def ask(self, id: str, payload: Any, **options: Unpack[SendOptions]) -> Any:
        """`Runtime.ask` by id."""
        return await self[id].ask(payload, **options)

    def terminate(self, id: str, drain: bool = False) -> Latch[bool]:
        """`Runtime.terminate` by id."""
        return self[id].terminate(drain)

    # ---- to look at

    def fates(self) -> Fates:
        """The counts of all runtimes, terminated ones included."""
        with self.lock:
            return sum((fates(entry) for entry in self._entries.values()), self._retired)

    @property
    def source(self) -> Source:
        """What the views of its runtimes are drawn from: reads, and commands that are recorded with who gave them."""
        with self.lock:
            if self._source is None:
                from .feed.live import LiveSource

                self._source = LiveSource(self)
            return self._source

    def subscribe(self) -> Subscription:
        """Every record from now on, as an async iterator."""
        return Subscription(self.ring, self.listeners, lambda: self.closed and not self._entries)

    @property
    def speed(self) -> float:
        """How many of the agents' seconds pass in a real one: 0 stops them, inf leaps to whatever is due next."""
        return self.clock.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        old = self.clock.speed
        self.clock.speed = speed
        self.ring.append(
            Event(self.number(), "", self.clock.now(), "speed", commands.ACTOR.get(), {"from": old, "to": speed})
        )
        self.notify()

    def serve(self, port: int = 0, **options: Any) -> Any:
        """Serve the dashboard from this process, on a thread of its own; see `agentrt.views.server.server.serve`."""
        from .views.server.server import serve

        self._server = serve(self, port=port, **options)
        return self._server

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from .notebook import show

        return show(self, include, exclude)

    # ---- the loop

    def run(self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        """Wait for an awaitable from a cell, a script or another thread; `timeout` in real seconds."""
        if threading.get_ident() != self.thread:
            return self._wait(self.submit(awaitable), timeout)
        if running_loop() is None:
            return self.loop.run_until_complete(asyncio.wait_for(as_coroutine(awaitable), timeout))
        if self._own is None and in_ipython():
            from .notebook import block

            return block(self.loop, asyncio.wait_for(as_coroutine(awaitable), timeout))
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise DeadlockError(
            "manager.run() here would block the loop that must do the work; write `await ...`", chain=()
        )

    def submit(self, awaitable: Awaitable[T]) -> concurrent.futures.Future[T]:
        """Start an awaitable on the agents' loop; from any thread."""
        if self.loop.is_closed():
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise ManagerClosedError("the manager is closed; make a new one")
        return asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), self.loop)

    @staticmethod
    def _wait(future: concurrent.futures.Future[T], timeout: float | None) -> T:
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def do(self, call: Callable[[], T], timeout: float = 10.0) -> T:
        """Call on the loop's thread and wait for the result."""
        if threading.get_ident() == self.thread or self.loop.is_closed():
            return call()

        async def on_loop() -> T:
            return call()

        return self._wait(self.submit(on_loop()), timeout)

    def post(self, call: Callable[[], object]) -> None:
        """Call on the loop's thread, at once if this is it."""
        if threading.get_ident() == self.thread or self.loop.is_closed():
            call()
            return
        try:
            self.loop.call_soon_threadsafe(call)
        except RuntimeError:  # closed in between
            call()

    def wake(self, entry: Entry) -> None:
        """See that an entry processes: at once on the loop's thread, else one wake-up for all that come together."""
        if self.loop.is_closed():  # under us: nothing will run any more, and nothing may wait for it
            self._end()
            return
        if threading.get_ident() == self.thread:
            entry.start()
            return
        self._woken.append(entry)
        if not self._waking:
            self._waking = True
            self.loop.call_soon_threadsafe(self._start_woken)

    def _start_woken(self) -> None:
        with self.lock:
            woken, self._woken, self._waking = self._woken, [], False
        for entry in woken:
            if not entry.closed:
                entry.start()

    def at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call when the clock reads `when`; the loop's thread only."""
        return self._timers.at(when, call)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the manager's clock; on the manager's loop only."""
        future = self.loop.create_future()
        timer = self.at(self.clock.now() + seconds, partial(settle, future))
        try:
            await future
        finally:
            timer.cancel()

    def notify(self) -> None:
        """Wake who iterates over a subscription."""
        if self.listeners:
            for listener in tuple(self.listeners.values()):
                listener()

    def bury(self, activity: Activity[Any], reason: str) -> None:
        """Put an undelivered activity with the dead letters."""
        self.dead_letters.add(activity, reason)

    def escalate(self, entry: Entry) -> None:
        """Let the entry's group decide about its failures."""
        self.groups.escalate(entry)

    def leave(self, entry: Entry) -> None:
        """Close an entry and take it out of the map; its counts stay."""
        with self.lock:
            if entry.closed:
                return
            commands.close(entry)
            if self.holds(entry):
                del self._entries[entry.id]
                self.groups.leave(entry)
            self._retired = self._retired + fates(entry)
            self.terminated[entry.id] = snapshot(entry)
            while len(self.terminated) > KEEP_TERMINATED:
                del self.terminated[next(iter(self.terminated))]
        self.notify()

    # ---- the end

    def close(self, timeout: float = 5.0) -> None:
        """Terminate every runtime and stop the loop thread. Idempotent; any thread but a workflow's."""
        if CURRENT.get() is not None:
            raise DeadlockError("a workflow can't close its own manager", chain=())
        if self._own is None or threading.get_ident() == self.thread:
            self._end()
            self.hub.close()
            return
        with self._closing:  # who comes second waits for the first
            endings = [latch for latch in self._end() if latch.decided is None]
            try:
                if endings and not self.loop.is_closed():
                    self._wait(self.submit(settle_all(endings)), timeout)
            except (TimeoutError, concurrent.futures.CancelledError):
                logger.warning("%r did not end within %g s; what still runs is cancelled", self, timeout)
            finally:
                self._own.stop(timeout)
                for entry in tuple(self._entries.values()):  # something blocks the loop: nobody may wait for it
                    self.leave(entry)
                self.hub.close()
                atexit.unregister(self.close)

    async def aclose(self) -> None:
        """`close()` from async code: waits until what ran has come to its end."""
        if self._own is not None and threading.get_ident() != self.thread:
            await asyncio.to_thread(self.close)
        else:
            await settle_all(self._end())
            self.hub.close()
            if self._own is not None:
                atexit.unregister(self.close)
                self._own.stop_soon()

    def _end(self) -> list[Latch[bool]]:
        with self.lock:
            if self.closed:
                return self._endings
            self.closed = True
            self._endings = [commands.terminate(entry) for entry in tuple(self._entries.values())]
        if self._server is not None:
            self._server.stop()
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
