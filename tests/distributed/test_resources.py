"""Resources: a runtime is put where what it needs is free, and waits until it is."""

import logging
import math

import pytest

from agentrt import ConfigurationError
from agentrt.distributed import resources
from tests.distributed.test_cluster import Cluster, collect, started

GPUS = {"node-1": {"GPU": 2.0, "CPU": 4.0}, "node-3": {"GPU": 1.0}}


@pytest.fixture
def cluster():
    with started(resources=GPUS) as cluster:
        yield cluster


def create(cluster: Cluster, id: str, needs: object, **options: object) -> str:
    return cluster.do(lambda: cluster.manager.create(id, (), collect, placement=needs, **options)).node


def test_it_is_put_where_there_is_one(cluster):
    nodes = [create(cluster, f"r{n}", {"GPU": 1}) for n in range(3)]
    assert sorted(nodes) == ["node-1", "node-1", "node-3"]
    assert create(cluster, "other", {"CPU": 0.5}) == "node-1"


def test_where_its_id_leads_to_comes_first(cluster):
    assert create(cluster, cluster.id_on("node-3"), {"GPU": 1}) == "node-3"
    assert create(cluster, cluster.id_on("node-1"), {"GPU": 1}) == "node-1"


def test_who_is_made_again_has_it_already(cluster):
    first = create(cluster, "a", {"GPU": 2})
    cluster.do(lambda: cluster.manager["a"].terminate())
    assert not cluster.do(lambda: "a" in cluster.manager)
    assert create(cluster, "a", {"GPU": 2}, wait=0) == first == "node-1"


def test_what_has_ended_or_was_not_made_needs_nothing(cluster):
    create(cluster, "a", {"GPU": 2})
    with pytest.raises(ConfigurationError, match="timeout"):
        create(cluster, "b", {"GPU": 1}, timeout="soon")
    assert create(cluster, "c", {"GPU": 1}) == "node-3"
    cluster.do(lambda: cluster.manager["a"].terminate())
    assert create(cluster, "d", {"GPU": 2}, wait=0) == "node-1"


def test_a_moved_one_has_it_where_it_is(cluster):
    create(cluster, "a", {"GPU": 1})
    cluster.do(lambda: cluster.manager.move("a", "node-3"))
    assert create(cluster, "b", {"GPU": 2}, wait=0) == "node-1"
    with pytest.raises(ConfigurationError, match="no node has 1 GPU free for 'c'; 'a', 'b' have them"):
        create(cluster, "c", {"GPU": 1}, wait=0)


def test_it_waits_for_room_and_says_so(cluster, caplog, monkeypatch):
    monkeypatch.setattr(resources, "SAY", 0.0)
    caplog.set_level(logging.WARNING)
    create(cluster, "a", {"GPU": 2})

    class Pause:
        waits = 0

        def wait(self, seconds: float) -> None:
            self.waits += 1
            if self.waits == 3:
                cluster.manager["a"].terminate()

    cluster.manager._reservations._pause = Pause()
    assert create(cluster, "b", {"GPU": 2}) == "node-1"
    assert [record.getMessage() for record in caplog.records if record.name == resources.logger.name] == [
        "no node has 2 GPU free for 'b'; 'a' has them. It is waited for"
    ]


def test_more_than_any_machine_has_is_refused_at_once(cluster):
    with pytest.raises(ConfigurationError, match=r"no machine of this cluster has 3 GPU: node-1 has 2 GPU; .* 0 GPU"):
        create(cluster, "a", {"GPU": 3})
    assert "a" not in cluster.do(lambda: list(cluster.manager))


@pytest.mark.parametrize("needs", [{"GPU": 0}, {"GPU": -1}, {"GPU": math.nan}, {"GPU": "one"}, {1: 1}, {"GPU": True}])
def test_bad_needs_are_refused(cluster, needs):
    with pytest.raises(ConfigurationError, match="placement"):
        create(cluster, "a", needs)


def test_a_node_that_comes_brings_room(cluster):
    for n in range(3):
        create(cluster, f"r{n}", {"GPU": 1})
    cluster.engine.resources["node-4"] = {"GPU": 1.0}
    cluster.do(cluster.manager.add_node)
    assert create(cluster, "late", {"GPU": 1}, wait=0) == "node-4"


def test_a_node_that_goes_takes_its_room_along(cluster):
    create(cluster, "a", {"GPU": 1})
    cluster.do(lambda: cluster.manager.remove_node("node-1"))
    with pytest.raises(ConfigurationError, match="no machine of this cluster has 2 GPU"):
        create(cluster, "b", {"GPU": 2}, wait=0)
    with pytest.raises(ConfigurationError, match="no machine of this cluster has 1 CPU"):
        create(cluster, "b", {"CPU": 1}, wait=0)
