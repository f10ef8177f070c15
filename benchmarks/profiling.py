"""Where the time of one activity goes: a profile by function, and the cost of each step alone."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import io
import pstats
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from agentrt import RuntimeManager
from agentrt.activity import Activity, Lane
from agentrt.engine.deadlock import CURRENT
from agentrt.events import Outcome, Ring
from agentrt.metrics import LaneTimes
from agentrt.receipt import DECIDED, Receipt, clear_field

from .measure import Measure
from .peers import OURS
from .report import core_in_use
from .sizes import BURST, Size
from .work import STRUCT, add

TIMES = 20_000
LINES = 25


def show(measure: Measure, size: Size) -> str:
    """The profile of one measure, as text."""
    if not OURS.takes_part(measure.method):
        raise SystemExit(f"{measure.name} does not measure agentrt")
    parts = [profile_functions(measure, size), steps_table(), halves_table()]
    return "\n\n".join(parts)


def profile_functions(measure: Measure, size: Size) -> str:
    """The functions by their own time. A profiler slows calls down: trust the order, not the sums."""
    measure.sample(OURS, STRUCT, size)
    profile = cProfile.Profile()
    profile.runcall(measure.sample, OURS, STRUCT, size)
    out = io.StringIO()
    pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(LINES)
    unseen = "; AGENTRT_PURE=1 shows the functions of the core" if core_in_use() == "compiled" else ""
    return f"{measure.name} under cProfile, by own time{unseen}\n{out.getvalue().strip()}"


def nanoseconds_of(call: Callable[[], Any]) -> float:
    """CPU nanoseconds of a call, without those of the loop around it; the least of five runs."""

    def nothing() -> None:
        return None

    return max(0.0, min(mean_time(call) for _ in range(5)) - min(mean_time(nothing) for _ in range(5)))


def mean_time(call: Callable[[], Any]) -> float:
    started = time.process_time()
    for _ in range(TIMES):
        call()
    return (time.process_time() - started) / TIMES * 1e9


def steps() -> dict[str, float]:
    """Nanoseconds of each step of an activity, done alone."""
    lock, items, records, base = threading.RLock(), deque[Any](), Ring(), copy_context()
    receipt, clock = Receipt(None, None, None, 1), time.monotonic
    activity = message(receipt)
    times = LaneTimes()

    def take_lock() -> None:
        with lock:
            pass

    def queue() -> None:
        items.append(activity)
        items.popleft()

    def append_records() -> None:
        records.append(activity)
        records.append(activity)
        records.trim()

    def add_times() -> None:
        times.add_wait(1e-6)
        times.add_service(1e-6)
        times.flush()

    def settle() -> None:
        clear_field(activity, "receipt", DECIDED)

    return {
        "activity: the message": nanoseconds_of(lambda: message(receipt)),
        "receipt": nanoseconds_of(lambda: Receipt(None, None, None, 1)),
        "outcome: the record": nanoseconds_of(outcome),
        "lock: acquired and released": nanoseconds_of(take_lock),
        "clock, twice": 2 * nanoseconds_of(clock),
        "lane: in and out": nanoseconds_of(queue),
        "ring: two records, and a check of its bounds": nanoseconds_of(append_records),
        "times: two numbers, flushed": nanoseconds_of(add_times),
        "sender: the context variable": nanoseconds_of(CURRENT.get),
        "leaked context values: compared": nanoseconds_of(lambda: copy_context() != base),
        "receipt settled": nanoseconds_of(settle),
        "workflow: called and awaited": workflow(activity),
    }


def message(receipt: Receipt) -> Activity[int]:
    return Activity(1, "agent", 1, Lane.STANDARD, 0.0, None, None, None, None, 1, None, receipt)


def outcome() -> Outcome:
    return Outcome(1, 1, "agent", False, "done", 0.0, 0.0, 0.0, 1)


def workflow(activity: Activity[int]) -> float:
    def call() -> None:
        try:
            add(activity, 0).send(None)
        except StopIteration:
            return

    return nanoseconds_of(call)


def steps_table() -> str:
    found = sorted(steps().items(), key=lambda item: -item[1])
    lines = [f"{ns:8.0f} ns  {what}" for what, ns in found]
    total = sum(ns for _, ns in found)
    return "\n".join(
        [
            "each step alone, as a call (which costs more than the same code in line)",
            *lines,
            f"{total:8.0f} ns  all of them",
        ]
    )


async def halves(n: int) -> tuple[float, float]:
    """CPU nanoseconds of sending and of processing one activity, without a profiler."""
    async with RuntimeManager() as manager:
        runtime = manager.create("agent", 0, add)
        await runtime.ask(0)
        sending = processing = 0.0
        for _ in range(n // BURST):
            started = time.process_time()
            receipts = [runtime.send_nowait(1) for _ in range(BURST)]
            sent = time.process_time()
            await receipts[-1]
            processing += time.process_time() - sent
            sending += sent - started
    done = n // BURST * BURST
    return sending / done * 1e9, processing / done * 1e9


def halves_table() -> str:
    """The same with and without garbage collection: the difference is the time of the collector."""
    lines = ["one-way without a profiler: sending, processing"]
    for what, switch in (("garbage collector on", gc.enable), ("garbage collector off", gc.disable)):
        switch()
        sending, processing = min((asyncio.run(halves(TIMES)) for _ in range(5)), key=sum)
        lines.append(f"{sending:8.0f} ns {processing:8.0f} ns  {what}")
    gc.enable()
    return "\n".join(lines)
