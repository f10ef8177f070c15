"""Breakpoints of runtimes that are moved, or whose node is taken over: packed, copied to the driver, and set again."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from ..debugger import breakpoints
from ..errors import AgentError, describe_error
from .follower import NodeFollower
from .packing import pack, unpack

__all__ = ["BreakpointChanges", "BreakpointCopies", "PackedBreakpoint", "pack_breakpoints", "restore_breakpoints"]


class PackedBreakpoint(NamedTuple):
    """A breakpoint for another process.

    Args:
        name: What it is called.
        hits: How often its place was reached.
        data: It; empty if it can't be sent.
        why: Why it can't.
    """

    name: str
    hits: int
    data: bytes = b""
    why: str = ""


def pack_breakpoints(entry: Any) -> list[PackedBreakpoint]:
    """The breakpoints of a runtime. The lock is held."""
    found = []
    for point, hits in () if entry.breakpoints is None else entry.breakpoints.count_hits():
        try:
            found.append(PackedBreakpoint(point.name, hits, pack(point, f"the breakpoint {point.name!r}")))
        except AgentError as error:
            found.append(PackedBreakpoint(point.name, hits, why=str(error)))
    return found


def restore_breakpoints(entry: Any, packed: list[PackedBreakpoint], is_stopped: bool = False) -> None:
    """Set breakpoints as they were in another process, and record which are gone. The loop's thread, or nothing runs.

    Args:
        entry: A runtime that has processed nothing here.
        packed: Its breakpoints.
        is_stopped: Whether it was stopped before the activity that is next.
    """
    if not packed:
        return
    points, gone = [], []
    for each in packed:
        try:
            points.append((unpack(each.data), each.hits))
        except Exception as error:  # it could not be sent, or its module is not here
            gone.append((each.name, each.why or describe_error(error)))
    breakpoints(entry).restore(points, is_stopped)
    for name, why in gone:
        words = f"it is gone, as the runtime is in another process now and this could not follow: {why}"
        entry.record_event("breakpoint_removed", {"at": name, "error": words})


class BreakpointChanges:
    """What a node has to tell the driver: which of its runtimes have other breakpoints now.

    Args:
        manager: The manager of the node.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._changed: dict[str, None] = {}
        self._came = asyncio.Event()

    def add(self, id: str) -> None:
        """A runtime has other breakpoints. Any thread."""
        self._changed[id] = None
        self._manager.post(self._came.set)

    async def fetch(self) -> dict[str, list[PackedBreakpoint]]:
        """Wait until there are any, and return all of each of these runtimes: to the driver, which asks repeatedly."""
        await self._came.wait()
        self._came.clear()
        changed, self._changed = self._changed, {}
        with self._manager.lock:
            entries = [entry for id in changed if (entry := self._manager.find_entry(id)) is not None]
            return {entry.id: pack_breakpoints(entry) for entry in entries}


class BreakpointCopies:
    """The driver's copies: a node that ends can't be asked any more.

    Args:
        manager: The driver, a `ClusterManager`.
    """

    def __init__(self, manager: Any) -> None:
        self._of: dict[str, list[PackedBreakpoint]] = {}
        self._following = NodeFollower(manager, "breakpoints", self._take)

    def follow(self, node: str) -> None:
        """Begin to ask a node for changes. Any thread."""
        self._following.follow(node)

    def close(self) -> None:
        """Ask no more. Any thread."""
        self._following.close()

    async def _take(self, node: str, changed: dict[str, list[PackedBreakpoint]]) -> None:
        for id, packed in changed.items():
            self._of.pop(id, None)
            if packed:
                self._of[id] = packed

    def add_to(self, wanted: tuple[str, Any, Any, dict[str, Any]]) -> tuple[str, Any, Any, dict[str, Any]]:
        """What `create` is given for a runtime that begins again, with its breakpoints."""
        id, state, workflow, options = wanted
        packed = self._of.get(id)
        return wanted if packed is None else (id, state, workflow, {**options, "breakpoints": packed})

    def forget(self, id: str) -> None:
        """A runtime was terminated."""
        self._of.pop(id, None)
