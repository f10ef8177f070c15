"""The nodes of a cluster as a view sees them, and what a manager and its process use."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import msgspec

from ..engine.entry import RuntimeEntry
from ..events import Event

__all__ = [
    "NODE_EVENTS",
    "ClusterStanding",
    "HasCluster",
    "HasNodes",
    "HasUsage",
    "NodeStanding",
    "Usage",
    "UsageMeter",
]

NODE_EVENTS = frozenset(
    {"node_added", "node_adopted", "node_lost", "node_removed", "node_started_again", "members_not_reached"}
)
EVERY = 1.0  # real seconds between two readings
SHARE = 0.02  # of the time that readings may take


class Usage(msgspec.Struct, frozen=True):
    """What a manager has to do, and what its process uses.

    Args:
        runtimes: How many runtimes it has.
        waiting: How many activities wait in all their lanes: priority, standard.
        done: How many those runtimes have done.
        load: Processor seconds a real second that the process has used since the reading before.
        memory: Bytes of memory that the process takes; 0 where that can't be known.
        pid: The id of the process.
        machine: The name of its machine.
    """

    runtimes: int = 0
    waiting: tuple[int, int] = (0, 0)
    done: int = 0
    load: float = 0.0
    memory: int = 0
    pid: int = 0
    machine: str = ""


class ClusterStanding(msgspec.Struct, frozen=True):
    """A cluster, as its driver tells it to another process of the same user.

    Args:
        nodes: The names of its nodes.
        link: The address of the engine's own page; empty if it has none.
        port: TCP port on 127.0.0.1 where frames are passed on to the nodes.
        token: What has to be said there.
    """

    nodes: list[str] = []
    link: str = ""
    port: int = 0
    token: str = ""


@runtime_checkable
class HasCluster(Protocol):
    """The source of the driver of a cluster."""

    def cluster(self) -> ClusterStanding:
        """What another process needs to watch its nodes."""


class NodeStanding(msgspec.Struct, frozen=True):
    """A node of a cluster.

    Args:
        name: Its name.
        usage: What it has to do and uses; None if it has never answered.
        words: What is wrong with it, in a sentence; empty if nothing is.
        ahead: Seconds by which its date and time are ahead of those of the driver; None if that is not known.
        error: Seconds by which this may be wrong.
    """

    name: str
    usage: Usage | None = None
    words: str = ""
    ahead: float | None = None
    error: float = 0.0


@runtime_checkable
class HasNodes(Protocol):
    """A source whose runtimes are on several nodes."""

    link: str  # to the page of what runs the nodes; empty if there is none

    def nodes(self) -> list[NodeStanding]:
        """Return how each node is, in the order in which they came."""

    def node_of(self, id: str) -> str:
        """Return the name of the node of a runtime; empty if it is nowhere."""

    def node_events(self) -> list[Event]:
        """Return what has become of nodes lately, the newest last; see `NODE_EVENTS`."""


@runtime_checkable
class HasUsage(Protocol):
    """A source that knows what its manager uses."""

    def usage(self) -> Usage:
        """Return it, as it was a second ago at the most."""


class UsageMeter:
    """Reads what a manager uses, at most once a second for all who ask. Any thread."""

    def __init__(self) -> None:
        self._found = Usage()
        self._due = 0.0
        self._before = time.monotonic(), time.process_time()

    def read(self, entries: Callable[[], Iterable[RuntimeEntry[Any, Any]]]) -> Usage:
        """What there is of these entries, and what the process uses. They are asked for only where they are read."""
        now = time.monotonic()
        if now >= self._due:
            self._found = self._read_now(entries())
            self._due = now + max(EVERY, (time.monotonic() - now) / SHARE)
        return self._found

    def _read_now(self, entries: Iterable[RuntimeEntry[Any, Any]]) -> Usage:
        runtimes = priority = standard = done = 0
        for entry in entries:
            depth = entry.mailbox.depth
            runtimes, priority, standard, done = (
                runtimes + 1, priority + depth[0], standard + depth[1], done + entry.done,
            )  # fmt: skip
        (since, used), self._before = self._before, (time.monotonic(), time.process_time())
        passed = max(0.001, self._before[0] - since)
        load = (self._before[1] - used) / passed
        return Usage(runtimes, (priority, standard), done, load, _memory(), os.getpid(), socket.gethostname())


def _memory() -> int:
    if sys.platform != "linux":
        return 0
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
