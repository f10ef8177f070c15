"""Nothing is left of what nobody has any more: activities, receipts, runtimes, managers."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import agentrt
from tests.support import turns, virtual


@dataclass(frozen=True)
class FrozenRecord:
    """It can't be changed, and its part can."""

    parts: list[Any]


Workflow = Callable[..., Any]
Send = Callable[[Any, Any], None]


class Load:
    """A payload that can be watched."""


def collected(workflow: Workflow, send: Send, state: Callable[[], object]) -> int:
    """How many of 100 payloads are left when a manager that worked on them was closed and nobody has it any more."""
    watched = []
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", state(), workflow)
        for _ in range(100):
            load = Load()
            watched.append(weakref.ref(load))
            send(runtime, load)
            del load
        manager.run(runtime.terminate(drain=True))
        manager.ring.records.clear()
        manager.terminated.clear()
        del runtime
    del manager
    gc.collect()
    return sum(ref() is not None for ref in watched)


def as_it_is(runtime, load):
    runtime.send_nowait(load)


def test_a_failed_activity_goes_with_its_traceback():
    def fails(activity, state):
        raise ValueError(activity.payload)

    # The last error is on the closed manager's entry, which the traceback of the test's own frames may keep.
    assert collected(fails, as_it_is, tuple) <= 1


def test_an_activity_kept_in_a_state_goes_with_the_state():
    def keeps(activity, state):
        return (*state, activity)

    assert collected(keeps, as_it_is, tuple) == 0


def test_receipts_that_a_workflow_keeps_do_not_keep_the_manager():
    def run():
        receipts = []

        async def keeps(activity, state):
            return len(receipts)

        with agentrt.RuntimeManager(loop="thread") as manager:
            runtime = manager.create("r", 0, keeps)
            receipts.extend(runtime.send_nowait(n) for n in range(3))
            receipts[-1].result(60)
            return weakref.ref(manager.ring)

    ring = run()
    gc.collect()
    assert ring() is None


def test_a_receipt_knows_its_runtime_before_and_after():
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", 0, lambda activity, state: state)
        runtime.pause()
        receipt = runtime.send_nowait(1)
        before = receipt.runtime
        runtime.resume()
        receipt.result(60)
    assert (before, receipt.runtime, receipt.id) == ("r", "r", receipt.outcome.id)


# --- what users tie in circles


def with_its_receipt(runtime, load):
    load.receipt = runtime.send_nowait(load)


def in_an_error(runtime, load):
    error = ValueError("no")
    error.load = load
    runtime.send_nowait(error)


def in_a_dict(runtime, load):
    payload = {"load": load}
    payload["receipt"] = runtime.send_nowait(payload)


def in_a_frozen_record(runtime, load):
    payload = FrozenRecord([load])
    payload.parts.append(runtime.send_nowait(payload))


def in_a_tuple(runtime, load):
    payload = ([load],)
    payload[0].append(runtime.send_nowait(payload))


def becomes_payload(activity, state):
    return activity.payload


def replies_payload(activity, state, ctx):
    ctx.reply(activity.payload)
    return state


def is_held_by_payload(activity, state):
    parts = activity.payload.parts if isinstance(activity.payload, FrozenRecord) else activity.payload[0]
    parts.append(activity)
    return state


def holds_activity(activity, state):
    activity.payload.activity = activity
    return state


def fails_with_activity(activity, state):
    raise ValueError(activity)


def raises_payload(activity, state):
    raise activity.payload


def collects_loads(activity, state):
    state.append(activity)
    return state


@pytest.mark.filterwarnings("ignore:the state of")
@pytest.mark.parametrize(
    ("workflow", "send", "state"),
    [
        (becomes_payload, with_its_receipt, str),
        (holds_activity, as_it_is, int),
        (fails_with_activity, with_its_receipt, int),
        (raises_payload, in_an_error, int),
        (becomes_payload, in_a_dict, str),
        (collects_loads, with_its_receipt, list),
        (replies_payload, in_a_frozen_record, int),
        (replies_payload, in_a_tuple, int),
        (is_held_by_payload, in_a_frozen_record, int),
        (is_held_by_payload, in_a_tuple, int),
    ],
)
def test_cycles_through_activities_outcomes_and_receipts_are_collected(workflow, send, state):
    # The last error and the last state are on the entry, which the frames of this test may keep.
    assert collected(workflow, send, state) <= 1


