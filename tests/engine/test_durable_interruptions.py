"""Exceptions from outside, at any place of the sending and the processing of a durable runtime."""

import asyncio
from typing import Any

import pytest

from agentrt import Activity, RuntimeManager
from agentrt.journal import MemoryJournal
from agentrt.testing.virtual import VirtualLoop
from tests.engine.test_interruptions import Interruption, everywhere
from tests.support import add

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("own_garbage"),
    # A coroutine that was made and not yet awaited when the interruption came.
    pytest.mark.filterwarnings(
        "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


async def forward(activity: Activity[int], state: int, ctx: Any) -> int:
    await ctx.send("b", activity.payload)
    return state + activity.payload


def books(journal: MemoryJournal, id: str) -> tuple[int, int, int]:
    """Of a runtime: how many were accepted, have a fate, and wait; as the journal has it."""
    found = journal.find(id)
    assert found is not None
    fates = sum(n for name, n in found.counts.items() if name != "accepted")
    return found.counts.get("accepted", 0), fates, found.waiting


@pytest.mark.parametrize("way", ["sent", "processed"])
def test_a_durable_runtime_can_be_interrupted_anywhere(way: str) -> None:
    for interruption in everywhere():
        loop = VirtualLoop(seed=1)
        try:
            loop.run_until_complete(interrupted(interruption, way))
        finally:
            loop.close()


async def interrupted(interruption: Interruption, way: str) -> None:
    journal = MemoryJournal()
    async with RuntimeManager(journal, loop="current", seed=1) as manager:
        runtime = manager.create("a", 0, forward, retries=0)
        other = manager.create("b", 0, add, retries=0)
        await runtime.ask(0)
        await asyncio.sleep(1)
        if way == "sent":
            with interruption.here():
                runtime.send_nowait(1)
                runtime.send_nowait(1, priority=True)
        else:
            for priority in (False, True):
                runtime.send_nowait(1, priority=priority)
            with interruption.here():
                await asyncio.sleep(10)
        await asyncio.sleep(10)
        async with asyncio.timeout(60):
            before = runtime.state
            assert await runtime.ask(1) == before + 1, interruption.where
            assert await other.ask(0) == other.state, interruption.where
        await asyncio.sleep(10)
        for each in (runtime, other):
            fates = each.fates()
            assert (fates.adds_up, fates.pending) == (True, 0), (fates, interruption.where)
            accepted, decided, waiting = books(journal, each.id)
            assert accepted == decided + waiting, (each.id, accepted, decided, waiting, interruption.where)
            assert journal.state(each.id) == each.state, interruption.where
    log = journal.log
    async with RuntimeManager(MemoryJournal(log), loop="current", seed=1) as manager:
        again = manager.create("a", 0, forward), manager.create("b", 0, add)
        await asyncio.sleep(10)
        assert all(each.fates().pending == 0 for each in again), interruption.where
        # What is done has sent what it sends, once; and `b` was asked once more.
        assert again[1].fates().accepted == again[0].fates().done + 1, interruption.where
