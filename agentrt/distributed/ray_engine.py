"""Nodes on Ray: an actor on each node of its cluster, with a manager whose loop has a thread of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Container, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..journal import PostgresJournal
from ..journal.location import SERVER
from .link import UnreachableError
from .node import GroupsMade, NodeHost, NodeStatus, Wanted
from .placement import Pins
from .ray_calls import NAMESPACE, Directory, RayPeer
from .resources import Machine
from .versions import Versions, check_versions, read_versions

__all__ = ["RayEngine"]

GROUPS = {"batches": 8, "events": 64, "control": 2, "feed": 1}  # threads; each driver waits in one of "events"
START_PATIENCE = 60.0  # seconds in which nodes are started again whose place has died
START_PAUSE = 0.2  # seconds until that
CONNECT_PATIENCE = 0.5  # seconds for a connection to one of Ray's nodes
METHODS = {
    "send_batch": "batches",
    "events_since": "events",
    "read_feed": "feed",
    **dict.fromkeys(("status", "snapshot", "stop", "adopt", "move", "ping", "end_node", "read_versions"), "control"),
}


class NodeActor:
    """The process of a node. Ray calls it on its own threads; a manager and its loop have another one.

    It has no `async` method, nor inherits one: Ray would call all of them on one thread a group, so that one that waits
    holds up the others. What it has of a `NodeHost` is in `METHODS`.
    """

    def __init__(self, cluster: str, node: str, nodes: tuple[str, ...], journal: Any, options: dict[str, Any]) -> None:
        self._directory = Directory(cluster, nodes)
        open_journal = None if journal is None else partial(open_journal_of, journal)
        own = {"loop": "thread", "offer": False, **options}  # the driver offers all nodes as one
        self._host = NodeHost(node, nodes, self._directory.peer, open_journal, **own)

    def move(self, node: str, host: str) -> None:
        """A node is in the process of another one now."""
        self._directory.places[node] = host

    def read_versions(self) -> Versions:
        """What its process runs."""
        return read_versions()

    def ping(self, node: str) -> None:
        """Raise `UnreachableError` unless this process has a node: it may have been started again without it."""
        self._host.manager(node)


def _method_of_host(name: str) -> Any:
    def call(self: NodeActor, *arguments: Any) -> Any:
        return getattr(self._host, name)(*arguments)

    call.__name__, call.__doc__ = name, getattr(NodeHost, name).__doc__
    return call


for _name in METHODS:
    if _name not in vars(NodeActor):
        setattr(NodeActor, _name, _method_of_host(_name))


class RayEngine:
    """A cluster of Ray.

    Args:
        address: That of a running cluster, "auto" for the one of this machine, None to start one here.
        nodes: How many nodes; one on each of Ray's if left out.
        journal: What the journals of the nodes are opened with; None where they live in memory.
        options: Those of the manager of each node.
    """

    def __init__(self, address: str | None, nodes: int | None, journal: Any, options: dict[str, Any]) -> None:
        self._started = not ray.is_initialized()
        if self._started:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
            context: Any = start_or_join(address or "local")
        else:
            context = ray.init(ignore_reinit_error=True)
        self.link = f"http://{context.dashboard_url}" if context.dashboard_url else ""
        self.is_durable = journal is not None
        remote: Any = ray.remote  # its types know no groups
        self._kind = remote(num_cpus=0, concurrency_groups=GROUPS)(_with_groups(NodeActor))
        self._given = journal, options
        self._place_actors(nodes)
        try:
            check_versions(self._wait_for_actors())
        except BaseException:
            self.stop()
            raise

    def machines(self) -> dict[str, Machine]:
        """Where the process of each node runs, and what Ray has counted there."""
        living = {each.name: each for each in _machines()}
        hosts = {node: self._hosts[process] for node, process in self._directory.places.items()}
        return {node: living.get(host, Machine(host, {})) for node, host in hosts.items()}

    def _place_actors(self, nodes: int | None) -> None:
        hosts = _living_hosts()
        count = len(hosts) if nodes is None else nodes
        cluster = f"agentrt-{secrets.token_hex(4)}"
        self.nodes = tuple(f"node-{number}" for number in range(1, count + 1))
        self._directory = Directory(cluster, self.nodes)
        self._hosts: dict[str, str] = {}  # Ray's id of where each process was started, by the node it was started for
        self._choosing = threading.Lock()
        self.actors = {node: self._start(node, self.nodes) for node in self.nodes}

    def _wait_for_actors(self) -> dict[str, Versions]:
        """What each process runs, once all are there. One that does not start is started again, maybe elsewhere."""
        deadline = time.monotonic() + START_PATIENCE
        found: dict[str, Versions] = {}
        failed: set[str] = set()  # where one did not start
        waiting = {actor.read_versions.remote(): node for node, actor in self.actors.items()}
        while waiting:
            [ready], _ = ray.wait(list(waiting), num_returns=1)
            node = waiting.pop(ready)
            try:
                found[node] = ray.get(ready)
            except (RayActorError, ActorUnschedulableError):  # one of Ray's nodes had died, and Ray did not know
                if time.monotonic() > deadline:
                    raise
                failed.add(self._hosts[node])
                self.actors[node] = self._start_again(node, self.nodes, deadline, failed)
                waiting[self.actors[node].read_versions.remote()] = node
        return found

    def _start_again(self, node: str, nodes: tuple[str, ...], deadline: float, failed: Iterable[str] = ()) -> Any:
        ray.kill(self.actors[node])  # also if it has ended: its name is not free before
        while True:
            time.sleep(START_PAUSE)
            try:
                return self._start(node, nodes, failed)
            except ValueError:  # its name is not free yet
                if time.monotonic() > deadline:
                    raise

    def _start(self, node: str, nodes: tuple[str, ...], failed: Iterable[str] = ()) -> Any:
        hosts, cluster = _living_hosts(), self._directory.cluster
        avoided = find_silent_hosts().union(failed)
        with self._choosing:
            processes = set(self._directory.places.values()) - {node}
            taken = [host for process, host in self._hosts.items() if process in processes]
            host = self._hosts[node] = choose_host(hosts, taken, avoided)
        place = NodeAffinitySchedulingStrategy(host, soft=False)
        actor = self._kind.options(name=f"{cluster}/{node}", scheduling_strategy=place)
        return actor.remote(cluster, node, nodes, *self._given)

    async def add(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start one more node, and let all others reach it."""
        actor = await asyncio.to_thread(self._start, node, nodes)
        try:
            await self._enter(node, nodes, actor)
        except BaseException:
            del self._hosts[node]
            raise
        self.nodes = (*self.nodes, node)

    async def start_again(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start the process of a node again: there is none left that could take the node over."""
        self._directory.places[node] = node  # at once: so the others are not started where this one is
        actor = await asyncio.to_thread(self._start_again, node, nodes, time.monotonic() + START_PATIENCE)
        await self._enter(node, nodes, actor)

    async def _enter(self, node: str, nodes: tuple[str, ...], actor: Any) -> None:
        """Wait until the process of a node is there, and tell it and all others where each is."""
        places = self._directory.places
        try:
            check_versions({node: await self._directory.call(node, "read_versions")})
        except BaseException:
            ray.kill(actor)
            raise
        self.actors[node] = actor
        places[node] = node
        for other in nodes:
            await self._directory.call(node, "move", other, places[other])
            with suppress(UnreachableError):
                await self._call(other, "move", node, node)

    async def remove(self, node: str) -> None:
        """End a node that has left the cluster."""
        host = self._directory.places[node]
        if await self._call(node, "end_node", node) == 0:
            ray.kill(self.actors.pop(host))

    def peer(self, node: str) -> RayPeer:
        """A node, as the driver reaches it."""
        return self._directory.peer(node)

    async def _call(self, node: str, method: str, *arguments: Any) -> Any:
        return await self._directory.call(self._directory.places[node], method, *arguments)

    async def events_since(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        """Fetch what a node has for this reader."""
        batch: bytes = await self._call(node, "events_since", node, reader, answer, wait)
        return batch

    async def status(self, node: str) -> NodeStatus:
        """How a node is."""
        found: NodeStatus = await self._call(node, "status", node)
        return found

    async def has_ended(self, node: str) -> bool:
        """Whether the process of a node has ended."""
        try:
            await self._call(node, "ping", node)
        except UnreachableError:
            return True
        return False

    async def adopt(self, node: str, host: str, wanted: list[Wanted], pins: Pins, groups: GroupsMade) -> None:
        """Have the process of `host` take over a node, and tell all others where it is."""
        places, living = self._directory.places, set(self._directory.places.values()) - {self._directory.places[node]}
        await self._directory.call(places[host], "adopt", node, wanted, pins, groups)
        places[node] = places[host]
        for each in living:
            with suppress(UnreachableError):
                await self._directory.call(each, "move", node, places[node])

    def read_feed(self, node: str, reader: str, data: bytes) -> bytes:
        """Have a node answer a frame of whoever looks at it."""
        answer: bytes = self._directory.call_now(self._directory.places[node], "read_feed", node, reader, data)
        return answer

    def stop(self) -> None:
        """End the nodes, and Ray if it was started here."""
        for actor in self.actors.values():
            ray.kill(actor)
        if self._started:
            ray.shutdown()


def start_or_join(address: str) -> Any:
    """Start Ray here, or join the Ray at an address: one that asks for a token is given that of this machine.

    Ray itself gives it only to what "auto" finds. It is given to no other address that does not ask for it: a cluster
    without one could not call back a program that has it on.

    Raises:
        ConnectionError: There is nothing, or what is there does not take the token of this machine.
    """
    start = partial(ray.init, namespace=NAMESPACE, log_to_driver=False, include_dashboard=False)
    try:
        return start(address=address)
    except ConnectionError:
        if "RAY_AUTH_MODE" in os.environ or not enable_token():
            raise
        try:
            return start(address=address)
        except BaseException:
            del os.environ["RAY_AUTH_MODE"]
            raylet: Any = ray._raylet
            raylet.Config.initialize("")  # reads it from there
            raise


def enable_token() -> bool:
    """Have Ray say the token of this machine; whether there is one."""
    try:  # none of Ray's public names: a later one may lack it
        from ray._private.authentication import authentication_token_setup as setup
    except ImportError:
        return False
    return setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def open_journal_of(journal: Any, node: str) -> Any:
    """Open the journal of a node.

    Args:
        journal: A function of the name of the node; the address of a PostgreSQL, in which each node has a journal of
            its name; or the path of a file, of which each node gets one beside it.
        node: The name of the node.
    """
    if callable(journal):
        return journal(node)
    if isinstance(journal, str) and journal.startswith(SERVER):
        # Taken over: whoever opens it was told to, as the process that owned it has ended.
        return PostgresJournal(journal, name=node, take_over=True)
    path = Path(journal)
    return str(path.with_name(f"{path.stem}-{node}{path.suffix or '.db'}"))


def choose_host(hosts: Iterable[str], taken: Iterable[str], failed: Container[str] = ()) -> str:
    """Which of Ray's nodes is to have the next process: one with as few as possible, as they end together.

    Args:
        hosts: Those that Ray takes for living.
        taken: Where the other processes are.
        failed: Where one did not start, or can't: chosen only if there is nothing else.

    >>> choose_host(["a", "b", "c", "d"], ["a", "c"], failed=["b"])
    'd'
    """
    counts = Counter(taken)
    return min(hosts, key=lambda host: (host in failed, counts[host]))


def find_silent_hosts() -> set[str]:
    """Those of Ray's nodes that nobody can connect to: some seconds pass until Ray notices that one has died."""
    nodes: Any = ray.nodes
    places = {
        each["NodeID"]: (each["NodeManagerAddress"], each["NodeManagerPort"]) for each in nodes() if each["Alive"]
    }
    silent = set()
    for host, place in places.items():
        try:
            socket.create_connection(place, CONNECT_PATIENCE).close()
        except OSError:
            silent.add(host)
    return silent


def _living_hosts() -> list[str]:
    return [each.name for each in _machines()]


def _machines() -> list[Machine]:
    nodes: Any = ray.nodes
    return [Machine(each["NodeID"], each["Resources"]) for each in nodes() if each["Alive"]]


def _with_groups(kind: type) -> type:
    for name, group in METHODS.items():
        setattr(kind, name, ray.method(concurrency_group=group)(getattr(kind, name)))
    return kind
