"""Where a manager was branched off from another one, as its source tells it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from .source import Source

__all__ = ["BranchPoint", "Branched", "find_branch_point"]


class BranchPoint(msgspec.Struct, frozen=True):
    """Of which manager a fork is, and since when the two go ways of their own.

    Args:
        name: The name of the origin.
        find_origin: Gives the source of the origin; None once nobody keeps that manager. None where the fork runs in
            another process: its origin is there.
        sequence: The last record of the origin that both have in common.
        start: The last record of the fork before it went on.
        wall: The date and time of the moment that it goes on from.
    """

    name: str
    find_origin: Callable[[], Source | None] | None
    sequence: int
    start: int
    wall: datetime


@runtime_checkable
class Branched(Protocol):
    """A source that knows whether its manager is a fork."""

    def branch_point(self) -> BranchPoint | None:
        """Return where it was branched off; None if it is no fork."""


def find_branch_point(source: Source) -> BranchPoint | None:
    """Where the manager of a source was branched off; None if it is no fork, or if that is not known here."""
    return source.branch_point() if isinstance(source, Branched) else None
