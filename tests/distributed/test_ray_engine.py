"""Nodes on a real Ray: one line exchanged in the README's cell, and a process that is killed."""

import importlib.util
import inspect
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentrt.distributed
from agentrt.distributed import versions
from agentrt.distributed.cluster import ClusterManager
from agentrt.distributed.versions import read_versions
from agentrt.errors import ConfigurationError, MissingPackageError, ProcessingError
from agentrt.journal import Created
from agentrt.views.role import Commands
from tests.feed.test_same_picture import draw
from tests.harness.place import free_port
from tests.harness.postgres import Postgres
from tests.harness.wait import PATIENCE, wait_until


def test_where_ray_is_not_installed_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "agentrt.distributed.ray_engine", raising=False)
    with pytest.raises(MissingPackageError, match="agents on several machines need ray, which is not installed"):
        agentrt.distributed.connect()


@pytest.mark.slow
def test_each_node_has_a_journal_of_its_own(tmp_path: Path, postgres_server: Postgres) -> None:
    pytest.importorskip("ray")
    from agentrt.distributed.ray_engine import open_journal_of

    assert open_journal_of(tmp_path / "agents.db", "node-2") == str(tmp_path / "agents-node-2.db")
    assert open_journal_of(lambda node: f"that of {node}", "node-2") == "that of node-2"
    address = postgres_server.dsn(postgres_server.new_database())
    with open_journal_of(address, "node-1") as first, open_journal_of(address, "node-2") as second:
        assert (first.name, second.name) == ("node-1", "node-2")
        with open_journal_of(address, "node-1") as taken:  # its process was thought dead
            taken.append(Created(runtime="a", state=0))
            assert taken.state("a") == 0


def test_a_call_that_waits_holds_up_no_other() -> None:
    # One coroutine function among its methods, and Ray has one thread for each group, whatever was asked for.
    pytest.importorskip("ray")
    from agentrt.distributed.ray_engine import METHODS, NodeActor

    methods = dict(inspect.getmembers(NodeActor, inspect.isfunction))
    assert set(METHODS) <= set(methods)
    assert [name for name, method in methods.items() if inspect.iscoroutinefunction(method)] == []


def test_processes_are_apart_as_they_end_with_their_machine() -> None:
    pytest.importorskip("ray")
    from agentrt.distributed.ray_engine import choose_host

    hosts = ["head", "dead", "second", "new"]
    assert choose_host(hosts, []) == "head"
    assert choose_host(hosts, ["head", "second"], failed=["dead"]) == "new"  # where node-2 had not started
    assert choose_host(hosts[:3], ["head", "second"], failed=["dead"]) == "head"
    assert choose_host(["only"], ["only"], failed=["only"]) == "only"


