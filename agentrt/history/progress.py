"""How far a long reading is, on the terminal or below the cell."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TextIO, TypeVar

__all__ = ["Progress"]

T = TypeVar("T")
QUIET, PAUSE = 1.0, 0.25  # seconds before anything is said, and from one line to the next
LOOK_EVERY = 1_000  # items


class Progress:
    """Writes how much of a number of items is done, once it has taken a second. The line is removed at the end.

    Args:
        what: What is done, as a sentence has it.
        total: How many items there are.
        stream: Where it is written; the standard error if left out.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self._what, self._total = what, total
        self._stream = sys.stderr if stream is None else stream
        self._next = monotonic() + QUIET
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._width:
            self._write("")
            self._write("")

    def advance(self, done: int) -> None:
        """So many items are done."""
        now = monotonic()
        if now >= self._next:
            self._next = now + PAUSE
            self._write(f"{self._what}: {done / max(1, self._total):.0%} of {self._total:,} rows")

    def count(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, which are counted as they are taken."""
        for n, item in enumerate(items):
            if n % LOOK_EVERY == 0:
                self.advance(n)
            yield item

    def _write(self, line: str) -> None:
        self._stream.write(f"\r{line.ljust(self._width)}")
        self._stream.flush()
        self._width = len(line)
