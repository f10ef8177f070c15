"""Where the time of an activity goes: what a profiler counts, and what each step costs alone."""

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
from .sizes import BURST, Size
from .work import STRUCT, add

TIMES = 20_000
LINES = 25


def show(measure: Measure, size: Size) -> str:
    """The profile of one measure, as text."""
    if not OURS.takes_part(measure.method):
        raise SystemExit(f"{measure.name} has no work of agentrt in it")
    parts = [functions(measure, size), steps_table(), halves_table()]
    return "\n\n".join(parts)


def functions(measure: Measure, size: Size) -> str:
    """The functions by their own time. A profiler makes calls dear: read the order, not the sums."""
    measure.sample(OURS, STRUCT, size)
    profile = cProfile.Profile()
    profile.runcall(measure.sample, OURS, STRUCT, size)
    out = io.StringIO()
    pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(LINES)
    return f"{measure.name} under cProfile, by own time\n{out.getvalue().strip()}"


def cost(call: Callable[[], Any]) -> float:
    """CPU nanoseconds of a call, its own loop taken off; the least of five tries."""

    def nothing() -> None:
        return None

    return max(0.0, min(timed(call) for _ in range(5)) - min(timed(nothing) for _ in range(5)))


def timed(call: Callable[[], Any]) -> float:
    started = time.process_time()
    for _ in range(TIMES):
        call()
    return (time.process_time() - started) / TIMES * 1e9


def steps() -> dict[str, float]:
    """Nanoseconds of each thing that an activity needs, done alone."""
    lock, items, records, base = threading.RLock(), deque[Any](), Ring(), copy_context()
    receipt, clock = Receipt(None, None, None, 1), time.monotonic
    activity = message(receipt)
    times = LaneTimes()

    def locked() -> None:
        with lock:
            pass

    def queued() -> None:
        items.append(activity)
        items.popleft()

    def kept() -> None:
        records.append(activity)
        records.append(activity)
        records.trim()

    def counted() -> None:
        times.add_wait(1e-6)
        times.add_service(1e-6)
        times.flush()

    def settled() -> None:
        clear_field(activity, "receipt", DECIDED)

    return {
        "activity: the message": cost(lambda: message(receipt)),
        "receipt": cost(lambda: Receipt(None, None, None, 1)),
        "outcome: the record of its end": cost(outcome),
        "lock, taken and given back": cost(locked),
        "clock, twice": 2 * cost(clock),
        "lane: in and out": cost(queued),
        "ring: two records, and its bounds kept": cost(kept),
        "times: two numbers, flushed": cost(counted),
        "who sends: the context variable": cost(CURRENT.get),
        "leaked context values: compared": cost(lambda: copy_context() != base),
        "receipt settled": cost(settled),
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

    return cost(call)


def steps_table() -> str:
    found = sorted(steps().items(), key=lambda item: -item[1])
    lines = [f"{ns:8.0f} ns  {what}" for what, ns in found]
    total = sum(ns for _, ns in found)
    return "\n".join(
        [
            "each step alone, called from here (a call costs more than what is written in line)",
            *lines,
            f"{total:8.0f} ns  all of them",
        ]
    )


async def halves(n: int) -> tuple[float, float]:
    """CPU nanoseconds of sending one, and of processing one; no profiler in between."""
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
    """With and without garbage collection: the difference is what the collector walks through."""
    lines = ["one-way without a profiler: sending, processing"]
    for what, switch in (("as it is", gc.enable), ("garbage collector off", gc.disable)):
        switch()
        sending, processing = min((asyncio.run(halves(TIMES)) for _ in range(5)), key=sum)
        lines.append(f"{sending:8.0f} ns {processing:8.0f} ns  {what}")
    gc.enable()
    return "\n".join(lines)
