"""The publisher: calls whoever watches the params of a manager's handles (`runtime.param.watch`, `pn.bind`).

It is attached to the hub, so that watchers are called at frame rate, and only while there are any.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary

import param
from param.parameterized import Event, Watcher

from .engine.hub import Frame, Hub
from .engine.loop_thread import running_loop
from .logs import is_interrupt, log_safely
from .schema.equality import is_same
from .schema.immutability import copy_out_always, is_frozen

__all__ = ["Namespace", "Publisher"]

logger = logging.getLogger(__name__)
LINGER = 2.0  # real seconds that a handle without watchers is followed after its `.param` was read
UNKNOWN = object()  # the value of what was never published
ORIGINAL: Any = param.Parameterized.__dict__["param"]


class Namespace:
    """`Runtime.param`: from the first time it is read on a handle, changes of that handle are published."""

    def __get__(self, obj: Any, objtype: Any) -> Any:
        if obj is not None and "manager" in obj.__dict__:
            obj.manager.follow(obj)
        return ORIGINAL.__get__(obj, objtype)


class Publisher:
    """Calls the `param` watchers of one manager's handles when a value changed. Any thread.

    Args:
        hub: Calls it when there are new records.
        lock: The manager's.
        names: The params that can change.
    """

    def __init__(self, hub: Hub, lock: AbstractContextManager[Any], names: tuple[str, ...]) -> None:
        self._hub = hub
        self._lock = lock
        self._names = names
        # Strong references: the watchers of a handle that nobody else refers to must still be called.
        self._followed: dict[Any, tuple[float, asyncio.AbstractEventLoop | None]] = {}
        self._published: WeakKeyDictionary[Any, tuple[Any, int]] = WeakKeyDictionary()  # states, with the commits then
        self._detach: Callable[[], None] | None = None

    def follow(self, handle: Any) -> None:
        """Publish the changes of a handle from now on; its watchers are called on the loop that runs here, if any."""
        is_new = handle not in self._followed
        version = _version(handle)
        values = {name: getattr(handle, name) for name in self._names} if is_new else {}  # copies a state: no lock
        with self._lock:
            before = self._followed.get(handle)
            if before is None:
                self._published[handle] = version
                handle._param__private.values.update(values)
            self._followed[handle] = (time.monotonic(), running_loop() or (before and before[1]))
            if self._detach is None:
                self._detach = self._hub.attach(self._flush, _always)

    def _flush(self, frame: Frame) -> None:
        for handle, (since, loop) in tuple(self._followed.items()):
            over = handle.entry.closed
            if not _has_watchers(handle):
                over = over or time.monotonic() - since > LINGER
            elif loop is not None and loop.is_running():
                loop.call_soon_threadsafe(self._publish, handle)
            else:
                self._publish(handle)
            if over:
                self._forget(handle)

    def _forget(self, handle: Any) -> None:
        with self._lock:
            self._followed.pop(handle, None)
            if not self._followed and self._detach is not None:
                self._detach()
                self._detach = None

    def _changes(self, handle: Any, old: dict[str, Any]) -> dict[str, Any]:
        """The values that are not what they were. A state is looked at only after a commit: reading it may copy it."""
        version, before = _version(handle), self._published.get(handle, (UNKNOWN, 0))
        self._published[handle] = version
        state, commits = version
        unchanged = state is before[0] and (commits == before[1] or is_frozen(state))
        new = {}
        for name in self._names:
            if name == "state":
                if not unchanged and not is_same(old.get(name, UNKNOWN), state):
                    new[name] = copy_out_always(state, handle.entry.limits.copy_state)
            elif not is_same(old.get(name, UNKNOWN), value := getattr(handle, name)):
                new[name] = value
        return new

    def _publish(self, handle: Any) -> None:
        """Call the watchers of one handle with what changed since the last time."""
        private, kind = handle._param__private, type(handle)
        old = private.values
        new = self._changes(handle, old)
        events = {name: Event("value", name, handle, kind, old.get(name), new[name], "changed") for name in new}
        old.update(new)
        watchers = [watcher for name in new for watcher in private.watchers.get(name, {}).get("value", ())]
        unique = {id(watcher): watcher for watcher in watchers}.values()
        for watcher in sorted(unique, key=lambda each: each.precedence):
            _call(handle, watcher, [events[name] for name in watcher.parameter_names if name in events])


def _always(call: Callable[[], None]) -> None:
    call()


def _has_watchers(handle: Any) -> bool:
    return any(watchers for by_what in handle._param__private.watchers.values() for watchers in by_what.values())


def _call(handle: Any, watcher: Watcher, events: list[Event]) -> None:
    # Not through `param.update`: there those after one that raises are not called, nor those of a knob that one sets.
    namespace = ORIGINAL.__get__(handle, type(handle))
    try:
        namespace._execute_watcher(watcher, events)
    except BaseException as error:  # a watcher is user code: the others go on
        log_safely(logger, "a watcher of %r failed and was removed", handle.entry.id)
        namespace.unwatch(watcher)
        if is_interrupt(error):
            raise


def _version(handle: Any) -> tuple[Any, int]:
    """The state itself and how many activities were done: what differs from one commit to the next."""
    return handle.entry.state, handle.entry.done
