"""The metrics of a cluster: those of each node, whatever becomes of it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt.distributed import node_readings
from agentrt.distributed.node_readings import MOST_READERS, NodeReadings
from agentrt.integrations.readings import ManagerReader
from tests.distributed.test_cluster import Cluster, collect, started

pytest.importorskip("prometheus_client")

from agentrt.integrations.prometheus import ManagerCollector, metrics_page


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


def scrape(cluster: Cluster, collector: ManagerCollector) -> dict[tuple[str, ...], float]:
    """The samples of all metrics, by name and the values of their labels."""
    found = cluster.do(lambda: list(collector.collect()))
    return {(each.name, *each.labels.values()): each.value for family in found for each in family.samples}


def test_each_node_has_its_own_and_what_has_ended_is_counted(cluster: Cluster) -> None:
    manager = cluster.manager
    first, second = (cluster.id_on(node) for node in manager.nodes[:2])
    cluster.do(lambda: [manager.create(id, (), collect) for id in (first, second)])
    collector = cluster.do(lambda: ManagerCollector(manager))
    cluster.run(manager.ask(first, 1))
    cluster.run(manager.ask(second, 2))
    cluster.run(manager.ask(second, 3))
    cluster.do(manager[second].terminate)
    found = scrape(cluster, collector)
    assert found["agentrt_activities_ended_total", first, "done", "node-1"] == 1
    assert found["agentrt_activities_ended_total", second, "done", "node-2"] == 2
    assert [found["agentrt_runtimes", "idle", node] for node in manager.nodes] == [1, 0, 0]
    assert [found["agentrt_node_up", node] for node in manager.nodes] == [1, 1, 1]
    assert ("agentrt_wait_seconds_count", first, "standard", "node-1") in found


@pytest.mark.slow
def test_a_node_that_does_not_answer_is_down_and_asked_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_readings, "WAIT", 2.0)
    collector = cluster.do(lambda: ManagerCollector(cluster.manager))
    cluster.network.cut.add(frozenset((cluster.manager.node, "node-2")))
    cluster.network.cut.add(frozenset(("driver", "node-2")))
    for _ in range(3):
        found = scrape(cluster, collector)
        assert [found["agentrt_node_up", node] for node in cluster.manager.nodes] == [1, 0, 1]
        assert ("agentrt_dead_letters", "node-2") not in found
    assert cluster.manager.courier.backlog()["node-2"] == 1
    cluster.network.cut.clear()
    cluster.run(asyncio.sleep(10))
    scrape(cluster, collector)
    assert scrape(cluster, collector)["agentrt_node_up", "node-2"] == 1


def test_a_node_keeps_the_counts_of_a_few_who_read(cluster: Cluster) -> None:
    cluster.run(asyncio.sleep(1))
    manager: Any = cluster.engine.host_of("node-1").managers["node-1"]
    readings = NodeReadings(manager)
    for key in range(MOST_READERS + 1):
        readings.read("kept", None, 10)
        readings.read(str(key), None, 10)
    assert len(readings._readers) == MOST_READERS
    assert isinstance(readings._readers["kept"], ManagerReader)


def test_the_page_of_a_cluster_has_them(cluster: Cluster) -> None:
    answer = cluster.do(lambda: metrics_page(cluster.manager)["/metrics"])
    kind, content = cluster.do(lambda: answer("text/plain"))
    assert kind.startswith("text/plain")
    assert b'agentrt_node_up{node="node-3"} 1.0' in content
