"""Durable runtimes of agentrt: every activity is acknowledged once it is in the file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agentrt import Activity, RuntimeManager
from agentrt.journal import Accepted, Committed, Created, Journal, PostgresJournal, Retention, SQLiteJournal

from ..stopwatch import Stopwatch
from ..work import SENDERS


@contextmanager
def open_file(history: int = 0) -> Iterator[Journal]:
    """A new file, or one that has the history of so many activities and shall keep a tenth of it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "agents.db"
        if history:
            write_history(file, history)
        yield SQLiteJournal(file, keep=Retention(records=max(1, history // 5)) if history else None)


@contextmanager
def open_server() -> Iterator[Journal]:
    """A new PostgreSQL on this machine, on loopback, with fsync."""
    from tests.harness import postgres

    with postgres.running() as server:
        yield PostgresJournal(server.dsn())


def write_history(file: Path, n: int) -> None:
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="before", state=0))
        for number in range(1, n + 1):
            accepted = Accepted(activity=Activity(id=number, runtime="before", payload=1))
            journal.append(accepted, Committed(runtime="before", activity=number, state=number))


async def count(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def durable(opened: AbstractContextManager[Journal], n: int, watch: Stopwatch) -> None:
    """100 senders, each to a runtime of its own."""
    with opened as journal:
        async with RuntimeManager(journal, loop="current") as manager:
            await send_to_many(manager, n, watch)


async def send_to_many(manager: RuntimeManager, n: int, watch: Stopwatch) -> None:
    runtimes = [manager.create(f"agent {each}", 0, count) for each in range(min(SENDERS, n))]
    await asyncio.gather(*(each.ask(0) for each in runtimes))
    numbers = iter(range(n))

    async def send(place: int) -> None:
        for _ in numbers:
            await runtimes[place].ask(1)

    with watch:
        await asyncio.gather(*map(send, range(len(runtimes))))
    assert sum(each.state for each in runtimes) == n


async def durable_times(opened: AbstractContextManager[Journal], n: int) -> list[float]:
    """How long each of some activities took, one after the other."""
    times, clock = [], time.perf_counter
    with opened as journal:
        async with RuntimeManager(journal, loop="current") as manager:
            runtime = manager.create("agent", 0, count)
            for _ in range(n):
                started = clock()
                await runtime.ask(1)
                times.append(clock() - started)
    return times
