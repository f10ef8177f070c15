"""admission.py: delays, deadlines, keys, full lanes, and waiting for room."""

import asyncio
import math

import pytest

from agentrt import (
    ConfigurationError,
    Fate,
    MailboxFullError,
    ProcessingError,
    RuntimeFailedError,
    RuntimeManager,
    RuntimeTerminatedError,
)
from agentrt.testing.virtual import run
from tests.support import Gate, add, collect, turns, virtual

# --- delay


@virtual
async def test_a_delayed_activity_comes_when_it_is_due(manager):
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait("late", delay=60)
    assert await runtime.ask("early") == ("early",)
    outcome = await receipt
    assert manager.clock.now() == 60
    assert (outcome.state, outcome.created, outcome.started) == (("early", "late"), 0, 60)


@virtual
async def test_delayed_activities_come_in_the_order_in_which_they_are_due(manager):
    runtime = manager.create("a", (), collect)
    receipts = [runtime.send_nowait(delay, delay=delay) for delay in (30, 10, 20, 10)]
    await receipts[0]
    assert runtime.state == (10, 10, 20, 30)


@virtual
async def test_a_delayed_activity_has_its_place_in_the_bound(manager):
    runtime = manager.create("a", (), collect, standard_capacity=2)
    receipt = runtime.send_nowait(1, delay=60)
    assert (runtime.depth, runtime.fates().pending) == ((0, 1), 1)
    runtime.pause()
    runtime.send_nowait(2)
    with pytest.raises(MailboxFullError):
        runtime.send_nowait(3)
    runtime.resume()
    assert (await receipt).state == (2, 1)
    assert runtime.depth == (0, 0)


@virtual
async def test_no_delay_is_no_delay(manager):
    runtime = manager.create("a", (), collect)
    assert (await runtime.send_nowait(1, delay=0)).started == 0


@virtual
async def test_a_delay_survives_a_pause(manager):
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait(1, delay=10)
    runtime.pause()
    await asyncio.sleep(100)
    assert receipt.outcome is None
    runtime.resume()
    assert (await receipt).ok


# --- key


@virtual
async def test_a_second_send_with_a_key_gets_the_receipt_of_the_first(manager):
    runtime = manager.create("a", 0, add)
    first = runtime.send_nowait(1, key="order 7")
    assert runtime.send_nowait(1, key="order 7") is first
    await first
    assert await runtime.send(1, key="order 7") is first
    assert runtime.send_nowait(1, key="order 8") is not first
    assert runtime.fates().accepted == 2


@virtual
async def test_a_key_is_forgotten_after_its_window(manager):
    runtime = manager.create("a", 0, add, key_window=60)
    first = runtime.send_nowait(1, key="k")
    await asyncio.sleep(59)
    assert runtime.send_nowait(1, key="k") is first
    await asyncio.sleep(2)
    assert runtime.send_nowait(1, key="k") is not first


@virtual
async def test_a_window_shorter_than_the_clock_can_tell_is_none(manager):
    runtime = manager.create("a", 0, add, key_window=1e-20)
    await asyncio.sleep(1)
    first = runtime.send_nowait(1, key="k")
    assert runtime.send_nowait(1, key="k") is not first


@virtual
async def test_keys_are_bounded_by_their_window(manager):
    runtime = manager.create("a", 0, add, key_window=10)
    for n in range(100):
        await runtime.ask(1, key=str(n))
        await asyncio.sleep(1)
    assert len(runtime.entry.keys) <= 11


@virtual
async def test_a_key_holds_for_those_who_wait_for_room_as_well(manager):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    sends = [asyncio.create_task(runtime.send(10, key="k")) for _ in range(3)]
    await turns()
    runtime.resume()
    receipts = [await send for send in sends]
    assert receipts[0] is receipts[1] is receipts[2]
    await receipts[0]
    assert (runtime.state, runtime.fates().accepted) == (11, 2)


@pytest.mark.parametrize("key", ["", 7, b"k"])
@virtual
async def test_a_key_that_can_not_be_is_refused(manager, key):
    with pytest.raises(ConfigurationError, match="key is"):
        manager.create("a", 0, add).send_nowait(1, key=key)


