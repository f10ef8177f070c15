import asyncio
import threading
import warnings

import pytest

from agentrt import ActivityTimeoutError, Fate, MailboxFullError, ProcessingError, RuntimeManager
from agentrt.views.activity.activity import ActivityView
from agentrt.views.activity.activity_records import UNKNOWN
from agentrt.views.activity.causal_trace import RelatedRecords, causal_trace
from agentrt.views.activity.rules import applied_rules, fate_sentence
from agentrt.views.activity.sequence import TimeScale, sequence_svg
from agentrt.views.activity.traceback import places, traceback_html
from agentrt.views.feed import Update
from agentrt.views.runtime.diff import changes, diff_html
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serious, shown
from tests.harness.wait import wait_until
from tests.support import Gate, add, fail, forever, turns, virtual

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


def update(manager, cursor: int = 0) -> Update:
    records, _, missed = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {r.runtime for r in records}, missed=missed, first=not cursor)


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


# ---- the facts


@virtual
async def test_a_trace_has_what_went_before_and_after(manager):
    runtime = manager.create("sum", 0, add)
    for n in (1, 10):
        await runtime.ask(n)
    last = runtime.send_nowait(100)
    await last
    trace = causal_trace(manager.source, last.id)
    assert (trace.before, trace.after, trace.message.fate) == (11, 111, "done")
    manager.create("other", 7, add)
    await manager["other"].ask(1)
    again = runtime.send_nowait(1)
    await again
    assert causal_trace(manager.source, again.id).before == 111, "not the state of another runtime"
    first = causal_trace(manager.source, manager.ring.since(0)[0][1].id)
    assert (first.before, first.after) == (0, 1), "the initial state"
    await runtime.terminate()
    assert causal_trace(manager.source, first.id).before is UNKNOWN


@virtual
async def test_after_a_restart_it_meets_the_initial_state(manager):
    async def picky(activity, state):
        if activity.payload < 0:
            raise ValueError
        return state + activity.payload

    runtime = manager.create("picky", 100, picky, supervision="restart")
    await runtime.ask(1)
    for _ in range(5):
        runtime.send_nowait(-1)
    last = runtime.send_nowait(7)
    await last
    assert (causal_trace(manager.source, last.id).before, causal_trace(manager.source, last.id).after) == (100, 107)


@virtual
async def test_waiting_and_working_are_told_apart_and_grow(manager):
    gate = Gate()
    runtime = manager.create("gate", 0, gate, timeout=60)
    first, second = runtime.send_nowait(1), runtime.send_nowait(2)
    await gate.entered.wait()
    await asyncio.sleep(3)
    trace = causal_trace(manager.source, first.id)
    assert (trace.running, trace.wait, trace.service) == (True, 0, 3)
    assert fate_sentence(trace) == "It waited 0 s and has been processed for 3 s; its deadline is in 57 s."
    assert causal_trace(manager.source, second.id).place == 0
    assert fate_sentence(causal_trace(manager.source, second.id)) == "It has waited for 3 s, the first of its lane."
    gate.open.set()
    await second
    trace = causal_trace(manager.source, second.id)
    assert (trace.ended, trace.running, trace.wait, trace.service) == (True, False, 3, 0)


@virtual
async def test_its_place_counts_only_its_own_lane(manager):
    runtime = manager.create("sum", 0, add)
    runtime.pause()
    urgent = [runtime.send_nowait(1, priority=True) for _ in range(3)]
    plain = [runtime.send_nowait(1) for _ in range(2)]
    late = runtime.send_nowait(1, delay=5)
    assert [causal_trace(manager.source, receipt.id).place for receipt in (*urgent, *plain)] == [0, 1, 2, 0, 1]
    assert "1 activity of its lane before it; its runtime is paused" in fate_sentence(
        causal_trace(manager.source, plain[1].id)
    )
    assert fate_sentence(causal_trace(manager.source, late.id)) == "It is delayed for another 5 s."
    runtime.resume()
    await late


