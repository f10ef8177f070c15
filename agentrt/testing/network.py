"""Nodes of a cluster in one process, over a network that loses, repeats, delays and reorders as a seed decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ..distributed.cluster import ClusterManager
from ..distributed.link import UnreachableError
from ..distributed.node import GroupsMade, NodeHost, NodeManager, NodeStatus, Wanted
from ..distributed.placement import Pins
from ..distributed.resources import Machine
from ..distributed.versions import Versions, check_versions
from .discard import discard_manager

__all__ = ["Network", "NetworkEngine"]


class Network:
    """Decides what becomes of each message between nodes of one event loop.

    Args:
        seed: Decides what happens to each message.
        lose: How many of a hundred messages do not arrive; answers are messages as well.
        repeat: How many of a hundred arrive once more, later.
        delay: Seconds, at most, until a message arrives: those of one link may overtake each other.
    """

    def __init__(self, seed: int = 0, lose: float = 0, repeat: float = 0, delay: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.lose, self.repeat, self.delay = lose, repeat, delay
        self.cut: set[frozenset[str]] = set()  # pairs that do not reach each other
        self._repeats: set[asyncio.Future[None]] = set()

    def happens(self, percent: float) -> bool:
        """Whether something happens that does so many times in a hundred."""
        return self.chance.uniform(0, 100) < percent

    async def carry(self, sender: str, receiver: str, take: Callable[[], Awaitable[bytes]]) -> bytes:
        """Call `take` at the receiver, and return its answer.

        Raises:
            UnreachableError: It, or the answer, was lost.
        """
        if self.happens(self.repeat):
            later = self.chance.uniform(0, 10)
            asyncio.get_running_loop().call_later(later, self._repeat, sender, receiver, take)
        await self._pass(sender, receiver)
        answer = await take()
        await self._pass(receiver, sender)
        return answer

    async def _pass(self, sender: str, receiver: str) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.delay) if self.delay else 0)
        if frozenset((sender, receiver)) in self.cut or self.happens(self.lose):
            raise UnreachableError(f"lost between {sender} and {receiver}")

    def _repeat(self, sender: str, receiver: str, take: Callable[[], Awaitable[bytes]]) -> None:
        if frozenset((sender, receiver)) not in self.cut:
            task = asyncio.ensure_future(self._take_again(take))
            self._repeats.add(task)
            task.add_done_callback(self._repeats.discard)

    async def _take_again(self, take: Callable[[], Awaitable[bytes]]) -> None:
        with suppress(UnreachableError):
            await take()


class NetworkEngine:
    """An engine whose nodes are in this process, on the loop that runs. See `agentrt.distributed.engine.Engine`.

    Args:
        nodes: How many nodes.
        network: What lies between them.
        open_journal: Opens the journal of a node; None where they live in memory.
        resources: What the machine of each node has, by the name of the node.
        versions: What a node runs that comes later, by its name; the same as this process if left out.
        **options: Those of each manager.
    """

    link = ""

    def __init__(
        self,
        nodes: int,
        network: Network | None = None,
        open_journal: Callable[[str], Any] | None = None,
        resources: Mapping[str, Mapping[str, float]] | None = None,
        versions: Mapping[str, Versions] | None = None,
        **options: Any,
    ) -> None:
        self.network = network or Network()
        self.resources = dict(resources or {})
        self.versions = dict(versions or {})
        self.nodes = tuple(f"node-{number}" for number in range(1, nodes + 1))
        self.is_durable = open_journal is not None
        self.places = {node: node for node in self.nodes}  # the host of each node
        self._open_journal = open_journal
        self._settings = {"loop": "current", "offer": False, **options}
        self.hosts = {node: self._start(node, self.nodes) for node in self.nodes}

    def _start(self, node: str, nodes: tuple[str, ...]) -> NodeHost:
        return NodeHost(node, nodes, partial(NetworkPeer, self, node), self._open_journal, **self._settings)

    def peer(self, node: str) -> NetworkPeer:
        """A node, as the driver reaches it."""
        return NetworkPeer(self, "driver", node)

    def host_of(self, node: str) -> NodeHost:
        """The process of a node.

        Raises:
            UnreachableError: It has ended.
        """
        host = self.hosts.get(self.places[node])
        if host is None:
            raise UnreachableError(f"the process of {node} has ended")
        return host

    async def events_since(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        """Fetch what a node has for this reader."""
        return await self.host_of(node).fetch(node, reader, answer, wait)

    async def status(self, node: str) -> NodeStatus:
        """How a node is."""
        return self.host_of(node).status(node)

    def machines(self) -> dict[str, Machine]:
        """Where the process of each node runs, and what there is."""
        return {node: Machine(host, dict(self.resources.get(host, {}))) for node, host in self.places.items()}

    def read_feed(self, node: str, reader: str, data: bytes) -> bytes:
        """Have a node answer a frame of whoever looks at it. Any thread; it gets through unless the pair is cut."""
        if frozenset(("driver", node)) in self.network.cut:
            raise UnreachableError(f"lost between driver and {node}")
        return self.host_of(node).read_feed(node, reader, data)

    async def has_ended(self, node: str) -> bool:
        """Whether the process of a node has ended."""
        host = self.hosts.get(self.places[node])
        return host is None or node not in host.managers

    async def adopt(self, node: str, host: str, wanted: list[Wanted], pins: Pins, groups: GroupsMade) -> None:
        """Have the process of `host` take over a node."""
        self.host_of(host).adopt(node, wanted, pins, groups)
        self.places[node] = self.places[host]

    async def add(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start one more node."""
        if node in self.versions:
            check_versions({node: self.versions[node]})
        self.places[node] = node
        self.hosts[node] = self._start(node, nodes)
        self.nodes = (*self.nodes, node)

    async def start_again(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start the process of a node again."""
        self.places[node] = node
        self.hosts[node] = self._start(node, nodes)

    async def remove(self, node: str) -> None:
        """End a node that has left the cluster."""
        if self.host_of(node).end_node(node) == 0:
            del self.hosts[self.places[node]]

    def kill(self, host: str) -> NodeHost:
        """End a process at once: it does nothing any more, and nobody reaches it."""
        ended = self.hosts.pop(host)
        for manager in ended.managers.values():
            _abandon(manager)
        return ended

    def kill_driver(self, manager: ClusterManager) -> None:
        """End the process of a driver at once, and those of the nodes with it, as Ray does."""
        for host in tuple(self.hosts):
            self.kill(host)
        manager.abandon()
        _abandon(manager)

    def stop(self) -> None:
        """End all nodes."""
        for host in self.hosts.values():
            host.stop()


class NetworkPeer:
    """Another node, as it is reached over a `Network`."""

    def __init__(self, engine: NetworkEngine, sender: str, receiver: str) -> None:
        self._engine = engine
        self._sender = sender
        self._receiver = receiver

    async def send_batch(self, data: bytes) -> bytes:
        """Have the node take a batch, if it gets through."""
        engine, receiver = self._engine, self._receiver

        async def take() -> bytes:
            return await engine.host_of(receiver).take(data)

        return await engine.network.carry(self._sender, receiver, take)


def _abandon(manager: NodeManager) -> None:
    """Leave a manager as it stands, as if its process had ended: nothing of it goes on, and it stores nothing more."""
    manager.courier.close()
    if manager.journal is not None:
        manager.journal._submit = _forget_append  # type: ignore[attr-defined]
    discard_manager(manager)
    for entry in manager.entries():
        entry.detach_driver()


def _forget_append(append: Any) -> None:
    """What a dead process would have stored is not."""
