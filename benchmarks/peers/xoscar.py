"""xoscar with its in-process pool."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ..peer import Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import Kind, check


def free_port() -> int:
    """A free port: the pool listens, although nothing connects."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start_actors(n: int) -> tuple[Any, list[Any]]:
    """A pool in this process, and `n` actors in it."""
    import xoscar

    class Adder(xoscar.Actor):
        def __init__(self) -> None:
            super().__init__()
            self.total = 0

        async def add(self, message: Any) -> int:
            self.total += message.payload
            return self.total

    pool = await xoscar.create_actor_pool(f"test://127.0.0.1:{free_port()}", n_process=0)
    refs = [await xoscar.create_actor(Adder, address=pool.external_address, uid=f"adder {i}") for i in range(n)]
    return pool, refs


class Xoscar(Peer):
    name = "xoscar"
    needs = "xoscar"
    share = 0.04

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        pool, (ref,) = await start_actors(1)
        make, total = kind.make, 0
        with watch:
            for start in range(0, n, BURST):
                end = min(start + BURST, n) - 1
                for i in range(start, end):
                    await ref.add.tell(make(i, 1))
                total = await ref.add(make(end, 1))
        check(total, n)
        await pool.stop()

    async def burst(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        pool, (ref,) = await start_actors(1)
        with watch:
            totals = await asyncio.gather(*(ref.add(kind.make(i, 1)) for i in range(n)))
        check(max(totals), n)
        await pool.stop()

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        pool, (ref,) = await start_actors(1)
        make, total = kind.make, 0
        with watch:
            for i in range(n):
                total = await ref.add(make(i, 1))
        check(total, n)
        await pool.stop()

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        pool, refs = await start_actors(agents)
        make = kind.make
        with watch:
            for i in range(each - 1):
                for ref in refs:
                    await ref.add.tell(make(i, 1))
            totals = await asyncio.gather(*(ref.add(make(0, 1)) for ref in refs))
        check(sum(totals), agents * each)
        await pool.stop()

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        pool, (ref,) = await start_actors(1)
        return (lambda: ref.add(kind.make(0, 1))), pool.stop

    async def create(self, n: int, watch: Stopwatch) -> Any:
        with watch:
            return await start_actors(n)
