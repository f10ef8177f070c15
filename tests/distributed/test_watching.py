"""A cluster as another process sees it: all nodes, found by the name, and steered."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agentrt import AgentError, ConfigurationError, RuntimeManager, discovery
from agentrt.distributed.link import UnreachableError
from agentrt.distributed.relay import RelayReader
from agentrt.distributed.watching import WatchedCluster, open_source
from agentrt.feed.connection import find_manager
from agentrt.feed.remote import RemoteSource
from agentrt.feed.wire import VERSION, Hello, Welcome, decode_greeting, encode_frame
from agentrt.views.role import Commands
from agentrt.views.server.watch import Watch
from tests.distributed.test_cluster import Cluster, collect, in_memory_journals, started
from tests.feed.test_same_picture import draw
from tests.harness.wait import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started(open_journal=in_memory_journals()) as made:
        made.manager.offer()
        yield made


def watch() -> WatchedCluster:
    source = open_source(find_manager("agentrt"))
    assert isinstance(source, WatchedCluster)
    return source


def fill(cluster: Cluster) -> list[str]:
    """A runtime on each node; their ids."""
    ids = [cluster.id_on(node) for node in cluster.manager.nodes]
    for id in ids:
        cluster.manager.create(id, (), collect)
    return ids


def test_all_nodes_are_found_by_the_name_and_steered(cluster: Cluster) -> None:
    def look() -> None:
        ids, source = fill(cluster), watch()
        assert [each.name for each in discovery.list_managers()] == ["agentrt"]
        assert (source.name, sorted(source.runtimes)) == ("agentrt", sorted(ids))
        assert [node.name for node in source.nodes()] == list(cluster.manager.nodes)
        assert [source.node_of(id) for id in ids] == list(cluster.manager.nodes)
        commands = Commands(source, who="anna")
        commands.command("pause", ids[1])
        commands.command("send", ids[1], typed='"a"', lane="standard")
        wait_until(lambda: source.snapshot(ids[1]).depth == (0, 1))  # type: ignore[union-attr]
        html = draw(source, "")
        assert "a view failed" not in html
        assert all(node in html for node in cluster.manager.nodes)
        commands.command("resume", ids[1])
        assert cluster.manager[ids[1]].send_nowait("b").result(PATIENCE).state == ("a", "b")
        source.close()

    cluster.do(look)


def test_what_becomes_of_nodes_is_seen(cluster: Cluster) -> None:
    def look() -> None:
        ids, source = fill(cluster), watch()
        cluster.manager.loop.call_soon_threadsafe(cluster.kill, ids[0])
        wait_until(lambda: "node_adopted" in [record.kind for record in source.frame().records])
        wait_until(lambda: not source.standing().words)
        assert sorted(source.runtimes) == sorted(ids)
        node = cluster.manager.add_node()
        wait_until(lambda: "node_added" in [record.kind for record in source.frame().records])
        assert node in [each.name for each in source.nodes() if each.usage is not None]
        source.close()

    cluster.do(look)


def test_a_driver_that_has_ended_is_named_and_the_last_picture_stays(cluster: Cluster) -> None:
    ids = cluster.do(lambda: fill(cluster))
    source = cluster.do(watch)
    assert cluster.do(lambda: sorted(source.runtimes)) == sorted(ids)
    cluster.run(cluster.manager.aclose())
    wait_until(lambda: "there is no answer" in source.standing().words)
    assert "agentrt" in source.standing().words
    assert sorted(source.runtimes) == sorted(ids)
    with pytest.raises(AgentError):
        source.command("pause", ids[0])
    source.close()


def test_one_manager_is_watched_as_ever() -> None:
    with RuntimeManager(loop="thread", name="alone") as manager:
        manager.create("a", 0, lambda activity, state: state)
        source = open_source(find_manager("alone"))
        assert type(source).__mro__[1] is RemoteSource
        assert list(source.runtimes) == ["a"]
        source.close()


def test_a_cluster_is_not_watched_together_with_others(cluster: Cluster) -> None:
    def look() -> None:
        with RuntimeManager(loop="thread", name="alone"):
            found = discovery.list_managers()
            assert len(found) == 2
            with pytest.raises(ConfigurationError, match=r"'agentrt' is a cluster.*: agentrt watch agentrt"):
                Watch(found, open_source)

    cluster.do(look)


def test_whoever_does_not_know_the_token_gets_no_answer(cluster: Cluster) -> None:
    def look() -> None:
        standing = cluster.manager.describe_cluster()
        hello = encode_frame(Hello(VERSION))
        for token in ("another", standing.token):
            reader = RelayReader(lambda token=token: replace(standing, token=token))
            if token == standing.token:
                assert isinstance(decode_greeting(reader.read_feed("node-1", "r", hello)), Welcome)
                with pytest.raises(UnreachableError, match="node-9"):
                    reader.read_feed("node-9", "r", hello)
            else:
                with pytest.raises(UnreachableError, match="the program of the cluster has ended"):
                    reader.read_feed("node-1", "r", hello)
            reader.close()

    cluster.do(look)


PROGRAM = """
import asyncio, sys
from agentrt.distributed.cluster import ClusterManager
from agentrt.testing.network import NetworkEngine

async def main():
    manager = ClusterManager(NetworkEngine(2), loop="current", name=sys.argv[1])
    await asyncio.to_thread(lambda: manager.create("x", 0, lambda activity, state: state, placement="node-2"))
    server = await asyncio.to_thread(lambda: manager.serve(process=True)) if sys.argv[2:] else None
    print("ready" if server is None else server.url, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if server is not None:
        server.stop()
    await manager.aclose()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("serves", [False, True])
def test_a_page_of_another_process_has_all_nodes(serves: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, "elsewhere", *["serve"] * serves]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = program.stdout.readline().strip()
        record = find_manager("elsewhere")
        if serves:
            with urllib.request.urlopen(said, timeout=PATIENCE) as page:
                assert page.status == 200
            assert discovery.find_watcher(record).watches == record.pid  # type: ignore[union-attr]
            program.communicate("", timeout=PATIENCE)
            return
        watch = Watch([record], open_source)
        try:
            assert isinstance(watch.source, WatchedCluster)
            assert list(watch.source.runtimes) == ["x"]
            assert watch.needed
        finally:
            watch.stop()
            program.communicate("", timeout=PATIENCE)


def test_whoever_only_watches_needs_nothing_of_the_extra() -> None:
    """The page of `agentrt demo` is a process that watches, and is installed without it."""
    code = "import sys; sys.modules.update(cloudpickle=None, ray=None); import agentrt.distributed.watching"
    subprocess.run([sys.executable, "-c", code], check=True)
