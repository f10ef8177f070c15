"""The numbers of what happens in a manager: each is drawn once, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from .core import twin

__all__ = ["make_counter"]


@twin
def make_counter(first: int) -> Iterator[int]:
    """The whole numbers from `first` on, to be drawn with `next`, on any thread."""
    return count(first)
