"""The journal of agentrt by itself, as a plain asyncio program uses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agentrt import Activity
from agentrt.journal import Accepted, Committed, Created, SQLiteJournal, Write

from ..stopwatch import Stopwatch
from ..work import Kind

SENDERS = 100


@contextmanager
def open_journal() -> Iterator[SQLiteJournal]:
    with TemporaryDirectory() as folder, SQLiteJournal(Path(folder) / "agents.db") as journal:
        yield journal


def writes(number: int, runtime: str) -> tuple[Write, ...]:
    """What one activity has stored."""
    accepted = Accepted(activity=Activity(id=number, runtime=runtime, payload=1))
    return accepted, Committed(runtime=runtime, activity=number, state=number)


async def durable(kind: Kind, n: int, watch: Stopwatch) -> None:
    """100 senders, each to a runtime of its own."""
    with open_journal() as journal:
        names = [f"agent {each}" for each in range(min(SENDERS, n))]
        await journal.put(*(Created(runtime=name, state=0) for name in names))
        numbers = iter(range(1, n + 1))

        async def send(name: str) -> None:
            for number in numbers:
                await journal.put(*writes(number, name))

        with watch:
            await asyncio.gather(*map(send, names))
        assert sum(each.counts["done"] for each in journal.runtimes()) == n


async def durable_times(n: int) -> list[float]:
    """How long each of some activities took, one after the other."""
    times, clock = [], time.perf_counter
    with open_journal() as journal:
        await journal.put(Created(runtime="agent", state=0))
        for number in range(1, n + 1):
            started = clock()
            await journal.put(*writes(number, "agent"))
            times.append(clock() - started)
    return times
