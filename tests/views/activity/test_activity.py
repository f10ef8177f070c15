import asyncio
import threading
import warnings

import pytest

from agentrt import RuntimeManager
from agentrt.views.activity.activity import ActivityView
from agentrt.views.activity.causal_trace import causal_trace
from agentrt.views.activity.rules import applied_rules
from agentrt.views.activity.sequence import TimeScale, sequence_svg
from agentrt.views.feed import Update
from agentrt.views.theme import FATES
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serious, shown
from tests.harness.wait import PATIENCE, wait_until
from tests.support import Gate, add, fail, virtual
from tests.views.support import HOSTILE, update


def words(trace) -> str:
    return " | ".join(f"{rule.name}: {rule.words}" for rule in applied_rules(trace))


def html_of(view: ActivityView) -> str:
    return "".join(part.html for part in (view.head, view.who, view.change, view.payload, view.reply, view.error))


async def relay(activity, state, ctx):
    """Passes on what it is given, as far as its payload says."""
    with ctx.step("pass on"):
        await ctx.sleep(1)
        for to in activity.payload:
            await ctx.send(to, activity.payload[to])
    return state + 1


# ---- the view


@virtual
async def test_it_grows_and_then_stands_still(manager):
    gate = Gate()
    runtime = manager.create("gate", 0, gate)
    receipt = runtime.send_nowait(7)
    view = ActivityView(manager.source, receipt.id)
    assert view.update(update(manager, first=True)) is True
    await gate.entered.wait()
    await asyncio.sleep(2)
    assert view.update(Update(manager.clock.now(), [], set())) is True
    assert "has been processed for 2 s" in view.head.html
    gate.open.set()
    cursor = manager.ring.cursor
    await receipt
    assert view.update(update(manager, cursor)) is False
    assert "the state after it is committed" in view.head.html
    events: list = []
    for part in (view.head, view.who, view.change, view.payload):
        part.param.watch(events.append, "html")
    await asyncio.sleep(5)
    assert view.update(Update(manager.clock.now(), [], set())) is False
    assert events == []


@virtual
async def test_another_activity_of_the_runtime_draws_nothing_again(manager):
    runtime = manager.create("sum", 0, add)
    receipt = runtime.send_nowait(1)
    await receipt
    view = ActivityView(manager.source, receipt.id)
    view.update(update(manager, first=True))
    trace = view.trace
    cursor = manager.ring.cursor
    await runtime.ask(1)
    view.update(update(manager, cursor))
    assert view.trace is trace


@virtual
async def test_it_links_to_its_runtime_and_its_relatives(manager):
    went = []
    for name in ("a", "b/c"):
        manager.create(name, 0, relay)
    first = manager["a"].send_nowait({"b/c": {}})
    await asyncio.sleep(5)
    view = ActivityView(manager.source, first.id, go=went.append)
    view.update(update(manager, first=True))
    child = view.trace.descendants[0].id
    assert f'data-with="activity/{child}"' in view.who.html
    assert 'data-with="runtime/a"' in view.head.html
    view.who._handle_msg({"do": "go", "with": f"activity/{child}"})
    assert went == [f"activity/{child}"]
    below = ActivityView(manager.source, child)
    below.update(update(manager, first=True))
    assert 'data-with="runtime/b%2Fc"' in below.head.html
    assert f'data-with="activity/{first.id}"' in below.head.html


@pytest.mark.filterwarnings("ignore:the state of")
@virtual
async def test_hostile_strings_are_only_text(manager):
    async def nasty(activity, state, ctx):
        with ctx.step(HOSTILE):
            ctx.log(HOSTILE)
            ctx.reply({HOSTILE: HOSTILE})
            await ctx.send(HOSTILE + "2", HOSTILE, key=HOSTILE)
        return {HOSTILE: HOSTILE}

    manager.create(HOSTILE, {}, nasty)
    manager.create(HOSTILE + "2", 0, fail)
    manager[HOSTILE].send_nowait(HOSTILE)
    manager[HOSTILE].send_nowait(HOSTILE)
    await asyncio.sleep(1)
    for record in manager.ring.since(0)[0]:
        if record.kind == "accepted":
            view = ActivityView(manager.source, record.id)
            view.update(update(manager, first=True))
            html = html_of(view) + view.inside.html
            assert "<script" not in html
            assert "<img" not in html


@pytest.mark.filterwarnings("ignore:the state of")
@virtual
async def test_a_state_changed_in_place_is_not_called_unchanged(manager):
    def into(activity, state):
        state.append(activity.payload)
        return state

    runtime = manager.create("list", [], into)
    await runtime.ask(1)
    receipt = runtime.send_nowait(2)
    await receipt
    view = ActivityView(manager.source, receipt.id)
    view.update(update(manager, first=True))
    assert "changed in place" in view.change.html


def test_the_way_down_keeps_the_order_and_a_bound():
    rows = TimeScale.of([0, 1e-6, 1, 1, 1e6])
    ways = [rows.at[time] for time in (0, 1e-6, 1, 1e6)]
    assert ways == sorted(set(ways))
    assert rows.bottom < 400


