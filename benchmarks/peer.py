"""The adapter of a peer: a class with one method for each measure in which the peer can take part.

A method prepares, does its work inside `with watch:`, and cleans up. Each adapter has its own loops, in the usual style
of its peer, so that no peer pays for a common interface. A peer can't do a measure for which it has no method.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple


class Backlog(NamedTuple):
    """Queued work, which starts with the next turn of the loop."""

    left: Callable[[], int]
    urgent: Callable[[int], Awaitable[Any]]  # send one message with priority to the n-th agent, and wait for it
    done: Callable[[], Awaitable[Any]]
    end: Callable[[], Awaitable[Any]]

    async def finish(self) -> None:
        """Wait until everything is done, and end the agents."""
        await self.done()
        await self.end()


class Peer:
    """One of the systems that are compared."""

    name = ""
    needs: str | None = None  # the module that must be installed
    imports: str | None = None  # what its users import, if it is not `needs`
    distribution: str | None = None  # its name in a package index, if it is not `needs`
    share = 1.0  # of the activities: slow peers do fewer
    idle_share = 1.0  # of the idle agents: threads are expensive

    def missing(self) -> bool:
        """Whether its package is not installed."""
        return self.needs is not None and importlib.util.find_spec(self.needs) is None

    def version(self) -> str:
        """The installed version; empty for a part of Python."""
        return importlib.metadata.version(self.distribution or self.needs) if self.needs else ""

    def takes_part(self, method: str) -> bool:
        """Whether it has the method of a measure."""
        return hasattr(self, method)

    def some(self, n: int) -> int:
        """Its share of `n` activities; at least ten."""
        return max(10, int(n * self.share))
