"""Breakpoints before an activity. Those inside of one are in test_run.py."""

import asyncio
import dataclasses

import pytest

import agentrt
from agentrt.testing.virtual import run


def virtual(main):
    async def go():
        async with agentrt.RuntimeManager(loop="current", seed=1) as manager:
            return await main(manager)

    return run(go(), timeout=10_000)


def adder(activity, state):
    if activity.payload == "fail":
        raise ValueError("as asked")
    return state + activity.payload


def kinds(manager):
    return [record.kind for record in manager.ring.since(0)[0]]


def test_a_breakpoint_pauses_before_the_activity_once():
    async def main(manager):
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add(lambda activity: activity.payload >= 10)
        receipts = [runtime.send_nowait(n) for n in (1, 10, 2, 20)]
        await asyncio.sleep(1)
        assert (runtime.status, runtime.state, runtime.depth) == ("paused", 1, (0, 3))
        runtime.resume()
        await asyncio.sleep(1)
        assert (runtime.status, runtime.state) == ("paused", 13)
        runtime.step()
        await asyncio.sleep(1)
        assert (runtime.status, runtime.state) == ("paused", 33)
        runtime.resume()
        assert runtime.status == "idle"
        assert await runtime.ask(1) == 34
        assert all([(await receipt).ok for receipt in receipts])
        assert kinds(manager).count("breakpoint") == 2

    virtual(main)


def test_a_lane_is_a_breakpoint():
    async def main(manager):
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add("priority")
        assert await runtime.ask(1) == 1
        urgent = runtime.send_nowait(5, priority=True)
        await asyncio.sleep(1)
        assert (runtime.status, runtime.state) == ("paused", 1)
        runtime.breakpoints.remove("priority")
        runtime.resume()
        assert (await urgent).state == 6
        assert not runtime.entry.held

    virtual(main)


def test_after_an_error_it_stops_before_the_next():
    async def main(manager):
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add("error")
        receipts = [runtime.send_nowait(payload) for payload in (1, "fail", 2, 3)]
        await asyncio.sleep(1)
        assert (runtime.status, runtime.state) == ("paused", 1)
        assert receipts[1].outcome.fate == "failed"
        runtime.resume()
        assert (await receipts[3]).state == 6

    virtual(main)


def test_breakpoints_keep_to_failed_drain_and_terminate():
    async def main(manager):
        runtime = manager.create("x", 0, adder, supervision=agentrt.Supervision("stop", intensity=1))
        runtime.breakpoints.add("standard")
        failing = runtime.send_nowait("fail")
        await asyncio.sleep(1)
        runtime.resume()
        await failing.wait()
        assert runtime.status == "failed"
        runtime.recover()
        waiting = runtime.send_nowait(1)
        await asyncio.sleep(1)
        assert runtime.status == "paused"
        await runtime.terminate(drain=True)
        assert waiting.outcome.ok

    virtual(main)


@dataclasses.dataclass  # it compares by value, and so has no hash
class Is:
    number: int

    def __call__(self, *values):
        return getattr(values[-1], "payload", values[-1]) == self.number


@pytest.mark.parametrize("place", [{"at": Is(100)}, {"after": Is(101)}, {"at": "standard", "when": Is(100)}])
def test_a_function_without_a_hash_is_a_breakpoint(place):
    async def main(manager):
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add(**place)
        receipts = [runtime.send_nowait(n) for n in (1, 100)]
        await asyncio.sleep(1)
        assert (runtime.state, runtime.status) == (1, "paused")
        assert len(runtime.breakpoints) == 1
        runtime.resume()
        assert (await receipts[1]).state == 101

    virtual(main)


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(3)], ids=repr)
def test_a_breakpoint_that_raises_is_taken_out_and_recorded(error):
    def breaks(activity):
        raise error

    async def main(manager):
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add(breaks)
        assert await runtime.ask(1) == 1
        assert len(runtime.breakpoints) == 0
        removed = [record for record in manager.ring.since(0)[0] if record.kind == "breakpoint_removed"]
        assert removed[0].detail["error"] == repr(error)

    virtual(main)


def test_resume_from_another_thread_is_never_lost():
    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, adder)
        runtime.breakpoints.add(lambda activity: True)
        receipts = [runtime.send_nowait(1) for _ in range(200)]
        stream = runtime.subscribe()

        async def resume_each():
            stops = 0
            async for record in stream:
                if record.kind == "breakpoint":
                    stops += 1
                    await asyncio.to_thread(runtime.resume)
                    if stops == len(receipts):
                        return stops

        runtime.pause()
        waiting = manager.submit(resume_each())
        runtime.resume()
        done = [receipt.result(60).ok for receipt in receipts]
        waiting.cancel()
        assert all(done)


def test_what_is_no_breakpoint_is_refused():
    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, adder)
        with pytest.raises(agentrt.ConfigurationError, match="priority, standard, error, or a function"):
            runtime.breakpoints.add("never")
        runtime.breakpoints.add(adder)
        runtime.breakpoints.add(adder)
        assert repr(runtime.breakpoints) == "<Breakpoints of 'x': adder>"
        runtime.breakpoints.clear()
        assert list(runtime.breakpoints) == []
