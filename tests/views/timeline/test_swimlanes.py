"""The timeline over all runtimes."""

import itertools
import time

import pytest

from agentrt import RuntimeManager
from agentrt.views.timeline.swimlanes import COLUMNS, KEEP, Swimlanes
from tests.support import Gate, add, fail, virtual
from tests.views.support import HOSTILE, update


@virtual
async def test_each_runtime_has_a_lane_and_each_end_a_bar(manager):
    for name in ("a", "b", HOSTILE):
        runtime = manager.create(name, 0, add)
        await runtime.ask(1)
        await runtime.ask(1, priority=True)
    view = Swimlanes(manager.source)
    view.update(update(manager, first=True))
    assert view.rows == {"a": 0, "b": 1, HOSTILE: 2}
    assert len(view.ended.data["y"]) == 6
    assert len(set(view.ended.data["y"])) == 6, "two lanes of each runtime, apart"
    assert "6 activities ended" in view.say.html
    assert set(view.ended.data) == set(COLUMNS)
    assert sorted(view.plot.yaxis.ticker.ticks) == sorted(view._middle(row) for row in range(3))


@virtual
async def test_what_runs_grows_and_what_fails_is_marked(manager):
    gate = Gate()
    waits = manager.create("waits", 0, gate)
    waits.send_nowait(1)
    await gate.entered.wait()
    with pytest.raises(Exception, match="no "):
        await manager.create("fails", 0, fail).ask(HOSTILE)
    view = Swimlanes(manager.source)
    assert view.update(update(manager, first=True)) is True
    assert len(view.now.data["y"]) == 1
    assert view.ended.data["fate"] == [8], "the mark of the one that failed"
    assert "1 of them not done; last" in view.say.html
    assert "<script" not in view.say.html
    gate.open.set()


@virtual
async def test_steps_are_nested_below_their_activity(manager):
    async def steps(activity, state, ctx):
        with ctx.step("outer"), ctx.step(HOSTILE):
            await ctx.sleep(1)
        return state

    await manager.create("a", 0, steps).ask(1)
    view = Swimlanes(manager.source)
    view.update(update(manager, first=True))
    outer, inner = sorted(zip(view.spans.data["y"], view.spans.data["words"], strict=True), reverse=True)
    assert "outer" in outer[1]
    assert "script" in inner[1]


@virtual
async def test_a_click_on_a_bar_opens_its_activity(manager):
    outcome = await manager.create("a", 0, add).send_nowait(1)
    opened = []
    view = Swimlanes(manager.source, go=opened.append)
    view.update(update(manager, first=True))
    view.ended.selected.indices = [0]
    assert opened == [f"activity/{outcome.id}"]
    assert view.ended.selected.indices == []


@virtual
async def test_frozen_it_stands_still_and_loses_nothing(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    view = Swimlanes(manager.source)
    view.update(update(manager, first=True))
    view._toggle()
    end, cursor = view.axis.range.end, manager.ring.cursor
    await manager.sleep(5)
    await runtime.ask(1)
    assert view.update(update(manager, cursor)) is False
    assert view.axis.range.end == end
    assert "Frozen" in view.say.html
    assert len(view.ended.data["y"]) == 1
    view._toggle()
    assert len(view.ended.data["y"]) == 2


@virtual
async def test_who_was_idle_longest_makes_room(manager):
    for n in range(4):
        await manager.create(f"r{n}", 0, add).ask(1)
    view = Swimlanes(manager.source, lanes=3)
    view.update(update(manager, first=True))
    assert set(view.rows) == {"r0", "r1", "r2"}
    assert "1 more runtime is not shown" in view.say.html
    cursor = manager.ring.cursor
    await manager.sleep(120)
    await manager["r3"].ask(1)
    view.update(update(manager, cursor))
    assert set(view.rows) == {"r3", "r1", "r2"}


@virtual
async def test_who_is_in_trouble_has_a_lane(manager):
    for n in range(3):
        await manager.create(f"r{n}", 0, add).ask(1)
    view = Swimlanes(manager.source, lanes=3)
    view.update(update(manager, first=True))
    cursor = manager.ring.cursor
    with pytest.raises(Exception, match="no "):
        await manager.create("broken", 0, fail).ask("x")
    view.update(update(manager, cursor))
    assert "broken" in view.rows
    assert len(view.rows) == 3


@virtual
async def test_who_does_most_has_a_lane_when_there_are_too_few(manager):
    for n in range(5):
        runtime = manager.create(f"r{n}", 0, add)
        for _ in range(n):
            await runtime.ask(1)
    view = Swimlanes(manager.source, lanes=2)
    view.update(update(manager, first=True))
    assert set(view.rows) == {"r4", "r3"}


@virtual
async def test_a_search_gives_lanes_to_the_names_that_hold_it(manager):
    for name in ("JFK", "LGA", "jfk-2"):
        await manager.create(name, 0, add).ask(1)
    view = Swimlanes(manager.source, search=True)
    view.update(update(manager, first=True))
    view.search("jfk")
    assert set(view.rows) == {"JFK", "jfk-2"}
    assert "2 activities ended" in view.say.html, "of those that are shown"
    assert len(view.ended.data["y"]) == 2
    view.search("nobody")
    assert "No runtime of that name" in view.say.html
    view.search("")
    assert set(view.rows) == {"JFK", "LGA", "jfk-2"}


@virtual
async def test_what_waits_is_drawn_although_nothing_runs(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    for n in range(3):
        runtime.send_nowait(n, priority=n == 2)
    await manager.sleep(4)
    view = Swimlanes(manager.source)
    assert view.update(update(manager, first=True)) is True, "it grows"
    assert sorted(view.now.data["words"]) == [
        "a: 1 activity waiting, the first for 4 s",
        "a: 2 activities waiting, the first for 4 s",
    ]
    assert view.now.data["started"] == view.now.data["finished"], "only waiting"
    waited = [end - begin for begin, end in zip(view.now.data["created"], view.now.data["finished"], strict=True)]
    assert waited == [pytest.approx(4000)] * 2


@virtual
async def test_waiting_is_drawn_once_however_many_wait(manager):
    async def slow(activity, state, ctx):
        await ctx.sleep(1)
        return state

    runtime = manager.create("a", 0, slow)
    for receipt in [runtime.send_nowait(n) for n in range(4)]:
        await receipt
    view = Swimlanes(manager.source)
    view.update(update(manager, first=True))
    data = view.ended.data
    drawn = sorted((begin, end) for begin, end in zip(data["created"], data["started"], strict=True))
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(drawn)), "side by side"
    assert sum(end - begin for begin, end in drawn) == pytest.approx(3000, abs=1)
    assert any("waited 3 s" in words for words in data["words"]), "in words it has waited as long as it has"


@virtual
async def test_alone_it_is_about_one_runtime(manager):
    for name in ("a", "b"):
        await manager.create(name, 0, add).ask(1)
    view = Swimlanes(manager.source, "b")
    view.update(update(manager, first=True))
    assert list(view.rows) == ["b"]


@pytest.mark.slow
def test_ten_thousand_runtimes_cost_little():
    with RuntimeManager(loop="thread") as manager:
        for n in range(10_000):
            manager.create(f"r{n}", 0, add)
        for n in range(10_000):
            manager.send_nowait(f"r{n}", 1)
        manager.run(manager["r9999"].ask(1))
        view = Swimlanes(manager.source)
        began = time.thread_time()
        view.update(update(manager, first=True))
        assert time.thread_time() - began < 1
        assert len(view.outcomes) <= KEEP
