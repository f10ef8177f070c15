import asyncio
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import Backoff, Runtime, RuntimeManager, Status
from agentrt.views.feed import Update
from agentrt.views.role import Commands, Role
from agentrt.views.runtime.where import Where
from tests.harness.wait import PATIENCE, wait_until
from tests.support import Gate, add, fail, virtual
from tests.views.runtime.support import html, shown
from tests.views.support import update

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>\ud800\x00\u202e"


async def inner(ctx, seconds):
    label = HOSTILE  # noqa: F841 - it is seen among the variables
    await ctx.sleep(seconds)


async def outer(activity, state, ctx):
    with ctx.step("deliver"), ctx.step(HOSTILE):
        await inner(ctx, activity.payload)
    return state + 1


async def asks(activity, state, ctx):
    first, *rest = activity.payload
    return await ctx.ask(first, rest or 100)


async def stubborn(activity, state):
    try:
        await asyncio.sleep(50)
    except asyncio.CancelledError:
        await asyncio.sleep(50)


# ---- what it says


@virtual
async def test_the_line_it_awaits_is_marked_with_the_chain_and_the_variables(manager):
    runtime = manager.create("a", 0, outer)
    receipt = runtime.send_nowait(100)
    await asyncio.sleep(10)
    view, page = shown(manager, runtime)
    line = inner.__code__.co_firstlineno + 2
    assert f'<span class="here"><i>► {line}</i>    await ctx.sleep(seconds)</span>' in page
    assert f"test_where.py, line {line}" in page
    assert "runs for <strong>10 s</strong>" in view.head.html
    assert "for time to pass, on the manager's clock" in view.head.html
    assert "deliver / &lt;script" in page
    assert page.index("<strong>outer</strong>") < page.rindex("<strong>inner</strong>"), "outermost first"
    assert "&lt;script&gt;boom()" in page
    assert "<script" not in page
    assert "<img" not in page
    assert ">str</div></th>" in page
    await receipt


@virtual
async def test_how_long_it_has_been_there(manager):
    runtime = manager.create("a", 0, outer)
    receipt = runtime.send_nowait(100)
    await asyncio.sleep(10)
    view, _ = shown(manager, runtime)
    assert "seen there" not in view.head.html
    await asyncio.sleep(30)
    assert view.update(update(manager)) is True
    assert "runs for <strong>40 s</strong>" in view.head.html
    assert "seen there for 30 s" in view.head.html
    await receipt


@virtual
async def test_two_readings_of_one_moment_do_not_contradict_each_other(manager):
    """The snapshot is of before an activity ended, and where it is of the next one."""
    gate = Gate()
    runtime = manager.create("a", (), gate)
    _, last = runtime.send_nowait(1), runtime.send_nowait(2)
    await gate.entered.wait()
    before = manager.source.snapshot("a", metrics=False)
    view, _ = shown(manager, runtime)
    gate.open.set()
    await last
    view.source = Mixed(manager.source, before)
    view.update(update(manager))
    assert "idle" in view.head.html
    assert "Nothing runs" in view.head.html


class Mixed:
    """A source whose first snapshot is an old one."""

    def __init__(self, source, old):
        self._source = source
        self._old = [old]

    def __getattr__(self, name):
        return getattr(self._source, name)

    def snapshot(self, id, metrics=True):
        return self._old.pop() if self._old else self._source.snapshot(id, metrics)


@virtual
async def test_another_function_of_the_chain_can_be_looked_at(manager):
    runtime = manager.create("a", 0, outer)
    receipt = runtime.send_nowait(100)
    await asyncio.sleep(1)
    view, _ = shown(manager, runtime)
    assert "Variables of inner" in view.body.html
    view.body.actions["frame"]("0")
    assert "Variables of outer" in view.body.html
    for odd in ("99", "-1", "x", HOSTILE):
        view.body.actions["frame"](odd)
    assert "<script" not in html(view)
    await receipt
    again = runtime.send_nowait(100)
    await asyncio.sleep(1)
    view.update(update(manager))
    assert "Variables of inner" in view.body.html, "the next activity starts afresh"
    await again


