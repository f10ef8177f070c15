"""ClusterManager: what drives agents on many nodes, with the interface of a `RuntimeManager`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Unpack

from ..display import ClusterDisplay
from ..engine.loop_thread import time_of
from ..errors import (
    AgentError,
    ManagerClosedError,
    RuntimeFailedError,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
    describe_error,
)
from ..feed.nodes import ClusterStanding
from ..feed.offer import offer as offer_feed
from ..groups import CreateOptions, Group
from ..logs import log_safely
from ..metrics import Fates
from ..schema.numbers import refuse, time_limit
from ..snapshot import Snapshot
from .breakpoint_copies import BreakpointCopies
from .cluster_groups import ClusterGroups, GroupSupervisor
from .cluster_source import ClusterSource, DriverSource, OfferedDriver
from .engine import Engine
from .link import UnreachableError
from .membership import Membership
from .messages import Batch, decode
from .node import NodeManager, NodeStatus, Wanted
from .node_readings import read_nodes
from .placement import Placement
from .relay import FeedRelay
from .remote_runtime import RemoteRuntime
from .resources import Needs, Reservations, check_needs
from .takeover import Takeover

__all__ = ["ClusterManager"]

FETCH_WAIT = 2.0  # seconds that a node may hold a fetch while there is nothing
PATIENCE = 60.0  # seconds until a command that no node has answered is given up
RETRY = 0.2  # seconds until a node is asked again that could not be reached
PORTION = 1_000  # runtimes that are created with one command
logger = logging.getLogger(__name__)


class Relocation(NamedTuple):
    """A runtime that is being moved. `epoch` is the number of the move."""

    id: str
    source: str
    target: str
    epoch: int


class ClusterManager(NodeManager, ClusterDisplay):
    """Many runtimes on many nodes. All of it may be used on any thread but the agents' own.

    It has what a `RuntimeManager` has: `create`, `send`, `ask`, receipts, `run`. A runtime is made on the node that its
    id leads to, or that `placement=` says. Made by `agentrt.distributed.connect`.

    Args:
        engine: What starts nodes and reaches them.
        offer: Whether other processes of the same user may watch it.
        **options: Those of `RuntimeManager`, for what runs here: receipts, and who waits for them.
    """

    groups: ClusterGroups

    def __init__(self, engine: Engine, *, offer: bool = True, **options: Any) -> None:
        node, placement = f"driver-{secrets.token_hex(4)}", Placement(engine.nodes)
        super().__init__(node, placement, engine.peer, engine.is_durable, offer=False, **options)
        self.engine = engine
        self.groups = ClusterGroups(self)
        self.supervisor = GroupSupervisor(self)
        self._created: dict[str, Wanted] = {}
        self._cluster_source: ClusterSource | None = None
        self._moves: dict[str, Relocation] = {}  # that are under way, by the id of the runtime
        self._fetching: dict[str, concurrent.futures.Future[None]] = {}
        self._membership = Membership(self)
        self._breakpoints = BreakpointCopies(self)
        self._takeover = Takeover(self, self._created, self._breakpoints)
        self._reservations = Reservations(self)
        self._changing = threading.RLock()  # held while runtimes are made, and while nodes come and go
        self._is_located = not engine.is_durable
        self._driver_source = DriverSource(self)
        self._relay = FeedRelay(self.name, engine.read_feed)
        self.node_reader = partial(read_nodes, self)  # see `agentrt.integrations.readings.HasNodeReadings`
        for each in engine.nodes:
            self.fetch_from(each)
        if offer and time_of(self.loop) is time.monotonic:
            self.offer()

    def __enter__(self) -> ClusterManager:
        return self

    def __repr__(self) -> str:
        return f"<ClusterManager {self.name!r} {len(self.nodes)} nodes: {', '.join(self.nodes)}>"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes that take runtimes."""
        return self.placement.nodes

    # ---- to make runtimes

    def add_node(self, timeout: float | None = None) -> str:
        """Start one more node, and move to it what it is to have by the scores of the ids; nothing else moves.

        What can't be moved stays where it is, and is on the record as `runtime_not_moved`.

        Args:
            timeout: Seconds to wait for the activity that each of these runs; None for as long as it takes.

        Returns:
            The name of the node.

        Raises:
            ConfigurationError: It would run another version of Python or of this package; nothing was changed.
        """
        with self._changing:
            return self.run(self._membership.add(time_limit("timeout", timeout)))

    def remove_node(self, node: str, timeout: float | None = None) -> None:
        """Move all that is on a node to the others, and end it.

        Args:
            node: Its name.
            timeout: Seconds to wait for the activity that each of its runtimes runs; None for as long as it takes.

        Raises:
            AgentError: A runtime can't be moved, for the reason that it says: the node stays, with what could not be
                moved.
            ConfigurationError: There is no such node, or no other.
        """
        with self._changing:
            self.run(self._membership.remove(node, time_limit("timeout", timeout)))

    def locate_runtimes(self) -> None:
        """Find out on which node each runtime is that the journals hold."""
        with self._changing:
            if not self._is_located:
                self.run(self._membership.locate_runtimes())
                self._is_located = True

    def create(  # type: ignore[override]
        self,
        id: str,
        state: Any,
        workflow: Callable[..., Any],
        *,
        placement: str | Needs | None = None,
        wait: float | None = None,
        **options: Unpack[CreateOptions],
    ) -> RemoteRuntime:
        """Make a runtime on its node. Contract: `RuntimeManager.create`.

        Args:
            id: What it is called.
            state: The initial state.
            workflow: Makes the next state. It is pickled by value where its module is not on the node.
            placement: The name of a node, or the id of a runtime to be with; without it the id decides. Or what the
                machine of the node has to have free: `{"GPU": 1}`. It is this runtime's until it is terminated.
            wait: How long to wait for that, in real seconds; None for as long as it takes.
            **options: Those of `RuntimeManager.create`.

        Raises:
            AgentError: What `RuntimeManager.create` raises.
            ConfigurationError: The workflow or the state can't be sent, there is no such node, no machine has what it
                needs, or there was none with room in time.
        """
        if not isinstance(id, str) or not id:
            raise refuse("id", id, "a string that is not empty")
        if id in self.placement.lost:
            self.placement.forget_loss(id)
            self._call_all("forget_loss", id)
        self.locate_runtimes()
        self._name_group(options)
        if isinstance(placement, Mapping):
            with self._reservations.reserve(id, check_needs(placement), time_limit("wait", wait)) as node:
                return self._create_at(node, (id, state, workflow, dict(options)))
        return self._create_at(placement, (id, state, workflow, dict(options)))

    def _create_at(self, placement: str | None, wanted: Wanted) -> RemoteRuntime:
        id = wanted[0]
        with self._changing:
            if placement is not None:
                self._pin(id, placement if placement in self.nodes else self.placement.node_of(placement))
            self._create_there(self.placement.node_of(id), [wanted])
            self._join_group(id, wanted[3])
        return self[id]

    def create_many(
        self, ids: Iterable[str], state: Any, workflow: Callable[..., Any], **options: Unpack[CreateOptions]
    ) -> int:
        """Make a runtime of each id, all alike: some hundred times faster than one by one.

        Returns:
            How many were made.
        """
        by_node: dict[str, list[Wanted]] = {}
        self.locate_runtimes()
        self._name_group(options)
        joining: list[str] = []  # a group has them in the order in which they were given
        with self._changing:
            for id in ids:
                joining.append(id)
                by_node.setdefault(self.placement.node_of(id), []).append((id, state, workflow, dict(options)))
            for node, wanted in by_node.items():
                for start in range(0, len(wanted), PORTION):
                    self._create_there(node, wanted[start : start + PORTION])
            for id in joining:
                self._join_group(id, options)
        return sum(map(len, by_node.values()))

    def group(self, name: str, *arguments: Any, **options: Any) -> Group:
        """Make a supervision group on all nodes. Contract: `RuntimeManager.group`.

        Its members may be on any of them. Wherever one fails, this driver decides, counts the failure once, and has the
        nodes of all members that it concerns restart or stop them, in the order in which they were made. A node that
        does not answer is on the record as `members_not_reached`.
        """
        made = super().group(name, *arguments, **options)
        above = None if made.parent is None else made.parent.name
        with self._changing:
            self.groups_made[name] = arguments, {**options, "parent": above}
            self._call_all("group", name, *self.groups_made[name])
            self.supervisor.follow()
        return made

    def recover_group(self, name: str) -> None:
        """Let the members of a group go on, on all nodes."""
        self._call_all("recover_group", name)

    def _name_group(self, options: CreateOptions) -> None:
        """A node has a group of its own by the name of one that was made here."""
        group = options.get("group")
        if group is not None:
            options["group"] = self.groups.find(group).name

    def _join_group(self, id: str, options: Mapping[str, Any]) -> None:
        if options.get("group") is not None:
            self.groups.add(id, options["group"])

    def _create_there(self, node: str, wanted: list[Wanted]) -> None:
        self._call(node, "create", wanted)
        self._created.update({each[0]: each for each in wanted})

    def _pin(self, id: str, node: str) -> None:
        epoch = self.number()
        self.do(lambda: self.courier.rerouting.reroute(id, node, epoch))
        self._call_all("reroute", id, node, epoch)

    # ---- to move runtimes

    def move(self, id: str, node: str, timeout: float | None = None) -> None:
        """Move a runtime to another node while it is used.

        Its state, what waits for it and the order of each sender stay; whoever holds a receipt gets the outcome. At any
        time one node processes it, or none. What is sent to it meanwhile waits.

        Args:
            id: Which.
            node: The name of the node.
            timeout: Seconds to wait for the activity that runs; None for as long as it takes.

        Raises:
            AgentError: It was not moved, for that reason, and goes on where it was.
        """
        self.locate_runtimes()
        self.placement.check_node(node)
        self.run(self.move_soon(id, node, time_limit("timeout", timeout)))

    async def move_soon(self, id: str, node: str, timeout: float | None) -> None:
        """Do what `move` does. The loop's thread."""
        source = self.placement.node_of(id)
        if source == node:
            return
        if id in self._moves:
            raise AgentError(f"{id!r} is being moved already", runtime=id)
        move = self._moves[id] = Relocation(id, source, node, self.number())
        try:
            promise = self.courier.command(source, "hand_over", id, node, move.epoch, timeout)
            await promise.wait()
            if not isinstance(promise.value, AgentError):
                self._announce(move)
            elif self.placement.node_of(id) != node:  # else its node has ended right after it
                raise promise.value.copy()
        finally:
            del self._moves[id]

    def _announce(self, move: Relocation) -> None:
        """Tell all nodes where a runtime is."""
        self.courier.rerouting.reroute(move.id, move.target, move.epoch)
        for other in self.nodes:
            self.courier.command(other, "reroute", move.id, move.target, move.epoch)
        wanted = self._created.get(move.id)
        if wanted is not None:  # that one may have been taken over meanwhile: then it is only in its journal
            self.courier.command(move.target, "resume", [wanted])

    async def _settle_moves(self, node: str) -> None:
        """A node has ended: find out which of the runtimes that were leaving it have arrived."""
        for move in [each for each in self._moves.values() if each.source == node]:
            if await self._has_arrived(move):
                self._announce(move)

    async def _has_arrived(self, move: Relocation) -> bool:
        while move.target in self.nodes:
            promise = self.courier.command(move.target, "has_arrived", move.id, move.epoch)
            await promise.wait()
            if isinstance(promise.value, tuple):
                return bool(promise.value[0])
            await asyncio.sleep(RETRY)  # that one has ended as well: its next life is asked
        return False

    # ---- to look at

    def __getitem__(self, id: str) -> RemoteRuntime:  # type: ignore[override]
        return RemoteRuntime(self.remote_entry(id), self._do_there)

    def get(self, id: str) -> RemoteRuntime | None:  # type: ignore[override]
        """Return the handle of an id, or None if there is no such runtime."""
        handle = self[id]
        return handle if id in self else None

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, str):
            return False
        try:
            self._do_there(id, "snapshot", False)
        except (RuntimeNotFoundError, RuntimeFailedError, RuntimeTerminatedError):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter([id for ids in self._call_all("ids") for id in ids])

    def __len__(self) -> int:
        return sum(len(ids) for ids in self._call_all("ids"))

    def runtimes(self) -> list[RemoteRuntime]:  # type: ignore[override]
        """Return the handles of all runtimes, those of the first node first."""
        return [self[id] for id in self]

    def snapshots(self, metrics: bool = False) -> list[Snapshot]:
        """Return a snapshot of every runtime, those of the first node first."""
        return [shot for shots in self._call_all("snapshots", metrics) for shot in shots]

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot:
        """Return a snapshot of one runtime."""
        shot: Snapshot = self._do_there(id, "snapshot", metrics)
        return shot

    def fates(self) -> Fates:
        """Return the counts of all runtimes."""
        return sum(self._call_all("fates"), Fates())

    def statuses(self) -> list[NodeStatus]:
        """How each node is."""
        return [self.run(self.engine.status(node), PATIENCE) for node in self.nodes]

    @property
    def source(self) -> ClusterSource:
        """What the views are drawn from: all nodes as one."""
        with self.lock:
            if self._cluster_source is None:
                self._cluster_source = ClusterSource(self, self._driver_source, self.engine.read_feed, self.engine.link)
            return self._cluster_source

    def offer(self) -> None:
        """Let other processes of the same user find it, and watch its nodes: `agentrt watch`."""
        self._offered = OfferedDriver(self, self._driver_source)
        self._offer = offer_feed(self._offered)

    def describe_cluster(self) -> ClusterStanding:
        """What another process needs to watch the nodes."""
        return self._relay.describe(self.nodes, self.engine.link)

    # ---- commands

    def _do_there(self, id: str, name: str, *arguments: Any, **options: Any) -> Any:
        value = self._call(self.placement.node_of(id), "do", id, name, arguments, options)
        if name == "terminate":
            self.groups.remove(id)
            self._breakpoints.forget(id)
        return value

    def _call(self, node: str, name: str, *arguments: Any) -> Any:
        """What came of a command."""
        return self._value(self.courier.command(node, name, *arguments))

    def _call_all(self, name: str, *arguments: Any) -> list[Any]:
        promises = [self.courier.command(node, name, *arguments) for node in self.nodes]
        return list(map(self._value, promises))

    def _value(self, promise: Any) -> Any:
        if self.closed:
            raise ManagerClosedError("the manager is closed; connect again")
        promise.block(PATIENCE, "asyncio.to_thread(...) around what asks another node")
        if isinstance(promise.value, AgentError):
            raise promise.value.copy()
        return promise.value[0]

    # ---- what nodes have to say: the loop's thread

    def fetch_from(self, node: str) -> None:
        """Begin to take what a node has for this driver. Any thread."""
        self._fetching[node] = self.submit(self._fetch(node))
        self._breakpoints.follow(node)

    async def _fetch(self, node: str) -> None:
        """Take what a node has for this driver, until the end of one of them."""
        answer = b""
        while not self.closed and node in self.nodes:
            try:
                data = await self.engine.events_since(node, self.node, answer, FETCH_WAIT)
            except UnreachableError:
                answer = b""
                await asyncio.sleep(RETRY)
                if not self.closed and await self.engine.has_ended(node):
                    await self._replace(node)
                continue
            answer = self.courier.receive(decode(data, type=Batch)) if data else b""

    async def _replace(self, node: str) -> None:
        """The process of a node has ended: another one takes its place."""
        self.note_node("node_ended", node)
        try:
            await self._settle_moves(node)
            await self._takeover.replace(node)
        except Exception as error:  # that one has ended as well, or its journal can't be opened yet: it is tried again
            self.note_node("node_not_adopted", node, why=describe_error(error))
            log_safely(logger, "%r could not be taken over; it is tried again", node, error=error)

    # ---- the end

    def _end_serving(self) -> None:
        super()._end_serving()
        self._relay.close()
        if self._cluster_source is not None:
            self._cluster_source.close()

    def abandon(self) -> None:
        """Take nothing more from the nodes, and send them nothing. Any thread."""
        self.supervisor.close()
        self._breakpoints.close()
        for each in self._fetching.values():
            each.cancel()
        with suppress(ManagerClosedError):
            self.do(self.courier.close)

    def close(self, timeout: float = 5.0) -> None:
        """End what runs here, and the nodes that `connect` has started. Contract: `RuntimeManager.close`."""
        if not self.closed:
            self.abandon()
            super().close(timeout)
            self.engine.stop()

    async def aclose(self) -> None:
        """Do what `close` does, from async code."""
        if not self.closed:
            self.abandon()
            await super().aclose()
            await asyncio.to_thread(self.engine.stop)
