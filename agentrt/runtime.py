"""Runtime: the handle a person holds. Knobs that drive the entry, readouts that follow it.

A readout reads through to the entry, so it is always current and costs an activity nothing. Who watches one
(`rt.param.watch`, `pn.bind`, `param.depends`) is told at frame rate, by the hub, as long as somebody watches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import param
from param.parameterized import Event

from .activity import Activity, Lane
from .display import RuntimeShows
from .engine import commands
from .engine.entry import RuntimeEntry
from .engine.hub import Frame
from .engine.loop_thread import running_loop
from .engine.workflow import Workflow
from .errors import ConfigurationError
from .limits import Overflow
from .metrics import Fates, Metrics
from .receipt import Latch, Receipt
from .schema.typecheck import shown
from .snapshot import Snapshot, fates, metrics, read_initial, read_state, snapshot, status
from .subscription import Subscription

if TYPE_CHECKING:
    from .debugger import Breakpoints, Whereabouts
    from .engine.commands import Place
    from .frames import StackFrame
    from .grants import Grant
    from .manager import RuntimeManager

__all__ = ["Runtime"]

logger = logging.getLogger(__name__)
S = TypeVar("S")
P = TypeVar("P")
Entry = RuntimeEntry[Any, Any]
LINGER = 2.0  # seconds a handle stays on the watch list after its `.param` was touched, for the watcher to arrive


class _Live:
    """What knobs and readouts share: the value is the entry's."""

    __slots__ = ()
    name: str
    read: Callable[[Entry], Any]

    def __get__(self, obj: Any, objtype: Any = None) -> Any:
        entry = None if obj is None else obj.__dict__.get("entry")
        return super().__get__(obj, objtype) if entry is None else self.read(entry)  # type: ignore[misc]