@virtual
async def test_the_chain_goes_on_through_other_runtimes(manager):
    went = []
    for id, flow in (("a", asks), (HOSTILE, asks), ("c", outer)):
        manager.create(id, 0, flow)
    receipt = manager["a"].send_nowait([HOSTILE, "c"])
    await asyncio.sleep(5)
    view, page = shown(manager, manager["a"], go=went.append)
    assert "It waits for" in page
    assert page.index("%3Cscript%3E") < page.index("runtime/c")
    assert "await ctx.sleep(seconds)" in page, "where the last of them stands"
    assert "<script" not in page
    view.body.actions["go"]("runtime/c")
    assert went == ["runtime/c"]
    await receipt


@virtual
async def test_whom_it_waits_for_may_be_paused(manager):
    manager.create("a", 0, asks)
    manager.create("b", 0, add).pause()
    receipt = manager["a"].send_nowait(["b"])
    await asyncio.sleep(5)
    _, page = shown(manager, manager["a"])
    assert "it processes nothing before it is resumed" in page
    manager["b"].resume()
    await receipt


@virtual
async def test_stuck_says_how_long_and_what_helps(manager):
    runtime = manager.create("a", 0, stubborn, timeout=2, grace=1)
    runtime.send_nowait(1)
    runtime.send_nowait(0)
    await asyncio.sleep(20)
    assert runtime.status is Status.STUCK
    view, page = shown(manager, runtime)
    assert "Stuck for <strong>17 s</strong>" in page
    assert "CancelledError" in page
    assert "1 activity waiting" in page
    assert f"► {stubborn.__code__.co_firstlineno + 4}" in page
    assert view.update(update(manager)) is True


@virtual
async def test_idle_says_what_it_did_last_and_teaches(manager):
    runtime = manager.create("a", 0, add)
    _, page = shown(manager, runtime)
    assert "Nothing runs." in page
    assert "send_nowait" in page
    await runtime.ask(1)
    await asyncio.sleep(30)
    view, page = shown(manager, runtime)
    assert 'data-with="activity/2"' in page
    assert f"at {manager.clock.wall(view.last.at):%H:%M:%S}" in page
    assert view.update(update(manager)) is False


@virtual
async def test_at_rest_the_last_activities_are_listed_newest_first(manager):
    runtime = manager.create("a", 0, add)
    ids = [(await runtime.send_nowait(n)).id for n in range(10)]
    view, _ = shown(manager, runtime)
    found = [int(id) for id in re.findall(r">activity (\d+)<", view.body.html)]
    assert found == ids[:-9:-1]
    assert "Its last activities" in view.body.html


