"""How much flows, and what of it failed."""

import asyncio

from agentrt.views.flow.traffic import CELLS, Counts, Traffic
from tests.support import add, fail, virtual
from tests.views.flow.support import relay
from tests.views.support import update


@virtual
async def test_rates_and_failures_are_over_a_window_that_slides(manager):
    runtime = manager.create("bad", 0, fail)
    traffic = Traffic()
    for n in range(30):
        runtime.send_nowait(n)
        await asyncio.sleep(1)
    assert traffic.take(update(manager), 60) == [(None, "bad")]
    ((pair, flow),) = traffic.pairs.recent(30, 60).items()
    assert (pair, flow.sent, flow.failed, flow.lost) == ((None, "bad"), 30, 30, 0)
    assert flow.rate == 1, "over the half minute that it has lasted"
    (later,) = traffic.pairs.recent(75, 60).values()
    assert 10 <= later.sent <= 16, "cells of two seconds leave it one by one"
    assert traffic.pairs.recent(200, 60) == {}


@virtual
async def test_an_old_failure_is_not_recent_because_newer_sends_are_read_with_it(manager):
    runtime = manager.create("bad", 0, fail)
    runtime.send_nowait(1)
    await asyncio.sleep(50)
    runtime.swap(add)
    runtime.send_nowait(1)
    await asyncio.sleep(1)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    traffic.count_edges(lambda pair: pair, 60)
    for counts in (traffic.pairs, traffic.edges):
        (flow,) = counts.recent(90, 60).values()
        assert (flow.sent, flow.failed) == (1, 0)


def test_counts_can_be_summed_by_something_coarser():
    fine: Counts[str] = Counts(100)
    for at in range(30):
        fine.add(f"a{at % 2}", at, 2, 0)
        fine.add("b", at, 2, 1)
    coarse = fine.group_by(lambda key: key[0])
    assert {key: tuple(flow)[:2] for key, flow in coarse.recent(30, 60).items()} == {"a": (30, 0), "b": (0, 30)}
    assert 13 <= coarse.recent(75, 60)["a"].sent <= 17
    assert fine.recent(30, 60)["a0"].sent == 15, "what it was summed from stays"


@virtual
async def test_whose_failure_it_is_is_who_sent_it(manager):
    manager.create("a", 0, relay)
    manager.create("bad", 0, fail)
    manager["a"].send_nowait({"bad": 1})
    await asyncio.sleep(5)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    flow = traffic.pairs.recent(5, 60)
    assert flow["a", "bad"].failed == 1
    assert flow[None, "a"].failed == 0
    assert not traffic.open


@virtual
async def test_what_is_dropped_is_lost_and_not_failed(manager):
    runtime = manager.create("full", 0, add, standard_capacity=1, overflow="drop_oldest")
    runtime.pause()
    for _ in range(3):
        runtime.send_nowait(1)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    (flow,) = traffic.pairs.recent(0, 60).values()
    assert (flow.failed, flow.lost) == (0, 2)
    runtime.resume()
    await asyncio.sleep(1)


@virtual
async def test_counting_is_bounded(manager, monkeypatch):
    monkeypatch.setattr("agentrt.views.flow.traffic.PAIRS", 5)
    monkeypatch.setattr("agentrt.views.flow.traffic.OPEN", 7)
    traffic = Traffic()
    for n in range(20):
        manager.create(f"r{n}", 0, add).pause()
        manager[f"r{n}"].send_nowait(1)
    traffic.take(update(manager), 60)
    assert (len(traffic.pairs.of), len(traffic.open)) == (5, 7)
    assert list(traffic.pairs.of)[-1] == (None, "r19"), "the quiet ones go first"
    counter = traffic.pairs.of[None, "r19"]
    for at in range(1000):
        counter.add(at, 0.5, 0)
    assert len(counter.cells) <= 2 * CELLS
    for name in list(manager):
        manager[name].resume()
    await asyncio.sleep(1)
