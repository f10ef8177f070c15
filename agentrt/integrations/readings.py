"""Readings: what a manager counts, in one record that can be sent to another process.

It reads counters that the runtimes keep anyway: between two readings it costs nothing, and no activity is missed, also
of runtimes that came and went in between.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable
from weakref import ref

import msgspec

from ..events import Fate
from ..feed.source import JournalStanding
from ..metrics import Distribution
from ..snapshot import Status, fates, status
from .labels import OTHER, Labels

__all__ = ["HasNodeReadings", "LabelCounts", "LaneLoad", "ManagerReader", "ManagerReading"]

MOST_ENDED = 1_000  # runtimes that ended since the last reading, and are still told apart
LANES = ("priority", "standard")


class LabelCounts(msgspec.Struct, frozen=True):
    """What only grows: of a runtime, or of all that share a label. Lanes are (priority, standard)."""

    accepted: int = 0
    ended: tuple[int, ...] = (0,) * len(Fate)
    restarts: int = 0
    waits: tuple[Distribution, ...] = (Distribution(),) * 2
    services: tuple[Distribution, ...] = (Distribution(),) * 2

    @classmethod
    def of(cls, entry: Any) -> LabelCounts:
        """Those of one entry."""
        found = fates(entry)
        ended = tuple(getattr(found, fate.value) for fate in Fate)
        if entry.times is None:
            return cls(found.accepted, ended, entry.restarts)
        waits, services = zip(*(lane.distributions() for lane in entry.times), strict=True)
        return cls(found.accepted, ended, entry.restarts, waits, services)

    def plus(self, other: LabelCounts) -> LabelCounts:
        """The sum of both."""
        return LabelCounts(
            self.accepted + other.accepted,
            tuple(map(sum, zip(self.ended, other.ended, strict=True))),
            self.restarts + other.restarts,
            tuple(a.merge(b) for a, b in zip(self.waits, other.waits, strict=True)),
            tuple(a.merge(b) for a, b in zip(self.services, other.services, strict=True)),
        )

    def at_least(self, last: LabelCounts) -> LabelCounts:
        """These, but no count below what it was: Prometheus would take that for a process that was started again."""
        ended = tuple(map(max, zip(self.ended, last.ended, strict=True)))
        return msgspec.structs.replace(self, accepted=max(self.accepted, last.accepted), ended=ended)


class LaneLoad(msgspec.Struct):
    """What waits in lanes that share a label, and how much may."""

    depth: int = 0
    capacity: int = 0


class ManagerReading(msgspec.Struct):
    """What a manager counts at one time.

    Attributes:
        doing: How many runtimes have each status.
        lanes: The load of the lanes, by label and name of the lane.
        pending: How many activities were accepted and have not ended, by label.
        counts: What only grows, by label.
        dead_letters: How many are kept.
        speed: Seconds of the agents' clock in a real one.
        journal: How far the journal is; None without one.
    """

    doing: dict[str, int]
    lanes: dict[tuple[str, str], LaneLoad]
    pending: dict[str, int]
    counts: dict[str, LabelCounts]
    dead_letters: int
    speed: float
    journal: JournalStanding | None


ReadNodes = Callable[[], dict[str, ManagerReading | None]]


@runtime_checkable
class HasNodeReadings(Protocol):
    """A manager whose runtimes are on several nodes."""

    def node_reader(self, label: Callable[[str], str] | None, most: int) -> ReadNodes:
        """Make what reads all nodes: None stands for a node that does not answer."""


class ManagerReader:
    """Reads one manager. Any thread; a label stays when its runtime has ended, as its counts do.

    Args:
        manager: The manager.
        label: The label of an id; the id itself without it.
        most: How many labels there may be, besides `OTHER`.

    Raises:
        ConfigurationError: `most` is no positive whole number.
    """

    def __init__(self, manager: Any, label: Callable[[str], str] | None = None, most: int = 100) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._labels = Labels(label, most)
        self._past: dict[str, LabelCounts] = {}  # of runtimes that ended, by label
        self._last: dict[str, LabelCounts] = {}  # what the last reading said
        self._ended: dict[Any, tuple[str, LabelCounts]] = {}  # since the last reading, by entry; the manager's lock
        self._uncounted = LabelCounts()  # of those beyond MOST_ENDED; the manager's lock
        with manager.lock:
            manager.on_end(self._keep)

    def read(self) -> ManagerReading:
        """What there is now."""
        manager = self._manager
        with self._lock:
            entries, ended = self._take()
            labels = self._label_all([entry.id for entry in entries], [id for id, _ in ended])
            doing = Counter(status(entry) for entry in entries)
            lanes, pending = _read_lanes(entries, labels)
            counts = self._count(entries, labels, ended)
        return ManagerReading(
            {each.value: doing[each] for each in Status},
            lanes,
            pending,
            counts,
            len(manager.dead_letters),
            manager.speed,
            manager.source.journal(),
        )

    # ---- runtimes that end

    def _keep(self, entry: Any) -> None:
        """Keep the counts of an entry that is taken out of the map. The manager's lock is held."""
        self._ended[ref(entry)] = (entry.id, LabelCounts.of(entry))  # by entry: one that is taken out again counts once
        if len(self._ended) > MOST_ENDED:
            _, counts = self._ended.pop(next(iter(self._ended)))
            self._uncounted = self._uncounted.plus(counts)

    def _take(self) -> tuple[tuple[Any, ...], list[tuple[str, LabelCounts]]]:
        """The entries there are, and the counts of those that ended since the last time: none is in both."""
        with self._manager.lock:
            ended, uncounted = list(self._ended.values()), self._uncounted
            self._ended.clear()
            self._uncounted = LabelCounts()
            entries = self._manager.entries()
        if uncounted.accepted:
            self._past[OTHER] = self._past.get(OTHER, LabelCounts()).plus(uncounted)
        return entries, ended

    # ---- labels

    def _label_all(self, *groups: list[str]) -> dict[str, str]:
        """The label of each id."""
        return {id: self._labels.of(id) for ids in groups for id in ids}

    # ---- values

    def _count(
        self, entries: tuple[Any, ...], labels: Mapping[str, str], ended: list[tuple[str, LabelCounts]]
    ) -> dict[str, LabelCounts]:
        for id, counts in ended:
            self._past[labels[id]] = self._past.get(labels[id], LabelCounts()).plus(counts)
        found = dict(self._past)
        for entry in entries:
            label = labels[entry.id]
            found[label] = found.get(label, LabelCounts()).plus(LabelCounts.of(entry))
        for label, counts in found.items():
            self._last[label] = found[label] = counts.at_least(self._last.get(label, LabelCounts()))
        return found


def _read_lanes(
    entries: tuple[Any, ...], labels: Mapping[str, str]
) -> tuple[dict[tuple[str, str], LaneLoad], dict[str, int]]:
    """The load of the lanes, and how many activities are pending."""
    lanes: defaultdict[tuple[str, str], LaneLoad] = defaultdict(LaneLoad)
    pending: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        label, mailbox = labels[entry.id], entry.mailbox
        pending[label] += fates(entry).pending
        capacity = (mailbox.priority_capacity, mailbox.standard_capacity)
        for lane, depth, room in zip(LANES, mailbox.depth, capacity, strict=True):
            load = lanes[label, lane]
            load.depth += depth
            load.capacity += room
    return dict(lanes), dict(pending)
