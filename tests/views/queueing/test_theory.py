"""Is this queue stable: measured windows, held against simulations and the long way round, and the words."""

import asyncio
import random

import pytest

from agentrt import Lane, RuntimeManager
from agentrt.queueing import mean_queue_length, mean_waits, utilisation
from agentrt.testing import virtual_manager
from agentrt.views.feed import Update
from agentrt.views.queueing.queue_window import QueueWindow
from agentrt.views.queueing.stability import ENOUGH
from agentrt.views.queueing.theory import Theory
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE
from tests.support import Gate, add, virtual
from tests.views.support import HOSTILE

# Every plot of the page, through all shadow roots, has a canvas of some size.
WIDE_ENOUGH = """() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap((e) => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e])
  const plots = all(document).filter((e) => e.classList.contains('bk-Figure'))
  const loading = document.body.classList.contains('pn-loading')
  return !loading && plots.length === 4 && plots.every((e) =>
    e.shadowRoot.querySelector('.bk-Canvas').clientWidth > 150)
}"""


async def serve(activity, state):
    await asyncio.sleep(activity.payload)
    return state + 1


async def arrive(runtime, rate, mean, until, chance, *, priority=False):
    loop = asyncio.get_running_loop()
    end = loop.time() + until
    while loop.time() < end:
        await asyncio.sleep(chance.expovariate(rate))
        runtime.send_nowait(chance.expovariate(1 / mean), priority=priority)


def update(manager, cursor=0, *, first=False, missed=0) -> Update:
    records, _, _ = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {record.runtime for record in records}, first=first, missed=missed)


def simulated(manager, seconds, rates, mean=1.0, seed=1, **options):
    """A runtime to which both lanes' activities have come for so many seconds."""
    runtime = manager.create("server", 0, serve, priority_capacity=5000, **{"standard_capacity": 5000, **options})
    chance = random.Random(seed)

    async def together():
        await asyncio.gather(
            arrive(runtime, rates[0], mean, seconds, chance, priority=True),
            arrive(runtime, rates[1], mean, seconds, chance),
        )

    manager.run(together())
    return runtime


def reading_of(runtime, span):
    window = QueueWindow(span)
    records, _, _ = runtime.manager.ring.since(0)
    window.start(max(records[0].at, runtime.manager.clock.now() - span), [])
    window.take(records)
    shot = runtime.snapshot()
    return window.read(shot.at, shot.current, shot.started)


def the_long_way(manager, since, now, lane):
    """The mean length of a lane from the intervals of all its activities."""
    records, _, _ = manager.ring.since(0)
    ends = {r.id: (r.finished if r.started is None else r.started) for r in records if r.kind == "done"}
    shot = manager["server"].snapshot()
    if shot.current is not None:
        ends[shot.current.id] = shot.started
    accepted = [r for r in records if r.kind == "accepted" and r.lane is lane]
    area = sum(max(0.0, min(now, ends.get(r.id, now)) - max(since, r.created)) for r in accepted)
    return area / (now - since)


def test_a_simulation_is_as_theory_says():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 6_000, (0.3, 0.4), fairness=None)
        reading = reading_of(runtime, 1e6)
    streams = reading.priority.stream, reading.standard.stream
    assert reading.busy == pytest.approx(0.7, abs=0.05)
    assert reading.busy == pytest.approx(utilisation(*streams), abs=0.01)
    for queue, expected in zip((reading.priority, reading.standard), mean_waits(*streams), strict=True):
        assert mean_queue_length(queue.rate, queue.wait) == pytest.approx(queue.length, rel=0.02)
        assert queue.wait == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("span", [40.0, 333.3, 2_000.0])
def test_the_window_is_what_counting_the_long_way_gives(span):
    with virtual_manager(seed=2) as manager:
        runtime = manager.create("server", 0, serve, standard_capacity=5000)
        chance = random.Random(3)
        window = QueueWindow(span)
        window.start(manager.clock.now(), [])
        cursor = 0
        for _ in range(30):
            manager.run(arrive(runtime, 0.9, 1, 40, chance, priority=chance.random() < 0.3))
            records, cursor, _ = manager.ring.since(cursor)
            window.take(records)
            shot = runtime.snapshot()
            reading = window.read(shot.at, shot.current, shot.started)
            since = shot.at - reading.span
            for lane, queue in zip(Lane, (reading.priority, reading.standard), strict=True):
                assert queue.length == pytest.approx(the_long_way(manager, since, shot.at, lane), abs=1e-6)
            assert 0 <= reading.busy <= 1 + 1e-9
            assert len(window.sums.slots) <= 62


