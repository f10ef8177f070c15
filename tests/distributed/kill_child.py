"""A driver that is killed, and whose nodes are: senders to agents on all nodes, in both lanes, all of it durable.

Each agent passes on what it takes to a ledger on another node. It goes on with what the journals hold, and says what
was acknowledged. For each line on its standard input it writes where all that stands to its standard error.
"""

import asyncio
import sys
import threading
import time
from typing import Any

import msgspec

import agentrt.distributed
from agentrt import Activity, Context
from agentrt.distributed.cluster import ClusterManager

AGENTS = tuple(f"agent-{number}" for number in range(6))
LEDGERS = {agent: f"ledger-{number}" for number, agent in enumerate(AGENTS)}  # on another node
ALL = (*AGENTS, *LEDGERS.values())
REPORTED = "end of the report"
REPORT_PATIENCE = 10.0  # seconds for the answer of a node
SENDERS = 4  # to each agent; those with an odd number use the priority lane


class Numbers(msgspec.Struct, frozen=True):
    """How many were processed, and the last number of each sender."""

    count: int = 0
    last: tuple[int, ...] = (0,) * SENDERS
    wrong: str = ""


def take(activity: Activity[tuple[int, int]], state: Numbers) -> Numbers:
    """The next number of a sender; one that is not the next is remembered for good."""
    sender, number = activity.payload
    expected = state.last[sender] + 1
    wrong = state.wrong or ("" if number == expected else f"{number} of {sender} came instead of {expected}")
    last = (*state.last[:sender], number, *state.last[sender + 1 :])
    return Numbers(state.count + 1, last, wrong)


async def pass_on(activity: Activity[tuple[int, int]], state: Numbers, ctx: Context) -> Numbers:
    """Take a number, and send it to the ledger with the commit of that."""
    await ctx.send(LEDGERS[ctx.runtime], activity.payload, priority=activity.lane == "priority")
    return take(activity, state)


def say(*words: object) -> None:
    print(*words, flush=True)


def describe_node(manager: ClusterManager, node: str) -> str:
    try:
        return str(manager.run(manager.engine.status(node), REPORT_PATIENCE))
    except Exception as error:
        return f"{node}: {type(error).__name__}: {error}"


def write_report(manager: ClusterManager) -> None:
    """What a driver waits for, and what its nodes say."""
    courier = manager.courier
    lines = [f"report at {time.strftime('%H:%M:%S')}, not acknowledged: {courier.backlog()}"]
    lines += [f"route of {id}: {route}" for id, route in tuple(courier.rerouting.routes.items())]
    sent = tuple(courier.sent.values())
    lines += [f"sent to {id}: {[each.offer.number for each in sent if each.offer.runtime == id]}" for id in ALL]
    lines += [f"asked: {node}" for node, _ in tuple(courier._asked.values())]
    lines += [f"record at {each.at:.1f}: {each.kind} {each.detail}" for each in manager.ring.since(0)[0]]
    lines += [describe_node(manager, node) for node in manager.nodes]
    print(*lines, REPORTED, sep="\n", file=sys.stderr, flush=True)


def write_reports(manager: ClusterManager) -> None:
    """Write one for each line that comes."""
    for _ in sys.stdin:
        write_report(manager)


async def send_numbers(manager: ClusterManager, agent: str, sender: int, first: int) -> None:
    number = first
    while True:
        receipt = await manager.send(agent, (sender, number), priority=bool(sender % 2))
        say("accepted", agent, sender, number)
        if number % 3 == 0:
            await receipt
            say("done", agent, sender, number)
        number += 1


async def send_all(manager: ClusterManager, first: dict[str, list[int]]) -> None:
    await asyncio.gather(
        *(send_numbers(manager, agent, sender, first[agent][sender]) for agent in AGENTS for sender in range(SENDERS))
    )


def next_numbers(manager: ClusterManager, agent: str) -> list[int]:
    """What each sender of an agent is to send next: the journal knows what came before."""
    last = list(manager[agent].state.last)
    for activity in manager[agent].mailbox_items():
        sender, number = activity.payload
        last[sender] = max(last[sender], number)
    return [number + 1 for number in last]


def main() -> None:
    address, journal = sys.argv[1:]
    manager = agentrt.distributed.connect(address, nodes=3, journal=journal)
    limits: Any = {"standard_capacity": 10_000, "priority_capacity": 10_000, "backoff": 0.001}
    for agent in AGENTS:
        here = manager.create(agent, Numbers(), pass_on, **limits).node
        elsewhere = next(node for node in manager.nodes if node != here)
        manager.create(LEDGERS[agent], Numbers(), take, placement=elsewhere, **limits)
    threading.Thread(target=write_reports, args=(manager,), daemon=True).start()
    for status in manager.statuses():
        say("node", status.node, status.pid)
    manager.run(send_all(manager, {agent: next_numbers(manager, agent) for agent in AGENTS}))
