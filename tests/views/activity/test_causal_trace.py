import asyncio

from agentrt.views.activity.activity import ActivityView
from agentrt.views.activity.activity_records import UNKNOWN
from agentrt.views.activity.causal_trace import RelatedRecords, causal_trace
from agentrt.views.activity.rules import fate_sentence
from agentrt.views.feed import Update
from tests.support import Gate, add, turns, virtual
from tests.views.support import update


async def relay(activity, state, ctx):
    """Passes on what it is given, as far as its payload says."""
    with ctx.step("pass on"):
        await ctx.sleep(1)
        for to in activity.payload:
            await ctx.send(to, activity.payload[to])
    return state + 1


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
    view.update(update(manager, first=True))
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
    assert view.update(update(manager, first=True)) is False
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


@virtual
async def test_the_number_of_an_event_is_no_activity_and_says_so(manager):
    manager.create("a", 0, add)
    await manager["a"].ask(1)
    event = next(record for record in manager.ring.since(0)[0] if record.kind == "created")
    view = ActivityView(manager.source, event.sequence)
    view.update(update(manager))
    assert "an event has that number" in view.head.html
