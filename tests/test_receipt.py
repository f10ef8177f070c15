"""receipt.py: the promise of exactly one fate, for any loop and any thread."""

import asyncio
import copy
import gc
import threading
import weakref

import pytest

from agentrt import DeadlockError, ProcessingError, RuntimeManager
from tests.support import Gate, add, fail, turns, virtual

TIMEOUT = 60


@virtual
async def test_it_can_be_awaited_before_and_after_and_by_many(manager):
    gate = Gate()
    receipt = manager.create("a", (), gate).send_nowait(1)
    waiting = [asyncio.create_task(wait(receipt)) for _ in range(5)]
    await gate.entered.wait()
    assert receipt.outcome is None
    gate.open.set()
    outcomes = [await task for task in waiting]
    assert all(outcome is receipt.outcome for outcome in [*outcomes, await receipt])


async def wait(receipt):
    return await receipt


@virtual
async def test_each_who_waits_gets_an_error_of_its_own(manager):
    receipt = manager.create("a", 0, fail).send_nowait(1)
    errors = []
    for _ in range(2):
        with pytest.raises(ProcessingError) as caught:
            await receipt
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].__cause__ is errors[1].__cause__


@virtual
async def test_waiting_no_longer_does_not_undo_it(manager):
    gate = Gate()
    receipt = manager.create("a", (), gate).send_nowait(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(receipt), 5)
    gate.open.set()
    assert (await receipt).state == (1,)


@virtual
async def test_dropping_it_changes_nothing(manager):
    runtime = manager.create("a", 0, add)
    for n in range(10):
        runtime.send_nowait(n)
    gc.collect()
    assert await runtime.ask(0) == 45


@virtual
async def test_what_is_done_keeps_nothing_alive(manager):
    class Payload:
        pass

    runtime = manager.create("a", 0, lambda activity, state: state + 1)
    payload = Payload()
    reference = weakref.ref(payload)
    receipt = runtime.send_nowait(payload)
    await receipt
    del payload
    manager.ring.records.clear()
    gc.collect()
    assert reference() is None


@virtual
async def test_its_repr_says_what_became_of_it(manager):
    runtime = manager.create("a", 0, add)
    receipt = runtime.send_nowait(1)
    assert repr(receipt) == f"<Receipt {receipt.id} at 'a': pending>"
    await receipt
    assert repr(receipt) == f"<Receipt {receipt.id} at 'a': done>"
    assert receipt.runtime == "a"


@virtual
async def test_a_state_that_holds_one_can_be_copied(manager):
    receipt = manager.create("a", 0, add).send_nowait(1)
    assert copy.deepcopy([receipt]) == [receipt]
    await receipt


# --- threads and loops


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def test_result_gives_the_outcome_to_any_thread(manager):
    receipt = manager.create("a", 0, add).send_nowait(2)
    results = []
    threads = [threading.Thread(target=lambda: results.append(receipt.result(TIMEOUT).state)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 4


def test_result_raises_the_error_of_the_activity(manager):
    with pytest.raises(ProcessingError, match="no 1"):
        manager.create("a", 0, fail).send_nowait(1).result(TIMEOUT)


def test_result_waits_no_longer_than_told(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    with pytest.raises(TimeoutError, match=r"is not decided after .* s; it still may be"):
        receipt.result(0.01)
    runtime.resume()
    assert receipt.result(TIMEOUT).state == 1


def test_result_on_the_loops_own_thread_says_what_to_write_instead(manager):
    async def on_the_loop():
        runtime = manager.create("a", 0, add)
        receipt = runtime.send_nowait(1)
        with pytest.raises(DeadlockError, match="write `await receipt` instead"):
            receipt.result(TIMEOUT)
        await receipt
        return receipt.result().state

    assert manager.run(on_the_loop()) == 1


def test_it_is_awaited_from_another_loop(manager):
    runtime = manager.create("a", 0, add)

    async def elsewhere():
        receipts = [runtime.send_nowait(1) for _ in range(100)]
        return [(await receipt).state for receipt in receipts], await runtime.ask(1)

    assert asyncio.run(elsewhere()) == (list(range(1, 101)), 101)


def test_two_loops_may_wait_for_the_same(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    results = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(wait(receipt)).state)) for _ in range(3)]
    for thread in threads:
        thread.start()
    runtime.resume()
    for thread in threads:
        thread.join()
    assert results == [1, 1, 1]


def test_a_loop_that_is_gone_does_not_disturb_the_runtime(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt = runtime.send_nowait(1)

    async def give_up():
        task = asyncio.create_task(wait(receipt))
        await turns()
        task.cancel()

    asyncio.run(give_up())
    runtime.resume()
    assert receipt.result(TIMEOUT).state == 1
    assert runtime.send_nowait(1).result(TIMEOUT).state == 2


@virtual
async def test_who_gives_up_waiting_is_forgotten(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(receipt), 1)
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(receipt.result, 0)
    assert receipt._waiters == []
    runtime.resume()
    assert (await receipt).state == 1


@virtual
async def test_a_callback_that_raises_disturbs_nobody(manager, caplog):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt, following = runtime.send_nowait(1), runtime.send_nowait(1)
    called = []
    receipt.add_callback(lambda: 1 / 0)
    receipt.add_callback(lambda: called.append(receipt.outcome.state))
    runtime.resume()
    assert (await following).state == 2
    assert called == [1]
    assert "ZeroDivisionError" in caplog.text


def test_deciding_and_waiting_at_the_same_time_never_misses(manager):
    runtime = manager.create("a", 0, add)
    for n in range(300):
        assert runtime.send_nowait(1).result(TIMEOUT).state == n + 1