@virtual
async def test_many_short_activities_do_not_flicker(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    gate.open.set()
    for n in range(3):
        await runtime.ask(n)
        await asyncio.sleep(0.2)
    gate.open.clear()
    receipt = runtime.send_nowait(4)
    await asyncio.sleep(0.1)
    view, page = shown(manager, runtime)
    assert "one short activity after the other" in page
    assert 'class="here"' not in view.body.html
    assert "async def __call__" in view.body.html
    assert view.update(update(manager)) is True
    await asyncio.sleep(1)
    view.update(Update(manager.clock.now(), [], set()))
    assert "await self.open.wait()" in view.body.html, "one that stays is shown"
    gate.open.set()
    await receipt
    await asyncio.sleep(5)
    assert view.update(Update(manager.clock.now(), [], set())) is False
    assert "Nothing runs." in view.head.html


@virtual
async def test_between_two_attempts_it_is_at_no_line(manager):
    runtime = manager.create("a", 0, fail, retries=1, backoff=Backoff(first=100))
    runtime.send_nowait(1)
    await asyncio.sleep(10)
    view, page = shown(manager, runtime)
    assert "waits before another attempt" in view.head.html
    assert "raise ValueError" in page, "its workflow is shown"
    assert 'class="here"' not in page
    await asyncio.sleep(200)


@virtual
async def test_a_pause_by_its_workflow_says_why_until_something_else_has_run(manager):
    async def pause_at_first(activity, state, ctx):
        if activity.payload == 0:
            ctx.pause(HOSTILE)
        return state + 1

    runtime = manager.create("a", 0, pause_at_first)
    for n in range(3):
        runtime.send_nowait(n)
    await asyncio.sleep(1)
    page = shown(manager, runtime)[1]
    assert "Paused by its workflow (&lt;script" in page
    assert "), 2 activities waiting. Step processes one" in page
    runtime.step()
    await asyncio.sleep(1)
    assert "Paused, 1 activity waiting" in shown(manager, runtime)[1]


@virtual
async def test_every_status_has_its_words(manager):
    runtime = manager.create("a", 0, fail, supervision="stop")
    runtime.pause()
    for n in range(7):
        runtime.send_nowait(n)
    assert "Paused, 7 activities waiting" in shown(manager, runtime)[1]
    runtime.resume()
    await asyncio.sleep(1)
    assert "its supervisor stopped it" in shown(manager, runtime)[1]
    await runtime.terminate()
    view, page = shown(manager, runtime)
    assert "It is terminated" in page
    assert view.stops.live.html == ""


@virtual
async def test_nothing_is_drawn_again_when_nothing_changed(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipt = runtime.send_nowait(HOSTILE)
    await gate.entered.wait()
    view, page = shown(manager, runtime)
    view.update(Update(manager.clock.now(), [], set()))
    assert html(view) == page
    gate.open.set()
    await receipt


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (lambda: asyncio.Event().wait(), "for an asyncio.Event to be set"),
        (lambda: asyncio.Queue().get(), "for something to come into an asyncio.Queue"),
        (lambda: asyncio.sleep(1000), "for time to pass"),
    ],
)
def test_what_it_waits_for_is_said_in_words(wait, words):
    @virtual
    async def test(manager):
        async def flow(activity, state):
            await asyncio.wait_for(wait(), 100) if activity.payload else await wait()
            return state

        runtime = manager.create("a", 0, flow)
        runtime.send_nowait(False)
        await asyncio.sleep(1)
        assert words in shown(manager, runtime)[0].head.html

    test()


# ---- breakpoints


@virtual
async def test_breakpoints_are_set_cleared_and_named(manager):
    runtime = manager.create("a", 0, add)
    commands = Commands(manager.source, who="operator (page)")
    view, _ = shown(manager, runtime, commands=commands)
    view.stops.live.actions["stop"]("standard")
    assert tuple(runtime.breakpoints) == ("standard",)
    receipt = runtime.send_nowait(1)
    await asyncio.sleep(1)
    view.update(update(manager))
    assert "Stopped by the breakpoint standard" in view.head.html
    view.stops.live.actions["stop"]("standard")
    assert len(runtime.breakpoints) == 0
    runtime.resume()
    await receipt

    def big(activity):
        return activity.payload > 10

    big.__qualname__ = HOSTILE
    runtime.breakpoints.add(big)
    view.update(update(manager))
    assert "&lt;script" in view.stops.live.html
    assert "<script" not in view.stops.live.html
    view.stops.live.actions["stop"]("0")
    assert len(runtime.breakpoints) == 0
    for odd in ("7", "x", "-1"):
        view.stops.live.actions["stop"](odd)
    acts = [record.who for record in manager.ring.since(0)[0] if record.kind.startswith("breakpoint_")]
    assert acts == ["operator (page)", "operator (page)", None, "operator (page)"]


@virtual
async def test_a_viewer_sets_no_breakpoint(manager):
    runtime = manager.create("a", 0, add)
    runtime.breakpoints.add("error")
    said = []
    commands = Commands(manager.source, role=Role.VIEWER, tell=lambda text, wrong: said.append(text))
    view, page = shown(manager, runtime, commands=commands)
    for at in ("standard", "error", "0"):
        view.stops.live.actions["stop"](at)
    assert tuple(runtime.breakpoints) == ("error",)
    assert len(said) == 3
    assert page.count("disabled") == 5


