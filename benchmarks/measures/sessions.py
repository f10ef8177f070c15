"""The cost of open dashboards: 0, 1, 10 and 20 pages in a real browser, under a steady load and at full speed.

`sessions apart` has the dashboard in a process of its own. It and the browser run at the lowest priority: two cores are
too few for all three at full speed. Counted is what the process of the agents spends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from agentrt import RuntimeManager

from .. import child as process
from ..measure import ONE_KIND, Measure
from ..niceness import make_nice
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures
from ..visitors import visitors
from ..work import Kind, add

AGENTS = 10
STEADY = 1_000  # activities a second, all agents together
BURST = 500
SLICE = 0.5  # seconds of one measurement of a pair
SETTLE = 0.25  # seconds until a process has noticed that it goes on
PAIRS = 5  # in each second of a look
LOWEST = 19  # the niceness of the dashboard's process and the browser's


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
    spent, took = time.process_time() - cpu, time.perf_counter() - started
    busy = (manager.hub.frames - frames) / took
    us, wall = spent / done * 1e6, took / done * 1e6
    return {"core %": 100 * steady, "frames": calm, "busy frames": busy, "us": us, "wall us": wall}


def child(seconds: str, where: str, *numbers: str) -> Figures:
    if where in ("apart", "class"):
        return apart(seconds, *numbers, is_class=where == "class")
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


@contextmanager
def open_pages(server: Any, n: int, is_class: bool) -> Iterator[None]:
    """Keep pages open in a browser; of a class one, and the others as what its viewers' machines would receive."""
    if not is_class:
        with visitors(server.url, n, niceness=LOWEST):
            yield
        return
    with (
        visitors(server.view_url, min(n, 1), niceness=LOWEST),
        visitors(server.view_url, max(n - 1, 0), elsewhere=True, niceness=LOWEST),
    ):
        yield


def apart(seconds: str, *numbers: str, is_class: bool = False) -> Figures:
    """Percent more processor time, and real time, of an activity while pages are fed; see `measure_pairs`."""
    found: Figures = {}
    for n in map(int, numbers):
        with RuntimeManager(loop="thread", name="measured") as manager:
            runtimes = [manager.create(f"agent {i}", 0, add) for i in range(AGENTS)]
            server: Any = manager.serve(process=True)
            with open_pages(server, n, is_class), count_answers() as answers:
                make_nice(server.pid, LOWEST)
                pairs = measure_pairs(manager, runtimes, server.pid, max(1, round(PAIRS * float(seconds))))
                make_nice(server.pid, 0)  # else it would never end on a busy machine
            server.stop()
        found[f"{n} answers/s"] = answers[0] / (SLICE + SETTLE) / len(pairs)
        for place, name in enumerate(("more %", "more wall %")):
            found[f"{n} {name}"] = more(pairs, place)
        watched = [on for _, on in pairs]
        found[f"{n} us"] = 1e6 * statistics.median(on.cpu for on in watched)
        found[f"{n} us alone"] = 1e6 * statistics.median(off.cpu for off, _ in pairs)
        found[f"{n} answering %"] = 100 * sum(on.answering for on in watched) / sum(on.cpu for on in watched)
        if not n and not is_class:
            found["0 neighbour %"] = more(neighbour(max(1, round(PAIRS * float(seconds)))), 0)
    return found


@contextmanager
def count_answers() -> Iterator[list[int]]:
    """Count what the dashboard's process asks for: that its pages are fed at all."""
    from agentrt.feed.answers import Answers  # not there yet where an older agentrt is measured, see `before.py`

    counts, answer = [0], Answers.answer

    def count(answers: Answers, data: bytes) -> bytes:
        counts[0] += 1
        return answer(answers, data)

    Answers.answer = count  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Answers.answer = answer  # type: ignore[method-assign]


class Times(NamedTuple):
    """Of one activity: processor time of this process, real time, and processor time of the thread that answers."""

    cpu: float
    wall: float
    answering: float


def more(pairs: list[tuple[Times, Times]], place: int) -> float:
    """How much more an activity takes in the second of each pair, in percent."""
    return 100 * (statistics.median(on[place] / off[place] for off, on in pairs) - 1)


NEIGHBOUR = """
import json, time
data = [{"a": n, "b": [str(n)] * 5} for n in range(4_000)]
while True:
    started = time.perf_counter()
    json.loads(json.dumps(data))
    time.sleep(time.perf_counter() - started)
"""


def neighbour(pairs: int) -> list[tuple[Times, Times]]:
    """The same pairs where nobody watches, and a process that has nothing to do with the agents works half the time.

    The caches and the memory that it shares with the agents make their activities dearer.
    """
    with RuntimeManager(loop="thread", name="alone", offer=False) as manager:
        runtimes = [manager.create(f"agent {i}", 0, add) for i in range(AGENTS)]
        other = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])
        try:
            return measure_pairs(manager, runtimes, other.pid, pairs)
        finally:
            other.kill()
            other.wait()


def answering_time() -> float:
    """Processor seconds of the thread that answers the dashboard's process."""
    clocks = [
        time.pthread_getcpuclockid(each.ident)
        for each in threading.enumerate()
        if each.name.endswith("-offer") and each.ident is not None
    ]
    return sum(map(time.clock_gettime, clocks))


def measure_pairs(manager: Any, runtimes: list[Any], dashboard: int, pairs: int) -> list[tuple[Times, Times]]:
    """At full speed, in turn, with the dashboard's process stopped and going on: what else runs meets both alike.

    Every other pair begins with the other half: what changes steadily meets both alike too.
    """

    def once(watched: bool) -> Times:
        os.kill(dashboard, signal.SIGCONT if watched else signal.SIGSTOP)
        time.sleep(SETTLE)
        cpu, started, answering = time.process_time(), time.perf_counter(), answering_time()
        done = manager.run(send_at_full_speed(runtimes, SLICE))
        cpu, answering = time.process_time() - cpu, answering_time() - answering
        return Times(cpu / done, (time.perf_counter() - started) / done, answering / done)

    once(True)
    found = []
    for pair in range(pairs):
        times = {watched: once(watched) for watched in ((False, True) if pair % 2 else (True, False))}
        found.append((times[False], times[True]))
    os.kill(dashboard, signal.SIGCONT)
    return found


def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
    """Each number of pages, between two measurements without pages."""
    return process.figures("sessions", size.looks, "here", *size.pages)


def elsewhere(peer: Peer, kind: Kind, size: Size) -> Figures:
    """The largest number of pages, none of them drawn on this machine."""
    return process.figures("sessions", size.looks, "elsewhere", 0, size.pages[-1])


def own_process(peer: Peer, kind: Kind, size: Size) -> Figures:
    """The same pages, from a dashboard in a process of its own; each number in a new process of the agents."""
    found: Figures = {}
    for n in size.pages:
        found |= process.figures("sessions", size.looks, "apart", n)
    return found


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
    Measure(
        "sessions apart",
        "the same pages in a real browser, from a dashboard in a process of its own",
        "shown",
        own_process,
        "0 more %",
        ONE_KIND,
        1,
    ),
]