@virtual
async def test_the_diagram_has_a_line_for_each_runtime_and_an_arrow_for_each_message(manager):
    for name in "abc":
        manager.create(name, 0, relay)
    first = manager["a"].send_nowait({"b": {"c": {}}, "a": {}})
    await asyncio.sleep(9)
    svg = sequence_svg(causal_trace(manager.source, first.id))
    assert svg.count('class="life"') == 4
    assert svg.count('class="tip"') == 4
    assert svg.count('class="waits"') == 4
    assert svg.count(f'd="{FATES["done"].drawing}"') == 4, "a check mark, drawn"
    assert FATES["done"].glyph not in svg, "not the sign of a root"


# ---- as a person sees it


async def order(activity, state, ctx):
    await ctx.send("till", activity.payload)
    return state + 1


def charge(activity, state):
    return state + 100 / activity.payload  # the line that divides


def failed(manager) -> int:
    """The number of an activity that fails, and that another one caused."""
    manager.create("orders", 0, order)
    manager.create("till", 1.0, charge)
    for payload in (4, 0):
        manager["orders"].send_nowait(payload).result(PATIENCE)
    wait_until(lambda: manager.fates().pending == 0)
    return next(r.id for r in manager.ring.since(0)[0] if r.kind == "failed")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["default", "dark"])
def test_a_person_reads_why_it_failed_and_who_caused_it(new_page, theme):
    went: list[str] = []
    page = new_page(viewport={"width": 1440, "height": 1100})
    with RuntimeManager(loop="thread") as manager:
        id = failed(manager)
        with shown(manager, lambda feed: ActivityView(manager.source, id, go=went.append)) as url:
            page.goto(f"{url}/?theme={theme}")
            page.locator("header .chip", has_text="failed").wait_for()
            loaded(page)
            page.get_by_text("its first error was its last: no retries are set").wait_for()
            page.get_by_text("ZeroDivisionError: division by zero").wait_for()
            page.locator(".hit", has_text="the line that divides").wait_for()
            page.get_by_text("Unchanged: it failed.").wait_for()
            assert page.locator("svg .life").count() == 3, "outside, orders, till"
            shoot(page, f"views/activity-{theme}")
            assert serious(page) == []
            page.get_by_role("button", name="activity").first.click()
            wait_until(lambda: went)
            assert went[0].startswith("activity/")
            page.locator("svg g[data-do] text").first.click()
            wait_until(lambda: len(went) == 2)
            assert went[1] == went[0]


@pytest.mark.browser
def test_it_is_seen_to_grow_and_to_end(page):
    with RuntimeManager(loop="thread") as manager:
        gate = threading.Event()

        async def waits(activity, state, ctx):
            while not gate.is_set():
                await ctx.sleep(0.01)
            return 1

        receipt = manager.create("slow", 0, waits, timeout=600).send_nowait(1)
        with shown(manager, lambda feed: ActivityView(manager.source, receipt.id)) as url:
            page.goto(url)
            page.locator("header .chip", has_text="processing").wait_for()
            loaded(page)
            said = page.locator(".say")
            before = said.inner_text()
            wait_until(lambda: said.inner_text() != before)
            assert "its deadline is in" in said.inner_text()
            gate.set()
            page.locator("header .chip", has_text="done").wait_for()


@pytest.mark.browser
def test_it_fits_a_narrow_page(new_page):
    page = new_page(viewport={"width": 400, "height": 1600})
    with RuntimeManager(loop="thread") as manager:
        id = failed(manager)
        with shown(manager, lambda feed: ActivityView(manager.source, id)) as url:
            page.goto(url)
            page.locator("header .chip", has_text="failed").wait_for()
            loaded(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
            shoot(page, "views/activity-400")


@pytest.mark.browser
def test_no_string_runs_as_a_script(new_page):
    bad = HOSTILE.replace("boom()", "window.owned=1")

    async def nasty(activity, state, ctx):
        with ctx.step(bad):
            ctx.log(bad)
            ctx.reply({bad: [bad]})
            await ctx.send(bad + "2", bad)
        return {bad: bad}

    def raises(activity, state):
        raise type(bad, (Exception,), {})(bad)

    with RuntimeManager(loop="thread") as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager.create(bad, {}, nasty)
        manager.create(bad + "2", 0, raises)
        manager[bad].send_nowait(bad).result(PATIENCE)
        last = manager[bad].send_nowait(bad, key=bad)
        last.result(PATIENCE)
        wait_until(lambda: manager.fates().pending == 0)
        child = max(r.id for r in manager.ring.since(0)[0] if r.kind == "accepted")
        for id in (last.id, child):
            page = new_page()
            with shown(manager, lambda feed, id=id: ActivityView(manager.source, id)) as url:
                page.goto(url)
                page.locator("header .chip").wait_for()
                loaded(page)
                for group in page.locator("svg g").all():
                    group.hover(force=True)
                assert page.evaluate("window.owned") is None
