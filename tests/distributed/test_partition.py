"""A node that is parted from the store is taken over by another one: what it holds is committed by one of them."""

import asyncio
from typing import Any

import pytest

from agentrt.distributed.cluster import ClusterManager
from agentrt.errors import JournalTakenOverError
from agentrt.journal import PostgresJournal
from agentrt.testing.network import Network, NetworkEngine
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BEFORE, MEANWHILE, AFTER = range(50), range(50, 100), range(100, 150)


async def collect(activity, state):
    await asyncio.sleep(0)
    return (*state, activity.payload)


class Parted:
    """Two nodes, of which the first reaches its journal through a proxy, until another one takes it over."""

    def __init__(self, server: Postgres, proxy: Proxy) -> None:
        self.dsn = server.dsn(server.new_database())
        self.through_proxy = self.dsn.replace(str(server.port), str(proxy.port))
        self.opened: list[tuple[str, PostgresJournal]] = []

    def open(self, node: str) -> PostgresJournal:
        first = all(name != node for name, _ in self.opened)
        place = self.through_proxy if node == "node-1" and first else self.dsn
        journal = PostgresJournal(place, name=node, take_over=True)
        self.opened.append((node, journal))
        return journal


async def part_and_take_over(parted: Parted, proxy: Proxy) -> None:
    network = Network()
    engine = NetworkEngine(2, network, parted.open)
    manager = ClusterManager(engine, loop="current")
    id = next(f"r{n}" for n in range(100) if manager.placement.node_of(f"r{n}") == "node-1")
    await asyncio.to_thread(lambda: manager.create(id, (), collect))
    for number in BEFORE:
        await manager.send(id, number)
    old = engine.hosts["node-1"].managers["node-1"]
    proxy.stop()
    receipts = [manager.send_nowait(id, number) for number in MEANWHILE]
    async with asyncio.timeout(PATIENCE):
        while old.fates().accepted < BEFORE.stop + len(MEANWHILE):
            await asyncio.sleep(0.01)
    late = [old.send_nowait(id, number) for number in ("late", "later")]  # it does not know that it is parted
    wanted = [manager._created[id]]
    await engine.adopt("node-1", "node-2", wanted, {}, {})
    receipts += [manager.send_nowait(id, number) for number in AFTER]
    async with asyncio.timeout(PATIENCE):
        states = [(await receipt).state for receipt in receipts]
    assert states[-1] == (*BEFORE, *MEANWHILE, *AFTER)
    proxy.heal()
    for receipt in late:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(JournalTakenOverError):
                await receipt.stored()
    await manager.aclose()
    engine.stop()


def test_what_was_accepted_is_committed_by_one_owner(postgres_server: Postgres) -> None:
    with Proxy(postgres_server.port) as proxy:
        parted = Parted(postgres_server, proxy)
        try:
            asyncio.run(part_and_take_over(parted, proxy))
        finally:
            proxy.heal()
    books: dict[str, Any] = {}
    with PostgresJournal(parted.dsn, name="node-1", take_over=True) as journal:
        [stored] = journal.runtimes()
        books = {**stored.counts, "waiting": len(list(journal.waiting(stored.id))), "state": journal.state(stored.id)}
    every = (*BEFORE, *MEANWHILE, *AFTER)
    assert books == {"accepted": len(every), "done": len(every), "waiting": 0, "state": every}