# ---- threads, processes, a blocked loop


@pytest.fixture
def live() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        manager.watchdog.after = 0.05
        yield manager


def test_a_worker_thread_shows_its_own_line(live):
    leave = threading.Event()

    def blocks(activity, state):
        leave.wait(PATIENCE)
        return state

    runtime = live.create("a", 0, blocks, blocking=True)
    receipt = runtime.send_nowait(1)
    try:
        wait_until(lambda: len(runtime.where()) > 1)
        _, page = shown(live, runtime)
        assert "in a worker thread of its own" in page
        assert "leave.wait(PATIENCE)</span>" in page
    finally:
        leave.set()
    receipt.result(PATIENCE)


def test_who_keeps_the_loop_is_told_and_what_it_means(live):
    leave = threading.Event()

    def spins(activity, state):
        while not leave.is_set():
            time.monotonic()
        return state

    runtime, other = live.create("a", 0, spins), live.create("b", 0, add)
    receipt = runtime.send_nowait(1)
    waiting = other.send_nowait(1)
    try:
        wait_until(lambda: any(record.kind == "blocked" for record in live.ring.since(0)[0]))
        _, page = shown(live, runtime)
        assert "It blocks the loop" in page
        assert "running on the loop's thread" in page
        assert "while not leave.is_set():" in page
        told = shown(live, other)[1]
        assert 'data-with="runtime/a">a</button> blocks the loop' in told, "who does not move is told why"
    finally:
        leave.set()
    receipt.result(PATIENCE)
    waiting.result(PATIENCE)
    _, page = shown(live, runtime)
    assert "blocked the loop for" in page
    assert "Nothing runs." in page


def nap(activity, state):
    time.sleep(activity.payload)
    return state


def test_another_process_can_not_be_looked_into(live):
    runtime = live.create("a", 0, nap, isolation="process")
    runtime.send_nowait(60)
    wait_until(lambda: runtime.status is Status.PROCESSING)
    view, page = shown(live, runtime)
    assert "in another process, whose frames can't be read" in page
    assert view.body.html == ""


# ---- in a real browser


@pytest.fixture
def opened(show):
    """Opens where a runtime is in the real browser."""

    def open(runtime: Runtime, **options: Any) -> Page:
        source = runtime.manager.source
        return show(runtime.manager, lambda feed: Where(source, runtime.id, schedule=feed.schedule, **options))

    return open


@pytest.mark.browser
def test_a_person_finds_the_line_and_follows_the_chain(live, opened):
    runtime, went = live.create("a", 0, outer), []
    page = opened(runtime, go=went.append)
    expect(page.get_by_text("Nothing runs.")).to_be_visible()
    stops = page.get_by_role("group", name="breakpoints")
    before = stops.bounding_box()
    runtime.send_nowait(1000)
    expect(page.locator(".here")).to_contain_text("await ctx.sleep(seconds)")
    assert stops.bounding_box() == before, "nothing jumps"
    expect(page.get_by_role("table")).to_contain_text("<script>boom()")
    page.get_by_role("button", name="outer").click()
    expect(page.locator(".here")).to_contain_text("await inner(ctx, activity.payload)")
    expect(page.get_by_role("button", name="outer")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="a standard activity").press("Enter")
    expect(page.get_by_role("button", name="a standard activity")).to_have_attribute("aria-pressed", "true")
    assert tuple(runtime.breakpoints) == ("standard",)
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_whom_it_waits_for_is_one_click_away(live, opened):
    live.create("b&c/d", 0, outer)
    runtime, went = live.create("a", 0, asks), []
    runtime.send_nowait(["b&c/d"])
    page = opened(runtime, go=went.append)
    page.get_by_role("button", name="b&c/d").click()
    wait_until(lambda: went == ["runtime/b%26c%2Fd"])
