"""commands.py: what ends a runtime, and what becomes of what waits in it."""

import asyncio
import itertools

import pytest

from agentrt import (
    Fate,
    RuntimeExistsError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
    Supervision,
)
from agentrt.engine import commands
from tests.support import Gate, add, collect, fail, turns, virtual

TIMEOUT = 60


@virtual
async def test_commands_after_the_end_say_so(manager):
    runtime = manager.create("a", 0, add)
    await runtime.terminate()
    for command in (runtime.pause, runtime.resume, runtime.step, runtime.recover, lambda: runtime.swap(fail)):
        with pytest.raises(RuntimeTerminatedError, match="was terminated"):
            command()
    with pytest.raises(RuntimeTerminatedError):
        runtime.timeout = 5


@virtual
async def test_terminating_again_is_fine(manager):
    runtime = manager.create("a", 0, add)
    assert await runtime.terminate()
    assert await runtime.terminate(drain=True)


@virtual
async def test_a_drain_waits_for_what_is_not_due_yet(manager):
    runtime = manager.create("a", (), collect)
    receipts = [runtime.send_nowait(n, delay=n) for n in (60, 0, 30)]
    ending = runtime.terminate(drain=True)
    await asyncio.sleep(40)
    assert (runtime.state, runtime.status) == ((0, 30), Status.IDLE)
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait(5)
    assert await ending
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 3
    assert asyncio.get_running_loop().time() == 60


@virtual
async def test_a_drain_that_waits_only_for_what_is_dropped_or_ended_is_over(manager):
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait("later", delay=60)
    ending = runtime.terminate(drain=True)
    runtime.drop(receipt.id)
    assert await ending
    assert manager.fates().dropped == 1
    runtime = manager.create("a", (), collect)
    receipt = runtime.send_nowait("later", delay=60)
    ending = runtime.terminate(drain=True)
    await runtime.terminate()
    assert await ending
    assert receipt.outcome.fate is Fate.DEAD
    assert asyncio.get_running_loop().time() < 60


@virtual
async def test_a_drain_that_waits_ends_in_time_though_the_runtime_was_stopped(manager):
    runtime = manager.create("a", 0, fail, supervision=Supervision("stop", intensity=1))
    first, last = runtime.send_nowait(1, delay=10), runtime.send_nowait(2, delay=60)
    assert await runtime.terminate(drain=True)
    assert [first.outcome.fate, last.outcome.fate] == [Fate.FAILED, Fate.DEAD]


@virtual
async def test_a_drain_can_be_cut_short(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipts = [runtime.send_nowait(n) for n in range(3)]
    draining = runtime.terminate(drain=True)
    await gate.entered.wait()
    await runtime.terminate()
    await draining
    assert [r.outcome.fate for r in receipts] == [Fate.TERMINATED, Fate.DEAD, Fate.DEAD]


@virtual
async def test_the_id_is_free_again_after_the_end(manager):
    await manager.create("a", 0, add).terminate()
    assert await manager.create("a", 10, add).ask(1) == 11


def test_terminating_from_another_thread():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.pause()
        receipt = runtime.send_nowait(1)
        manager.run(runtime.terminate())
        with pytest.raises(RuntimeTerminatedError):
            receipt.result(TIMEOUT)


@virtual
async def test_steps_that_a_drain_made_needless_are_not_taken_in_a_later_pause(manager):
    runtime = manager.create("a", 0, add)
    for _ in range(3):
        runtime.send_nowait(1)
    runtime.step(2)
    ending = runtime.terminate(drain=True)
    runtime.pause()
    await turns()
    assert runtime.state == 0
    runtime.resume()
    await ending
    assert manager.snapshot("a").state == 3


@virtual
async def test_to_be_told_twice_to_drain_is_to_be_told_once(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate)
    receipts = [runtime.send_nowait(n) for n in range(3)]
    await turns()
    first, second = runtime.terminate(drain=True), runtime.terminate(drain=True)
    gate.open.set()
    await first
    await second
    assert [receipt.outcome.fate for receipt in receipts] == [Fate.DONE] * 3


@virtual
async def test_a_long_mailbox_is_discarded_in_slices(manager):
    waiting = 20 * commands.SLICE
    full = manager.create("full", 0, add, standard_capacity=waiting)
    other = manager.create("other", 0, add)
    full.pause()
    receipts = [full.send_nowait(1) for _ in range(waiting)]
    ended = full.terminate()
    answers = 0
    while ended.value is None:
        await other.ask(1)
        answers += 1
        await asyncio.sleep(0)
    assert answers >= 15
    assert [receipt.outcome.kind for receipt in receipts] == ["dead"] * waiting
    numbers = [receipt.outcome.sequence for receipt in receipts]
    assert numbers == sorted(numbers)
    assert (full.fates().dead, full.fates().pending) == (waiting, 0)
    assert "full" not in manager
    assert len(manager.ring.records) <= manager.ring.limit + manager.ring.STEP + commands.SLICE


@virtual
async def test_a_slice_takes_a_bounded_time(manager, monkeypatch):
    reading = itertools.count()
    monkeypatch.setattr(commands, "monotonic", lambda: next(reading) / 1000)  # each takes a millisecond
    waiting = 3 * commands.SLICE
    runtime = manager.create("a", 0, add, standard_capacity=waiting)
    runtime.pause()
    for _ in range(waiting):
        runtime.send_nowait(1)
    runtime.terminate()
    await turns(10)
    assert 30 <= manager.fates().dead <= 60


@virtual
async def test_counts_add_up_and_the_id_is_taken_until_all_are_discarded(manager):
    waiting = 3 * commands.SLICE
    runtime = manager.create("a", 0, add, standard_capacity=waiting)
    runtime.pause()
    receipts = [runtime.send_nowait(1) for _ in range(waiting)]
    ended = runtime.terminate()
    assert runtime.status is Status.TERMINATED
    with pytest.raises(RuntimeTerminatedError):
        runtime.send_nowait(1)
    with pytest.raises(RuntimeExistsError):
        manager.create("a", 0, add)
    assert manager.fates().adds_up
    assert manager.fates().pending == waiting
    await asyncio.sleep(0)
    assert 0 < manager.fates().pending < waiting
    assert await ended is True
    assert manager.fates().dead == waiting
    manager.create("a", 0, add)
    assert all(receipt.outcome is not None for receipt in receipts)


def test_what_waits_is_discarded_at_once_where_the_loop_ends():
    receipts = []

    async def main():
        manager = RuntimeManager(loop="current")
        for id in ("a", "b"):
            runtime = manager.create(id, 0, add, standard_capacity=10_000)
            runtime.pause()
            receipts.extend(runtime.send_nowait(1) for _ in range(10 * commands.SLICE))
        runtime.terminate()
        if close:
            manager.close()

    for close in (True, False):
        receipts.clear()
        asyncio.run(main())
        last = receipts[10 * commands.SLICE :]
        assert all(receipt.outcome is not None for receipt in (receipts if close else last))


def test_a_runtime_that_ends_while_its_loop_stands_still_leaves_no_task():
    loop = asyncio.new_event_loop()

    async def make():
        manager = RuntimeManager(loop="current")
        runtime = manager.create("a", 0, add)
        await runtime.ask(1)
        return manager, runtime

    manager, runtime = loop.run_until_complete(make())
    ended = runtime.terminate()
    loop.run_until_complete(ended.wait())
    assert asyncio.all_tasks(loop) == set()
    manager.close()
    loop.close()
