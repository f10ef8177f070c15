"""`kill -9` of a process of a node, of a whole node of Ray, and of the driver, under load, with each kind of journal.

The agents send each other from node to node meanwhile. `AGENTRT_NODE_KILLS=30` does it as often as the promise was
tested; each three are one of each kind.
"""

import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from agentrt.distributed.outbox import outbox_of
from agentrt.errors import JournalError
from agentrt.journal import Journal, PostgresJournal, SQLiteJournal
from tests.distributed.kill_child import AGENTS, LEDGERS, REPORT_PATIENCE, REPORTED, Numbers
from tests.harness.place import free_port
from tests.harness.postgres import Postgres
from tests.harness.wait import wait_until

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("AGENTRT_NODE_KILLS", "3"))
LONGEST = 240.0  # seconds until a slow machine has to be back at work
CHILD = "from tests.distributed.kill_child import main; main()"
NODE = re.compile(r"node (node-\d) (\d+)\n")
ACKNOWLEDGED = re.compile(r"(accepted|done) (agent-\d) (\d) (\d+)\n")
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
    pytest.mark.cluster,
    pytest.mark.timeout(600 + 120 * KILLS),
]


class Driver:
    """A driver in a process of its own, and what it has said."""

    def __init__(self, address: str, journal: str, errors: Path) -> None:
        command = [sys.executable, "-c", CHILD, address, journal]
        self.nodes: dict[str, int] = {}  # the processes that live, by the node that they were started for
        self.last: dict[tuple[str, str, int], int] = {}
        self.since: dict[str, int] = dict.fromkeys(AGENTS, 0)  # acknowledgements by agent, counted anew after a kill
        self._errors = errors
        with errors.open("a") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
            )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := NODE.fullmatch(line):
                self.nodes[found[1]] = int(found[2])
            elif found := ACKNOWLEDGED.fullmatch(line):  # and not what Ray says, or a line that it has cut in two
                what, agent, sender, number = found.groups()
                self.last[what, agent, int(sender)] = int(number)
                if what == "done":
                    self.since[agent] += 1

    def wait_for_work(self, least: int = 1) -> float:
        """Wait until each agent has done so much from now on; how long it took."""
        started = time.monotonic()
        self.since = dict.fromkeys(AGENTS, 0)
        wait_until(
            lambda: min(self.since.values()) >= least or self.process.poll() is not None,
            timeout=LONGEST,
            what="each agent works",
        )
        assert self.process.poll() is None, "the driver has ended by itself"
        return time.monotonic() - started

    def report(self) -> None:
        """Have it write where all stands to the file of its errors, while it lives and answers."""
        assert self.process.stdin is not None
        with suppress(OSError, AssertionError):
            print("report", file=self.process.stdin, flush=True)
            wait_until(
                lambda: REPORTED in self._errors.read_text() or self.process.poll() is not None,
                timeout=4 * REPORT_PATIENCE,
            )

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def ports() -> dict[str, Any]:
    """What a node of Ray is started with. For ports of its own choice it waits 15 s, whatever the machine has to do."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return {"num_cpus": 1, **{name: free_port() for name in names}}


@contextmanager
def ray_nodes(monkeypatch: pytest.MonkeyPatch, more: int = 2) -> Iterator[Any]:
    """A cluster of a head and so many nodes more on this machine."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-")  # no other program of this machine finds it, and joins
    monkeypatch.setenv("RAY_TMPDIR", folder)
    cluster = Cluster()
    try:
        try:
            cluster.add_node(include_dashboard=False, **ports())
            for _ in range(more):
                cluster.add_node(**ports())
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            pytest.skip("Ray itself did not start on this machine within its own bound of 30 s")
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def find_raylets(driver: Driver) -> dict[str, int]:
    """The raylet of each process of a node that lives."""
    raylets = {node: psutil.Process(pid).parent() for node, pid in driver.nodes.items()}
    assert all(raylet is not None and "raylet" in raylet.name() for raylet in raylets.values())
    return {node: raylet.pid for node, raylet in raylets.items() if raylet is not None}


def kill_node(cluster: Any, driver: Driver, chance: random.Random) -> list[str]:
    """End a raylet and its processes, but not that of the head; return which."""
    head = {info.process.pid for infos in cluster.head_node.all_processes.values() for info in infos}
    raylets = find_raylets(driver)
    chosen = raylets[chance.choice([node for node, raylet in raylets.items() if raylet not in head])]
    kill([chosen, *(each.pid for each in psutil.Process(chosen).children(recursive=True))])
    ended = [node for node, raylet in raylets.items() if raylet == chosen]
    for node in ended:
        del driver.nodes[node]
    return ended


def print_logs(folder: Path) -> None:
    """Print the last that each process of a node has written."""
    for log in sorted(folder.glob("session_latest/logs/worker-*.err")):
        if lines := log.read_text(errors="replace").splitlines()[-20:]:
            print(log.name, *lines, sep="\n")


