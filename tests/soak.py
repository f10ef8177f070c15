"""The soak test: many threads and many runtimes, with failures and commands at random; every activity must have a fate.

    python -m tests.soak                        1,000,000 activities, 8 threads, 200 runtimes
    python -m tests.soak --activities 20000     a short one; the tests run this
    python -m tests.soak --durable --seconds 3600   agents in a journal for an hour, see durable_soak.py

Threads send, activities fail, time out or suspend, runtimes are paused, resumed, terminated and created again, senders
give up waiting for room. At the end each receipt has exactly one fate, the manager's counts are the same, no task,
thread or file descriptor is left, and memory does not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import agentrt
from agentrt.journal import SQLiteJournal

STEP = 500


async def work(activity: agentrt.Activity[str], state: int, ctx: agentrt.Context) -> int:
    """Do what the payload asks for."""
    if activity.payload == "fail":
        raise ValueError("as asked")
    if activity.payload == "late":
        await ctx.sleep(60)
    if activity.payload == "turn":
        await asyncio.sleep(0)
    return state + 1


@dataclass
class Soak:
    """One run. `fates` counts the outcomes of the receipts, `refused` the sends that were not accepted, by tag.

    With a `journal`, the agents are durable.
    """

    activities: int = 1_000_000
    threads: int = 8
    runtimes: int = 200
    seed: int = 1
    journal: SQLiteJournal | None = None
    fates: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    sent: int = 0

    def run(self, verbose: bool = True) -> agentrt.Fates:
        """Run it. Returns the manager's counts."""
        manager = agentrt.RuntimeManager(self.journal, loop="thread", name="soak")
        for n in range(self.runtimes):
            self._create(manager, n)
        stop = threading.Event()
        threads = [threading.Thread(target=self._send, args=(manager, n)) for n in range(self.threads)]
        commander = threading.Thread(target=self._command, args=(manager, stop))
        for thread in (*threads, commander):
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.5) if threads[0].is_alive() else next(t for t in threads if t.is_alive()).join(0.5)
            self.memory.append(resident())
            if verbose:
                print(f"\r{self.sent:>9,} sent, {self.memory[-1] >> 20} MB", end="", file=sys.stderr, flush=True)
        stop.set()
        commander.join()
        counts = manager.fates()
        manager.close()
        return counts

    def _create(self, manager: agentrt.RuntimeManager, n: int) -> None:
        manager.create(f"r{n}", 0, work, timeout=0.02, retries=n % 2, backoff=0.001, standard_capacity=200)

    def _send(self, manager: agentrt.RuntimeManager, number: int) -> None:
        chance = random.Random(f"{self.seed}:{number}")
        open_receipts: deque[agentrt.Receipt] = deque()
        fates: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for n in range(self.activities // self.threads):
            receipt = self._one(manager, chance, refused)
            if receipt is not None:
                open_receipts.append(receipt)
            if n % STEP == 0:
                self.sent += STEP
                settle(open_receipts, fates, most=STEP)
        settle(open_receipts, fates, most=0)
        self.fates.update(fates)
        self.refused.update(refused)

    def _one(
        self, manager: agentrt.RuntimeManager, chance: random.Random, refused: Counter[str]
    ) -> agentrt.Receipt | None:
        payload = chance.choices(("done", "turn", "fail", "late"), (90, 8, 1.5, 0.5))[0]
        id = f"r{chance.randrange(self.runtimes)}"
        try:
            return manager.send_nowait(id, payload, priority=chance.random() < 0.2)
        except agentrt.MailboxFullError:
            return self._wait_for_room(manager, id, payload, chance, refused)
        except agentrt.AgentError as error:
            refused[error.tag] += 1
            return None

    @staticmethod
    def _wait_for_room(
        manager: agentrt.RuntimeManager, id: str, payload: str, chance: random.Random, refused: Counter[str]
    ) -> agentrt.Receipt | None:
        runtime = manager.get(id)
        if runtime is None:
            refused["gone"] += 1
            return None
        try:
            return manager.run(runtime.send(payload, wait=chance.choice((0.001, 0.05))))
        except agentrt.AgentError as error:
            refused[error.tag] += 1
            return None

    def _command(self, manager: agentrt.RuntimeManager, stop: threading.Event) -> None:
        """Pause, resume, terminate and create runtimes until `stop` is set; then leave all of them running."""
        chance = random.Random(self.seed)
        while not stop.wait(0.002):
            n = chance.randrange(self.runtimes)
            runtime = manager.get(f"r{n}")
            if runtime is None:
                continue
            if chance.random() < 0.1:
                manager.run(runtime.terminate(drain=chance.random() < 0.5))
                self._create(manager, n)
                continue
            runtime.pause()
            stop.wait(0.001)
            runtime.resume()


def settle(receipts: deque[agentrt.Receipt], fates: Counter[str], most: int) -> None:
    """Count the fates of the oldest receipts until at most `most` are left."""
    while len(receipts) > most:
        receipt = receipts.popleft()
        with suppress(agentrt.AgentError):  # only the fate is counted
            receipt.result(60)
        assert receipt.outcome is not None
        fates[receipt.outcome.kind] += 1


def resident() -> int:
    """The resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def count_resources() -> tuple[int, int, int]:
    """How many threads, open file descriptors and unfinished tasks there are."""
    gc.collect()
    tasks = sum(1 for thing in gc.get_objects() if isinstance(thing, asyncio.Task) and not thing.done())
    return threading.active_count(), len(os.listdir("/proc/self/fd")), tasks


def check(soak: Soak, counts: agentrt.Fates, before: tuple[int, int, int]) -> None:
    """Raise AssertionError unless every activity has a fate and nothing is left."""
    from_receipts = {
        fate: soak.fates[fate] for fate in ("done", "failed", "timed_out", "dropped", "terminated", "dead")
    }
    counted = {fate: getattr(counts, fate) for fate in from_receipts}
    assert counts.adds_up
    assert counts.pending == 0, counts
    assert from_receipts == counted, (from_receipts, counted)
    assert sum(soak.fates.values()) + sum(soak.refused.values()) == soak.activities // soak.threads * soak.threads
    assert count_resources() == before, (count_resources(), before)


def main(arguments: list[str] | None = None) -> int:
    """Run the soak test and print its results."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--activities", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--runtimes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durable", action="store_true", help="agents in a journal, for so many seconds")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(arguments)
    if options.durable:
        from tests import durable_soak

        return durable_soak.main(options.seconds, options.seed)
    soak = Soak(options.activities, options.threads, options.runtimes, options.seed)
    before, started = count_resources(), time.perf_counter()
    counts = soak.run()
    check(soak, counts, before)
    seconds = time.perf_counter() - started
    third = max(1, len(soak.memory) // 3)
    first, last = (sum(part) / len(part) / 2**20 for part in (soak.memory[:third], soak.memory[-third:]))
    print(f"\n{soak.activities:,} sends in {seconds:.0f} s: {dict(soak.fates)}, refused {dict(soak.refused)}")
    print(f"fates: {counts}")
    print(f"left as before: threads, descriptors, tasks {count_resources()}")
    print(f"memory: first third {first:.0f} MB, last third {last:.0f} MB")
    return 0 if last < first * 1.25 + 16 else 1


if __name__ == "__main__":
    sys.exit(main())