@pytest.mark.parametrize(
    "options",
    [{"delay": -1}, {"delay": math.nan}, {"delay": "1"}, {"timeout": 0}, {"timeout": -1}, {"timeout": True}],
    ids=str,
)
@virtual
async def test_seconds_that_can_not_be_are_refused_and_nothing_is_accepted(manager, options):
    runtime = manager.create("a", 0, add)
    with pytest.raises(ConfigurationError, match="must be seconds"):
        runtime.send_nowait(1, **options)
    assert runtime.fates().accepted == 0


# --- room


@virtual
async def test_room_is_given_first_come_first_served(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1)
    runtime.pause()
    sends = [asyncio.create_task(runtime.send(n)) for n in range(10)]
    await turns()
    runtime.resume()
    for send in sends:
        await (await send)
    assert runtime.state == tuple(range(10))


@virtual
async def test_who_stops_waiting_leaves_the_line(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1)
    runtime.pause()
    sends = [asyncio.create_task(runtime.send(n)) for n in range(4)]
    await turns()
    sends[2].cancel()
    await turns()
    runtime.resume()
    await (await sends[3])
    assert runtime.state == (0, 1, 3)
    assert sends[2].cancelled()


@virtual
async def test_those_who_wait_for_one_lane_do_not_hold_up_the_other(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1, priority_capacity=1)
    runtime.pause()
    runtime.send_nowait("s1")
    waiting = asyncio.create_task(runtime.send("s2"))
    await turns()
    await asyncio.wait_for(runtime.send("p1", priority=True), 1)
    runtime.resume()
    assert (await (await waiting)).state == ("p1", "s1", "s2")


@virtual
async def test_what_was_asked_for_is_kept_while_waiting(manager):
    runtime = manager.create("a", (), collect, priority_capacity=1)
    runtime.pause()
    runtime.send_nowait(1, priority=True)
    waiting = asyncio.create_task(runtime.send(2, priority=True, timeout=9, delay=30, key="k"))
    await turns()
    runtime.step()
    await turns()
    (activity,) = runtime.mailbox_items()
    assert (activity.payload, activity.lane.value, activity.timeout, activity.key) == (2, "priority", 9, "k")
    runtime.resume()
    assert (await (await waiting)).started == 30


