"""The cost of open dashboards: 0, 1, 10 and 20 pages in a real browser, under a steady load and at full speed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from agentrt import RuntimeManager

from .. import child as process
from ..measure import ONE_KIND, Measure
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures
from ..visitors import visitors
from ..work import Kind, add

AGENTS = 10
STEADY = 1_000  # activities a second, all agents together
BURST = 500


async def send_steadily(runtimes: list[Any], seconds: float) -> None:
    """Send `STEADY` activities per second."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for runtime in runtimes:
            runtime.send_nowait(1)
        await asyncio.sleep(AGENTS / STEADY)


def send_burst(runtime: Any) -> Any:
    for _ in range(BURST):
        last = runtime.send_nowait(1)
    return last


async def send_at_full_speed(runtimes: list[Any], seconds: float) -> int:
    """Send as many activities as possible; returns how many were processed."""
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for last in [send_burst(runtime) for runtime in runtimes]:
            await last
        done += BURST * len(runtimes)
    return done


def measure_load(manager: Any, runtimes: list[Any], seconds: float) -> Figures:
    """Under the present number of visitors: percent of a core, frames per second, CPU microseconds per activity."""
    cpu, started, frames = time.process_time(), time.perf_counter(), manager.hub.frames
    manager.run(send_steadily(runtimes, seconds))
    steady = (time.process_time() - cpu) / (time.perf_counter() - started)
    calm = (manager.hub.frames - frames) / (time.perf_counter() - started)
    cpu, started, frames = time.process_time(), time.perf_counter(), manager.hub.frames
    done = manager.run(send_at_full_speed(runtimes, seconds))
    spent = time.process_time() - cpu
    busy = (manager.hub.frames - frames) / (time.perf_counter() - started)
    return {"core %": 100 * steady, "frames": calm, "busy frames": busy, "us": spent / done * 1e6}


def child(seconds: str, where: str, *numbers: str) -> Figures:
    with RuntimeManager(loop="thread") as manager:
        runtimes = [manager.create(f"agent {i}", 0, add) for i in range(AGENTS)]
        server = manager.serve()
        measure_load(manager, runtimes, 0.5)
        found: Figures = {}
        for number in numbers:
            n = int(number)
            before = measure_load(manager, runtimes, float(seconds))
            with visitors(server.url, n, elsewhere=where == "elsewhere"):
                now = measure_load(manager, runtimes, float(seconds))
            after = measure_load(manager, runtimes, float(seconds))
            alone = {name: (before[name] + after[name]) / 2 for name in before}
            found[f"{n} cost %"] = now["core %"] - alone["core %"]
            found[f"{n} loss %"] = 100 * (1 - alone["us"] / now["us"])
            if n:
                found[f"{n} s a frame"] = n / max(now["frames"], 0.01)
                found[f"{n} s busy"] = n / max(now["busy frames"], 0.01)
        return found


def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
    """Each number of pages, between two measurements without pages."""
    return process.figures("sessions", size.looks, "here", *size.pages)


def elsewhere(peer: Peer, kind: Kind, size: Size) -> Figures:
    """The largest number of pages, none of them drawn on this machine."""
    return process.figures("sessions", size.looks, "elsewhere", 0, size.pages[-1])


MEASURES = [
    Measure(
        "sessions",
        "dashboards open in a real browser: at 1,000 activities/s their cost, at full speed the loss; frames",
        "shown",
        sample,
        "0 loss %",
        ONE_KIND,
        1,
    ),
    Measure(
        "sessions elsewhere",
        "the same number of sessions at most, whose pages are drawn on other machines",
        "shown",
        elsewhere,
        "0 loss %",
        ONE_KIND,
        1,
    ),
]
