"""Managers that follow each other on one log: what a restart is in tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agentrt import (
    RuntimeManager,
)
from agentrt.journal import MemoryJournal, MemoryLog
from agentrt.testing.virtual import run
from tests.support import MAX_TIME


class World:
    """One log, and the managers that follow each other on it."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.journal: MemoryJournal

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[RuntimeManager]:
        """Another manager. It is closed at the end: as far as the log goes, that is a crash."""
        self.journal = MemoryJournal(self.log)
        async with RuntimeManager(self.journal, loop="current", seed=1) as manager:
            yield manager
        fates = manager.fates()
        assert fates.adds_up, fates


def restarts(test: Callable[[World], Any]) -> Callable[[], None]:
    """Run an async test on a virtual loop, with a world as its argument."""

    def wrapped() -> None:
        run(test(World()), timeout=MAX_TIME)

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped
