"""Delta debugging: the fewest parts of a list that still lead to the same end (Zeller and Hildebrandt, 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["minimize"]

T = TypeVar("T")


def minimize(items: Sequence[T], leads_there: Callable[[list[T]], bool]) -> list[T]:
    """Leave out what is not needed: without any one of what is left, it does not lead there.

    Args:
        items: What leads there.
        leads_there: Whether a part of it, in its order, does.

    >>> minimize(range(100), lambda part: {3, 57} <= set(part))
    [3, 57]
    """
    left, pieces = list(items), 2
    if leads_there([]):
        return []
    while len(left) > 1:
        size = -(-len(left) // pieces)
        for start in range(0, len(left), size):
            without = left[:start] + left[start + size :]
            if without and leads_there(without):
                left, pieces = without, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(left):
                break
            pieces = min(len(left), pieces * 2)
    return left