class Readout(_Live, param.Parameter):  # type: ignore[misc, type-arg]
    """A value of the entry that can be read and watched, not set."""

    __slots__ = ["read"]

    def __init__(self, read: Callable[[Entry], Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.read = read

    def __set__(self, obj: Any, value: Any) -> None:
        if obj is not None and "entry" in obj.__dict__ and value is not self.read(obj.entry):
            raise ConfigurationError(f"{self.name} follows the runtime and can't be set", runtime=obj.entry.id)
        super().__set__(obj, value)


class _Knob(_Live):
    """A limit of the entry that can be set while it runs."""

    __slots__ = ()
    write: Callable[[Entry, Any], None]

    def __set__(self, obj: Any, value: Any) -> None:
        if obj is not None and "entry" in obj.__dict__:
            self.write(obj.entry, value)
        super().__set__(obj, value)  # type: ignore[misc]

    def _validate(self, value: Any) -> None:
        """Nothing here: `Limits` checks, with a message that says what would do."""


def _limit(name: str) -> tuple[Callable[[Entry], Any], Callable[[Entry, Any], None]]:
    return lambda entry: getattr(entry.limits, name), lambda entry, value: commands.set_limit(entry, name, value)


def _set_paused(entry: Entry, paused: Any) -> None:
    if not isinstance(paused, bool):
        raise ConfigurationError(f"paused is {paused!r}; it must be True or False", runtime=entry.id)
    (commands.pause if paused else commands.resume)(entry)


class NumberKnob(_Knob, param.Number):  # type: ignore[misc, type-arg]
    """A knob that holds a number, or None."""

    __slots__ = ["read", "write"]

    def __init__(self, limit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.read, self.write = _limit(limit)


class IntegerKnob(_Knob, param.Integer):  # type: ignore[misc, type-arg]
    """A knob that holds a whole number, or None."""

    __slots__ = ["read", "write"]

    def __init__(self, limit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.read, self.write = _limit(limit)


class ChoiceKnob(_Knob, param.Selector):  # type: ignore[misc, type-arg]
    """A knob that holds one of a few words."""

    __slots__ = ["read", "write"]

    def __init__(self, limit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.read, self.write = _limit(limit)


class PausedKnob(_Knob, param.Boolean):  # type: ignore[misc, type-arg]
    """Whether the runtime is paused."""

    __slots__ = ["read", "write"]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.read, self.write = (lambda entry: entry.paused), _set_paused


class Runtime(param.Parameterized, RuntimeShows, Generic[S, P]):
    """One runtime: send to it, ask it, watch it, steer it. Made by `manager.create`; safe from any thread.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     runtime.send_nowait(1).result(5).state
    ...     runtime.paused = True
    ...     runtime.status
    1
    <Status.PAUSED: 'paused'>
    """

    id = Readout(lambda e: e.id, doc="The id, as given to create.")
    status = Readout(status, doc="What it is doing: idle, processing, paused, error, stuck, failed or terminated.")
    state = Readout(read_state, doc="The last committed state; a copy of one that can be changed in place.")
    priority_depth = Readout(lambda e: e.mailbox.depth[0], doc="How many activities wait in the priority lane.")
    standard_depth = Readout(lambda e: e.mailbox.depth[1], doc="How many activities wait in the standard lane.")
    processed = Readout(lambda e: e.done + e.failed_count + e.timed_out, doc="Activities run to an end.")
    failed = Readout(lambda e: e.failed_count + e.timed_out, doc="Activities that failed or timed out.")
    error = Readout(lambda e: e.error, doc="The last error, or None.")

    paused = PausedKnob(doc="Take nothing more after the activity that runs now.")
    timeout = NumberKnob("timeout", default=None, allow_None=True, doc="Seconds an activity may take; None: no limit.")
    retries = IntegerKnob("retries", default=0, doc="How often a failed activity is tried again.")
    priority_capacity = IntegerKnob("priority_capacity", default=1000, doc="How many may wait in the priority lane.")
    standard_capacity = IntegerKnob("standard_capacity", default=1000, doc="How many may wait in the standard lane.")
    overflow = ChoiceKnob(
        "overflow", default="wait", objects=list(Overflow), doc="What a full lane does with one more."
    )
    fairness = IntegerKnob(
        "fairness", default=8, allow_None=True, doc="One standard after so many priority activities."
    )

    def __init__(self, entry: Entry, manager: RuntimeManager) -> None:
        super().__init__(name=entry.id)
        self.entry = entry
        self.manager = manager
        # The entry's own, with the same contract: a second call and a second coroutine would double the cost.
        self.__dict__.update(send_nowait=entry.send_nowait, send=entry.send, ask=entry.ask)

    def __repr__(self) -> str:
        shot = snapshot(self.entry, with_metrics=False)
        return (
            f"<Runtime {self.entry.id!r} {shot.status.value}, waiting {shot.depth[0]} priority "
            f"{shot.depth[1]} standard, processed {self.processed}, failed {self.failed}, "
            f"state {shown(shot.state, 120)}>"
        )

    __str__ = __repr__

    # ---- activities

    def send_nowait(
        self,
        payload: Any,
        *,
        priority: bool = False,
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Accept one activity and return its receipt. Any thread, never blocks.

        `timeout` is this activity's own deadline and `delay` how long it is held back, in seconds on the manager's
        clock. A second send with the same `key` within `key_window` gets the first's receipt. An `Activity` (of a type
        of your own) is sent as it is: its payload, and its lane, timeout, key and not-before time where the call says
        nothing else. Raises `ActivityValidationError`, `MailboxFullError`,
        `RuntimeTerminatedError`, `RuntimeFailedError`, `ManagerClosedError`.
        """
        return self.entry.send_nowait(payload, priority=priority, timeout=timeout, delay=delay, key=key)

    async def send(self, payload: Any, *, wait: float | None = None, **options: Any) -> Receipt:
        """Accept one activity; while its lane is full, wait for room, `wait` real seconds at most.

        Who waits is served in order. After `wait`, `MailboxFullError`; the rest is as `send_nowait`.
        """
        return await self.entry.send(payload, wait=wait, **options)

    def ask(self, payload: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        """Send, wait until it is done, and return what the workflow replied with `ctx.reply(x)`, else the new state.

        Raises what `send` raises, the tagged error of the activity, and `DeadlockError` for a circle of asks.
        """
        return self.entry.ask(payload, **options)

    def validate(self, payload: Any) -> None:
        """Raise `ActivityValidationError` unless the workflow takes this payload."""
        self.entry.check_payload(payload)

    @property
    def accepts(self) -> Any:
        """The type of payload it takes, None for any."""
        return self.entry.accepts

    # ---- to look at

    @property
    def workflow(self) -> str:
        """The name of its workflow function."""
        return self.entry.workflow.name

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait: (priority, standard)."""
        return self.entry.mailbox.depth

    @property
    def initial(self) -> S:
        """The state it began with, and that a restart goes back to; a copy of one that can be changed in place."""
        return read_initial(self.entry)

    @property
    def metrics(self) -> Metrics:
        """Counts, and percentiles of waiting and working for both lanes."""
        return metrics(self.entry)

    def fates(self) -> Fates:
        """What became of every accepted activity; always adds up."""
        return fates(self.entry)

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Everything about it at one time, as one immutable record."""
        return snapshot(self.entry, metrics)

    def subscribe(self) -> Subscription:
        """Its records from now on, as an async iterator; bounded, `dropped` says how many were let go."""
        return Subscription(self.manager.ring, self.manager.listeners, self._over, self.entry.id)

    def _over(self) -> bool:
        """Whether it has left, after its last record."""
        there = self.manager.get(self.id)
        return self.entry.closed and (there is None or there.entry is not self.entry)

    def mailbox_items(self) -> list[Activity[Any]]:
        """What waits, in order: priority, standard, not yet due."""
        return commands.items(self.entry)

    @property
    def breakpoints(self) -> Breakpoints:
        """What it stops at: `runtime.breakpoints.add("priority")`, see `Breakpoints`."""
        from .debugger import breakpoints

        return breakpoints(self.entry)

    def where(self) -> list[StackFrame]:
        """Where its current activity stands: frames, outermost first, down to what it awaits; empty when idle."""
        from .debugger import where

        return where(self.entry)

    def whereabouts(self) -> Whereabouts:
        """The same with how it is at work, on which activity, and which runtimes it waits for."""
        from .debugger import whereabouts

        return whereabouts(self.entry)

    # ---- to steer

    def pause(self) -> None:
        """Take nothing more after the activity that runs now."""
        commands.pause(self.entry)

    def resume(self) -> None:
        """Go on after a pause."""
        commands.resume(self.entry)

    def step(self, n: int = 1) -> int:
        """Pause, and let `n` waiting activities through; returns how many there were."""
        return commands.step(self.entry, n)

    def recover(self) -> None:
        """Go on after the supervisor stopped it."""
        commands.recover(self.entry)

    def swap(self, workflow: Callable[..., Any]) -> None:
        """Another workflow from the next activity on; state and mailbox are kept."""
        from .engine.isolation import isolated

        commands.swap(self.entry, isolated(Workflow.of(workflow), self.entry.limits, self.manager.workers))

    def terminate(self, drain: bool = False) -> Latch[bool]:
        """End it; with `drain`, after what waits, also what is not due yet. Starts at once; awaitable.

        Every open receipt resolves with `RuntimeTerminatedError`, what was not delivered goes to the dead letters.
        """
        return commands.terminate(self.entry, drain)

    def drop(self, id: int) -> Activity[Any]:
        """Take a waiting activity out, and return it. Its receipt resolves with `MailboxFullError`."""
        return commands.drop(self.entry, id)

    def promote(self, id: int) -> Place:
        """Move a waiting activity to the end of the priority lane. Returns where it was, for `put_back`."""
        return commands.move(self.entry, id, lane=Lane.PRIORITY)

    def demote(self, id: int) -> Place:
        """Move a waiting activity to the end of the standard lane. Returns where it was, for `put_back`."""
        return commands.move(self.entry, id, lane=Lane.STANDARD)

    def first(self, id: int) -> Place:
        """Move a waiting activity to the front of its lane, if it is due. Returns where it was, for `put_back`."""
        return commands.move(self.entry, id, first=True)

    def put_back(self, id: int, place: Place) -> Place:
        """Undo a move: put a waiting activity where it was, beside the neighbours that still wait.

        >>> import agentrt
        >>> with agentrt.RuntimeManager() as manager:
        ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
        ...     runtime.pause()
        ...     ids = [runtime.send_nowait(n).id for n in (1, 2, 3)]
        ...     place = runtime.promote(ids[1])
        ...     [activity.payload for activity in runtime.mailbox_items()]
        ...     was = runtime.put_back(ids[1], place)
        ...     [activity.payload for activity in runtime.mailbox_items()]
        [2, 1, 3]
        [1, 2, 3]
        """
        return commands.put_back(self.entry, id, place)

    def edit(self, id: int, payload: Any) -> Any:
        """Give a waiting activity another payload, checked as at the door; returns the one it had."""
        return commands.edit(self.entry, id, payload)

    def grant(self, rights: Iterable[str] | str) -> Grant:
        """A handle that does only this: {"send"}, {"observe"}, {"control"} or several of them. It can be revoked."""
        from .grants import Grant

        return Grant(self, rights)

    # ---- in a notebook

    def widget(self) -> Any:
        """Plain ipywidgets: for front ends that speak nothing else."""
        from .views.notebook.widget import Widget

        return Widget(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from .notebook import show

        return show(self, include, exclude)


WATCHABLE = tuple(
    name
    for name, parameter in Runtime.param.objects().items()
    if isinstance(parameter, Readout | _Knob) and name != "id"
)


Handle = Runtime[Any, Any]


class _Namespace:
    """`Runtime.param`, noticing that somebody may be about to watch: nothing is published before."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __get__(self, obj: Any, objtype: Any) -> Any:
        if obj is not None and "manager" in obj.__dict__:
            Publisher.of(obj.manager).follow(obj)
        return self._original.__get__(obj, objtype)


class Publisher:
    """Tells the `param` watchers of one manager's handles what changed; attached to the hub while there are any."""

    _all: WeakKeyDictionary[Any, Publisher] = WeakKeyDictionary()

    def __init__(self, manager: RuntimeManager) -> None:
        self._hub = manager.hub
        self._lock = manager.lock
        # The handles are held here: a watcher on a handle nobody else keeps must go on.
        self._followed: dict[Handle, tuple[float, asyncio.AbstractEventLoop | None]] = {}
        self._detach: Callable[[], None] | None = None

    @classmethod
    def of(cls, manager: RuntimeManager) -> Publisher:
        """The one publisher of a manager."""
        with manager.lock:
            if manager not in cls._all:
                cls._all[manager] = cls(manager)
            return cls._all[manager]

    def follow(self, runtime: Handle) -> None:
        """Watch a handle from now on; its watchers are called on the loop that runs here, if one does."""
        with self._lock:
            known = self._followed.get(runtime)
            if known is None:
                runtime._param__private.values.update(_values(runtime))
            self._followed[runtime] = (time.monotonic(), running_loop() or (known and known[1]))
            if self._detach is None:
                self._detach = self._hub.attach(self._flush, self._always)

    def _always(self, call: Callable[[], None]) -> None:
        call()

    def _flush(self, frame: Frame) -> None:
        for runtime, (since, loop) in tuple(self._followed.items()):
            over = runtime.entry.closed
            if not _watched(runtime):
                over = over or time.monotonic() - since > LINGER
            elif loop is not None and loop.is_running():
                loop.call_soon_threadsafe(publish, runtime)
            else:
                publish(runtime)
            if over:
                self._forget(runtime)

    def _forget(self, runtime: Handle) -> None:
        with self._lock:
            self._followed.pop(runtime, None)
            if not self._followed and self._detach is not None:
                self._detach()
                self._detach = None


def _watched(runtime: Handle) -> bool:
    return any(watchers for by_what in runtime._param__private.watchers.values() for watchers in by_what.values())


def _values(runtime: Handle) -> dict[str, Any]:
    return {name: getattr(runtime, name) for name in WATCHABLE}


def publish(runtime: Handle) -> None:
    """Tell the watchers of one handle what changed since they were told last."""
    private = runtime._param__private
    known = private.values
    news = {name: value for name, value in _values(runtime).items() if _differs(known.get(name), value)}
    events = {name: Event("value", name, runtime, Runtime, known.get(name), news[name], "changed") for name in news}
    known.update(news)
    watchers = [watcher for name in news for watcher in private.watchers.get(name, {}).get("value", ())]
    for watcher in sorted({id(watcher): watcher for watcher in watchers}.values(), key=lambda each: each.precedence):
        _tell(runtime, watcher, [events[name] for name in watcher.parameter_names if name in events])


def _tell(runtime: Handle, watcher: Any, events: list[Any]) -> None:
    # Not through `param.update`: there one that raises silences those after it, and a knob that one turns is not heard.
    namespace = _PARAM.__get__(runtime, Runtime)
    try:
        namespace._execute_watcher(watcher, events)
    except Exception:  # a watcher is anybody's code: the others go on
        logger.exception("a watcher of %r failed and was removed", runtime.entry.id)
        namespace.unwatch(watcher)


def _differs(old: Any, new: Any) -> bool:
    if old is new:
        return False
    try:
        return bool(old != new)
    except Exception:  # the state is anybody's type; one that can't be compared counts as changed
        return True


_PARAM = Runtime.__mro__[1].__dict__["param"]
type.__setattr__(Runtime, "param", _Namespace(_PARAM))