def test_a_receipt_that_a_state_keeps_is_collected_with_it():
    class Node:
        """Can be watched."""

    watched = []

    async def keep_own(activity, state, ctx):
        node = Node()
        watched.append(weakref.ref(node))
        if activity.payload == 0:
            return state
        return (*state[-3:], node, await ctx.send("r", activity.payload - 1))

    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", (), keep_own)
        runtime.send_nowait(20).result(60)
        manager.run(runtime.terminate(drain=True))
        manager.ring.records.clear()
        manager.terminated.clear()
        del runtime
    del manager
    gc.collect()
    assert [ref for ref in watched if ref() is not None] == []


def test_a_reply_that_holds_its_own_receipt_is_collected():
    class Box(list):
        """Can be watched."""

    boxes = []

    def reply_with_box(activity, state, ctx):
        ctx.reply(boxes[activity.payload])
        return state

    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", 0, reply_with_box)
        runtime.pause()
        for n in range(20):
            boxes.append(Box())
            boxes[n].append(runtime.send_nowait(n))
        watched = [weakref.ref(box) for box in boxes]
        runtime.resume()
        boxes[-1][0].result(60)
        for n in range(20):
            boxes[n].append(runtime.send_nowait(n))  # now of payloads and states that are known
        boxes[-1][-1].result(60)
        boxes.clear()
        manager.ring.records.clear()
    gc.collect()
    assert sum(ref() is not None for ref in watched) <= 1


@dataclass(frozen=True)
class Frozen:
    number: int


@pytest.mark.parametrize(
    ("payload", "state", "seen"),
    [
        (1, 0, (False, False)),
        (Frozen(1), "", (False, False)),
        (FrozenRecord([]), "", (True, True)),
        ({"a": 1}, 0, (True, True)),
        (1, (), (False, True)),
    ],
)
def test_the_collector_sees_what_may_be_in_a_circle_and_nothing_else(payload, state, seen):
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", state, lambda activity, state: state)
        runtime.send_nowait(payload).result(60)
        runtime.send_nowait(payload).result(60)
        runtime.pause()
        receipt = runtime.send_nowait(payload)
        activity = runtime.mailbox_items()[0]
        assert (gc.is_tracked(activity), gc.is_tracked(receipt)) == seen


def keep_number(activity, state: int) -> int:
    return state


def keep_tuple(activity, state: tuple) -> tuple:
    return state


def keep_text_or_tuple(activity, state: str | tuple) -> str | tuple:
    return state


@pytest.mark.parametrize(
    ("initial", "workflow", "seen"),
    [
        (0, keep_number, False),
        ((), keep_tuple, True),
        ("", keep_text_or_tuple, True),
        (0, lambda activity, state: state, True),
    ],
)
def test_the_receipts_of_a_backlog_are_seen_where_the_state_to_come_may_hold_others(initial, workflow, seen):
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", initial, workflow)
        runtime.pause()
        receipts = [runtime.send_nowait(1) for _ in range(3)]
        assert gc.is_tracked(receipts[-1]) == seen


def test_an_edited_payload_is_seen_by_the_collector():
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", 0, lambda activity, state: state)
        runtime.send_nowait(1).result(60)
        runtime.pause()
        runtime.send_nowait(1)
        runtime.edit(runtime.mailbox_items()[0].id, {"a": 1})
        activity = runtime.mailbox_items()[0]
        assert (gc.is_tracked(activity), activity.payload, repr(activity)[:9]) == (True, {"a": 1}, "<Activity")


# --- runtimes and managers


@pytest.mark.parametrize("sends", [0, 1], ids=["created", "sent to"])
@pytest.mark.parametrize("loop", ["thread", "current"])
def test_runtimes_that_end_at_once_are_freed(sends: int, loop: str) -> None:
    async def main() -> tuple[int, int]:
        async with agentrt.RuntimeManager(loop=loop) as manager:  # type: ignore[arg-type]
            watched, endings = [], []
            for n in range(100):
                runtime = manager.create(f"r{n}", 0, lambda activity, state: state)
                for _ in range(sends):
                    runtime.send_nowait(1)
                endings.append(runtime.terminate())
                watched.append(weakref.ref(runtime.entry))
                del runtime
            for ending in endings:
                await ending
            endings.clear()
            await (turns() if loop == "current" else asyncio.wrap_future(manager.submit(turns())))
            busy = len(manager.busy)
            gc.collect()
            return busy, sum(ref() is not None for ref in watched)

    assert asyncio.run(main()) == (0, 0)


