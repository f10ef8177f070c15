"""DBOS on SQLite as it is without settings: one step an activity, in one workflow for each sender."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..peer import Peer
from ..stopwatch import Stopwatch
from ..work import SENDERS, Kind, check


@contextmanager
def configured() -> Iterator[Any]:
    """DBOS on a file of its own. It is launched once the workflows are declared."""
    from dbos import DBOS

    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'dbos.sqlite'}"
        DBOS(config={"name": "benchmark", "system_database_url": url, "log_level": "ERROR"})
        try:
            yield DBOS
        finally:
            DBOS.destroy(destroy_registry=True)


def step_of(dbos: Any) -> Any:
    """A step: what it returns is on disk once it is awaited."""

    @dbos.step()
    async def add(state: int, payload: int) -> int:
        return state + payload

    return add


class Dbos(Peer):
    name = "DBOS"
    needs = "dbos"
    share = 0.05

    async def durable(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        """100 senders, each a workflow that has begun before the time is taken."""
        senders, numbers = min(SENDERS, n), iter(range(n))
        begun, done = asyncio.Barrier(senders + 1), asyncio.Barrier(senders + 1)
        with configured() as dbos:
            add = step_of(dbos)

            @dbos.workflow()
            async def send() -> int:
                state = await add(0, 0)
                await begun.wait()
                for _ in numbers:
                    state = await add(state, 1)
                await done.wait()
                return state

            dbos.launch()
            workflows = [asyncio.create_task(send()) for _ in range(senders)]
            await begun.wait()
            with watch:
                await done.wait()
            check(sum(await asyncio.gather(*workflows)), n)

    async def durable_times(self, n: int) -> list[float]:
        times: list[float] = []
        clock = time.perf_counter
        with configured() as dbos:
            add = step_of(dbos)

            @dbos.workflow()
            async def send() -> None:
                state = await add(0, 0)
                for _ in range(n):
                    started = clock()
                    state = await add(state, 1)
                    times.append(clock() - started)

            dbos.launch()
            await send()
        return times
