"""A driver that is killed: its nodes end with it, and the same program goes on where the journals stand."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentrt import RuntimeManager
from agentrt.errors import JournalError
from agentrt.snapshot import Status
from tests.distributed.test_cluster import Cluster, collect, in_memory_journals, started
from tests.harness.wait import PATIENCE

IDS = [f"r{number}" for number in range(12)]


def create_all(cluster: Cluster) -> None:
    for id in IDS:
        cluster.do(lambda id=id: cluster.manager.create(id, (), collect))


def all_states(cluster: Cluster) -> dict[str, tuple[int, ...]]:
    return {shot.id: shot.state for shot in cluster.do(cluster.manager.snapshots)}


@pytest.mark.parametrize("seed", range(4))
def test_what_was_accepted_is_done_once_by_the_next_driver(seed: int) -> None:
    journals = in_memory_journals()
    accepted: list[tuple[str, int]] = []

    async def send_until_it_ends(cluster: Cluster) -> None:
        async def send(id: str) -> None:
            for number in range(100):
                await cluster.manager.send(id, number)
                accepted.append((id, number))

        sending = [asyncio.create_task(send(id)) for id in IDS]
        await asyncio.sleep(5 + seed)
        for task in sending:  # those who send there end with the process
            task.cancel()
        cluster.engine.kill_driver(cluster.manager)

    with started(seed, open_journal=journals) as cluster:
        create_all(cluster)
        cluster.spoil()
        cluster.run(send_until_it_ends(cluster))
    assert accepted
    with started(seed, open_journal=journals) as cluster:
        create_all(cluster)
        cluster.run(asyncio.sleep(60))
        found = all_states(cluster)
        assert sorted(found) == sorted(IDS)
        for id, state in found.items():
            assert state == tuple(range(len(state)))  # in order, each once
            assert len(state) >= sum(1 for other, _ in accepted if other == id)


def test_a_pause_and_what_waits_are_there_again_and_a_moved_one_is_where_it_was() -> None:
    journals = in_memory_journals()
    with started(open_journal=journals) as cluster:
        create_all(cluster)
        runtime = cluster.manager[IDS[0]]
        node = next(each for each in cluster.manager.nodes if each != runtime.node)
        cluster.do(lambda: cluster.manager.move(runtime.id, node))
        cluster.do(runtime.pause)
        for number in range(3):
            cluster.run(runtime.send(number))
        cluster.engine.kill_driver(cluster.manager)
    with started(open_journal=journals) as cluster:
        cluster.do(cluster.manager.locate_runtimes)
        create_all(cluster)
        runtime = cluster.manager[IDS[0]]
        assert (runtime.node, cluster.do(lambda: runtime.status)) == (node, Status.PAUSED)
        cluster.do(runtime.resume)
        assert cluster.run(runtime.ask(3)) == (0, 1, 2, 3)


def test_without_a_journal_nothing_is_left() -> None:
    with started() as cluster:
        create_all(cluster)
        cluster.run(cluster.manager.ask(IDS[0], 1))
        cluster.engine.kill_driver(cluster.manager)
    with started() as cluster:
        assert cluster.do(lambda: len(cluster.manager)) == 0


def test_who_comes_while_the_old_nodes_still_run_is_refused_by_their_files(tmp_path: Path) -> None:
    def open_journal(node: str) -> str:
        return str(tmp_path / f"agents-{node}.db")

    with started(open_journal=open_journal) as cluster:
        cluster.do(lambda: cluster.manager.create("r", (), collect))
        with pytest.raises(JournalError, match=f"process {os.getpid()}"):
            RuntimeManager(journal=open_journal(cluster.manager["r"].node), loop="thread")


PROGRAM = """
import sys
import agentrt.distributed

def collect(activity, state):
    return (*state, activity.payload)

manager = agentrt.distributed.connect(nodes=2, journal=sys.argv[1])
runtimes = [manager.create(id, (), collect) for id in "abcd"]
if sys.argv[2] == "first":
    for runtime in runtimes:
        runtime.pause()
        for number in range(3):
            manager.run(runtime.send(number))
else:
    for runtime in runtimes:
        runtime.resume()
is_first = sys.argv[2] == "first"
print("states", *(0 if is_first else len(manager.run(runtime.ask(3))) for runtime in runtimes), flush=True)
sys.stdin.read()
manager.close()
"""


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_program_on_ray_that_is_killed_goes_on_when_it_is_run_again(tmp_path: Path) -> None:
    def command(turn: str) -> list[Any]:
        return [sys.executable, "-c", PROGRAM, tmp_path / "agents.db", turn]

    with subprocess.Popen(command("first"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert next((line for line in first.stdout if line.startswith("states")), "") == "states 0 0 0 0\n"
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE)
    with subprocess.Popen(command("again"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as again:
        assert again.stdout is not None
        assert next((line for line in again.stdout if line.startswith("states")), "") == "states 4 4 4 4\n"
        again.communicate("", timeout=PATIENCE)