async def delayed(manager: agentrt.RuntimeManager) -> tuple[agentrt.Runtime[Any, Any], int, weakref.ref[Load]]:
    runtime = manager.create("a", 0, lambda activity, state: state)
    load = Load()
    receipt = runtime.send_nowait(load, delay=1e6)
    await turns()
    manager.ring.records.clear()
    return runtime, receipt.id, weakref.ref(load)


@virtual
async def test_a_delayed_payload_that_is_dropped_is_freed(manager):
    runtime, id, load = await delayed(manager)
    runtime.drop(id)
    manager.ring.records.clear()
    gc.collect()
    assert load() is None
    assert len(manager._timers) == 0


@virtual
async def test_a_delayed_payload_that_is_edited_is_freed(manager):
    runtime, id, load = await delayed(manager)
    runtime.edit(id, 1)
    manager.ring.records.clear()
    gc.collect()
    assert load() is None
    assert len(manager._timers) == 1
    runtime.drop(id)


@virtual
async def test_delayed_payloads_of_a_terminated_runtime_are_freed(manager):
    runtime, _, load = await delayed(manager)
    entry = weakref.ref(runtime.entry)
    await runtime.terminate()
    manager.ring.records.clear()
    manager.dead_letters.clear()
    manager.terminated.clear()
    del runtime
    gc.collect()
    assert (load(), entry()) == (None, None)
    assert len(manager._timers) == 0


def dropped(use: Callable[[agentrt.RuntimeManager], object], count: int = 10) -> list[threading.Thread]:
    """Make managers, use each, and drop it without `close`; the threads that were started for them."""
    before = set(threading.enumerate())
    for n in range(count):
        manager = agentrt.RuntimeManager(loop="thread", name=f"dropped{n}")
        use(manager)
        del manager
    return [thread for thread in threading.enumerate() if thread not in before]


def end(threads: list[threading.Thread]) -> list[threading.Thread]:
    """Collect until these threads have ended; those that go on. The last turn of a loop may still hold its manager."""
    for _ in range(100):
        gc.collect()
        for thread in threads:
            thread.join(0.01)
        threads = [thread for thread in threads if thread.is_alive()]
        if not threads:
            break
    return threads


def work(manager: agentrt.RuntimeManager) -> object:
    return manager.run(manager.create("a", 0, lambda activity, state: state + 1).ask(1))


def create(manager: agentrt.RuntimeManager) -> object:
    return manager.create("a", 0, lambda activity, state: state + 1)


def leave_waiting(manager: agentrt.RuntimeManager) -> object:
    runtime = manager.create("a", 0, lambda activity, state: state + 1)
    runtime.pause()
    return runtime.send_nowait(1)


def block(manager: agentrt.RuntimeManager) -> object:
    return manager.run(manager.create("a", 0, lambda activity, state: state + 1, blocking=True).ask(1))


def watch(manager: agentrt.RuntimeManager) -> object:
    seen = threading.Event()
    manager.hub.attach(lambda frame: seen.set())
    return seen.wait(60)


@pytest.mark.parametrize("use", [create, work, leave_waiting, block, watch])
def test_managers_that_are_dropped_end_their_threads_and_close_their_loops(use, caplog):
    work(agentrt.RuntimeManager(loop="thread"))  # what is made once
    files = len(os.listdir("/proc/self/fd"))
    started = dropped(use)
    assert started
    assert end(started) == []
    assert len(os.listdir("/proc/self/fd")) <= files
    assert [record.getMessage() for record in caplog.records if "destroyed" in record.getMessage()] == []


def test_a_manager_whose_handle_is_kept_goes_on():
    runtime = agentrt.RuntimeManager(loop="thread").create("a", 0, lambda activity, state: state + 1)
    gc.collect()
    assert runtime.send_nowait(1).result(60).state == 1
    runtime.manager.close()


def test_a_manager_that_nobody_closed_is_closed_at_exit():
    code = """
import agentrt, threading
manager = agentrt.RuntimeManager(loop="thread")
runtime = manager.create("a", 0, lambda activity, state: state + 1)
runtime.send_nowait(1).result(60)
import atexit
atexit.register(lambda: None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
