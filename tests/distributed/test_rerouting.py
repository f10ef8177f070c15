"""What one sender sends comes in its order, whoever moves meanwhile, and however often."""

import asyncio
import random
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from agentrt.distributed.messages import ActivityItem, Item, MovedItem
from agentrt.distributed.placement import Placement
from agentrt.distributed.rerouting import Rerouting, Sent, no_receipt
from agentrt.errors import RuntimeFailedError
from agentrt.testing.network import Network
from agentrt.testing.network_runs import create_runtime, run_network
from tests.distributed.test_cluster import Cluster, collect, collect_slowly, in_memory_journals, started
from tests.distributed.test_mover import by_sender


class Courier:
    """What has sent, and sends again: here it notes where to."""

    name, is_durable = "a", False

    def __init__(self) -> None:
        self.host: Any = SimpleNamespace(lock=threading.RLock())
        self.placement = Placement(["a", "b", "c"])
        self.sent: dict[int, Sent] = {}
        self.on_their_way: Counter[str] = Counter()
        self.put_items: list[tuple[str, int, int]] = []
        self.refused: list[int] = []
        self.rerouting = Rerouting(self)  # type: ignore[arg-type]

    def send(self, number: int) -> None:
        node = self.placement.node_of("target")
        sent = self.sent[number] = Sent(node, ActivityItem(number, "target", None), no_receipt, None)
        self.on_their_way[node] += 1
        if self.rerouting.enter(sent):
            self.put(node, sent.offer)

    def put(self, node: str, item: Item) -> None:
        assert isinstance(item, ActivityItem)
        self.put_items.append((node, item.number, item.epoch))

    def refuse(self, number: int, error: Exception) -> None:
        self.refused.append(number)

    def explain_loss(self, node: str) -> Exception:
        return RuntimeError(node)


@pytest.fixture
def courier() -> Courier:
    made = Courier()
    made.rerouting.reroute("target", "b", 1)
    return made


def test_another_route_opens_once_nothing_is_on_the_one_before(courier: Courier) -> None:
    for number in (1, 2, 3):
        courier.send(number)
    courier.rerouting.reroute("target", "c", 2)
    courier.send(4)
    courier.rerouting.leave("target", [1])
    courier.rerouting.send_after("b", MovedItem(2, "c", 2))
    assert courier.put_items == [("b", 1, 1), ("b", 2, 1), ("b", 3, 1)]
    courier.rerouting.send_after("b", MovedItem(3, "c", 2))
    assert courier.put_items[3:] == [("c", 2, 2), ("c", 3, 2), ("c", 4, 2)]
    assert +courier.on_their_way == {"b": 1, "c": 3}
    courier.rerouting.leave("target", [2, 3, 4])
    assert courier.rerouting.routes == {}


def test_a_runtime_that_is_back_has_a_route_of_its_own(courier: Courier) -> None:
    courier.send(1)
    courier.rerouting.reroute("target", "c", 2)
    courier.rerouting.reroute("target", "b", 3)
    courier.send(2)
    assert courier.put_items == [("b", 1, 1)]
    courier.rerouting.send_after("b", MovedItem(1, "b", 3))
    assert courier.put_items[1:] == [("b", 1, 3), ("b", 2, 3)]


def test_what_an_earlier_place_says_late_changes_nothing(courier: Courier) -> None:
    courier.send(1)
    courier.rerouting.send_after("b", MovedItem(1, "c", 2))
    courier.rerouting.send_after("b", MovedItem(1, "c", 2))
    assert courier.put_items == [("b", 1, 1), ("c", 1, 2)]


def test_what_is_sent_while_it_leaves_waits(courier: Courier) -> None:
    courier.send(1)
    courier.rerouting.hold("target")
    courier.send(2)
    courier.rerouting.reroute("target", "c", 2)
    courier.rerouting.release("target")
    assert courier.put_items == [("b", 1, 1)]
    courier.rerouting.leave("target", [1])
    assert courier.put_items[1:] == [("c", 2, 2)]


def test_nothing_waits_for_a_runtime_that_is_lost(courier: Courier) -> None:
    courier.send(1)
    courier.rerouting.hold("target")
    courier.send(2)
    courier.placement.remove("b", ["target"])
    courier.rerouting.leave("target", [1])
    courier.rerouting.release("target")
    assert (courier.refused, courier.rerouting.routes) == ([2], {})


def test_a_node_sends_back_what_was_sent_before_the_runtime_came_back() -> None:
    with started() as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create("target", (), collect))
        here = manager.placement.node_of("target")
        away = next(node for node in manager.nodes if node != here)
        for node in (away, here):
            cluster.run(manager.move_soon("target", node, None))
        epoch, found = manager.placement.epochs["target"], deliver(cluster, here, ActivityItem(5, "target", b""))
        assert found == [("elsewhere", MovedItem(5, here, epoch))]
        assert cluster.do(lambda: manager["target"].state) == ()


