"""A cluster on one page; what every source must do is tested in tests/feed/test_source.py."""

from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import Activity
from agentrt.distributed.cluster_source import PATIENCE as PULLS
from agentrt.distributed.cluster_source import ClusterSource, merge_causally
from agentrt.errors import AccessDeniedError, RuntimeNotFoundError
from agentrt.events import Event
from agentrt.feed.shift import STRIDE
from agentrt.views.role import Commands, Role
from tests.distributed.test_cluster import Cluster, collect, in_memory_journals, relay, started
from tests.feed.test_same_picture import draw
from tests.harness.wait import PATIENCE, wait_until


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


def fill(cluster: Cluster) -> list[str]:
    """A runtime on each node; their ids."""
    ids = [cluster.id_on(node) for node in cluster.manager.nodes]
    for id in ids:
        cluster.manager.create(id, (), collect)
    return ids


def fresh(cluster: Cluster) -> ClusterSource:
    """The source of a cluster, whose answers are never old."""
    source = cluster.manager.source
    source._max_age = 0
    for part in source._nodes.values():
        part.source._link.max_age = 0
    return source


# ---- as one manager


def test_all_runtimes_of_all_nodes_with_what_waits_and_an_inject_that_works(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        assert (source.name, sorted(source.runtimes)) == (cluster.manager.name, sorted(ids))
        cluster.manager[ids[1]].pause()
        commands = Commands(source, who="anna")
        sent = commands.command("send", ids[1], typed='"a"', lane="standard")
        commands.command("send", ids[1], typed='"b"', lane="priority")
        assert sent.activity is not None
        assert sent.activity // STRIDE == 2
        assert {shot.id: shot.depth for shot in source.snapshots()} == {ids[0]: (0, 0), ids[1]: (1, 1), ids[2]: (0, 0)}
        assert [each.payload for each in source.mailbox(ids[1]).items] == ["b", "a"]
        assert ">1<" in draw(source, "").replace(" ", "")
        commands.command("resume", ids[1])
        last = cluster.manager[ids[1]].send_nowait("c")
        assert last.result(PATIENCE).state == ("b", "a", "c")
        assert [each.who for each in source.frame().records if each.kind == "resumed"] == ["anna"]

    cluster.do(look)


def test_each_node_says_how_it_is(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        cluster.manager[ids[1]].pause()
        cluster.manager[ids[1]].send_nowait("a")
        wait_until(lambda: [node.usage.waiting for node in source.nodes() if node.usage] == [(0, 0), (0, 1), (0, 0)])
        found = source.nodes()
        assert [(node.name, node.words) for node in found] == [(name, "") for name in cluster.manager.nodes]
        assert all(node.ahead is not None and abs(node.ahead) < 60 for node in found)
        assert [source.node_of(id) for id in ids] == list(cluster.manager.nodes)
        assert source.node_of("nobody") == ""
        assert "node-2" in draw(source, "")

    cluster.do(look)


def test_a_viewer_looks_and_does_not_steer(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        commands = Commands(source, role=Role.VIEWER)
        with pytest.raises(AccessDeniedError, match="for looking only"):
            commands.command("pause", ids[0])
        assert source.settings(ids[0]).paused is False  # type: ignore[union-attr]

    cluster.do(look)


def test_pages_of_a_runtime_lead_to_its_node(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        cluster.manager[ids[2]].pause()
        for page in ("runtime", "mailbox", "inject", "events"):
            html = draw(source, f"{page}/{ids[2]}")
            assert ids[2] in html
            assert "a view failed" not in html
        assert source.command("add_breakpoint", ids[2], at="standard").refusal == ""
        assert source.settings(ids[2]).breakpoints == ("standard",)  # type: ignore[union-attr]
        assert source.where(ids[2]).runtime == ids[2]  # type: ignore[union-attr]
        with pytest.raises(RuntimeNotFoundError):
            source.command("pause", "nobody")

    cluster.do(look)


def test_a_handle_shows_itself_and_its_views(cluster: Cluster) -> None:
    def look() -> None:
        fresh(cluster)
        runtime = cluster.manager[fill(cluster)[0]]
        bundle, _ = runtime._repr_mimebundle_()
        assert runtime.id in bundle["text/html"]
        assert repr(runtime.mailbox()) == f"<mailbox of {runtime.id!r} of {cluster.manager.name!r}>"
        assert runtime.id in cluster.manager.fleet().html()
        assert "node-3" in cluster.manager.nodes_now().html()

    cluster.do(look)


def test_commands_for_all_reach_every_node(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        source.command("pause_all")
        assert {source.settings(id).paused for id in ids} == {True}  # type: ignore[union-attr]
        source.command("resume_all")
        assert {source.settings(id).paused for id in ids} == {False}  # type: ignore[union-attr]
        source.command("set_speed", speed=3)
        assert {cluster.manager_of(id).speed for id in ids} == {source.speed} == {3}

    cluster.do(look)


# ---- nodes that come and go


def test_what_waited_is_shown_again_where_it_is_resumed() -> None:
    with started(open_journal=in_memory_journals()) as cluster:

        def look() -> None:
            source, ids = fresh(cluster), fill(cluster)
            runtime = cluster.manager[ids[0]]
            runtime.pause()
            runtime.send_nowait("a")
            wait_until(lambda: source.snapshot(ids[0]).depth == (0, 1))  # type: ignore[union-attr]
            cluster.manager.loop.call_soon_threadsafe(cluster.kill, ids[0])
            wait_until(lambda: "node_adopted" in cluster.node_events())
            wait_until(lambda: not source.standing().words)
            wait_until(lambda: source.snapshot(ids[0]).depth == (0, 1))  # type: ignore[union-attr]
            assert sorted(source.runtimes) == sorted(ids)
            kinds = [record.kind for record in source.frame().records]
            assert "node_ended" in kinds

        cluster.do(look)


def test_the_first_look_after_a_node_was_taken_over_is_at_its_next_life() -> None:
    with started(open_journal=in_memory_journals()) as cluster:

        def look() -> None:
            source, ids = fresh(cluster), fill(cluster)
            assert sorted(source.runtimes) == sorted(ids)
            cluster.manager.loop.call_soon_threadsafe(cluster.kill, ids[0])
            wait_until(lambda: "node_adopted" in cluster.node_events())
            cluster.manager.create("new", (), collect, placement="node-1").pause()
            assert source.command("send", "new", typed='"a"', lane="standard").runtime == "new"
            assert source.snapshot("new").depth == (0, 1)  # type: ignore[union-attr]

        cluster.do(look)


def test_what_has_ended_with_its_node_is_shown_no_more(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        assert sorted(source.runtimes) == sorted(ids)
        detach = source.attach(lambda frame: None)
        cluster.manager.loop.call_soon_threadsafe(cluster.kill, ids[1])
        wait_until(lambda: sorted(source.runtimes) == sorted({ids[0], ids[2]}))
        assert source.snapshot(ids[1]) is None
        assert "node_lost" not in source.standing().words
        assert [(each.kind, each.detail["node"]) for each in source.node_events()] == [("node_lost", "node-2")]
        assert "node-2 ended. What ran there" in draw(source, "")
        detach()

    cluster.do(look)


def test_one_that_is_moved_is_shown_and_steered_where_it_is(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        runtime = cluster.manager[ids[0]]
        runtime.pause()
        runtime.send_nowait("a")
        wait_until(lambda: source.snapshot(ids[0]).depth == (0, 1))  # type: ignore[union-attr]
        [waiting] = source.mailbox(ids[0]).items
        cluster.manager.move(ids[0], "node-3")
        wait_until(lambda: source.node_of(ids[0]) == "node-3")
        assert sorted(source.runtimes) == sorted(ids)
        [moved] = source.mailbox(ids[0]).items
        assert moved.payload == waiting.payload
        source.command("promote", ids[0], activity=moved.id)
        source.command("resume", ids[0])
        wait_until(lambda: source.snapshot(ids[0]).state == ("a",))  # type: ignore[union-attr]

    cluster.do(look)


def test_a_node_that_does_not_answer_is_named(cluster: Cluster) -> None:
    def look() -> None:
        source, ids = fresh(cluster), fill(cluster)
        assert source.snapshot(ids[1]).state == ()  # type: ignore[union-attr]
        detach = source.attach(lambda frame: None)
        cluster.network.cut.add(frozenset(("driver", "node-2")))
        wait_until(lambda: source.standing().words.startswith("node-2: Since "))
        assert source.snapshot(ids[1]).state == ()  # type: ignore[union-attr]  # as it was
        cluster.network.cut.clear()
        wait_until(lambda: not source.standing().words)
        detach()

    cluster.do(look)


# ---- one order


def accepted(number: int, at: float, parent: int | None = None) -> Activity[Any]:
    return Activity(id=number, runtime="a", payload=None, created=at, parent=parent)


def event(number: int, at: float) -> Event:
    return Event(number, "a", at, "paused", None)


def test_nothing_comes_before_what_has_caused_it() -> None:
    ahead = [accepted(1, 5.0), event(2, 6.0)]
    behind = [event(11, 4.0), accepted(12, 4.1, parent=1), event(13, 4.2)]  # its clock is a second behind
    third = [accepted(21, 4.15, parent=12), event(22, 9.0)]
    merged = merge_causally([ahead, behind, third, []])
    assert [record.sequence for record in merged] == [11, 1, 12, 21, 13, 2, 22]


def test_what_has_been_caused_by_what_nobody_has_told_yet_waits() -> None:
    east, west = [event(1, 1.0)], [event(11, 2.0), accepted(12, 3.0, parent=5), event(13, 4.0)]
    queues = [east, west]
    assert [record.sequence for record in merge_causally(queues, lambda number: number == 5)] == [1, 11]
    assert [record.sequence for record in queues[1]] == [12, 13]
    queues[0].append(accepted(5, 3.5))
    assert [record.sequence for record in merge_causally(queues, lambda number: False)] == [5, 12, 13]
    assert queues == [[], []]


def test_it_does_not_wait_for_ever(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        source._told = {1: STRIDE}
        orphan = accepted(2 * STRIDE + 1, 1.0, parent=STRIDE + 7)
        empty: list[list[Any]] = [[] for _ in source._parts[1:]]
        assert source._merge([[orphan], *empty]) == []
        told = [source._merge([[], *empty]) for _ in range(PULLS)]
        assert told == [*[[]] * (PULLS - 1), [orphan]]

    cluster.do(look)


def test_numbers_that_were_used_twice_lose_nothing() -> None:
    one, other = [accepted(1, 1.0, parent=2)], [accepted(2, 1.0, parent=1)]
    assert len(merge_causally([one, other])) == 2
    assert merge_causally([]) == []


def test_a_workflow_that_asks_another_node_comes_first(cluster: Cluster) -> None:
    def look() -> None:
        places = cluster.manager.placement
        id = next(f"relay{n}" for n in range(100) if places.node_of(f"relay{n}") == "node-3")
        target = places.node_of("target")
        assert target != "node-3"
        cluster.manager.create("target", (), collect)
        cluster.manager.create(id, 0, relay).send_nowait(7).result(PATIENCE)
        records = [each for each in fresh(cluster).frame().records if isinstance(each, Activity)]
        assert [each.runtime for each in records] == [id, "target"]
        assert records[1].parent == records[0].id
        assert records[1].correlation == records[0].correlation

    cluster.do(look)


def test_a_command_reaches_what_was_made_right_before() -> None:
    with started() as cluster:
        manager = cluster.manager

        def command_at_once() -> set[str]:
            for id in ("a", "b", "c"):
                manager.create(id, (), collect)
                manager.source.command("pause", id)
            return {manager[id].status.value for id in ("a", "b", "c")}

        assert cluster.do(command_at_once) == {"paused"}