@virtual
async def test_causes_and_effects_are_found(manager):
    for name in "abcd":
        manager.create(name, 0, relay)
    first = manager["a"].send_nowait({"b": {"c": {"d": {}}, "d": {}}})
    await asyncio.sleep(10)
    ids = {r.runtime: r.id for r in manager.ring.since(0)[0] if r.kind == "accepted" and r.runtime != "d"}
    trace = causal_trace(manager.source, ids["b"])
    assert [each.runtime for each in trace.ancestors] == ["a"]
    assert sorted(each.runtime for each in trace.descendants) == ["c", "d", "d"]
    assert trace.correlation == first.id
    assert trace.spans[0].detail["name"] == "pass on"
    assert [each.runtime for each in causal_trace(manager.source, ids["c"]).ancestors] == ["a", "b"]


@virtual
async def test_it_says_which_step_it_is_in(manager):
    receipt = manager.create("a", 0, relay).send_nowait({})
    await asyncio.sleep(0.5)
    assert "has been processed for 500 ms, now in pass on." in fate_sentence(causal_trace(manager.source, receipt.id))
    await receipt


@virtual
async def test_a_large_family_is_bounded_and_says_so(manager):
    async def scatter(activity, state, ctx):
        for n in range(100):
            await ctx.send("sum", n)
        return state

    manager.create("sum", 0, add)
    root = manager.create("scatter", 0, scatter).send_nowait(1)
    await asyncio.sleep(1)
    trace = causal_trace(manager.source, root.id)
    assert len(trace.descendants) + trace.left_out == 100
    assert trace.left_out > 50
    view = ActivityView(manager.source, root.id)
    view.update(update(manager))
    assert "It caused 100 activities" in view.who.html
    assert f"{trace.left_out} more are not shown" in view.who.html


@virtual
async def test_a_family_taken_bit_by_bit_is_the_one_taken_at_once(manager):
    for name in "ab":
        manager.create(name, 0, relay)
    receipt = manager["a"].send_nowait({"b": {}})
    family, cursor = RelatedRecords(receipt.id), 0
    for _ in range(8):
        records, cursor, _ = manager.ring.since(cursor)
        family.take(records)
        await asyncio.sleep(0.5)
    assert causal_trace(manager.source, receipt.id, family) == causal_trace(manager.source, receipt.id)


@virtual
async def test_what_has_left_the_ring_is_said(manager):
    runtime = manager.create("sum", 0, add)
    first = runtime.send_nowait(1)
    await first
    manager.ring.limit = 600
    for _ in range(2000):
        runtime.send_nowait(0, priority=True)
        await turns(1)
    await asyncio.sleep(1)
    trace = causal_trace(manager.source, first.id)
    assert trace.message is None
    assert "no longer recorded" in fate_sentence(trace)
    assert "no activity 999999 yet" in fate_sentence(causal_trace(manager.source, 999_999))
    view = ActivityView(manager.source, first.id)
    assert view.update(update(manager)) is False
    assert "no longer recorded" in view.head.html


@virtual
async def test_what_is_left_of_it_on_the_ring_is_shown(manager):
    manager.create("a", 0, relay)
    manager.create("b", 0, relay)
    first = manager["a"].send_nowait({"b": {}})
    await asyncio.sleep(5)
    records = manager.ring.since(0)[0]
    child = next(r.id for r in records if r.kind == "accepted" and r.runtime == "b")
    late = RelatedRecords(first.id)
    late.take([record for record in records if record.sequence > first.id])
    trace = late.trace(manager.source)
    assert (trace.message.fate, trace.activity, trace.before) == ("done", None, UNKNOWN)
    assert [each.id for each in trace.descendants] == [child]
    orphan = RelatedRecords(child)
    orphan.take([record for record in records if record.sequence > first.id])
    assert orphan.trace(manager.source).lost_parent == first.id
    view = ActivityView(manager.source, child)
    view.related = orphan
    view.update(Update(manager.clock.now(), [], set()))
    assert f"activity {first.id}, which is no longer recorded" in view.head.html


# ---- which rule acted


