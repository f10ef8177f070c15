"""The nodes of a cluster: on each a manager whose runtimes are sent to, and send, as if all were in one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity
from ..engine.durability import Durability
from ..errors import AgentError, ConfigurationError
from ..events import Event
from ..journal import Removed
from ..limits import Limits
from ..manager import RuntimeManager
from ..metrics import Fates
from ..receipt import Promise
from ..snapshot import Snapshot
from ..supervision import Policy, Supervision
from .breakpoint_copies import BreakpointChanges, restore_breakpoints
from .circles import read_waits
from .courier import Courier
from .escalations import Escalations
from .exchange import exchange_here, exchange_on
from .link import Peer, UnreachableError
from .mailslot import Mailslot
from .messages import Batch, decode
from .mover import Mover
from .node_readings import NodeReadings
from .numbers import first_number_of
from .outbox import PREFIX, DurableOutbox, OutboxEntry, Outboxes
from .packing import without_receipts
from .placement import Pins, Placement
from .readers import Readers
from .remote_entry import RemoteEntry
from .remote_runtime import COMMANDS

__all__ = ["GroupsMade", "NodeHost", "NodeManager", "NodeStatus", "begins_again"]

Wanted = tuple[str, Any, Any, dict[str, Any]]  # what `create` is given: id, state, workflow, options
GroupsMade = dict[str, tuple[tuple[Any, ...], dict[str, Any]]]  # what `group` was given for all nodes, by name


class NodeStatus(msgspec.Struct, frozen=True):
    """A node at one time.

    Args:
        node: Its name.
        host: The name of the node in whose process it is: another one since it was taken over.
        runtimes: How many runtimes are there.
        waiting: How many activities wait there.
        done: How many have been done.
        backlog: How many items to each other node that one has not acknowledged.
        now: Its clock, in seconds.
        pid: The id of its process, on its machine.
    """

    node: str
    host: str
    runtimes: int
    waiting: int
    done: int
    backlog: dict[str, int]
    now: float
    pid: int


class NodeManager(RuntimeManager):
    """The manager of one node.

    Args:
        node: The name of the node.
        placement: Where runtimes are; every process has its own copy.
        connect: Gives the peer of a name.
        is_durable: Whether the nodes of this cluster have journals.
        **options: Those of `RuntimeManager`.
    """

    def __init__(
        self,
        node: str,
        placement: Placement,
        connect: Callable[[str], Peer],
        is_durable: bool = False,
        **options: Any,
    ) -> None:
        self.first_number = first_number_of(node, placement.nodes)
        super().__init__(**options)
        self.node = node
        self.placement = placement
        self.courier = Courier(self, node, placement, connect, self.carry_out, is_durable)
        self.readers = Readers(self, self.courier.life)
        self.mover = Mover(self)
        self.node_readings = NodeReadings(self)
        self.escalations = Escalations(self)
        self.breakpoint_changes = BreakpointChanges(self)
        self.groups_made: GroupsMade = {}  # by a driver
        self.unsent: dict[str, DurableOutbox] = {}  # what is stored to be sent to other nodes, by id
        self.outboxes: Outboxes | None = None  # there is none without a journal
        if self._storage is not None:
            self.outboxes = Outboxes(self, self.courier, self._storage, self.unsent)
        self._remote: dict[str, RemoteEntry] = {}

    def recipient(self, to: Any) -> Any:
        """Who takes a send: the entry of a runtime here, or what carries it to another node."""
        if isinstance(to, str) and self._is_elsewhere(to):
            return self.remote_entry(to)
        return super().recipient(to)

    def addressee(self, id: str) -> Any:
        """Who takes what another node has sent to an id."""
        is_here = id in self._entries or self.placement.node_of(id) == self.node
        return super().recipient(id) if is_here else self.remote_entry(id)

    def elsewhere(self, entry: Any) -> Any:
        """What takes a send in place of an entry that was moved to another node; None of any other."""
        return self.remote_entry(entry.id) if self._is_elsewhere(entry.id) else None

    def _is_elsewhere(self, id: str) -> bool:
        if id in self.courier.rerouting.routes or id in self.unsent:
            return True  # what is sent now comes after what was sent before
        return id not in self._entries and self.placement.node_of(id) != self.node

    def remote_entry(self, id: str) -> RemoteEntry:
        """What carries activities to a runtime that is on another node."""
        found = self._remote.get(id)
        if found is not None:
            return found
        if self.outboxes is None:
            return self._remote.setdefault(id, RemoteEntry(self.courier, id))
        return self._remote.setdefault(id, OutboxEntry(self.courier, id, self.outboxes))

    def carry_out(self, name: str, *arguments: Any) -> Any:
        """Carry out a command of another node. The loop's thread."""
        command: Any = {
            "add_node": self.placement.add,
            "breakpoints": self.breakpoint_changes.fetch,
            "contact": self._contact,
            "create": self.create_all,
            "discard": self.discard,
            "escalations": self.escalations.fetch,
            "dismiss_node": self.dismiss_node,
            "do": self._do,
            "fates": self.fates,
            "forget_loss": self.placement.forget_loss,
            "greet": self.greet,
            "group": self.make_group,
            "group_failures": self.escalations.read_failures,
            "hand_over": self.mover.hand_over,
            "has_arrived": self.mover.has_arrived,
            "ids": lambda: list(self),
            "lose": self.lose_node,
            "metrics": self.node_readings.read,
            "note_losses": self.placement.note_losses,
            "note_response": self._note_response,
            "pin_all": self.placement.pin_all,
            "recover_group": lambda name: self.groups.find(name).recover(),
            "reroute": self.courier.rerouting.reroute,
            "resume": self._resume,
            "resume_sending": self.resume_sending,
            "snapshots": self._snapshots,
            "stored": self._read_journal,
            "supervise": self.escalations.carry_out,
            "take_in": self.mover.take_in,
            "unsent": lambda: len(self.unsent),
            "waits": lambda id: read_waits(self.entry(id)),
        }[name]
        return command(*arguments)

    def create_all(self, wanted: list[Wanted]) -> None:
        """Make several runtimes; with the breakpoints that each had in a process that has ended."""
        for id, state, workflow, options in wanted:
            if id.startswith(PREFIX):
                raise ConfigurationError(
                    f"{id!r} is no id for a runtime of a cluster: {PREFIX!r} begins those of outboxes"
                )
            packed = options.get("breakpoints")
            if packed is None:
                self.create(id, state, workflow, **options)
            else:
                own = {name: value for name, value in options.items() if name != "breakpoints"}
                self.do(partial(self._create_with, packed, id, state, workflow, own))

    def _create_with(self, packed: Any, id: str, state: Any, workflow: Any, options: dict[str, Any]) -> None:
        """Make a runtime that stops where it did elsewhere. The loop's thread: so it has taken nothing before."""
        self.create(id, state, workflow, **options)
        restore_breakpoints(self.entry(id), packed)

    def note_breakpoints(self, entry: Any) -> None:
        """Have the driver keep a copy: this process may end."""
        self.breakpoint_changes.add(entry.id)

    def _resume(self, wanted: list[Wanted]) -> None:
        """Make those again that are in the journal of this node and not here."""
        self.create_all([each for each in wanted if self.stores(each[0])])

    def make_group(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Have a supervision group of all nodes here as well."""
        self.groups_made[name] = arguments, options
        self.group(name, *arguments, **options)

    def escalate(self, entry: Any) -> None:
        """Let the entry's group decide: the driver, if the group is on all nodes."""
        group = self.groups.of(entry.id)
        if group is None or group.name not in self.groups_made or entry.error is None:
            super().escalate(entry)
        else:
            self.escalations.add(entry, group.name)

    def _note_response(self, runtime: str, detail: dict[str, Any]) -> None:
        """Record what a group of all nodes has decided."""
        here = runtime if runtime in self._entries else ""
        self.ring.append(Event(self.number(), here, self.clock.now(), "escalated", None, detail))
        self.notify()

    def find_entry(self, id: str) -> Any:
        """The entry of a runtime that is here; None if there is none."""
        entry = self._entries.get(id)
        return None if entry is None or entry.closed else entry

    def is_away(self, id: str) -> bool:
        """Whether a runtime is on another node, or is leaving this one."""
        return id in self.mover.moving or (id not in self._entries and self.placement.node_of(id) != self.node)

    def _snapshots(self, metrics: bool) -> list[Snapshot]:
        return [without_receipts(shot) for shot in self.snapshots(metrics)]

    def _do(self, id: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if name not in (*COMMANDS, "snapshot"):
            raise ConfigurationError(f"a runtime on another node has no command {name!r}")
        if id in self.mover.moving or isinstance(self.addressee(id), RemoteEntry):
            return self._do_there(id, name, arguments, options)
        return without_receipts(getattr(self[id], name)(*arguments, **options))

    def greet(self, node: str = "") -> None:
        """Another process has a node now: it is sent again what it has not answered."""
        if node not in ("", self.node):
            self.courier.command(node, "greet")

    async def _do_there(self, id: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Have it done where a runtime is once it is moved."""
        await self.mover.wait_until_over(id)
        return await self.ask_node_of(id, "do", id, name, arguments, options)

    async def ask_node_of(self, id: str, name: str, *arguments: Any) -> Any:
        """What comes of a command on the node of a runtime."""
        promise = self.courier.command(self.placement.node_of(id), name, *arguments)
        await promise.wait()
        if isinstance(promise.value, AgentError):
            raise promise.value.copy()
        assert promise.value is not None
        return promise.value[0]

    # ---- what its workflows send to other nodes

    def resume_sending(self) -> None:
        """Send what an earlier life of this node had still to send, now that it is known where runtimes are."""
        if self.outboxes is not None:
            self.outboxes.resume_sending()

    def count_dead_sends(self, count: int) -> None:
        """So many activities were sent to other nodes, and became dead letters here."""
        with self.lock:
            self._retired += Fates(accepted=count, dead=count)

    def note_dead_send(self, activity: Activity[Any], error: AgentError) -> None:
        """Record why something that a workflow has sent is a dead letter."""
        detail = {"activity": activity.id, "parent": activity.parent, "error": error}
        self.ring.append(Event(self.number(), activity.source or "", self.clock.now(), "undelivered", None, detail))
        self.notify()

    # ---- what a move needs

    def make_entry(self, id: str, state: Any, workflow: Any, limits: Limits, wanted: Durability | None) -> Any:
        """An entry that is not in the map."""
        return self._make_entry(id, state, self.prepare(workflow, limits), limits, wanted)

    def check_joins(self, id: str, group: str | None, wanted: Durability | None) -> None:
        """Raise `AgentError` if a runtime can't be here: there is no such group, or nothing can be stored."""
        self.groups.limits(id, group, {})
        if wanted is not None and self._storage is not None:
            self._storage.check_writable(id)

    def join(self, entry: Any, group: str | None) -> None:
        """Put an entry into its group and into the map. The lock is held."""
        self.groups.join(entry, group)
        self._add(entry)

    def let_go(self, entry: Any) -> None:
        """A runtime is on another node now: of what was done here the counts stay. The lock is held."""
        for _, receipt in (entry.keys or {}).values():
            if receipt.value is not None:
                entry.count_past(receipt.value.fate, n=-1)
        entry.end_move()
        entry.detach_driver()
        self.busy.discard(entry)
        self.groups.leave(entry)
        self._remove(entry)
        self.terminated.pop(entry.id, None)
        self._remove_from_journal(entry)
        self.notify()

    def stores(self, id: str) -> bool:
        """Whether the journal of this node holds a runtime that nobody has created here yet."""
        return id not in self._entries and self._storage is not None and self._is_stored(id)

    async def wait_for_journal(self) -> None:
        """Wait until all that is to be stored by now is."""
        if self._storage is None:
            return
        stored = Promise[Any](RemoteEntry(self.courier, self.node))
        self._storage.append(then=lambda error: stored._decide(error or True))
        await stored.wait()
        if isinstance(stored.value, AgentError):
            raise stored.value.copy()

    def lose_node(self, node: str, gone: list[str]) -> None:
        """A node has ended for good, and with it these runtimes."""
        self.placement.remove(node, gone)
        self.courier.lose(node)
        self.note_node("node_lost", node)

    def discard(self, ids: Iterable[str]) -> None:
        """Remove from the journal of this node what had arrived on another one when this one ended."""
        for id in ids:
            stored = None if self.journal is None or self._storage is None else self.journal.find(id)
            if stored is not None and self._storage is not None:
                counts = {**stored.counts, "accepted": stored.counts.get("accepted", 0) - stored.waiting}
                self._storage.append(Removed(runtime=id, counts=counts))
                self._storage.forget(id)

    def _read_journal(self) -> dict[str, float]:
        """When each runtime was created that the journal of this node holds."""
        stored = [] if self.journal is None else self.journal.runtimes()
        return {each.id: each.created for each in stored if each.created is not None}

    async def _contact(self, node: str) -> None:
        """Wait until a node has all that was sent to it before."""
        if node != self.node:
            await self.courier.command(node, "ids").wait()

    def dismiss_node(self, node: str) -> None:
        """A node has left the cluster; nothing was on it any more."""
        self.placement.remove(node)
        self.courier.lose(node)
        self.note_node("node_removed", node)

    def note_node(self, kind: str, node: str, **detail: Any) -> None:
        """Record what has become of a node."""
        self.ring.append(Event(self.number(), "", self.clock.now(), kind, None, {"node": node, **detail}))
        self.notify()

    def status(self, host: str) -> NodeStatus:
        """How this node is. Any thread."""
        shots = self.snapshots()
        waiting = sum(sum(shot.depth) for shot in shots)
        now, done, links = self.clock.now(), self.fates().done, self.courier.backlog()
        return NodeStatus(self.node, host, len(shots), waiting, done, links, now, os.getpid())


class NodeHost:
    """One process of a cluster: it hosts a node, and those that it has taken over. Its methods are for any thread.

    The adapter of an engine is these five: `send_batch`, `events_since`, `status`, `snapshot`, `stop`; and `adopt`. Who
    looks at a node does so by `read_feed`.

    Args:
        node: The name of its own node.
        nodes: The names of all nodes.
        reach: Gives the peer of a node.
        open_journal: Opens the journal of a node; None where they live in memory.
        **options: Those of each manager.
    """

    def __init__(
        self,
        node: str,
        nodes: tuple[str, ...],
        reach: Callable[[str], Peer],
        open_journal: Callable[[str], Any] | None = None,
        **options: Any,
    ) -> None:
        self.name = node
        self.placement = Placement(nodes)
        self.managers: dict[str, NodeManager] = {}
        self._reach = reach
        self._open_journal = open_journal
        self._options = options
        self._slots: dict[tuple[str, str], Mailslot] = {}
        self._make(node)

    def _make(self, node: str) -> NodeManager:
        journal = None if self._open_journal is None else self._open_journal(node)
        manager = NodeManager(
            node, self.placement, partial(self._connect, node), journal is not None, journal=journal, name=node,
            **self._options,
        )  # fmt: skip
        self.managers[node] = manager
        return manager

    def _connect(self, node: str, other: str) -> Peer:
        return self._reach(other) if other in self.placement.nodes else self._slot(node, other)

    def _slot(self, node: str, reader: str) -> Mailslot:
        return self._slots.setdefault((node, reader), Mailslot())

    def manager(self, node: str) -> NodeManager:
        """The manager of a node that is here.

        Raises:
            UnreachableError: It is not.
        """
        found = self.managers.get(node)
        if found is None:
            raise UnreachableError(f"{node!r} is not in the process of {self.name!r}")
        return found

    async def take(self, data: bytes) -> bytes:
        """`send_batch` on the loop's thread."""
        batch = decode(data, type=Batch)
        return await exchange_here(self.manager(batch.receiver).courier, batch)

    def send_batch(self, data: bytes) -> bytes:
        """Take a batch of another node, or of a driver."""
        batch = decode(data, type=Batch)
        manager = self.manager(batch.receiver)
        return exchange_on(manager.loop, manager.courier, batch)

    async def fetch(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        """`events_since` on the loop's thread."""
        self.manager(node)
        return await self._slot(node, reader).fetch(answer, wait)

    def events_since(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        """Give a driver what a node has for it; see `Mailslot.fetch`."""
        return self.manager(node).run(self.fetch(node, reader, answer, wait))

    def read_feed(self, node: str, reader: str, data: bytes) -> bytes:
        """Answer a frame of whoever looks at a node; see `Readers.answer`."""
        return self.manager(node).readers.answer(reader, data)

    def status(self, node: str) -> NodeStatus:
        """How a node is."""
        return self.manager(node).status(self.name)

    def snapshot(self, id: str, metrics: bool = True) -> Any:
        """One runtime of a node here, without the receipts of its activities."""
        node = self.placement.node_of(id)
        return without_receipts(self.manager(node).snapshot(id, metrics))

    def adopt(self, node: str, wanted: list[Wanted], pins: Pins, groups: GroupsMade) -> None:
        """Take over a node whose process has ended: its runtimes go on from its journal."""
        self.placement.pin_all(pins)
        manager = self.managers[node] if node in self.managers else self._make(node)
        for name, given in groups.items():
            manager.make_group(name, *given)
        manager.discard(id for id, (where, _) in pins.items() if where != node)
        manager.create_all([each for each in wanted if each[0] not in manager])
        manager.do(manager.resume_sending)
        manager.note_node("node_adopted", node, host=self.name)

    def end_node(self, node: str) -> int:
        """End the manager of a node that has left the cluster; return how many are left here."""
        manager = self.managers.pop(node)
        manager.do(manager.courier.close)
        manager.close()
        return len(self.managers)

    def stop(self) -> None:
        """End all managers here."""
        for manager in self.managers.values():
            manager.do(manager.courier.close)
            manager.close()


def begins_again(wanted: Wanted) -> bool:
    """Whether a runtime begins again where its node has ended: its supervision says so."""
    supervision = wanted[3].get("supervision")
    policy = supervision.policy if isinstance(supervision, Supervision) else supervision
    return policy is not None and Policy(policy) is Policy.RESTART
