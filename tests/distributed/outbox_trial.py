"""What the tests of the outboxes use: a cluster with a sender, a target, and journals that may end at any write."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from agentrt import Activity, MailboxFullError
from agentrt.errors import (
    AgentError,
)
from agentrt.journal.memory import MemoryJournal, MemoryLog
from tests.distributed.test_cluster import Cluster, collect, started

COUNT = 12  # activities of each sender; each sends two


class Journals:
    """Opens the journal of each node, in memory: each keeps what it had. One may end at a write."""

    def __init__(self) -> None:
        self.logs: dict[str, MemoryLog] = {}
        self.last: dict[str, Any] = {}  # the journal of each node that was opened last
        self.doomed: dict[str, tuple[int, Callable[[], object]]] = {}  # by node: after how many writes, and what then

    def __call__(self, node: str) -> MemoryJournal:
        journal = self.last[node] = EndingJournal(self, node)
        return journal

    def boxes(self) -> list[str]:
        """The outboxes that the journals still have."""
        return [id for log in self.logs.values() for id in MemoryJournal(log).ids() if id.startswith("outbox:")]


class EndingJournal(MemoryJournal):
    """A journal whose process ends right before one of its writes: that is not stored, and none after it."""

    def __init__(self, journals: Journals, node: str) -> None:
        super().__init__(journals.logs.setdefault(node, MemoryLog()))
        self.journals, self.node = journals, node
        self.has_ended = False

    def _submit(self, append: Any) -> None:
        doom = self.journals.doomed.get(self.node)
        if doom is not None and not self.has_ended:
            left, end = doom
            self.journals.doomed[self.node] = left - 1, end
            if left <= 0:
                self.has_ended = True
                del self.journals.doomed[self.node]
                end()
        if not self.has_ended:
            super()._submit(append)


async def relay(activity, state, ctx):
    """Pass on two numbers for each one."""
    for number in (2 * activity.payload, 2 * activity.payload + 1):
        await ctx.send("target", (ctx.runtime, number))
        await ctx.sleep(0.01)
    return state + 1


def count(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def send_mixed(activity, state, ctx):
    for payload in (1, 2, "no number"):
        await ctx.send("counts", payload, priority=isinstance(payload, str))
    return state


SEEN: list[Any] = []  # by workflows, which run in this process


class Order(Activity[int]):
    """An activity of a class of its own."""

    urgent: str = ""


async def send_and_wait(activity, state, ctx):
    receipt = await ctx.send("target", ("held", 1))
    assert receipt.outcome is None
    await ctx.sleep(10)
    return state + 1


async def fail_twice(activity, state, ctx):
    SEEN.append(await ctx.send("target", ("fails", len(SEEN))))
    if len(SEEN) < 3:
        raise ValueError("not yet")
    return state + 1


async def wait_for_it(activity, state, ctx):
    first = await ctx.send("target", ("waits", 0))
    second = await ctx.send("target", ("waits", 1))
    await second.stored()  # on the other node: else it would wait for its own commit
    SEEN.append((await second).state)
    SEEN.append(await ctx.ask("target", ("waits", 2)))
    SEEN.append(first.outcome)
    return state + 1


async def keep(activity, state, ctx):
    SEEN.append(await ctx.send("target", ("keeps", 1)))
    (await ctx.send("target", ("keeps", 2))).add_callback(lambda: SEEN.append("done"))
    return state


async def send_all_kinds(activity, state, ctx):
    await ctx.send("looks", "later", delay=20)
    await ctx.send("looks", "urgent", priority=True, key="once")
    await ctx.send("looks", "urgent", priority=True, key="once")
    await ctx.send("looks", "plain")
    return state


async def send_it(activity, state, ctx):
    for payload in (object(), b"x" * 3000):
        with pytest.raises(AgentError) as raised:
            await ctx.send("target", payload)
        SEEN.append(raised.value)
    return state + 1


async def send_order(activity, state, ctx):
    await ctx.send("looks", Order(payload=7, urgent="very"))
    return state


async def send_wrong(activity, state, ctx):
    SEEN.append(await ctx.send(*activity.payload))
    return state + 1


async def send_into_full(activity, state, ctx):
    try:
        SEEN[0].send_nowait("target", 0)
    except MailboxFullError as error:
        SEEN.append(str(error))
    with pytest.raises(MailboxFullError):
        await ctx.send("target", 0, wait=0)
    return state + 1


async def send_many(activity, state, ctx):
    for number in range(20):
        await ctx.send("target", ("many", number))
    return state + 1


async def send_and_stay(activity, state, ctx):
    await ctx.ask("echo", 1)
    await ctx.sleep(100)
    return state


async def send_back(activity, state, ctx):
    await ctx.send("mine", ctx.runtime)
    return state


def look(activity, state):
    SEEN.append(activity)
    return state


class Trial(msgspec.Struct):
    """A cluster with a collector on one node, and what sends to it on another."""

    cluster: Cluster
    journals: Journals
    sender: str

    @property
    def target(self) -> Any:
        return self.cluster.manager_of("target")["target"]

    @property
    def source(self) -> Any:
        """The manager of the node that sends."""
        return self.cluster.manager_of(self.sender)

    def run(self, work: Any) -> Any:
        return self.cluster.run(work)

    def make(self, id: str, state: Any, workflow: Any, **options: Any) -> Any:
        return self.cluster.do(lambda: self.cluster.manager.create(id, state, workflow, **options))

    def settle(self, seconds: float = 30) -> None:
        self.run(asyncio.sleep(seconds))

    def node_of(self, id: str) -> str:
        return self.cluster.manager.placement.node_of(id)


@contextmanager
def trials(seed: int = 0, workflow: Any = relay, collector: Any = collect, **options: Any) -> Iterator[Trial]:
    SEEN.clear()
    journals = Journals()
    with started(seed, open_journal=journals) as cluster:
        trial = Trial(cluster, journals, "sender")
        trial.make("target", (), collector, placement="node-2", **options)
        trial.make("sender", 0, workflow, placement="node-1", retries=3, backoff=0.01)
        yield trial


def numbers(state: Any, sender: str = "sender") -> list[int]:
    return [number for id, number in state if id == sender]


def send_all(trial: Trial, senders: tuple[str, ...] = ("sender",), count: int = COUNT) -> None:
    """Have each sender pass on its numbers; wait until all have arrived and nothing is on its way."""

    async def main() -> None:
        receipts = []
        for number in range(count):
            receipts += [trial.cluster.manager.send_nowait(id, number) for id in senders]
            await asyncio.sleep(0.05)
        for receipt in receipts:
            async with asyncio.timeout(600):
                assert (await receipt).kind == "done"

    trial.run(main())
    trial.settle(120)


def check_all(trial: Trial, senders: tuple[str, ...] = ("sender",), count: int = COUNT) -> None:
    """Each number of each sender once, in its order; no row is left."""
    state = trial.target.state
    assert {id: numbers(state, id) for id in senders} == {id: list(range(2 * count)) for id in senders}
    assert len(state) == 2 * count * len(senders)
    assert trial.journals.boxes() == []
