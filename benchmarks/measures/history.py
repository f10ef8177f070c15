"""The time machine: how long a moment takes to read, in memory and of a file; and what it costs to ask."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentrt import RuntimeManager
from agentrt.history.moment import Moment
from agentrt.history.origin import Origin
from agentrt.history.stored import StoredHistory

from ..measure import ONE_KIND, Measure, run
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures
from ..work import Kind, add
from .watched import measure_bursts, nobody

RUNTIMES = 10
ASKED = 1_000  # moments


def fill(manager: RuntimeManager, records: int) -> None:
    """Have activities processed, until there are so many records."""
    runtimes = [manager.create(f"agent {n}", 0, add, standard_capacity=records) for n in range(RUNTIMES)]
    chance = random.Random(1)
    for n in range(records // 2):
        chance.choice(runtimes).send_nowait(n, priority=n % 7 == 0)
    for runtime in runtimes:
        manager.run(runtime.ask(0))


def read_moments(origin: Origin, sequences: Sequence[int]) -> Figures:
    """Milliseconds of the first moment, and of random ones, each with the snapshots of all runtimes."""
    chosen = random.Random(2).choices(sequences, k=ASKED)
    times = []
    for sequence in (sequences[-1], *chosen):
        started = time.perf_counter()
        Moment(origin, sequence).snapshots()
        times.append((time.perf_counter() - started) * 1e3)
    first, *others = times
    others.sort()
    return {"first ms": first, "p50 ms": others[len(others) // 2], "p99 ms": others[len(others) * 99 // 100]}


def in_memory(peer: Peer, kind: Kind, size: Size) -> Figures:
    """Moments of what the ring has."""
    with RuntimeManager(ring=2 * size.history, offer=False) as manager:
        fill(manager, size.history)
        manager.at()
        return read_moments(manager.origin, manager.origin.chronicle.sequences)


def of_file(peer: Peer, kind: Kind, size: Size) -> Figures:
    """Moments of a journal file; and microseconds of each row, to open it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "agents.db"
        with RuntimeManager(file, offer=False) as manager:
            fill(manager, size.history)
        started = time.perf_counter()
        history = StoredHistory(file)
        last = history.chronicle.last
        each = (time.perf_counter() - started) / last * 1e6
        found = read_moments(history, range(1, last + 1))
        history.close()
        return {**found, "us to open a row": each}


@contextmanager
def asking(runtime: Any) -> Iterator[None]:
    """Somebody asks for the moment that is now, ten times a second."""
    detach: Callable[[], None] = runtime.manager.hub.attach(lambda frame: runtime.manager.at().snapshots())
    yield
    detach()


@contextmanager
def asked_once(runtime: Any) -> Iterator[None]:
    """Somebody has asked for a moment before."""
    runtime.manager.at().snapshots()
    yield


def loss(peer: Peer, kind: Kind, size: Size) -> Figures:
    """The lost throughput in percent, as in `watched`."""
    n = 4 * size.watched  # so that it is asked for several times
    before, figures = run(measure_bursts(kind, n, nobody)), {}
    for watcher in (asked_once, asking, nobody):
        watched, after = run(measure_bursts(kind, n, watcher)), run(measure_bursts(kind, n, nobody))
        figures[f"{watcher.__name__} loss %"] = 100 * (1 - (before + after) / 2 / watched)
        before = after
    return {**figures, "us": before / n * 1e6}


MEASURES = [
    Measure("moments", "random moments of a run in memory", "watched", in_memory, "p50 ms", ONE_KIND),
    Measure("moments of a file", "random moments of a journal file", "watched", of_file, "p50 ms", ONE_KIND),
    Measure("looking back", "one-way while somebody asks for moments", "watched", loss, "asking loss %", ONE_KIND),
]
