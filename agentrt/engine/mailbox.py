"""PrioritizedMailbox: two bounded lanes. Priority overtakes, and fairness sees that standard is not starved."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..clock import Timer
from ..limits import check_capacity, check_fairness
from ..schema.numbers import MOST
from .fields import MailboxFields

__all__ = ["MailboxStatistics", "Place", "PrioritizedMailbox", "read_item"]

Items = deque[Activity[Any]]

# An empty deque is 760 bytes, twice the rest of an idle runtime: lanes share this one until something is put in.
EMPTY: Items = deque(maxlen=0)


def read_item(item: Any) -> Activity[Any]:
    """The activity that lies in a lane. The compiled core puts one there that makes it when it is read."""
    return item if isinstance(item, Activity) else item.read()


class MailboxStatistics(msgspec.Struct, frozen=True):
    """Depths and capacities, (priority, standard), delayed activities included; and how many senders wait."""

    depth: tuple[int, int]
    capacity: tuple[int, int]
    delayed: tuple[int, int]
    senders: int


class Place(msgspec.Struct, frozen=True):
    """Where an activity waits: in which lane, after and before which activities (None: it is the first, the last)."""

    lane: Lane
    after: int | None
    before: int | None


class PrioritizedMailbox(MailboxFields):
    """Two FIFO lanes, each with its own bound, so that a flood of standard activities never blocks priority activities.

    `fairness=8`: after 8 priority activities in a row one standard activity goes; None is strict priority.
    A delayed activity takes its place in the bound when it is accepted, and its place in the lane when it is due.

    Nothing here locks. Whoever adds holds the manager's lock. `take`, and what removes, moves or edits, is called by
    the one thread that processes.

    >>> mailbox = PrioritizedMailbox(priority_capacity=2, standard_capacity=2)
    >>> mailbox.put(Activity(1, payload="tea")), mailbox.put(Activity(2, payload="fire", lane=Lane.PRIORITY))
    (True, True)
    >>> mailbox.take().payload
    'fire'
    """

    __slots__ = ()

    def __init__(self, priority_capacity: int = 1000, standard_capacity: int = 1000, fairness: int | None = 8) -> None:
        self.priority: Items = EMPTY
        self.standard: Items = EMPTY
        # Accepted and not yet due, by id; made on first use. Each has a place reserved in its lane.
        self.delayed: dict[int, Activity[Any]] | None = None
        self.timers: dict[int, Timer] | None = None  # of the delayed ones
        self.reserved_priority = self.reserved_standard = 0
        # Places given to senders that waited for room and have not used them yet.
        self.granted_priority = self.granted_standard = 0
        self.streak = 0
        # Senders that wait for room, per lane, oldest first; made on the first wait.
        self.senders: dict[Lane, deque[Any]] | None = None
        self.configure(priority_capacity, standard_capacity, fairness)

    def configure(self, priority_capacity: int, standard_capacity: int, fairness: int | None) -> None:
        """Set the bounds and the fairness; `ConfigurationError` for what can't be one."""
        # Most often all three are in order, as the limits that they come from were checked: then nothing is called.
        if type(priority_capacity) is not int or not 0 < priority_capacity <= MOST:
            priority_capacity = check_capacity("priority_capacity", priority_capacity)
        if type(standard_capacity) is not int or not 0 < standard_capacity <= MOST:
            standard_capacity = check_capacity("standard_capacity", standard_capacity)
        if type(fairness) is not int or not 0 < fairness <= MOST:
            fairness = check_fairness("fairness", fairness)
        self.priority_capacity, self.standard_capacity = priority_capacity, standard_capacity
        self.fairness: float = math.inf if fairness is None else fairness
        self.fast_limit_priority = self.fast_limit_standard = 0  # `disable_fast_path`

    # ---- to look at

    def __len__(self) -> int:
        return len(self.priority) + len(self.standard)

    def __iter__(self) -> Iterator[Activity[Any]]:
        return chain(_copy_lane(self.priority), _copy_lane(self.standard))

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait in each lane, (priority, standard); those not yet due included."""
        return len(self.priority) + self.reserved_priority, len(self.standard) + self.reserved_standard

    @property
    def first(self) -> tuple[Activity[Any] | None, Activity[Any] | None]:
        """What is at the front of each lane, (priority, standard). From any thread."""
        return _front(self.priority), _front(self.standard)

    def items(self) -> list[Activity[Any]]:
        """What waits: the priority lane, the standard lane, then what is not due yet, each oldest first."""
        return [*chain.from_iterable(self.lists())]

    def lists(self) -> tuple[Sequence[Activity[Any]], Sequence[Activity[Any]], Sequence[Activity[Any]]]:
        """Copies of the priority lane, the standard lane, and what is not due yet; each oldest first."""
        delayed = (self.delayed or {}).values()
        return _copy_lane(self.priority), _copy_lane(self.standard), list(delayed)  # each in one step, from any thread

    def room(self, lane: Lane) -> int:
        """How many more the lane takes now."""
        return self.free(lane)

    def free(self, lane: Lane) -> int:
        """How many places of the lane's bound are free."""
        if lane is Lane.PRIORITY:
            return self.priority_capacity - len(self.priority) - self.reserved_priority - self.granted_priority
        return self.standard_capacity - len(self.standard) - self.reserved_standard - self.granted_standard

    def capacity(self, lane: Lane) -> int:
        """The bound of a lane."""
        return self.priority_capacity if lane is Lane.PRIORITY else self.standard_capacity

    def statistics(self) -> MailboxStatistics:
        """An immutable record of how full it is; any thread."""
        return MailboxStatistics(
            depth=self.depth,
            capacity=(self.priority_capacity, self.standard_capacity),
            delayed=(self.reserved_priority, self.reserved_standard),
            senders=sum(map(len, self.senders.values())) if self.senders else 0,
        )

    # ---- adding and taking

    def put(self, activity: Activity[Any]) -> bool:
        """Add at the end of its lane. False, and nothing done, if the lane is full."""
        if self.room(activity.lane) <= 0:
            return False
        self.add(activity)
        return True

    def add(self, activity: Activity[Any]) -> None:
        """Add at the end of its lane, whatever the bound: for what has its place already."""
        self.lane(activity.lane).append(activity)

    def lane(self, lane: Lane) -> Items:
        """The items of a lane, made on first use."""
        if lane is Lane.PRIORITY:
            if self.priority is EMPTY:
                self.priority = deque()
            return self.priority
        if self.standard is EMPTY:
            self.standard = deque()
        return self.standard

    def next_lane(self) -> Items | None:
        """The items that the next activity is the first of, by priority and fairness; None if both lanes are empty."""
        if self.priority and (self.streak < self.fairness or not self.standard):
            self.streak += 1
            return self.priority
        self.streak = 0
        return self.standard or None

    def prefer_priority(self) -> None:
        """The next activity is one of the priority lane, however many of it were taken in a row."""
        self.streak = 0

    def take(self) -> Activity[Any] | None:
        """The next activity by priority and fairness; None if both lanes are empty."""
        lane = self.next_lane()
        return None if lane is None else read_item(lane.popleft())

    def peek(self) -> Activity[Any] | None:
        """What `take` would give; it stays."""
        if self.priority and (self.streak < self.fairness or not self.standard):
            return read_item(self.priority[0])
        return read_item(self.standard[0]) if self.standard else None

    def is_next(self, receipt: object) -> bool:
        """Whether the next activity of a lane, priority first, is the one with this receipt."""
        lane = self.priority or self.standard
        return bool(lane) and read_item(lane[0]).receipt is receipt

    # ---- the fast path of a send

    def disable_fast_path(self) -> None:
        """Every later send takes the full check.

        Call it, holding the lock, after any change that can make a send fail or wait.
        """
        self.fast_limit_priority = self.fast_limit_standard = 0

    def enable_fast_path(self) -> None:
        """A send to a lane that was used before has only the bound to look at. The lock is held."""
        if self.senders is None and not self.granted:
            self.fast_limit_priority = 0 if self.priority is EMPTY else self.priority_capacity - self.reserved_priority
            self.fast_limit_standard = 0 if self.standard is EMPTY else self.standard_capacity - self.reserved_standard

    # ---- what is not due yet

    def delay(self, activity: Activity[Any]) -> None:
        """Keep an activity that is not due yet, and reserve its place in the bound. The lock is held."""
        self.delayed = self.delayed if self.delayed is not None else {}
        self.disable_fast_path()
        n = activity.lane is Lane.PRIORITY
        # No call from here on: an exception from outside finds the activity and its place, or neither.
        self.delayed[activity.id] = activity
        self.reserved_priority += n
        self.reserved_standard += not n

    def release(self, id: int) -> Activity[Any] | None:
        """Take out a delayed activity and give back its place; None if there is none of this id. The lock is held."""
        timer = self.timers.pop(id, None) if self.timers else None
        if timer is not None:
            timer.cancel()
        delayed = self.delayed
        activity = self.delayed_activity(id)
        if delayed is None or activity is None:
            return None
        self.disable_fast_path()
        n = activity.lane is Lane.PRIORITY
        del delayed[id]  # no call from here on, as in `delay`
        self.reserved_priority -= n
        self.reserved_standard -= not n
        return activity

    def arm(self, id: int, set_timer: Callable[[], Timer]) -> None:
        """Set the timer of a delayed activity, which goes with it; once. The loop's thread; the lock is held."""
        self.timers = self.timers if self.timers is not None else {}
        if self.delayed_activity(id) is not None and id not in self.timers:
            self.timers[id] = set_timer()

    @property
    def has_delayed(self) -> bool:
        """Whether anything is not due yet."""
        return bool(self.delayed)

    def delayed_activity(self, id: int) -> Activity[Any] | None:
        """The delayed activity of this id; None if there is none."""
        return self.delayed.get(id) if self.delayed else None

    # ---- by id

    def remove(self, id: int) -> None:
        """Take an activity out of its lane, if it waits in one."""
        found = self._find(id)
        if found is not None:
            del self.lane(found[0])[found[1]]

    def place_of(self, id: int) -> Place | None:
        """Where an activity waits; None if in neither lane."""
        found = self._find(id)
        if found is None:
            return None
        items, i = self.lane(found[0]), found[1]
        return Place(found[0], items[i - 1].id if i else None, items[i + 1].id if i + 1 < len(items) else None)

    def where(self, id: int) -> Lane | None:
        """The lane an activity waits in; None if in neither."""
        found = self._find(id)
        return None if found is None else found[0]

    def insert(self, activity: Activity[Any], index: int | None) -> None:
        """Put an activity at a position of its lane, None: at the end."""
        items = self.lane(activity.lane)
        items.insert(len(items) if index is None else index, activity)

    def index_of(self, place: Place) -> int | None:
        """Where a place is now; None for the end of the lane.

        Of its neighbours there some may be gone: it is before the one, or after the other, or else at the front.
        """
        ids = [activity.id for activity in self.lane(place.lane)]
        if place.before in ids:
            return ids.index(place.before)
        if place.after in ids:
            return ids.index(place.after) + 1
        return 0 if place.before is not None else None

    def replace(self, activity: Activity[Any]) -> Activity[Any] | None:
        """Put another record in the place of the activity with the same id. The one it was; None if it is not here."""
        old = self.delayed_activity(activity.id)
        if self.delayed is not None and old is not None:
            self.disable_fast_path()
            n = (activity.lane is Lane.PRIORITY) - (old.lane is Lane.PRIORITY)
            self.delayed[activity.id] = activity  # no call from here on, as in `delay`
            self.reserved_priority += n
            self.reserved_standard -= n
            return old
        found = self._find(activity.id)
        if found is None:
            return None
        items, i = self.lane(found[0]), found[1]
        old, items[i] = read_item(items[i]), activity
        return old

    def get(self, id: int) -> Activity[Any] | None:
        """The activity of this id, due or not; None if it does not wait here."""
        found = self._find(id)
        return self.delayed_activity(id) if found is None else read_item(self.lane(found[0])[found[1]])

    def _find(self, id: int) -> tuple[Lane, int] | None:
        for lane, items in ((Lane.PRIORITY, self.priority), (Lane.STANDARD, self.standard)):
            i = _index(items, id)
            if i is not None:
                return lane, i
        return None

    def clear(self) -> list[Activity[Any]]:
        """Empty it, and say what waited, delayed ones last."""
        waiting = self.items()
        self.priority = self.standard = EMPTY
        self.reserved_priority = self.reserved_standard = 0
        self.delayed = None
        for timer in (self.timers or {}).values():
            timer.cancel()
        self.timers = None
        return waiting

    # ---- senders that wait for room

    def add_sender(self, lane: Lane, sender: Any) -> None:
        """Put a sender at the end of those who wait for room in a lane. The lock is held."""
        if self.senders is None:
            self.senders = {Lane.PRIORITY: deque(), Lane.STANDARD: deque()}
        self.disable_fast_path()
        self.senders[lane].append(sender)

    def remove_sender(self, lane: Lane, sender: Any) -> None:
        """Forget a sender that waits no longer. The lock is held."""
        if self.senders is not None and sender in self.senders[lane]:
            self.senders[lane].remove(sender)
            self._forget_senders()

    def has_senders(self, lane: Lane) -> bool:
        """Whether somebody waits for room in a lane."""
        return self.senders is not None and bool(self.senders[lane])

    def first_sender(self, lane: Lane) -> Any | None:
        """The sender that has waited longest for a lane; None if nobody waits. The lock is held."""
        return self.senders[lane][0] if self.senders is not None and self.senders[lane] else None

    @property
    def granted(self) -> int:
        """How many places were given to senders that have not used them yet."""
        return self.granted_priority + self.granted_standard

    def grant_place(self, lane: Lane, sender: Any) -> None:
        """Give a place of a lane to a sender that waited, unless it has one. The lock is held."""
        self.disable_fast_path()
        if not sender.has_place:
            self._move_place(lane, sender, True)

    def return_place(self, lane: Lane, sender: Any) -> None:
        """Take back the place of a sender, if it has one. The lock is held."""
        if sender.has_place:
            self._move_place(lane, sender, False)

    def _move_place(self, lane: Lane, sender: Any, has_place: bool) -> None:
        n = 1 if has_place else -1
        if lane is Lane.PRIORITY:
            sender.has_place, self.granted_priority = has_place, self.granted_priority + n  # both or none of them
        else:
            sender.has_place, self.granted_standard = has_place, self.granted_standard + n

    def _forget_senders(self) -> None:
        if self.senders is not None and not any(self.senders.values()):
            self.senders = None


def _copy_lane(items: Iterable[Activity[Any]]) -> list[Activity[Any]]:
    """The activities of a lane now."""
    return [read_item(item) for item in list(items)]  # copied in one step: the processing takes meanwhile


def _front(items: Items) -> Activity[Any] | None:
    try:
        return read_item(items[0])
    except IndexError:  # another thread may have taken it since anybody looked
        return None


def _index(items: Items, id: int) -> int | None:
    """Where the activity of this id is. They have come in this order, if they were not moved."""
    with suppress(IndexError):  # the processing takes meanwhile
        i = bisect_left(items, id, key=attrgetter("id"))
        if i < len(items) and items[i].id == id:
            return i
    return next((i for i, activity in enumerate(items) if activity.id == id), None)
