"""agentrt on three nodes of a Ray on this machine, and actors written by hand on the same Ray: `--distributed`."""

from __future__ import annotations

import asyncio
import atexit
import time
from functools import cache
from itertools import count
from typing import Any

from ..peer import Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import check

NODES = 3
SENDERS = 4  # bursts that are on their way at once
CAPACITY = 100_000  # of a lane: the sender is measured, and not its waiting for room
numbers = count()  # of runtimes


@cache
def cluster() -> Any:
    """The cluster of this process, started when the first measure needs it."""
    from agentrt.distributed import connect

    manager = connect(nodes=NODES)
    atexit.register(manager.close)
    return manager


async def add(activity: Any, state: int) -> int:
    return state + activity.payload


async def ask_often(activity: Any, state: Any, ctx: Any) -> Any:
    """Ask the agent of a name so many times, and reply how long each took."""
    name, times = activity.payload
    waits = []
    for _ in range(times):
        started = time.perf_counter()
        await ctx.ask(name, 1)
        waits.append(time.perf_counter() - started)
    ctx.reply(waits)
    return state


class OnRay(Peer):
    name = "agentrt"
    needs = "ray"
    distribution = "agentrt"

    def link(self, n: int, watch: Stopwatch) -> None:
        """Send to an agent on one node."""
        self._send(n, watch, ["node-2"])

    def pool(self, n: int, watch: Stopwatch) -> None:
        """Send to an agent on each node, in turn."""
        self._send(n, watch, list(cluster().nodes))

    def _send(self, n: int, watch: Stopwatch, nodes: list[str]) -> None:
        manager = cluster()
        agents = [
            manager.create(f"adder {next(numbers)}", 0, add, placement=node, standard_capacity=CAPACITY)
            for node in nodes
        ]

        async def send_bursts() -> None:
            for start in range(0, n // SENDERS, BURST):
                burst = min(BURST, n // SENDERS - start)
                for number in range(burst - len(agents)):
                    agents[number % len(agents)].send_nowait(1)
                for agent in agents:
                    await agent.send(1)

        async def send_all() -> int:
            await asyncio.gather(*(send_bursts() for _ in range(SENDERS)))
            return sum([await agent.ask(0) for agent in agents])

        with watch:
            done = manager.run(send_all())
        check(done, n // SENDERS * SENDERS)

    def ask_times(self, n: int) -> list[float]:
        """An agent on one node asks one on another."""
        manager, name = cluster(), f"answers {next(numbers)}"
        manager.create(name, 0, add, placement="node-2")
        asking = manager.create(f"asks {next(numbers)}", None, ask_often, placement="node-1")
        manager.run(asking.ask((name, 10)))
        waits: list[float] = manager.run(asking.ask((name, n)))
        return waits

    def crowd(self, n: int, watch: Stopwatch) -> float:
        """Create many agents over all nodes; return how many seconds pass from one frame of their page to the next.

        A hundred of them work meanwhile.
        """
        from tests.harness.browser import chromium

        from ..measures.pages import BUSY, send_steadily, watch_page

        manager = cluster()
        ids = [f"one of many {next(numbers)}" for _ in range(n)]
        with watch:
            manager.create_many(iter(ids), 0, add)
        check(sum(status.runtimes >= n // NODES // 2 for status in manager.statuses()), NODES)
        feeding = manager.submit(send_steadily(manager, ids[:: max(1, n // BUSY)]))
        server = manager.serve()
        try:
            with chromium() as browser:
                return watch_page(browser.new_context().new_page(), server.url)
        finally:
            feeding.cancel()
            server.stop()


class RayActors(Peer):
    """A pool of actors, as one writes it by hand: a call for each message, the last of each burst awaited."""

    name = "Ray actors"
    needs = "ray"
    share = 0.05

    def pool(self, n: int, watch: Stopwatch) -> None:
        import ray

        cluster()
        adder, _ = actors()
        pool = [adder.remote() for _ in range(NODES)]
        done = ray.get([actor.add.remote(0) for actor in pool])
        with watch:
            for start in range(0, n, BURST):
                burst = min(BURST, n - start)
                for number in range(burst - NODES):
                    pool[number % NODES].add.remote(1)
                done = ray.get([actor.add.remote(1) for actor in pool])
        check(sum(done), n)
        for actor in pool:
            ray.kill(actor)

    def ask_times(self, n: int) -> list[float]:
        import ray

        cluster()
        adder, asker = actors()
        answers = adder.remote()
        asks = asker.remote(answers)
        ray.get(asks.ask.remote(10))
        waits: list[float] = ray.get(asks.ask.remote(n))
        for actor in (asks, answers):
            ray.kill(actor)
        return waits


@cache
def actors() -> tuple[Any, Any]:
    """The classes of the actors."""
    import ray

    class Adder:
        def __init__(self) -> None:
            self.total = 0

        def add(self, number: int) -> int:
            self.total += number
            return self.total

    class Asker:
        def __init__(self, other: Any) -> None:
            self.other = other

        def ask(self, n: int) -> list[float]:
            waits = []
            for _ in range(n):
                started = time.perf_counter()
                ray.get(self.other.add.remote(1))
                waits.append(time.perf_counter() - started)
            return waits

    remote: Any = ray.remote(num_cpus=0)
    return remote(Adder), remote(Asker)


DISTRIBUTED_PEERS: dict[str, Peer] = {peer.name: peer for peer in (OnRay(), RayActors())}
