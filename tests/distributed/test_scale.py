"""The arithmetic of docs/distributed.md for 1,000 nodes, on a network in memory: what is counted is what is written."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt.distributed.cluster import ClusterManager
from agentrt.journal.memory import MemoryJournal, MemoryLog
from agentrt.testing import VirtualLoop
from agentrt.testing.network import Network, NetworkEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PAGE = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
NODES = 1_000
SECONDS = 20
ASKS = 3  # of each agent, at once


def add(activity, state):
    return state + activity.payload


def stated(what: str) -> float:
    """The number of a line of the table."""
    found = re.search(rf"^\| {re.escape(what)} \| [^|]*\| ([\d,.]+)", PAGE, flags=re.MULTILINE)
    assert found is not None, what
    return float(found[1].replace(",", ""))


class CountingEngine(NetworkEngine):
    """It counts the calls between processes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.calls: Counter[str] = Counter()

    async def events_since(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        self.calls["fetch"] += 1
        return await super().events_since(node, reader, answer, wait)


class CountingNetwork(Network):
    """It counts the batches of each sender."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: Counter[str] = Counter()

    async def carry(self, sender: str, receiver: str, take: Any) -> bytes:
        self.batches["of the driver" if sender == "driver" else "of nodes"] += 1
        return await super().carry(sender, receiver, take)


class CountingJournal(MemoryJournal):
    """It counts what is appended to all journals."""

    appends: Counter[str] = Counter()

    def _submit(self, append: Any) -> None:
        self.appends["all"] += 1
        super()._submit(append)


class Cluster:
    def __init__(self) -> None:
        self.loop = VirtualLoop(seed=0)
        self.network = CountingNetwork()
        self.engine, self.manager = self.run(self._make())

    async def _make(self) -> tuple[CountingEngine, ClusterManager]:
        engine = CountingEngine(NODES, self.network, lambda node: CountingJournal(MemoryLog()))
        return engine, ClusterManager(engine, loop="current")

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    made.run(asyncio.sleep(10))  # the driver has greeted each node
    yield made
    made.run(made.manager.aclose())
    made.loop.close()


def test_a_cluster_that_does_nothing(cluster: Cluster) -> None:
    cluster.engine.calls.clear()
    cluster.network.batches.clear()
    cluster.run(asyncio.sleep(SECONDS))
    assert cluster.engine.calls["fetch"] / SECONDS == pytest.approx(stated("calls a second to fetch"), rel=0.15)
    assert cluster.network.batches == {}  # nodes that send nothing do not call each other


def test_a_thousand_agents_on_a_thousand_nodes(cluster: Cluster) -> None:
    manager = cluster.manager
    cluster.run(asyncio.to_thread(lambda: manager.create_many((f"r{n}" for n in range(NODES)), 0, add)))

    async def ask_all(times: int) -> None:
        await asyncio.gather(*(manager.ask(f"r{number}", 1) for number in range(NODES) for _ in range(times)))

    cluster.run(ask_all(1))  # each side has heard from the other
    cluster.run(asyncio.sleep(10))
    cluster.engine.calls.clear()
    cluster.network.batches.clear()
    CountingJournal.appends.clear()

    cluster.run(ask_all(ASKS))
    places = len({manager.placement.node_of(f"r{number}") for number in range(NODES)})
    assert places == pytest.approx(stated("nodes of 1,000 agents"), rel=0.05)
    assert cluster.network.batches["of the driver"] <= 2 * places  # what is sent at once goes in one batch
    rows = CountingJournal.appends["all"] / (ASKS * NODES)
    assert rows <= stated("rows of a durable activity")