def test_a_node_of_ray_that_has_just_died_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from agentrt.distributed import ray_engine

    with socket.create_server(("127.0.0.1", 0)) as living:
        ports = {"living": living.getsockname()[1], "died": free_port()}
        listed = [
            {"NodeID": name, "NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port, "Alive": True}
            for name, port in ports.items()
        ]
        gone = {"NodeID": "long gone", "Alive": False}  # which Ray lists for a while
        monkeypatch.setattr(ray_engine.ray, "nodes", lambda: [*listed, gone])
        assert ray_engine.find_silent_hosts() == {"died"}


needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterManager]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    try:
        manager = agentrt.distributed.connect(nodes=3, journal=folder / "agents.db")
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
        pytest.skip("Ray itself did not start on this machine within its own bound of 30 s")
    with manager:
        yield manager


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_what_an_agent_needs_is_counted_by_machine_and_not_by_node(cluster: ClusterManager) -> None:
    machines = cluster.engine.machines()
    [machine] = {machines[node].name for node in cluster.nodes}
    cores = machines["node-1"].resources["CPU"]
    first = cluster.create("all", 0, lambda activity, state: state, placement={"CPU": cores}, wait=0)
    with pytest.raises(ConfigurationError, match=r"no node has 0\.5 CPU free for 'more'; 'all' has them"):
        cluster.create("more", 0, lambda activity, state: state, placement={"CPU": 0.5}, wait=0)
    first.terminate()
    assert cluster.create("more", 0, lambda activity, state: state, placement={"CPU": 0.5}, wait=0).node
    with pytest.raises(ConfigurationError, match=f"no machine of this cluster has 1 unicorn: {machine} has 0 unicorn"):
        cluster.create("none", 0, lambda activity, state: state, placement={"unicorn": 1})


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_the_cell_of_the_readme_with_one_line_exchanged(cluster: ClusterManager) -> None:
    async def add(activity, state):
        return state + activity.payload

    counter = cluster.create("counter", 0, add)
    assert cluster.run(counter.ask(2)) == 2
    assert [receipt.result(PATIENCE).state for receipt in map(counter.send_nowait, (1, 2, 3))] == [3, 5, 8]

    async def relay(activity, state, ctx):
        ctx.reply(await ctx.ask("counter", activity.payload))
        return state

    node = next(node for node in cluster.nodes if node != counter.node)
    cluster.create("relay", None, relay, placement=node)
    assert cluster.run(cluster.ask("relay", 10)) == 18
    assert {status.node: status.runtimes for status in cluster.statuses()}[node] >= 1
    assert cluster.fates().adds_up


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_one_page_shows_all_nodes_and_steers_them(cluster: ClusterManager) -> None:
    def collect(activity, state):
        return (*state, activity.payload)

    source = cluster.source
    for node in cluster.nodes:
        cluster.create(f"on {node}", (), collect, placement=node).pause()
    wait_until(lambda: {f"on {node}" for node in cluster.nodes} <= set(source.runtimes))
    commands = Commands(source, who="anna")
    for number, node in enumerate(cluster.nodes):
        for _ in range(number):
            commands.command("send", f"on {node}", typed='"a"', lane="standard")
    wait_until(lambda: [source.snapshot(f"on {node}").depth for node in cluster.nodes] == [(0, 0), (0, 1), (0, 2)])
    html = draw(source, "")
    assert "a view failed" not in html
    assert all(f"on {node}" in html for node in cluster.nodes)
    for node in cluster.nodes:
        commands.command("resume", f"on {node}")
    wait_until(lambda: cluster[f"on {cluster.nodes[2]}"].state == ("a", "a"))


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_node_with_another_version_does_not_come(cluster: ClusterManager, monkeypatch: pytest.MonkeyPatch) -> None:
    before, newer = cluster.nodes, read_versions()._replace(agentrt="999.0")
    monkeypatch.setattr(versions, "read_versions", lambda: newer)  # of this process; the node reads its own
    with pytest.raises(ConfigurationError, match=r"runs .* agentrt 999\.0, and node-4 Python .*: what they send"):
        cluster.add_node()
    assert cluster.nodes == cluster.engine.nodes == before == tuple(cluster.engine.actors)


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_group_restarts_its_members_on_all_nodes(cluster: ClusterManager) -> None:
    def divide(activity, state):
        return state + 1 // activity.payload

    group = cluster.group("over all", "one_for_all")
    ids = [f"member on {node}" for node in cluster.nodes]
    for id, node in zip(ids, cluster.nodes, strict=True):
        cluster.create(id, 0, divide, group=group, placement=node, retries=0)
        assert cluster.run(cluster.ask(id, 1)) == 1
    with pytest.raises(ProcessingError):
        cluster.run(cluster.ask(ids[0], 0))
    wait_until(lambda: [cluster[id].state for id in ids] == [0] * len(ids))


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_process_that_is_killed_loses_and_doubles_nothing(cluster: ClusterManager) -> None:
    def collect(activity, state):
        return (*state, activity.payload)

    runtime = cluster.create("collects", (), collect)
    pid = {status.node: status.pid for status in cluster.statuses()}[runtime.node]
    receipts = [runtime.send_nowait(number) for number in range(100)]
    receipts[10].result(PATIENCE)
    os.kill(pid, signal.SIGKILL)
    receipts += [runtime.send_nowait(number) for number in range(100, 200)]
    assert [receipt.result(PATIENCE).kind for receipt in receipts] == ["done"] * 200
    assert runtime.state == tuple(range(200))
    wait_until(lambda: "node_adopted" in [record.kind for record in cluster.ring.since(0)[0]])


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_the_process_of_the_only_node_is_started_again(cluster: ClusterManager, tmp_path: Path) -> None:
    def collect(activity, state):
        return (*state, activity.payload)

    with agentrt.distributed.connect(nodes=1, journal=tmp_path / "agents.db") as manager:  # on the Ray that runs
        runtime = manager.create("collects", (), collect)
        assert manager.run(runtime.ask(1)) == (1,)
        [status] = manager.statuses()
        os.kill(status.pid, signal.SIGKILL)
        assert runtime.send_nowait(2).result(PATIENCE).state == (1, 2)


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_of_several_processes_only_the_one_that_does_not_start_is_started_again(
    cluster: ClusterManager, tmp_path: Path
) -> None:
    def open_journal(node: str) -> str:
        starts = tmp_path / f"starts of {node}"
        with starts.open("a") as file:
            file.write("x")
        if node == "node-2" and starts.stat().st_size == 1:
            raise OSError("not yet")
        return str(tmp_path / f"{node}.db")

    with agentrt.distributed.connect(nodes=2, journal=open_journal) as manager:  # on the Ray that runs
        assert sorted(status.node for status in manager.statuses()) == ["node-1", "node-2"]
        starts = {node: len((tmp_path / f"starts of {node}").read_text()) for node in manager.nodes}
        assert starts == {"node-1": 1, "node-2": 2}


@needs_ray
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_the_page_of_the_documentation_is_true(
    cluster: ClusterManager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
    for id in tuple(cluster):
        cluster[id].terminate()
    wait_until(lambda: len(cluster) == 0)
    monkeypatch.setattr(agentrt.distributed, "connect", lambda **options: cluster)
    names: dict[str, object] = {"__name__": "a_program"}
    for block in re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        if "source" in block:
            wait_until(lambda: set(cluster) <= set(cluster.source.runtimes))
        exec(block, names)
    expected = re.findall(r"print\(.*\)  # (.*)$", page, flags=re.MULTILINE)
    assert expected
    assert capsys.readouterr().out.splitlines() == expected