@virtual
async def test_timeouts_say_whose(manager):
    runtime = manager.create("slow", 0, forever, timeout=2)
    own, limit = runtime.send_nowait(1, timeout=1), runtime.send_nowait(2)
    for receipt in (own, limit):
        with pytest.raises(ActivityTimeoutError):
            await receipt
    runtime.timeout = 50
    assert "its own timeout passed: 1 s" in words(causal_trace(manager.source, own.id))
    assert "the timeout of slow passed: 2 s" in words(causal_trace(manager.source, limit.id)), (
        "the limit as it was then"
    )
    assert causal_trace(manager.source, limit.id).message.fate == "timed_out"


@virtual
async def test_retries_are_listed_one_by_one(manager):
    runtime = manager.create("bad", 0, fail, retries=2, backoff=1)
    receipt = runtime.send_nowait(1)
    with pytest.raises(ProcessingError):
        await receipt
    said = words(causal_trace(manager.source, receipt.id))
    assert "attempt 1 failed (ValueError: no 1); it was tried again" in said
    assert "attempt 2 failed" in said
    assert "attempt 3, the last, failed too: the retries were exhausted" in said
    view = ActivityView(manager.source, receipt.id)
    view.update(update(manager))
    assert view.error.html.count("ValueError: no 1") == 1, "the last attempt's error, not those before it"
    once = manager.create("once", 0, fail).send_nowait(1)
    with pytest.raises(ProcessingError):
        await once
    assert "no retries are set" in words(causal_trace(manager.source, once.id))


@virtual
async def test_overflow_and_a_drop_by_hand_are_distinguished(manager):
    runtime = manager.create("full", 0, add, standard_capacity=1, overflow="drop_oldest")
    runtime.pause()
    oldest, kept = runtime.send_nowait(1), runtime.send_nowait(2)
    runtime.overflow = "drop_newest"
    newest = runtime.send_nowait(3)
    assert "drop_oldest" in words(causal_trace(manager.source, oldest.id))
    assert "drop_newest" in words(causal_trace(manager.source, newest.id))
    runtime.promote(kept.id)
    runtime.drop(kept.id)
    with pytest.raises(MailboxFullError):
        await kept
    said = words(causal_trace(manager.source, kept.id))
    assert "moved to the priority lane" in said
    assert "by a command" in said
    assert "overflow" not in said
    assert causal_trace(manager.source, kept.id).message.fate == "dropped"


@virtual
async def test_supervision_and_termination_are_listed(manager):
    restarted = manager.create("again", 0, fail, supervision="restart").send_nowait(1)
    for _ in range(5):
        manager["again"].send_nowait(1)
    stopped = manager.create("stop", 0, fail, supervision="stop")
    last = [stopped.send_nowait(n) for n in range(5)][-1]
    await asyncio.sleep(1)
    trace = [
        causal_trace(manager.source, r.id)
        for r in manager.ring.since(0)[0]
        if r.kind == "accepted" and r.runtime == "again"
    ]
    assert sum("restarted the runtime from its initial state" in words(each) for each in trace) == 1
    assert "stopped the runtime" not in words(causal_trace(manager.source, restarted.id))
    assert "the supervisor then stopped the runtime" in words(causal_trace(manager.source, last.id))
    gate = Gate()
    runtime = manager.create("gate", 0, gate)
    runs, waits = runtime.send_nowait(1), runtime.send_nowait(2)
    await gate.entered.wait()
    await runtime.terminate()
    assert "its runtime was terminated" in words(causal_trace(manager.source, runs.id))
    assert causal_trace(manager.source, waits.id).message.fate == "dead"
    assert "dead letter" in fate_sentence(causal_trace(manager.source, waits.id))


@virtual
async def test_a_group_that_ends_it_is_named(manager):
    manager.group("shop", "one_for_all")
    gate = Gate()
    innocent = manager.create("gate", 0, gate, group="shop").send_nowait(1)
    await gate.entered.wait()
    manager.create("bad", 0, fail, group="shop").send_nowait(HOSTILE)
    await asyncio.sleep(1)
    trace = causal_trace(manager.source, innocent.id)
    assert trace.message.fate == Fate.FAILED
    assert "supervision: 'gate' was restarted by its group 'shop'" in words(trace)
    assert "no retries" not in words(trace)


