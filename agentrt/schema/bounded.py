"""A dict that keeps the newest of what is put in, bounded by count and by bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, TypeVar

from .size import estimate_size

__all__ = ["BoundedDict"]

K = TypeVar("K")
V = TypeVar("V")
MOST_BYTES = 64 << 20


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
        self._values: dict[K, V] = {}
        self._sizes: dict[K, int] = {}

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        self._sizes[key] = size = estimate_size(self._held(value))
        self._values[key] = value
        self.size += size
        while len(self._values) > self.most or (self.size > self.most_bytes and len(self._values) > 1):
            del self[next(iter(self._values))]
            self.let_go += 1

    def __delitem__(self, key: K) -> None:
        del self._values[key]
        self.size -= self._sizes.pop(key)

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._values))  # copied in one step: another thread may put something in

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<BoundedDict {len(self)} of at most {self.most:,}, {self.size:,} bytes>"
