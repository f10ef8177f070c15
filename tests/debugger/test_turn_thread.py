"""The thread on which a workflow with breakpoints takes its turns."""

import asyncio
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

import agentrt
from agentrt.debugger import turn_thread
from tests.harness.interrupt import Interrupted, Interruption, everywhere
from tests.harness.wait import PATIENCE, wait_until
from tests.support import turns


async def land(activity: Any, state: int, ctx: Any) -> int:
    with ctx.step("park"):
        await asyncio.sleep(0)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        return state + 1


def test_asyncio_in_debug_mode_takes_it_for_the_thread_of_the_loop() -> None:
    async def main() -> None:
        async with agentrt.RuntimeManager(loop="current") as manager:
            runtime = manager.create("a", 0, land)
            runtime.breakpoints.add(step="park")
            receipt = runtime.send_nowait(1)
            while runtime.breakpoints.stop is None:
                await turns()
            runtime.resume()
            assert (await receipt).state == 1

    asyncio.run(main(), debug=True)


def test_the_stop_button_reaches_the_workflow_that_runs() -> None:
    # What a shell starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    entered, seen = threading.Event(), []

    async def busy(activity: Any, state: int) -> int:
        entered.set()
        until = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until:
                pass
        except KeyboardInterrupt:
            seen.append(threading.current_thread() is threading.main_thread())
            raise
        return state

    def press() -> None:
        entered.wait(PATIENCE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    loop = asyncio.new_event_loop()

    async def main() -> agentrt.Outcome:
        async with agentrt.RuntimeManager(loop="current") as manager:
            runtime = manager.create("a", 0, busy)
            runtime.breakpoints.add(after=lambda old, new: False)
            with pytest.raises(agentrt.ProcessingError) as failed:
                await runtime.send_nowait(1)
            assert isinstance(failed.value.__cause__, KeyboardInterrupt)
            receipt = manager.create("b", 0, land).send_nowait(1)
            return await receipt

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        assert loop.run_until_complete(main()).state == 1
    finally:
        signal.signal(signal.SIGINT, before)
        loop.close()
        pressing.join()
    assert seen == [False]


def test_no_thread_is_left_whatever_ends_the_run() -> None:
    async def raises(activity: Any, state: int, ctx: Any) -> int:
        with ctx.step("park"):
            raise ValueError(activity.payload)

    def left() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name.endswith("with breakpoints")]

    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("a", 0, raises, timeout=0.05)
        slow = manager.create("slow", 0, lambda activity, state: activity.payload, timeout=0.001)
        for each in (runtime, slow):
            each.breakpoints.add(step="never")
            for _ in range(3):
                receipt = each.send_nowait(1)
                wait_until(lambda r=receipt: r.outcome is not None)
        assert left() == []
        runtime.breakpoints.add(step="park")
        runtime.send_nowait(1)
        wait_until(lambda: runtime.breakpoints.stop is not None)
        assert len(left()) == 1
    wait_until(lambda: left() == [])


@pytest.mark.slow
def test_a_turn_can_be_interrupted_anywhere() -> None:
    """Never do two of the two threads run, and the next activity is done."""

    async def main(interruption: Interruption) -> None:
        inside: list[int] = []

        def work(activity: Any, state: int) -> int:  # not async: a coroutine that never begins would be reported
            inside.append(activity.id)
            assert inside.pop() == activity.id
            return state + 1

        async with agentrt.RuntimeManager(loop="current") as manager:
            runtime = manager.create("a", 0, work)
            runtime.breakpoints.add(after=lambda old, new: False)
            with interruption.here(), suppress(Interrupted, agentrt.ProcessingError):
                await runtime.ask(1)
            done = runtime.state
            inside.clear()  # of one that was interrupted
            assert await asyncio.wait_for(runtime.ask(1), PATIENCE) == done + 1, interruption.where
            assert manager.thread == threading.get_ident(), interruption.where

    for interruption in everywhere(places=(turn_thread.__file__,)):
        asyncio.run(main(interruption))