@virtual
async def test_one_that_is_moved_is_counted_in_the_lane_it_ends_in(manager):
    gate = Gate()
    runtime = manager.create("server", 0, gate)
    runtime.send_nowait(0)
    await gate.entered.wait()
    moved = runtime.send_nowait(1)
    window = QueueWindow(300)
    window.start(manager.clock.now(), [])
    window.take(manager.ring.since(0)[0])
    runtime.promote(moved.id)
    cursor = manager.ring.cursor
    gate.open.set()
    await moved
    window.take(manager.ring.since(cursor)[0])
    await asyncio.sleep(10)
    reading = window.read(manager.clock.now())
    assert (reading.priority.arrived, reading.standard.arrived) == (1, 1)
    assert reading.standard.length == pytest.approx(0, abs=1e-9)


def test_a_stable_queue_is_said_to_be_one():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 290, (1.5, 2.5), mean=0.1)
        view = Theory(runtime.manager.source, runtime.id)
        assert view.update(update(manager, first=True)) is True
    assert "Stable: it is busy 3" in view.say.html or "Stable: it is busy 4" in view.say.html
    assert "Poisson arrivals" in view.say.html
    assert "fairness is 8 here" in view.say.html
    assert "Little's law" in view.say.html
    assert "predicted (M/G/1)" in view.lanes.html
    assert "M/G/1 is the queue of the textbook" in view.lanes.html, "it is explained where it stands"
    assert view.body.visible
    assert len(view.curve.dots.data["wait"]) == 2


def test_one_that_is_not_says_when_it_is_full():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 60, (2, 18), mean=0.1, standard_capacity=1000)
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        words = view.say.html
    assert "Not stable: " in words
    assert "The standard lane grows by" in words
    assert "and is full (1,000) in" in words
    assert "ever longer" in view.lanes.html


def test_a_full_lane_is_named_before_all_else():
    with virtual_manager(seed=1) as manager:
        runtime = manager.create("server", 0, serve, standard_capacity=30, overflow="drop_newest")
        manager.run(arrive(runtime, 40, 0.1, 60, random.Random(1)))
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        words = view.say.html
    assert "The standard lane is full (30)" in words
    assert "refused" in words


def test_too_little_says_how_much_is_missing():
    with virtual_manager(seed=1) as manager:
        runtime = manager.create(HOSTILE, HOSTILE, serve)
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        assert "Nothing has come yet" in view.say.html
        assert not view.body.visible
        runtime = manager.create("some", 0, serve)
        for _ in range(7):
            manager.run(runtime.ask(0.1))
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        assert f"7 ended in the last 700 ms; {ENOUGH - 7} more" in view.say.html
        assert "<script" not in view.say.html


def test_what_comes_later_costs_no_look_at_what_was():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 60, (1, 1), mean=0.1)
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        taken = []
        view.window.take = taken.extend
        cursor = manager.ring.cursor
        manager.run(runtime.ask(0.1))
        view.update(update(manager, cursor))
        assert taken == manager.ring.since(cursor)[0]


def test_a_gap_in_the_records_starts_the_window_anew():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 60, (1, 1), mean=0.1)
        view = Theory(runtime.manager.source, runtime.id)
        view.update(update(manager, first=True))
        before = view.window
        view.update(update(manager, manager.ring.cursor, missed=3))
        assert view.window is not before
        assert view.window.read(manager.clock.now()).arrived == before.read(manager.clock.now()).arrived


def test_it_stands_still_when_the_window_is_empty():
    with virtual_manager(seed=1) as manager:
        runtime = simulated(manager, 30, (1, 1), mean=0.1)
        view = Theory(runtime.manager.source, runtime.id)
        assert view.update(update(manager, first=True)) is True
        cursor = manager.ring.cursor
        manager.run(asyncio.sleep(1000))
        assert view.update(update(manager, cursor)) is False
        assert "nothing came in the last" in view.say.html


@pytest.mark.browser
def test_on_its_page_the_curve_has_its_size_and_the_page_is_done_loading(page):
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        for n in range(2 * ENOUGH):
            runtime.send_nowait(1, priority=n % 2 == 0).result(PATIENCE)
        with serving(manager.serve(port=0)) as server:
            page.goto(server.url.replace("/?", "/theory/a?", 1))
            page.get_by_text("Mean wait over load").wait_for()
            page.wait_for_function(WIDE_ENOUGH)
