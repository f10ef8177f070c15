"""Dicts that keep the newest of what is put in, bounded by count and by bytes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, TypeVar

from .size import ROUGH, estimate_size

__all__ = ["BoundedDict", "WeighedDict"]

K = TypeVar("K")
V = TypeVar("V")
MOST_BYTES = 64 << 20
AT_ONCE = 8  # new items from one weighing to the next, at least
SAMPLE, LOOKS = 256, 10  # values that are weighed, and objects that are looked at for each


def _itself(value: Any) -> Sequence[Any]:
    return [value]


class BoundedDict(MutableMapping[K, V]):
    """The newest items, oldest first. The oldest are let go when there are too many, or when they keep too much alive.

    The newest stays however large it is. What two values share counts for both.

    Args:
        most: How many items are kept.
        most_bytes: How many bytes their values may keep alive, by an estimate.
        held: Gives what a value keeps alive, where that is quicker than to look at all of it.

    >>> last = BoundedDict(2)
    >>> last["a"], last["b"], last["c"] = 1, 2, 3
    >>> dict(last), last.let_go
    ({'b': 2, 'c': 3}, 1)
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES, held: Callable[[V], Sequence[Any]] = _itself) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.let_go = 0
        self.size = 0  # bytes, of all values
        self._held = held
        # Of a plain dict the first key is found more slowly with each one that was taken out before it.
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        return self._items[key][0]

    def __setitem__(self, key: K, value: V) -> None:
        items = self._items
        if key in items:
            del self[key]
        size = estimate_size(self._held(value))
        items[key] = (value, size)
        self.size += size
        while len(items) > self.most or (self.size > self.most_bytes and len(items) > 1):
            self._let_go_oldest()

    def __delitem__(self, key: K) -> None:
        self.size -= self._items.pop(key)[1]

    def __contains__(self, key: object) -> bool:
        return key in self._items  # without the exception that it costs to look for what is not there

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._items))  # copied in one step: another thread may put something in

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<BoundedDict {len(self)} of at most {self.most:,}, {self.size:,} bytes>"

    def clear(self) -> None:
        """Let all go at once."""
        self._items, self.size = OrderedDict(), 0

    def _let_go_oldest(self) -> None:
        key, (value, size) = self._items.popitem(last=False)
        self.size -= size
        self.let_go += 1
        self.release(key, value)

    def release(self, key: K, value: V) -> None:
        """Do what has to be done when an item is let go; for subclasses."""


class WeighedDict(BoundedDict[K, V]):
    """A `BoundedDict` of values that come to keep more alive after they were put in.

    All are weighed together, now and then: when a quarter of them is new, and in a bounded time. If that is too much,
    the oldest are let go, as many as would be enough if all were of one size.
    """

    _new = 0

    def __setitem__(self, key: K, value: V) -> None:
        items = self._items
        items[key] = (value, 0)
        items.move_to_end(key)
        if len(items) > self.most:
            self._let_go_oldest()
        self._new += 1
        if self._new >= max(AT_ONCE, len(items) // 4):
            self._weigh()

    def __delitem__(self, key: K) -> None:
        del self._items[key]

    def _weigh(self) -> None:
        self._new = 0
        values = [value for value, _ in tuple(self._items.values())]
        sample = values[:: len(values) // SAMPLE + 1]
        share = len(values) / max(1, len(sample))
        held = [part for value in sample for part in self._held(value)]
        self.size = size = int(share * estimate_size(held, ROUGH + LOOKS * len(sample)))
        if size > self.most_bytes:
            for _ in range(min(len(values) - 1, math.ceil(len(values) * (1 - self.most_bytes / size)))):
                self._let_go_oldest()
