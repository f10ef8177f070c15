"""How much of what is over a journal keeps. What is needed to go on is never let go."""

from __future__ import annotations

import msgspec

from ..schema.numbers import count, optional_seconds

__all__ = ["Retention"]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the history in a journal; None for no bound. The oldest is let go.

    The states, what waits, dead letters and remembered keys stay, whatever the bounds are, and do not count.

    Attributes:
        records: How many rows of history: about two for each activity.
        bytes: How many bytes the journal takes.
        age: How many seconds of history, on the manager's clock.

    >>> Retention(records=100_000).age is None
    True
    """

    records: int | None = None
    bytes: int | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        for name in ("records", "bytes"):
            if getattr(self, name) is not None:
                count(name, getattr(self, name), least=1)
        optional_seconds("age", self.age, positive=True)

    @property
    def is_bounded(self) -> bool:
        """Whether there is any bound."""
        return (self.records, self.bytes, self.age) != (None, None, None)