def test_what_is_sent_in_the_turn_in_which_a_node_is_back_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with started(open_journal=in_memory_journals()) as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create("target", (), collect))
        courier, receipts = manager.courier, []
        begin_again = courier._begin_again

        def send_and_begin_again(node: str, items: list[Item]) -> list[Item]:
            receipts.append(manager.send_nowait("target", 4))
            return begin_again(node, items)

        monkeypatch.setattr(courier, "_begin_again", send_and_begin_again)

        async def main() -> None:
            await manager.send_nowait("target", 1)
            cluster.kill("target")
            receipts.extend(manager.send_nowait("target", number) for number in (2, 3))
            for _ in range(3):
                await receipts[-1]

        cluster.run(main())
        assert cluster.manager_of("target")["target"].state == (1, 2, 3, 4)


def test_without_a_journal_what_is_put_in_that_turn_is_not_said_to_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with started() as cluster:
        manager, engine = cluster.manager, cluster.engine
        cluster.do(lambda: manager.create("target", (), collect))
        node, courier, put = manager.placement.node_of("target"), manager.courier, []
        begin_again = courier._begin_again

        def send_and_begin_again(node: str, items: list[Item]) -> list[Item]:
            put.extend((manager.send_nowait("target", 3), courier.command(node, "ids")))
            return begin_again(node, items)

        monkeypatch.setattr(courier, "_begin_again", send_and_begin_again)

        async def main() -> None:
            await manager.send_nowait("target", 1)
            there = manager.remote_entry("target")
            taken = courier.command(node, "do", "target", "pause", (), {})
            await taken.wait()
            lost = await there.send(2)
            engine.kill(node)
            engine.hosts[node] = engine._start(node, engine.nodes)  # back before anybody has noticed
            cluster.manager_of("target").create("target", (), collect)
            asked = courier.command(node, "ids")
            with pytest.raises(RuntimeFailedError, match="has ended: what it had not answered"):
                await lost
            assert (await put[0]).state == (3,)
            for each in (asked, put[1]):
                await each.wait()
                assert each.value == (["target"],)

        cluster.run(main())


def deliver(cluster: Cluster, node: str, offer: ActivityItem) -> list[tuple[str, Item]]:
    """What a node answers to something that has arrived."""
    answers: list[tuple[str, Item]] = []
    deliveries = cluster.engine.host_of(node).managers[node].courier.deliveries
    deliveries._put = lambda receiver, item: answers.append((receiver, item))
    deliveries.deliver("elsewhere", offer)
    cluster.run(asyncio.sleep(1))
    return answers


# ---- over a bad network, under many seeds

COUNT = 30  # of what each sender is told to pass on, three times


async def pass_on_waiting(activity, state, ctx):
    for number in range(3 * activity.payload, 3 * activity.payload + 3):
        await ctx.send("target", (ctx.activity.runtime, number))
    return state


async def pass_on_at_once(activity, state, ctx):
    target = ctx._entry.host.recipient("target")
    for number in range(3 * activity.payload, 3 * activity.payload + 3):
        target.send_nowait((ctx.activity.runtime, number))
        target = ctx._entry.host.recipient("target")
    return state


async def move_about(manager: Any, id: str, chance: random.Random, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(chance.random() / 2)
        here = manager.placement.node_of(id)
        await manager.move_soon(id, chance.choice([node for node in manager.nodes if node != here]), None)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("workflow", [pass_on_waiting, pass_on_at_once])
def test_order_while_all_of_them_move(workflow: Any, seed: int) -> None:
    async def scenario(manager: Any, network: Network) -> list[tuple[str, int]]:
        capacity = 10 if workflow is pass_on_waiting else 1_000
        await create_runtime(manager, "target", (), collect_slowly, standard_capacity=capacity)
        for id in senders:
            await create_runtime(manager, id, 0, workflow)
        chance, receipts = random.Random(seed), []

        async def send() -> None:
            for number in range(COUNT):
                receipts.extend(manager.send_nowait(id, number) for id in senders)
                receipts.append(manager.send_nowait("target", ("outside", number)))
                await asyncio.sleep(0.1)

        moves = [move_about(manager, id, chance, 6) for id in senders]
        await asyncio.gather(send(), move_about(manager, "target", chance, 18), *moves)
        for receipt in receipts:
            await receipt.wait()
            assert receipt.outcome.kind == "done", receipt.outcome
        await asyncio.sleep(60)
        node = manager.placement.node_of("target")
        hosts = manager.engine.hosts.values()
        for courier in (manager.courier, *(each.courier for host in hosts for each in host.managers.values())):
            assert (courier.sent, courier.rerouting.routes, +courier.on_their_way) == ({}, {}, {})
        return list(manager.engine.host_of(node).managers[node]["target"].state)

    senders = ["first", "second", "third", "fourth"]
    expected = {id: list(range(3 * COUNT)) for id in senders} | {"outside": list(range(COUNT))}
    found = by_sender(tuple(run_network(scenario, seed)))
    assert {sender: numbers for sender, numbers in found.items() if numbers != expected[sender]} == {}
    assert set(found) == set(expected)