# ---- the difference of two states


def test_a_difference_is_listed_by_path():
    old = {"a": 1, "gone": 2, "deep": {"list": [1, 2, 3]}, "set": {1, 2}}
    new = {"a": 1, "deep": {"list": [1, 9]}, "set": {2, 3}, "new": "x"}
    found = {change.path: change.kind for change in changes(old, new)}
    assert found == {
        "gone": "removed",
        "deep.list[1]": "changed",
        "deep.list[2]": "removed",
        "set{}": "added",
        "new": "added",
    }
    assert len([c for c in changes(old, new) if c.path == "set{}"]) == 2
    assert changes(old, old) == []
    assert [change.path for change in changes(1, "1")] == [""], "another type is another value"


def test_a_difference_is_bounded_and_runs_nobodys_code():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("compared")

        def __hash__(self):
            return 0

        def __repr__(self):
            raise RuntimeError("shown")

    assert len(changes(list(range(10_000)), list(range(1, 10_001)))) == 200
    assert changes({"x": Odd()}, {"x": Odd()}) == []
    loop: list = []
    loop.append(loop)
    assert changes(loop, [[loop]]) is not None
    assert "<script" not in diff_html({HOSTILE: HOSTILE, "a": 1}, {HOSTILE: 1, "a": HOSTILE})
    assert "<img" not in diff_html({HOSTILE: HOSTILE}, {})


# ---- the error with its source


def raises(payload):
    return 1 / payload  # the line that fails


def test_an_error_has_the_lines_around_it():
    with pytest.raises(ZeroDivisionError) as caught:
        raises(0)
    found = places(caught.value)
    assert found[-1].function == "raises"
    lines = dict(found[-1].around)
    assert "the line that fails" in lines[found[-1].line]
    assert "def raises" in lines[found[-1].line - 1]
    html = traceback_html(caught.value)
    assert 'class="hit"' in html
    assert "the line that fails" in html


@virtual
async def test_only_the_workflows_own_frames_are_shown(manager):
    def divide(activity, state):
        return raises(activity.payload)

    async def asks(activity, state, ctx):
        return await ctx.ask("divide", 0)

    manager.create("divide", 0, divide)
    manager.create("asks", 0, asks, retries=1)
    with pytest.raises(ProcessingError) as caught:
        await manager["asks"].ask(1)
    cause = caught.value.__cause__
    assert [place.function.rpartition(".")[2] for place in places(cause)] == ["asks"]
    assert [place.function.rpartition(".")[2] for place in places(cause.__cause__)] == ["divide", "raises"]


def test_a_hostile_error_is_only_text():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError(HOSTILE)

    assert "can&#x27;t be shown" in traceback_html(Odd())
    error = ValueError(HOSTILE)
    error.__cause__ = Odd()
    error.__cause__.__cause__ = error
    assert "<script" not in traceback_html(error)


# ---- the view


@virtual
async def test_it_grows_and_then_stands_still(manager):
    gate = Gate()
    runtime = manager.create("gate", 0, gate)
    receipt = runtime.send_nowait(7)
    view = ActivityView(manager.source, receipt.id)
    assert view.update(update(manager)) is True
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
    view.update(update(manager))
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
    view.update(update(manager))
    child = view.trace.descendants[0].id
    assert f'data-with="activity/{child}"' in view.who.html
    assert 'data-with="runtime/a"' in view.head.html
    view.who._handle_msg({"do": "go", "with": f"activity/{child}"})
    assert went == [f"activity/{child}"]
    below = ActivityView(manager.source, child)
    below.update(update(manager))
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
            view.update(update(manager))
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
    view.update(update(manager))
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
        manager["orders"].send_nowait(payload).result(5)
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
        manager[bad].send_nowait(bad).result(5)
        last = manager[bad].send_nowait(bad, key=bad)
        last.result(5)
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
