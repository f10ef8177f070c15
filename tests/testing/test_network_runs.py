"""Orders, losses and repeats under seeds: what holds under all of them, and a fault that is planted and found."""

import asyncio
from typing import Any

import pytest

from agentrt.distributed.cluster import ClusterManager
from agentrt.distributed.link import Inbox
from agentrt.errors import ConfigurationError
from agentrt.testing.network import Network
from agentrt.testing.network_runs import create_runtime, explore_network, run_network

SEEDS = range(25)


def collect(activity, state):
    return (*state, activity.payload)


async def relay(activity, state, ctx):
    await ctx.send("target", activity.payload)
    return state


async def two_senders(manager: ClusterManager, network: Network) -> Any:
    target = await create_runtime(manager, "target", (), collect)
    await create_runtime(manager, "relay", None, relay)

    async def send(name: str) -> None:
        for number in range(8):
            await (await manager.send(name, (name, number)))

    await asyncio.gather(send("target"), send("relay"))
    state = (await target.ask("end"))[:-1]
    for name in ("target", "relay"):
        assert [each for each in state if each[0] == name] == [(name, number) for number in range(8)]
    return state


def test_order_and_once_under_each_seed() -> None:
    found = explore_network(two_senders, SEEDS)
    assert (found.seeds, found.failures) == (len(SEEDS), {})


def test_a_seed_gives_the_same_run_again_and_another_one_another() -> None:
    results = [run_network(two_senders, seed) for seed in (*range(6), *range(6))]
    assert results[:6] == results[6:]
    assert len(set(results)) > 1


def test_a_link_that_takes_what_it_has_taken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_all(inbox: Inbox, batch: Any) -> Any:
        inbox.count = max(inbox.count, batch.first + len(batch.items) - 1)
        return batch.items

    monkeypatch.setattr(Inbox, "take", take_all)
    found = explore_network(two_senders, SEEDS)
    assert found.failures
    seed, error = next(iter(found.failures.items()))
    with pytest.raises(type(error)) as again:
        run_network(two_senders, seed)
    assert str(again.value) == str(error)


def test_what_is_refused_is_raised() -> None:
    async def scenario(manager: ClusterManager, network: Network) -> None:
        await create_runtime(manager, "a", 0, collect, standard_capacity=-1)

    with pytest.raises(ConfigurationError, match="standard_capacity"):
        run_network(scenario, 0, lose=0)
