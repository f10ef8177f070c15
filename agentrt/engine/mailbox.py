"""PrioritizedMailbox: two bounded lanes. Priority overtakes, and fairness sees that standard is not starved."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..errors import ConfigurationError

__all__ = ["MailboxStatistics", "PrioritizedMailbox"]

Items = deque[Activity[Any]]

# An empty deque is 760 bytes, twice the rest of an idle runtime: lanes share this one until something is put in.
EMPTY: Items = deque(maxlen=0)


class MailboxStatistics(msgspec.Struct, frozen=True):
    """Depths and capacities, (priority, standard), delayed activities included; and how many senders wait."""

    depth: tuple[int, int]
    capacity: tuple[int, int]
    delayed: tuple[int, int]
    senders: int


class PrioritizedMailbox:
    """Two FIFO lanes, each with its own bound, so that a flood of standard activities never blocks an urgent one.

    `fairness=8`: after 8 priority activities in a row one standard activity goes; None is strict priority.
    A delayed activity takes its place in the bound when it is accepted, and its place in the lane when it is due.

    Nothing here locks: whoever calls `put` holds the manager's lock, `take` is for the one thread that processes.

    >>> mailbox = PrioritizedMailbox(priority_capacity=2, standard_capacity=2)
    >>> mailbox.put(Activity(1, payload="tea")), mailbox.put(Activity(2, payload="fire", lane=Lane.PRIORITY))
    (True, True)
    >>> mailbox.take().payload
    'fire'
    """

    __slots__ = (
        "delayed_priority",
        "delayed_standard",
        "fairness",
        "priority",
        "priority_capacity",
        "senders",
        "short_priority",
        "short_standard",
        "standard",
        "standard_capacity",
        "streak",
    )

    def __init__(self, priority_capacity: int = 1000, standard_capacity: int = 1000, fairness: int | None = 8) -> None:
        self.priority: Items = EMPTY
        self.standard: Items = EMPTY
        self.priority_capacity = capacity(priority_capacity, "priority_capacity")
        self.standard_capacity = capacity(standard_capacity, "standard_capacity")
        self.fairness: float = limit_of(fairness)
        self.delayed_priority = 0
        self.delayed_standard = 0
        self.streak = 0
        # A send to a lane that is shorter than this has nothing else to look at; 0 while there is anything special.
        self.short_priority = self.short_standard = 0
        # Senders that wait for room, per lane, oldest first; made on the first wait.
        self.senders: dict[Lane, deque[Any]] | None = None

    def __len__(self) -> int:
        return len(self.priority) + len(self.standard)

    def __iter__(self) -> Iterator[Activity[Any]]:
        return chain(tuple(self.priority), tuple(self.standard))

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait in each lane, (priority, standard); those not yet due included."""
        return len(self.priority) + self.delayed_priority, len(self.standard) + self.delayed_standard

    @property
    def first(self) -> tuple[Activity[Any] | None, Activity[Any] | None]:
        """What is at the front of each lane, (priority, standard). From any thread."""
        return _front(self.priority), _front(self.standard)

    def put(self, activity: Activity[Any]) -> bool:
        """Add at the end of its lane. False, and nothing done, if the lane is full."""
        if self.room(activity.lane) <= 0:
            return False
        self.add(activity)
        return True

    def room(self, lane: Lane) -> int:
        """How many more the lane takes."""
        if lane is Lane.PRIORITY:
            return self.priority_capacity - len(self.priority) - self.delayed_priority
        return self.standard_capacity - len(self.standard) - self.delayed_standard

    def add(self, activity: Activity[Any]) -> None:
        """Add at the end of its lane, whatever the bound: for what has its place already."""
        self.lane(activity.lane).append(activity)

    def shut(self) -> None:
        """Every send has to look at everything from now on. Whoever makes sending harder calls this, under the lock."""
        self.short_priority = self.short_standard = 0

    def reopen(self) -> None:
        """There is nothing but the bounds to look at: the short way in is open for the lanes that were used before."""
        self.short_priority = 0 if self.priority is EMPTY else self.priority_capacity - self.delayed_priority
        self.short_standard = 0 if self.standard is EMPTY else self.standard_capacity - self.delayed_standard

    def lane(self, lane: Lane) -> Items:
        """The items of a lane, made on first use."""
        if lane is Lane.PRIORITY:
            if self.priority is EMPTY:
                self.priority = deque()
            return self.priority
        if self.standard is EMPTY:
            self.standard = deque()
        return self.standard

    def hold(self, lane: Lane, n: int) -> None:
        """Count `n` more (or fewer) delayed activities in the bound of a lane."""
        self.shut()
        if lane is Lane.PRIORITY:
            self.delayed_priority += n
        else:
            self.delayed_standard += n

    def take(self) -> Activity[Any] | None:
        """The next activity by priority and fairness; None if both lanes are empty."""
        if self.priority and (self.streak < self.fairness or not self.standard):
            self.streak += 1
            return self.priority.popleft()
        self.streak = 0
        if self.standard:
            return self.standard.popleft()
        return None

    def peek(self) -> Activity[Any] | None:
        """What `take` would give; it stays."""
        if self.priority and (self.streak < self.fairness or not self.standard):
            return self.priority[0]
        return self.standard[0] if self.standard else None

    def statistics(self) -> MailboxStatistics:
        """An immutable record of how full it is; any thread."""
        return MailboxStatistics(
            depth=self.depth,
            capacity=(self.priority_capacity, self.standard_capacity),
            delayed=(self.delayed_priority, self.delayed_standard),
            senders=sum(map(len, self.senders.values())) if self.senders else 0,
        )


def capacity(value: Any, name: str) -> int:
    """A lane's bound: a positive whole number."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number of at least 1")
    return value


def limit_of(fairness: Any) -> float:
    """Fairness as the number it is compared with: infinity for strict priority."""
    if fairness is None:
        return math.inf
    if type(fairness) is not int or fairness < 1:
        raise ConfigurationError(f"fairness is {fairness!r}; give a whole number of at least 1, or None for strict")
    return fairness


def _front(items: Items) -> Activity[Any] | None:
    try:
        return items[0]
    except IndexError:  # another thread may have taken it since anybody looked
        return None
