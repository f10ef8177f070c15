"""The source of a cluster: all nodes as one, with the ids that their runtimes have in the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Any, Protocol

from ..activity import Activity
from ..engine.hub import Frame
from ..errors import ConfigurationError, RuntimeNotFoundError
from ..events import Event, Record
from ..feed.greeting import OfferedManager
from ..feed.live import Ids, LiveManager, LiveSource
from ..feed.nodes import NODE_EVENTS, ClusterStanding, NodeStanding
from ..feed.remote import RemoteSource
from ..feed.several import Part, SeveralSource
from ..feed.shift import STRIDE, Shift
from ..feed.source import Reply, Source
from ..metrics import Fates
from ..snapshot import Snapshot
from .cluster_moment import ClusterMoment
from .dialer import ClockDifference, LocalTime, NodeDialer, ReadFeed
from .numbers import index_of

__all__ = ["ClusterSource", "DriverSource", "OfferedDriver", "merge_causally"]

PATIENCE = 5  # pulls for which a record waits for what has caused it
MOMENTS = 4  # that are kept
LATEST = 3  # events of nodes that are told
RETRY = 1.0  # seconds until a node is asked again that has not answered
OF_RUNTIMES = frozenset({"pause_all", "resume_all"})
NOT_OF_SEVERAL = frozenset({"fork"})  # commands that one manager has to carry out alone


class ClusterDriver(Protocol):
    """The manager of a cluster, as its source sees it."""

    name: str

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes."""


class DriverSource(LiveSource):
    """The source of what runs here: no runtimes, but the records of what becomes of nodes, and the clock."""

    def __init__(self, manager: LiveManager) -> None:
        super().__init__(manager)
        self.clock: LocalTime = manager.clock
        self._driver: Any = manager
        self.runtimes = self.ended = Ids(())

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """None."""
        return []

    def fates(self) -> Fates:
        """None."""
        return Fates()

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command; what is for all runtimes is for none here."""
        return Reply() if name in OF_RUNTIMES else super().command(name, id, **arguments)

    def cluster(self) -> ClusterStanding:
        """What another process needs to watch the nodes."""
        found: ClusterStanding = self._driver.describe_cluster()
        return found


class OfferedDriver:
    """What a driver offers to other processes: what it has recorded itself. Its nodes are read through the relay."""

    def __init__(self, manager: OfferedManager, source: DriverSource) -> None:
        self.name, self.ring, self.loop, self.source = manager.name, manager.ring, manager.loop, source


class SourceWithClock(Source, Protocol):
    """The source of what runs at a driver."""

    @property
    def clock(self) -> LocalTime:
        """The clock there."""


class NodePart(Part):
    """A node, and how far its clock is from the one here."""

    def __init__(self, source: RemoteSource, difference: ClockDifference) -> None:
        best = difference.best
        super().__init__(source, Shift("", 0, 0.0 if best is None else best.seconds))
        self.source: RemoteSource = source
        self.difference = difference

    def adjust(self) -> None:
        """Take the times of the node by what is known of its clock now: its speed may have been changed."""
        best = self.difference.best
        if best is not None and abs(best.seconds - self.shift.seconds) > best.error:
            self.shift.seconds = best.seconds


class ClusterSource(SeveralSource):
    """All nodes of a cluster as one, and the driver, which records what becomes of nodes. See `SeveralSource`.

    Ids and numbers are those of the nodes, which are different everywhere. Times are those of the driver's clock, by
    the measured differences. A node that leaves the cluster is left out from then on, one that comes is added.

    Args:
        driver: The manager of the cluster.
        here: The source of what runs there.
        read_feed: Has a node answer a frame, see `agentrt.distributed.engine.Engine`.
        link: The address of the engine's own page; empty if it has none.
        max_age: How old an answer may be, in seconds, while nobody is attached.
    """

    def __init__(
        self, driver: ClusterDriver, here: SourceWithClock, read_feed: ReadFeed, link: str = "", max_age: float = 0.1
    ) -> None:
        self.link = link
        self._driver = driver
        self._clock = here.clock
        self._read_feed = read_feed
        self._max_age = max_age
        self._nodes: dict[str, NodePart] = {}
        self._again: dict[str, float] = {}  # when to ask a node that has not answered, by time.monotonic()
        self._held: dict[Part, list[Any]] = {}  # records that wait for what has caused them
        self._waits = 0  # for how many pulls
        self._told: dict[int, int] = {}  # the highest number of each node
        self._moments: dict[int, ClusterMoment] = {}
        self._begin(driver.name, {0: Part(here, Shift("", 0, 0.0))})
        self.capabilities -= NOT_OF_SEVERAL
        self._follow_nodes()

    def __repr__(self) -> str:
        return f"<ClusterSource of {self.name!r}, {len(self._nodes)} nodes>"

    def close(self) -> None:
        """Ask the nodes no more. Idempotent."""
        self.hub.close()
        for part in self._nodes.values():
            part.source.close()

    # ---- which nodes there are

    def _follow_nodes(self) -> None:
        nodes = self._driver.nodes
        for node in [node for node in self._nodes if node not in nodes]:
            self._remove(node)
        now = time.monotonic()
        for node in nodes:
            if node not in self._nodes and now >= self._again.get(node, 0.0):
                self._add(node)

    def _add(self, node: str) -> None:
        difference = ClockDifference(self._clock)
        dialer = NodeDialer(node, self._read_feed, difference)
        try:
            source = RemoteSource(dialer, max_age=self._max_age)
        except ConfigurationError:
            self._again[node] = time.monotonic() + RETRY
            return
        part = self._nodes[node] = NodePart(source, difference)
        self._by_number[index_of(node, self._driver.nodes)] = part
        self._parts.append(part)
        self._by_prefix.append(part)
        if self._detach:
            self._detach.append(source.attach(self._pull))

    def _remove(self, node: str) -> None:
        part = self._nodes.pop(node)
        self._by_number = {number: each for number, each in self._by_number.items() if each is not part}
        self._parts.remove(part)
        self._by_prefix.remove(part)
        part.source.close()

    def nodes(self) -> list[NodeStanding]:
        """How each node is, in the order in which they came."""
        return [self._standing_of(name) for name in self._driver.nodes]

    def _standing_of(self, name: str) -> NodeStanding:
        part = self._nodes.get(name)
        if part is None:
            return NodeStanding(name)
        usage, words, best = part.source.usage(), part.source.standing().words, part.difference.best
        if best is None:
            return NodeStanding(name, usage, words)
        return NodeStanding(name, usage, words, best.wall, best.error)

    def node_events(self) -> list[Event]:
        """What has become of nodes lately, as the driver has recorded it; the newest last."""
        records = self._parts[0].source.frame().records
        return [each for each in records if isinstance(each, Event) and each.kind in NODE_EVENTS][-LATEST:]

    def node_of(self, id: str) -> str:
        """The name of the node of a runtime; empty if it is nowhere."""
        found = self._part_of(id)
        return "" if found is None else found[0].source.name

    # ---- what happened

    def _pull(self, frame: Frame | None = None) -> None:
        with self._lock:
            self._follow_nodes()
            for part in self._nodes.values():
                part.adjust()
            super()._pull(frame)

    def _merge(self, found: list[list[Any]]) -> list[Any]:
        """All that can be told: what is caused by something that another node has not told yet waits for it a while."""
        queues = [[*self._held.get(part, ()), *new] for part, new in zip(self._parts, found, strict=True)]
        for record in chain.from_iterable(found):
            index = record.sequence // STRIDE
            self._told[index] = max(self._told.get(index, 0), record.sequence)
        merged = merge_causally(queues, None if self._waits >= PATIENCE else self._is_missing)
        self._held = {part: left for part, left in zip(self._parts, queues, strict=True) if left}
        self._waits = self._waits + 1 if self._held else 0
        return merged

    def _is_missing(self, number: int) -> bool:
        """Whether an activity is of a node that has not told of it yet."""
        index = number // STRIDE
        return index in self._by_number and number > self._told.get(index, 0)

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command on the node that it is for."""
        if name in NOT_OF_SEVERAL:
            raise ConfigurationError(f"{name!r} is for one manager; a cluster has several")
        try:
            return super().command(name, id, **arguments)
        except RuntimeNotFoundError:
            time.sleep(self._max_age)  # it may be younger than what was read last
            return super().command(name, id, **arguments)

    # ---- what was

    def events(self) -> list[tuple[int, Record]]:
        """What is recorded of what happened on all nodes, in one order."""
        self._pull()
        return [(place + 1, record) for place, record in self._mirror.positions()]

    def past(self, moment: int) -> ClusterMoment:
        """Everything as it was after a record: of each node what comes before it in the one order.

        The last few are kept: each page asks for several parts of one.
        """
        with self._lock:
            found = self._moments.pop(moment, None) or self._moment(moment)
            self._moments[moment] = found
            while len(self._moments) > MOMENTS:
                del self._moments[next(iter(self._moments))]
            return found

    def _moment(self, moment: int) -> ClusterMoment:
        records = [record for place, record in self.events() if place <= moment]
        last: dict[int, int] = {}
        for record in records:
            index = record.sequence // STRIDE
            last[index] = max(last.get(index, 0), record.sequence)
        parts = {
            index: Part(part.source.past(last[index]), Shift("", 0, part.shift.seconds))
            for index, part in self._by_number.items()
            if index in last and isinstance(part, NodePart)
        }
        if not parts:
            raise ConfigurationError("of that moment nothing is recorded on any node")
        error = max((best.error for part in self._nodes.values() if (best := part.difference.best)), default=0.0)
        return ClusterMoment(self.name, parts, records, self._clock, self.speed, error)


