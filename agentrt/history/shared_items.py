"""What waits in a lane, at one time among many: copies share what they have in common."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import attrgetter, is_
from typing import Any

from ..activity import Activity

__all__ = ["SharedItems"]

id_of = attrgetter("id")


class SharedItems:
    """The activities of a lane, in order. A copy costs nothing, however long the lane is.

    All copies have windows of one list that is only ever added to: what joins comes at the end, and what goes is first.
    Whoever takes from the middle gets a list of its own.

    >>> items = SharedItems([Activity(1), Activity(2)])
    >>> earlier = items.copy()
    >>> items.append(Activity(3))
    >>> items.remove(1).id
    1
    >>> [each.id for each in items], [each.id for each in earlier]
    ([2, 3], [1, 2])
    """

    __slots__ = ("_end", "_log", "_start")

    def __init__(self, items: Iterable[Activity[Any]] = ()) -> None:
        self._log = list(items)
        self._start, self._end = 0, len(self._log)

    def copy(self) -> SharedItems:
        """Another window, of the same list."""
        new = SharedItems.__new__(SharedItems)
        new._log, new._start, new._end = self._log, self._start, self._end
        return new

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[Activity[Any]]:
        return iter(self._log[self._start : self._end])

    def front(self, without: int | None = None) -> Activity[Any] | None:
        """The first one; the second if the first has this id."""
        place = self._start + (len(self) > 0 and self._log[self._start].id == without)
        return self._log[place] if place < self._end else None

    def append(self, activity: Activity[Any]) -> None:
        """Add at the end."""
        log, end = self._log, self._end
        if end == len(log):
            log.append(activity)
        elif log[end] is not activity:  # else another copy has added the same
            self._log = log = [*self, activity]
            self._start, end = 0, len(log) - 1
        self._end = end + 1

    def extend(self, activities: list[Activity[Any]]) -> None:
        """Add several at the end."""
        log, end = self._log, self._end
        known = log[end : end + len(activities)]  # another copy may have added the same
        if all(map(is_, known, activities)):
            log += activities[len(known) :]
        else:
            self._log = [*self, *activities]
            self._start, end = 0, end - self._start
        self._end = end + len(activities)

    def remove_front(self, ids: set[int]) -> None:
        """Take out the first ones that have these ids, and their ids out of the set."""
        log, place = self._log, self._start
        first = list(map(id_of, log[place : min(self._end, place + len(ids))]))
        if ids.issuperset(first):
            place += len(first)
            ids.difference_update(first)
        else:
            while log[place].id in ids:
                ids.discard(log[place].id)
                place += 1
        self._start = place

    def remove_all(self, ids: set[int]) -> None:
        """Take out those that have these ids, wherever they are."""
        left = [each for each in self if each.id not in ids]
        if len(left) < len(self):
            self._use(left)

    def find(self, id: int) -> Activity[Any] | None:
        """The one with this id; None if it is not here."""
        place = self._place(id)
        return None if place is None else self._log[place]

    def find_in_order(self, id: int) -> Activity[Any] | None:
        """The one with this id, if it is here and those before it were accepted earlier: found at once."""
        place = self._place_in_order(id)
        return None if place is None else self._log[place]

    def _place(self, id: int) -> int | None:
        place = self._place_in_order(id)
        if place is not None:
            return place
        log = self._log
        return next((place for place in range(self._start, self._end) if log[place].id == id), None)

    def _place_in_order(self, id: int) -> int | None:
        log, start, end = self._log, self._start, self._end
        if start < end and log[start].id == id:
            return start
        place = bisect_left(log, id, start, end, key=id_of)
        return place if place < end and log[place].id == id else None

    def remove(self, id: int) -> Activity[Any] | None:
        """Take one out; None if it is not here."""
        place = self._place(id)
        if place is None:
            return None
        found = self._log[place]
        if place == self._start:
            self._start += 1
        else:
            self._use([each for each in self if each is not found])
        return found

    def replace(self, activity: Activity[Any]) -> None:
        """Put another record in the place of the one with the same id."""
        self._use([activity if each.id == activity.id else each for each in self])

    def insert(self, activity: Activity[Any], before: int | None) -> None:
        """Put one before the one with this id; at the end if that is not here."""
        items = list(self)
        place = next((n for n, each in enumerate(items) if each.id == before), len(items))
        items.insert(place, activity)
        self._use(items)

    def _use(self, items: list[Activity[Any]]) -> None:
        self._log, self._start, self._end = items, 0, len(items)

    def shed(self, log: list[Activity[Any]], rest: list[Activity[Any]], gone: int) -> None:
        """Use `rest`, if this is a window of `log`: what `rest` has of it begins so many later."""
        if self._log is log:
            self._log = rest
            self._start, self._end = self._start - gone, self._end - gone

    def split(self) -> tuple[list[Activity[Any]], list[Activity[Any]], int]:
        """The list of all copies, what of it is not over here, and how many come before that: what `shed` takes."""
        return self._log, self._log[self._start :], self._start

    def compact(self) -> SharedItems:
        """The same without what others have in the list."""
        return SharedItems(self)