def open_journal(address: str, node: str) -> Journal:
    """The journal of a node; a file once the process that held it is gone."""
    if address.startswith("postgresql:"):
        return PostgresJournal(address, name=node, take_over=True)
    opened: list[Journal] = []

    def opens() -> bool:
        with suppress(JournalError):
            opened.append(SQLiteJournal(address.replace(".db", f"-{node}.db")))
        return bool(opened)

    wait_until(opens, timeout=LONGEST, what=f"the journal of {node} is free")
    return opened[0]


class Stored(NamedTuple):
    """What a journal has of an agent, or of a ledger."""

    state: Numbers
    waiting: list[tuple[int, int]]
    counts: dict[str, int]
    unsent: list[tuple[int, int]]  # in the outbox of its ledger


def read_books(journal: str) -> dict[str, Stored]:
    """What the journals of all nodes have, by id."""
    found: dict[str, Stored] = {}
    for node in ("node-1", "node-2", "node-3"):
        stored = open_journal(journal, node)
        try:
            known = {each.id: each for each in stored.runtimes()}
            payloads = {id: [each.activity.payload for each in stored.waiting(id)] for id in known}
            for id, each in known.items():
                if each.created is not None:
                    assert id not in found, "it is on two nodes"
                    unsent = payloads.get(outbox_of(LEDGERS.get(id, "")), [])
                    found[id] = Stored(stored.state(id), payloads[id], each.counts, unsent)
        finally:
            stored.close()
    return found


def last_accepted(stored: Stored) -> list[int]:
    """The last number of each sender that was accepted, in order and once."""
    assert stored.state.wrong == ""
    assert stored.counts.get("done", 0) == stored.state.count == sum(stored.state.last)
    assert stored.counts.get("accepted", 0) == stored.state.count + len(stored.waiting)
    last = list(stored.state.last)
    for sender, number in stored.waiting:
        assert number == last[sender] + 1
        last[sender] = number
    return last


def check_books(journal: str, acknowledged: dict[tuple[str, str, int], int]) -> int:
    """Nothing acknowledged is lost, nothing committed twice, the order of each sender is kept. How many were done."""
    found = read_books(journal)
    assert set(found) == {*AGENTS, *LEDGERS.values()}
    for agent, ledger in LEDGERS.items():
        stored = found[agent]
        for sender, last in enumerate(last_accepted(stored)):
            assert last >= acknowledged.get(("accepted", agent, sender), 0)
            assert stored.state.last[sender] >= acknowledged.get(("done", agent, sender), 0)
        check_ledger(stored, last_accepted(found[ledger]))
    return sum(each.state.count for each in found.values())


def check_ledger(agent: Stored, last: list[int]) -> None:
    """What an agent has committed is in its ledger or its outbox, in order; what was just accepted may be in both."""
    for sender, number in enumerate(agent.state.last):
        unsent = [each for who, each in agent.unsent if who == sender]
        assert unsent == list(range(number - len(unsent) + 1, number + 1))
        assert number - len(unsent) <= last[sender] <= number


@pytest.mark.parametrize("kind_of_journal", ["postgres", "sqlite"])
def test_nothing_acknowledged_is_lost_when_processes_nodes_and_drivers_are_killed(
    kind_of_journal: str, tmp_path: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    chance = random.Random(KILLS)
    journal = str(tmp_path / "agents.db")
    if kind_of_journal == "postgres":
        journal = postgres_server.dsn(postgres_server.new_database())
    acknowledged: defaultdict[tuple[str, str, int], int] = defaultdict(int)
    times: defaultdict[str, list[float]] = defaultdict(list)
    done = 0
    with ray_nodes(monkeypatch) as cluster:
        driver = Driver(cluster.address, journal, tmp_path / "errors")
        try:
            driver.wait_for_work()
            for turn in range(KILLS):
                kind = ("node", "process", "driver")[turn % 3]
                driver.wait_for_work(chance.randrange(1, 40))
                print(time.strftime("%H:%M:%S"), turn, kind, driver.nodes, find_raylets(driver))
                if kind == "process":
                    node = chance.choice(sorted(driver.nodes))
                    kill([driver.nodes.pop(node)])
                    print("killed", node)
                elif kind == "node":
                    print("killed", kill_node(cluster, driver, chance))
                else:
                    driver.end()
                    for key, number in driver.last.items():
                        acknowledged[key] = max(acknowledged[key], number)
                    driver = Driver(cluster.address, journal, tmp_path / "errors")
                times[kind].append(driver.wait_for_work())
                if kind == "node" and turn + 3 < KILLS:
                    cluster.add_node(**ports())
        except BaseException:
            driver.report()
            print_logs(Path(os.environ["RAY_TMPDIR"]))
            raise
        finally:
            driver.end()
            print((tmp_path / "errors").read_text()[-20000:])
            print({kind: [round(each, 1) for each in found] for kind, found in times.items()})
        for key, number in driver.last.items():
            acknowledged[key] = max(acknowledged[key], number)
        done = check_books(journal, acknowledged)
    print(f"{done:,} activities were done in {KILLS} kills")
    assert done > 100
