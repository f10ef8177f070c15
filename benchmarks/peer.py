"""What an adapter of a peer is: a class with a method for each measure it can take part in.

A method prepares, does its work inside of `with watch:`, and cleans up; the loops are its own, in the peer's own idiom,
so that nobody pays for a common denominator. A measure that has no method here is one the peer can't do.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple


class Backlog(NamedTuple):
    """Work that is queued and starts with the next turn of the loop."""

    left: Callable[[], int]
    urgent: Callable[[int], Awaitable[Any]]  # send one with priority to the n-th agent, wait for it
    done: Callable[[], Awaitable[Any]]
    end: Callable[[], Awaitable[Any]]

    async def finish(self) -> None:
        """Wait until all is done, and end the agents."""
        await self.done()
        await self.end()


class Peer:
    name = ""
    needs: str | None = None  # the module that must be installed
    imports: str | None = None  # what its users import, if not that
    distribution: str | None = None  # what it is called in a package index, if otherwise
    share = 1.0  # of the activities: the slow do fewer
    idle_share = 1.0  # of the idle agents: threads are dear

    def missing(self) -> bool:
        """Whether what it needs is not installed."""
        return self.needs is not None and importlib.util.find_spec(self.needs) is None

    def version(self) -> str:
        """The installed version, "" for what is part of Python."""
        return importlib.metadata.version(self.distribution or self.needs) if self.needs else ""

    def takes_part(self, method: str) -> bool:
        """Whether it has what a measure needs."""
        return hasattr(self, method)

    def some(self, n: int) -> int:
        """Its share of `n` activities; at least ten."""
        return max(10, int(n * self.share))
