"""Which runtimes were made and which ended lately: whoever has read all ids once can follow them."""

from __future__ import annotations

from collections import deque

__all__ = ["IdChanges"]

KEEP = 2_000  # changes


class IdChanges:
    """The last changes, numbered. `add` is called with the manager's lock held, `since` from any thread.

    >>> changes = IdChanges()
    >>> changes.add("JFK", made=True)
    >>> changes.since(0), changes.since(1)
    ([('JFK', True)], [])
    """

    def __init__(self, keep: int = KEEP) -> None:
        self.number = 0
        self._log: deque[tuple[int, str, bool]] = deque(maxlen=keep)

    def add(self, id: str, made: bool) -> None:
        """Note that a runtime was made, or that it ended."""
        number = self.number + 1
        self._log.append((number, id, made))
        self.number = number

    def since(self, number: int) -> list[tuple[str, bool]] | None:
        """The changes after the one of this number, oldest first; None if not all of them are kept."""
        if number == self.number:
            return []
        log = tuple(self._log)
        if not log or not log[0][0] - 1 <= number <= log[-1][0]:
            return None
        return [(id, made) for at, id, made in log if at > number]
