"""What a moment is read from: the records, and what of the present is needed beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from ..activity import Activity
from ..feed.source import Source
from .chronicle import Chronicle

__all__ = ["Origin", "Running"]


class Running(NamedTuple):
    """What a runtime processes: the activity, since when, and the steps it is in."""

    activity: Activity[Any]
    started: float
    spans: tuple[str, ...] = ()


class Origin(Protocol):
    """What has a chronicle: a manager in this process, or the records of a file."""

    name: str

    @property
    def chronicle(self) -> Chronicle:
        """The records."""

    not_recorded: frozenset[str]  # the kinds of calls of workflows that are not on the record

    @property
    def seed(self) -> int | None:
        """What `ctx.random` is seeded with; None if that is not known."""

    def readings(self, activity: int) -> list[float]:
        """What the clock gave to an activity that asked, as far as it is kept."""

    def make_manager(self, **options: Any) -> Any:
        """Make another manager, on a thread of its own."""

    def present(self) -> Source | None:
        """What views of it as it is now are drawn from; None where nothing goes on."""

    def running(self) -> dict[str, Running]:
        """What each runtime processes now, by id. Empty where nothing runs."""

    def now(self) -> float:
        """Seconds on the clock."""

    def wall(self, at: float) -> datetime:
        """The date and time of a reading of the clock."""

    def describe(self) -> str:
        """What this is, for people: "the manager tower"."""