def merge_causally(found: list[list[Any]], is_missing: Callable[[int], bool] | None = None) -> list[Any]:
    """Records of several nodes in one order: by their times, but none before what has caused it.

    Those of one node stay in their order. The clocks of two nodes are known up to an error, so an activity may seem to
    be older than the one that has sent it.

    Args:
        found: The records of each node, in their order; those that are returned are taken out.
        is_missing: Whether an activity is still to be told of; what it has caused stays, and what comes behind that.
    """
    places = [0] * len(found)
    unseen = {record.id for records in found for record in records if isinstance(record, Activity)}
    held: dict[int, list[tuple[float, int]]] = {}  # nodes whose next record waits for that of an activity
    heap = [(records[0].at, node) for node, records in enumerate(found) if records]
    heapify(heap)
    merged: list[Any] = []

    def take(node: int) -> None:
        record = found[node][places[node]]
        merged.append(record)
        places[node] += 1
        if places[node] < len(found[node]):
            heappush(heap, (found[node][places[node]].at, node))
        if isinstance(record, Activity):
            unseen.discard(record.id)
            for each in held.pop(record.id, ()):
                heappush(heap, each)

    while heap or (held and is_missing is None):
        if not heap:  # a circle: its numbers were used twice
            heap += held.pop(next(iter(held)))
            heapify(heap)
            take(heappop(heap)[1])
            continue
        at, node = heappop(heap)
        record = found[node][places[node]]
        parent = record.parent if isinstance(record, Activity) and record.parent != record.id else None
        if parent is not None and (parent in unseen or (is_missing is not None and is_missing(parent))):
            held.setdefault(parent, []).append((at, node))
        else:
            take(node)
    for records, place in zip(found, places, strict=True):
        del records[:place]
    return merged
