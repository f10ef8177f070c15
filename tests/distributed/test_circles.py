"""Agents on several nodes that wait for each other get an error, and nobody waits for ever."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import ProcessingError
from tests.distributed.test_cluster import Cluster, started


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


async def ask_next(activity, state, ctx):
    """Asks the first of the ids that it is given, which asks the next."""
    first, *rest = activity.payload
    ctx.reply(await ctx.ask(first, rest) if rest else await ctx.ask(first, [first]))
    return state


async def wait_for_receipt(activity, state, ctx):
    first, *rest = activity.payload
    receipt = await ctx.send(first, rest)
    await receipt
    return state


CIRCLES = [("node-1", "node-2"), ("node-1", "node-2", "node-3"), ("node-1", "node-1", "node-2")]


@pytest.mark.parametrize("nodes", CIRCLES)
def test_a_circle_over_nodes_is_an_error_with_its_chain(cluster: Cluster, nodes: tuple[str, ...]) -> None:
    ids = ["a", "b", "c"][: len(nodes)]
    for id, node in zip(ids, nodes, strict=True):
        cluster.do(lambda id=id, node=node: cluster.manager.create(id, 0, ask_next, placement=node))
    before = cluster.loop.time()
    with pytest.raises(ProcessingError, match="would wait for itself") as raised:
        cluster.run(cluster.manager.ask("a", [*ids[1:], "a", "a"]))
    assert cluster.loop.time() < before + 30
    rotated = [[*ids[at:], *ids[:at], ids[at]] for at in range(len(ids))]
    texts = [f"DeadlockError: {' -> '.join(chain)}: {chain[0]!r} would wait" for chain in rotated]
    assert any(text in str(raised.value) for text in texts)
    assert cluster.do(lambda: {cluster.manager[id].status.value for id in ids}) <= {"idle", "error"}


def test_who_awaits_a_receipt_is_part_of_a_circle(cluster: Cluster) -> None:
    for id, node in (("a", "node-1"), ("b", "node-2")):
        cluster.do(lambda id=id, node=node: cluster.manager.create(id, 0, wait_for_receipt, placement=node))
    receipt = cluster.manager.send_nowait("a", ["b", "a", "b"])
    cluster.run(receipt.wait())
    assert receipt.outcome.kind == "failed"
    assert "a -> b -> a" in str(receipt.outcome.error) or "b -> a -> b" in str(receipt.outcome.error)


def test_two_that_ask_each_other_at_once_do_not_both_fail(cluster: Cluster) -> None:
    async def ask_other(activity, state, ctx):
        if activity.payload == "answer":
            ctx.reply("answered")
        else:
            await ctx.sleep(1)
            ctx.reply(await ctx.ask(activity.payload, "answer"))
        return state

    for id, node in (("a", "node-1"), ("b", "node-2")):
        cluster.do(lambda id=id, node=node: cluster.manager.create(id, 0, ask_other, placement=node))

    async def main() -> list[Any]:
        asked = [cluster.manager.ask("a", "b"), cluster.manager.ask("b", "a")]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = cluster.run(main())
    assert found.count("answered") == 1
    assert [isinstance(each, ProcessingError) for each in found].count(True) == 1


def test_a_long_chain_that_ends_is_none(cluster: Cluster) -> None:
    async def slow(activity, state, ctx):
        await ctx.sleep(60)
        ctx.reply("done")
        return state

    cluster.do(lambda: cluster.manager.create("a", 0, ask_next, placement="node-1"))
    cluster.do(lambda: cluster.manager.create("b", 0, ask_next, placement="node-2"))
    cluster.do(lambda: cluster.manager.create("c", 0, slow, placement="node-3"))
    assert cluster.run(cluster.manager.ask("a", ["b", "c"])) == "done"
