"""Limits on resources: sizes of payloads and states, the rate at the door, the deadline in the lane."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentrt
from agentrt import (
    ActivityTimeoutError,
    ActivityValidationError,
    ConfigurationError,
    Fate,
    Lane,
    MailboxFullError,
    ProcessingError,
)
from agentrt.engine.mailbox import PrioritizedMailbox
from agentrt.testing.virtual import run


def adder(activity, state):
    return state + activity.payload


async def sleeper(activity, state, ctx):
    await ctx.sleep(activity.payload)
    return state + 1


def virtual(main):
    async def go():
        async with agentrt.RuntimeManager(loop="current", seed=1) as manager:
            return await main(manager, asyncio.get_running_loop())

    return run(go(), timeout=100_000)


@pytest.fixture
def manager():
    with agentrt.RuntimeManager() as manager:
        yield manager


# --- sizes


def test_a_payload_that_is_too_large_is_refused_at_the_door(manager):
    runtime = manager.create("x", "", adder, max_payload=1000)
    assert runtime.send_nowait("a" * 900).result(60).ok
    for large in ("a" * 1000, ["a"] * 1000, {"deep": [{"er": "a" * 1000}]}):
        with pytest.raises(ActivityValidationError, match=r"max_payload is 1,000") as caught:
            runtime.send_nowait(large)
        assert "" in caught.value.problems
        with pytest.raises(ActivityValidationError):
            manager.run(runtime.send(large, delay=1, key="k"))
        with pytest.raises(ActivityValidationError):
            runtime.validate(large)
    assert runtime.fates().accepted == 1


def test_a_payload_is_measured_each_time_not_only_the_first_of_its_type(manager):
    runtime = manager.create("x", "", lambda activity, state: state, max_payload=100)
    for _ in range(3):
        runtime.send_nowait("small").result(60)
        with pytest.raises(ActivityValidationError):
            runtime.send_nowait("large" * 100)


def test_a_state_that_is_too_large_fails_the_activity_and_stays_what_it_was(manager):
    runtime = manager.create("x", "", adder, max_state=1000)
    assert runtime.send_nowait("a" * 900).result(60).ok
    with pytest.raises(ProcessingError, match="max_state is 1,000"):
        runtime.send_nowait("a" * 200).result(60)
    assert runtime.state == "a" * 900
    assert runtime.send_nowait("b").result(60).ok


def test_without_limits_the_plain_mailbox_and_the_short_way_are_used(manager):
    plain = manager.create("plain", 0, adder)
    limited = manager.create("limited", 0, adder, rate=1e6, max_state=1000, max_payload=1000)
    for runtime in (plain, limited):
        runtime.send_nowait(1).result(60)
    assert type(plain.entry.mailbox) is PrioritizedMailbox
    assert (plain.entry.exact, plain.entry.exact_state) == (int, int)
    assert int not in (limited.entry.exact, limited.entry.exact_state)


# --- rate


def test_send_nowait_beyond_the_rate_is_refused_and_a_second_brings_as_many_again():
    async def main(manager, loop):
        runtime = manager.create("x", 0, adder, rate=5)
        for second in range(3):
            for _ in range(5):
                runtime.send_nowait(1)
            with pytest.raises(MailboxFullError, match="no more than 5 activities a second"):
                runtime.send_nowait(1)
            await asyncio.sleep(1)
            assert runtime.state == 5 * (second + 1)

    virtual(main)


def test_send_waits_for_the_rate_in_order():
    async def main(manager, loop):
        done = []

        def note(activity, state):
            done.append((activity.payload, loop.time()))
            return state

        runtime = manager.create("x", 0, note, rate=2)
        await asyncio.gather(*(runtime.send(n) for n in range(10)))
        assert [n for n, _ in done] == list(range(10))
        assert [at for _, at in done] == pytest.approx([0, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])
        with pytest.raises(MailboxFullError):
            await runtime.send(1, wait=0.1)

    virtual(main)


def test_a_rate_below_one_a_second_lets_one_in_at_once():
    async def main(manager, loop):
        runtime = manager.create("x", 0, adder, rate=0.1)
        for _ in range(4):
            await runtime.send(1)
        assert loop.time() == pytest.approx(30)

    virtual(main)


def test_what_waits_for_room_and_not_for_the_rate_sets_no_timer():
    async def main(manager, loop):
        runtime = manager.create("x", 0, sleeper, rate=1000, standard_capacity=1)
        runtime.send_nowait(100)
        await asyncio.sleep(0.01)
        runtime.send_nowait(0)
        waiting = asyncio.ensure_future(runtime.send(0))
        await asyncio.sleep(50)
        assert not runtime.entry.mailbox.armed
        assert not waiting.done()
        await (await waiting)
        assert loop.time() == pytest.approx(100, abs=0.1)

    virtual(main)


def test_dropping_policies_drop_beyond_the_rate_and_the_counts_add_up():
    async def main(manager, loop):
        for policy in ("drop_newest", "drop_oldest"):
            runtime = manager.create(policy, 0, adder, rate=3, overflow=policy)
            receipts = [runtime.send_nowait(n) for n in range(10)]
            await asyncio.sleep(0.1)
            fates = runtime.fates()
            assert (fates.accepted, fates.dropped, fates.done) == (10, 7, 3)
            kept = [n for n, receipt in enumerate(receipts) if receipt.outcome.ok]
            assert kept == ([0, 1, 2] if policy == "drop_newest" else [7, 8, 9])

    virtual(main)


def test_the_rate_holds_for_senders_in_many_threads(manager):
    manager.speed = 0
    runtime = manager.create("x", 0, adder, rate=50)
    refused = []

    def flood():
        for _ in range(50):
            try:
                runtime.send_nowait(1)
            except MailboxFullError as error:
                refused.append(error)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (runtime.fates().accepted, len(refused)) == (50, 150)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60), st.floats(0.2, 20))
def test_in_no_stretch_of_time_more_are_accepted_than_the_rate_allows(sends, rate):
    async def main(manager, loop):
        runtime = manager.create("x", 0, adder, rate=rate)
        accepted = []
        for pause, priority in sends:
            await asyncio.sleep(pause)
            try:
                runtime.send_nowait(1, priority=priority)
            except MailboxFullError:
                continue
            accepted.append(loop.time())
        for i, start in enumerate(accepted):
            for j, end in enumerate(accepted[i:], 1):
                assert j <= max(1, rate) + (end - start) * rate + 1e-6

    virtual(main)


# --- deadline


def test_an_activity_that_waits_longer_than_the_deadline_is_timed_out_and_never_runs():
    async def main(manager, loop):
        runtime = manager.create("x", 0, sleeper, deadline=5)
        receipts = [runtime.send_nowait(3) for _ in range(4)]
        for receipt in receipts:
            await receipt.wait()
        assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 2 + [Fate.TIMED_OUT] * 2
        late = receipts[2].outcome
        assert late.started is None
        assert late.wait == pytest.approx(6)
        with pytest.raises(ActivityTimeoutError, match="waited longer than 5 s in the standard lane"):
            await receipts[3]
        assert runtime.state == 2
        assert runtime.fates().adds_up
        assert runtime.status == "idle"

    virtual(main)


def test_the_deadline_of_a_delayed_activity_begins_when_it_is_due():
    async def main(manager, loop):
        runtime = manager.create("x", 0, adder, deadline=5)
        assert (await runtime.send_nowait(1, delay=100)).ok

    virtual(main)


def test_what_times_out_in_the_lane_makes_room_for_who_waits():
    async def main(manager, loop):
        runtime = manager.create("x", 0, sleeper, deadline=5, standard_capacity=2)
        runtime.send_nowait(10)
        await asyncio.sleep(1)
        late = [runtime.send_nowait(0) for _ in range(2)]
        waiting = [asyncio.ensure_future(runtime.ask(0)) for _ in range(2)]
        assert await asyncio.gather(*waiting) == [2, 3]
        assert [receipt.outcome.fate for receipt in late] == [Fate.TIMED_OUT] * 2

    virtual(main)


@pytest.mark.parametrize("lane", Lane)
def test_a_pause_does_not_stop_the_deadline(lane):
    async def main(manager, loop):
        runtime = manager.create("x", 0, adder, deadline=5)
        runtime.pause()
        receipt = runtime.send_nowait(1, priority=lane is Lane.PRIORITY)
        await asyncio.sleep(6)
        runtime.resume()
        fresh = runtime.send_nowait(2)
        assert (await fresh).state == 2
        assert receipt.outcome.fate is Fate.TIMED_OUT

    virtual(main)


# --- configuration


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_payload": 0},
        {"max_payload": 1.5},
        {"max_state": -1},
        {"max_state": True},
        {"rate": 0},
        {"rate": float("inf")},
        {"rate": float("nan")},
        {"rate": "fast"},
        {"deadline": 0},
        {"memory": "1 GB"},
        {"cpu": 0},
    ],
    ids=str,
)
def test_a_limit_that_cannot_work_is_refused(manager, wrong):
    with pytest.raises(ConfigurationError, match=rf"{next(iter(wrong))} is .* None for no limit"):
        manager.create("x", 0, adder, **wrong)
    assert "x" not in manager