@virtual
async def test_a_wrong_option_is_told_to_who_waits(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait(1)
    waiting = asyncio.create_task(runtime.send(2, delay=-1))
    await turns()
    runtime.resume()
    with pytest.raises(ConfigurationError):
        await waiting
    assert await runtime.ask(3) == (1, 3)


@virtual
async def test_a_policy_that_drops_never_waits(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1, overflow="drop_newest")
    runtime.pause()
    await runtime.send(1)
    receipt = await asyncio.wait_for(runtime.send(2), 1)
    assert receipt.outcome.fate is Fate.DROPPED
    runtime.resume()


@virtual
async def test_dropping_with_only_delayed_ones_in_the_lane_drops_the_new_one(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1, overflow="drop_oldest")
    delayed = runtime.send_nowait(1, delay=60)
    assert runtime.send_nowait(2).outcome.fate is Fate.DROPPED
    assert (await delayed).state == (1,)


@virtual
async def test_each_lane_drops_its_own(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate, standard_capacity=1, priority_capacity=1, overflow="drop_oldest")
    runtime.send_nowait("running")
    await gate.entered.wait()
    urgent, standard = runtime.send_nowait("p", priority=True), runtime.send_nowait("s")
    newer = runtime.send_nowait("s2")
    assert (urgent.outcome, standard.outcome.fate) == (None, Fate.DROPPED)
    gate.open.set()
    assert (await newer).state == ("running", "p", "s2")


async def send_or_give_up(runtime, n, accepted):
    """Send with a timeout that often comes while the lane has just got room."""
    try:
        async with asyncio.timeout(0.001 * (n % 7)):
            await runtime.send(n)
    except TimeoutError:
        return
    accepted.append(n)


async def sleepy(activity, state):
    await asyncio.sleep(0.001)
    return (*state, activity.payload)


@pytest.mark.parametrize("seed", range(5))
def test_a_send_is_accepted_or_times_out_and_never_both(seed):
    async def main():
        async with RuntimeManager(loop="current") as manager:
            runtime, accepted = manager.create("a", (), sleepy, standard_capacity=2), []
            await asyncio.gather(*(send_or_give_up(runtime, n, accepted) for n in range(300)))
            await runtime.terminate(drain=True)
            assert 0 < len(accepted) < 300
            assert sorted(manager.snapshot("a").state) == sorted(accepted)
            assert manager.fates().accepted == len(accepted)

    run(main(), seed=seed, timeout=1000)


def test_a_send_from_another_loop_is_accepted_or_times_out_and_never_both():
    async def senders(runtime, accepted):
        await asyncio.gather(*(send_or_give_up(runtime, n, accepted) for n in range(300)))

    with RuntimeManager(loop="thread") as manager:
        runtime, accepted = manager.create("a", (), sleepy, standard_capacity=2), []
        asyncio.run(senders(runtime, accepted))
        manager.run(runtime.terminate(drain=True))
        assert sorted(manager.snapshot("a").state) == sorted(accepted)
        assert manager.fates().accepted == len(accepted)


@virtual
async def test_who_is_cancelled_after_room_was_found_has_sent_nothing(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate, standard_capacity=1)
    first, second = runtime.send_nowait(1), None
    await gate.entered.wait()
    second = runtime.send_nowait(2)
    sending, next_one = (asyncio.ensure_future(runtime.send(n)) for n in (3, 4))
    await turns()
    runtime.drop(second.id)  # room is granted to the third, which has not run yet
    assert runtime.entry.mailbox.granted == 1
    sending.cancel()
    await turns()
    assert sending.cancelled()
    gate.open.set()
    assert (await (await next_one)).state == (1, 4)
    assert (await first).state == (1,)


def test_waiting_for_room_from_another_loop():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", (), collect, standard_capacity=2)

        async def flood():
            for n in range(50):
                receipt = await runtime.send(n)
            return await receipt

        assert asyncio.run(flood()).state == tuple(range(50))


# --- the short way in: what a second send of the same type takes


def warm(manager, **limits):
    """A paused runtime whose lanes were used before, so that nothing but their bounds is looked at."""
    runtime = manager.create("a", (), collect, **limits)
    runtime.pause()
    for priority in (True, False):
        runtime.send_nowait("warm", priority=priority)
        runtime.send_nowait("warm", priority=priority)
    return runtime


@pytest.mark.parametrize("priority", [True, False])
@virtual
async def test_a_lane_takes_as_many_as_it_has_room_for_and_no_more(manager, priority):
    runtime = warm(manager, priority_capacity=3, standard_capacity=3)
    runtime.send_nowait("third", priority=priority)
    with pytest.raises(MailboxFullError):
        runtime.send_nowait("fourth", priority=priority)
    assert runtime.depth == ((3, 2) if priority else (2, 3))


@virtual
async def test_a_lane_made_smaller_refuses_the_very_next(manager):
    runtime = warm(manager)
    runtime.standard_capacity = 2
    with pytest.raises(MailboxFullError):
        runtime.send_nowait("third")


@virtual
async def test_what_is_delayed_counts_for_the_very_next(manager):
    runtime = warm(manager, standard_capacity=3)
    runtime.send_nowait("later", delay=60)
    with pytest.raises(MailboxFullError):
        runtime.send_nowait("fourth")


@virtual
async def test_a_runtime_that_is_drained_refuses_the_very_next(manager):
    runtime = warm(manager)
    ending = runtime.terminate(drain=True)
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait("late")
    await ending


@virtual
async def test_a_terminated_runtime_refuses_the_very_next(manager):
    runtime = manager.create("a", (), collect)
    await runtime.ask("warm")
    ended = runtime.terminate()
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait("late")
    await ended


@virtual
async def test_a_runtime_that_was_stopped_refuses_the_very_next(manager):
    async def fails(activity, state):
        raise ValueError(activity.payload)

    runtime = manager.create("a", 0, fails, supervision="stop")
    receipts = [runtime.send_nowait(n) for n in range(6)]
    for receipt in receipts[:5]:
        with pytest.raises(ProcessingError):
            await receipt
    assert runtime.status == "failed"
    with pytest.raises(RuntimeFailedError):
        runtime.send_nowait(7)


@virtual
async def test_nobody_overtakes_who_waits_for_room(manager):
    runtime = warm(manager, standard_capacity=2)
    waiting = asyncio.ensure_future(runtime.send("first"))
    await turns()
    lane = runtime.entry.mailbox.standard
    taken = lane.popleft()  # there is room, and nobody has been let in yet
    with pytest.raises(MailboxFullError):
        runtime.send_nowait("second")
    lane.appendleft(taken)
    runtime.resume()
    assert (await (await waiting)).ok
