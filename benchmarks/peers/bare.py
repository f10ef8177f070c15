"""A plain asyncio loop, written in ten minutes: no bounds, no validation, no times, no errors."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any, Protocol

from ..peer import Backlog, Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import STANDARD, URGENT, Kind, add, check, pause_and_add

number = count().__next__


class Agent(Protocol):
    """Takes (lane, number, message, future or None); the future gets the new state."""

    state: int
    task: asyncio.Task[None]

    def put(self, item: tuple[int, int, Any, asyncio.Future[int] | None]) -> object: ...

    def left(self) -> int: ...


class Bare(Peer):
    """The measures; a subclass defines the agent."""

    scales = True

    def agent(self, workflow: Any) -> Agent:
        raise NotImplementedError

    async def start_agents(self, workflow: Any, n: int = 1) -> list[Any]:
        agents = [self.agent(workflow) for _ in range(n)]
        await asyncio.sleep(0)
        return agents

    @staticmethod
    async def end(agents: list[Any]) -> None:
        for agent in agents:
            agent.task.cancel()
        await asyncio.gather(*(agent.task for agent in agents), return_exceptions=True)

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch, workflow: Any = add) -> None:
        agents = await self.start_agents(workflow)
        put, make, future_of = agents[0].put, kind.make, asyncio.get_running_loop().create_future
        with watch:
            for start in range(0, n, BURST):
                end = min(start + BURST, n) - 1
                for i in range(start, end):
                    put((STANDARD, number(), make(i, 1), None))
                last = future_of()
                put((STANDARD, number(), make(end, 1), last))
                await last
        check(agents[0].state, n)
        await self.end(agents)

    async def suspends(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        await self.one_way(kind, n, watch, pause_and_add)

    async def burst(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        agents = await self.start_agents(add)
        put, make, future_of = agents[0].put, kind.make, asyncio.get_running_loop().create_future
        with watch:
            for start in range(0, n, BURST):
                futures = []
                for i in range(start, min(start + BURST, n)):
                    future = future_of()
                    put((STANDARD, number(), make(i, 1), future))
                    futures.append(future)
                for future in futures:
                    await future
        check(agents[0].state, n)
        await self.end(agents)

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        agents = await self.start_agents(add)
        put, make, future_of = agents[0].put, kind.make, asyncio.get_running_loop().create_future
        with watch:
            for i in range(n):
                future = future_of()
                put((STANDARD, number(), make(i, 1), future))
                await future
        check(agents[0].state, n)
        await self.end(agents)

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        fleet = await self.start_agents(add, agents)
        make, puts, future_of = kind.make, [agent.put for agent in fleet], asyncio.get_running_loop().create_future
        with watch:
            for i in range(each - 1):
                for put in puts:
                    put((STANDARD, number(), make(i, 1), None))
            futures = [future_of() for _ in puts]
            for put, future in zip(puts, futures, strict=True):
                put((STANDARD, number(), make(0, 1), future))
            for future in futures:
                await future
        check(sum(agent.state for agent in fleet), agents * each)
        await self.end(fleet)

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        agents = await self.start_agents(add)
        put, make, loop = agents[0].put, kind.make, asyncio.get_running_loop()

        async def ask() -> int:
            future = loop.create_future()
            put((STANDARD, number(), make(0, 1), future))
            return await future

        return ask, lambda: self.end(agents)

    async def backlog(self, kind: Kind, agents: int, each: int) -> Backlog:
        fleet = await self.start_agents(add, agents)
        loop = asyncio.get_running_loop()
        last = [loop.create_future() for _ in fleet]
        for agent, future in zip(fleet, last, strict=True):
            for i in range(each - 1):
                agent.put((STANDARD, number(), kind.make(i, 1), None))
            agent.put((STANDARD, number(), kind.make(0, 1), future))

        async def urgent(n: int) -> None:
            future = loop.create_future()
            fleet[n % agents].put((URGENT, number(), kind.make(0, 1), future))
            await future

        async def done() -> None:
            await asyncio.gather(*last)

        return Backlog(lambda: sum(agent.left() for agent in fleet), urgent, done, lambda: self.end(fleet))

    async def create(self, n: int, watch: Stopwatch) -> Any:
        with watch:
            agents = [self.agent(add) for _ in range(n)]
            await asyncio.sleep(0)
        return agents
