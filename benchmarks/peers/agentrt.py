"""agentrt with its defaults: limits, loop, accounting. Lanes are larger only to hold a backlog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice, repeat
from typing import Any

from agentrt import RuntimeManager
from agentrt.limits import Limits

from ..peer import Backlog, Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import STRUCT, Kind, add, add_inner, check, pause_and_add, pause_and_add_inner

# By kind. agentrt makes its own message, a struct; a message of another kind is its payload, so that two are made.
WORKFLOWS = {"struct": add, "dataclass": add_inner}
SUSPENDING = {"struct": pause_and_add, "dataclass": pause_and_add_inner}


def payload_of(i: int, payload: int) -> int:
    return payload


def payload_maker(kind: Kind) -> Any:
    """The function that makes the payload."""
    return payload_of if kind is STRUCT else kind.make


def payloads_of(kind: Kind, n: int) -> Iterator[Any]:
    """So many payloads. Of structs agentrt makes the message itself, and its payload is a number."""
    return repeat(1, n) if kind is STRUCT else map(kind.make, range(n), repeat(1))


@asynccontextmanager
async def runtimes(workflow: Any, n: int = 1, **limits: Any) -> AsyncIterator[list[Any]]:
    async with RuntimeManager() as manager:
        yield [manager.create(f"agent {i}", 0, workflow, **limits) for i in range(n)]


class Agentrt(Peer):
    name = "agentrt"
    needs = "agentrt"
    watched = scales = shown = True

    async def durable(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        from .journal import durable, open_file

        await durable(open_file(), n, watch)

    async def durable_times(self, n: int) -> list[float]:
        from .journal import durable_times, open_file

        return await durable_times(open_file(), n)

    async def durable_times_while_let_go(self, n: int) -> list[float]:
        from .journal import durable_times, open_file

        return await durable_times(open_file(history=20 * n), n)

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch, workflows: Any = WORKFLOWS, **limits: Any) -> None:
        async with runtimes(workflows[kind.name], **limits) as (runtime,):
            await self.send_in_bursts(runtime, kind, n, watch)
            check(runtime.state, n)

    @staticmethod
    async def send_in_bursts(runtime: Any, kind: Kind, n: int, watch: Stopwatch) -> None:
        send, payloads = runtime.send_nowait, payloads_of(kind, n)
        with watch:
            for start in range(0, n, BURST):
                for payload in islice(payloads, min(BURST, n - start) - 1):
                    send(payload)
                await send(next(payloads))

    step = one_way

    async def suspends(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        await self.one_way(kind, n, watch, SUSPENDING, timeout=30.0)

    async def burst(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        async with runtimes(WORKFLOWS[kind.name]) as (runtime,):
            send, payloads = runtime.send_nowait, payloads_of(kind, n)
            with watch:
                for _ in range(0, n, BURST):
                    receipts = [send(payload) for payload in islice(payloads, BURST)]
                    for receipt in receipts:
                        await receipt
            check(runtime.state, n)

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        async with runtimes(WORKFLOWS[kind.name]) as (runtime,):
            send = runtime.send_nowait
            with watch:
                for payload in payloads_of(kind, n):
                    await send(payload)
            check(runtime.state, n)

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        async with runtimes(WORKFLOWS[kind.name], agents) as fleet:
            sends, payloads = [runtime.send_nowait for runtime in fleet], payloads_of(kind, agents * each)
            with watch:
                for _ in range(each - 1):
                    for send, payload in zip(sends, payloads, strict=False):
                        send(payload)
                for receipt in [send(payload) for send, payload in zip(sends, payloads, strict=False)]:
                    await receipt
            check(sum(runtime.state for runtime in fleet), agents * each)

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        manager = RuntimeManager()
        runtime = manager.create("agent", 0, WORKFLOWS[kind.name])
        make = payload_maker(kind)
        return (lambda: runtime.ask(make(0, 1))), manager.aclose

    async def backlog(self, kind: Kind, agents: int, each: int) -> Backlog:
        manager = RuntimeManager()
        workflow, make = WORKFLOWS[kind.name], payload_maker(kind)
        fleet = [manager.create(f"agent {i}", 0, workflow, standard_capacity=each) for i in range(agents)]
        last = [[runtime.send_nowait(make(i, 1)) for i in range(each)][-1] for runtime in fleet]

        async def done() -> None:
            for receipt in last:
                await receipt

        return Backlog(
            lambda: sum(sum(runtime.depth) for runtime in fleet),
            lambda n: fleet[n % agents].ask(make(0, 1), priority=True),
            done,
            manager.aclose,
        )

    async def create(self, n: int, watch: Stopwatch) -> Any:
        manager = RuntimeManager()
        limits = Limits()
        with watch:
            entries = [manager.create_entry(f"agent {i}", 0, add, limits) for i in range(n)]
            await asyncio.sleep(0)
        return manager, entries

    def explore_orders(self, scenario: Any, n: int, watch: Stopwatch) -> int:
        """Explore a scenario from the start until `n` schedules were run; how many there were."""
        from agentrt.testing import explore

        schedules = explore(scenario, 2).schedules
        with watch:
            while schedules < n:
                schedules += explore(scenario, n - schedules).schedules
        return schedules

    def run_seeds(self, scenario: Any, n: int, watch: Stopwatch) -> None:
        """Run a scenario for each of `n` seeds."""
        from agentrt.testing import virtual_manager

        with watch:
            for seed in range(n):
                with virtual_manager(seed) as manager:
                    manager.run(scenario(manager))

    async def create_with_handle(self, n: int, watch: Stopwatch) -> Any:
        manager = RuntimeManager()
        with watch:
            handles = [manager.create(f"agent {i}", 0, add) for i in range(n)]
        return manager, handles
