import asyncio

import pytest

from agentrt import ActivityTimeoutError, Fate, MailboxFullError, ProcessingError
from agentrt.views.activity.activity import ActivityView
from agentrt.views.activity.causal_trace import causal_trace
from agentrt.views.activity.rules import applied_rules, fate_sentence
from tests.support import Gate, add, fail, forever, virtual
from tests.views.support import HOSTILE, update


def words(trace) -> str:
    return " | ".join(f"{rule.name}: {rule.words}" for rule in applied_rules(trace))


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
    view.update(update(manager, first=True))
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
