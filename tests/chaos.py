"""Random faults of every kind for a while: exceptions from outside, workflows that misbehave, commands at any time.

    python -m tests.chaos --seconds 3600        an hour
    python -m tests.chaos                       a minute; the tests run this

Eight threads send and steer. They are interrupted by asynchronous exceptions, their payloads send when they are
collected, hold their own receipts, or are large. Workflows fail, hang, cancel themselves, leave tasks and values
behind. At the end nothing is pending, the counts add up, every agent answers, and memory is what it was after the
warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import ctypes
import gc
import logging
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import agentrt
from agentrt.interruptible import InterruptibleEvent
from tests.soak import resident

THREADS, RUNTIMES = 8, 40
GROWTH = 1.05
LONG_ENOUGH = 600  # seconds of a run, for what is bounded to be full after its first third
LEFT: list[asyncio.Future[None]] = []
SECRET = contextvars.ContextVar("secret", default=0)


class Interrupted(BaseException):
    """Raised in a thread from outside."""


class Load:
    """A payload that holds what it likes, and may send when it is collected."""

    def __init__(self, kind: str, size: int = 0, last: Callable[[], object] | None = None) -> None:
        self.kind, self.bytes, self.last = kind, bytes(size), last
        self.receipt: Any = None

    def __del__(self) -> None:
        if self.last is not None:
            with suppress(agentrt.AgentError):
                self.last()


async def work(activity: agentrt.Activity[Any], state: int, ctx: agentrt.Context) -> int:
    """Do what the payload says, well or badly."""
    kind = getattr(activity.payload, "kind", "done")
    if kind in BEHAVIOUR:
        await BEHAVIOUR[kind](ctx)
    return state + 1


async def fail(ctx: agentrt.Context) -> None:
    raise ValueError("x" * ctx.random.randrange(20_000))


async def end_the_program(ctx: agentrt.Context) -> None:
    raise KeyboardInterrupt


async def hang(ctx: agentrt.Context) -> None:
    await asyncio.sleep(60)


async def cancel_itself(ctx: agentrt.Context) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def break_a_group(ctx: agentrt.Context) -> None:
    async with asyncio.timeout(0.01):
        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(ctx))
        await asyncio.sleep(1)


async def leave_something(ctx: agentrt.Context) -> None:
    SECRET.set(1)
    ctx.log("left")
    LEFT.append(asyncio.ensure_future(asyncio.sleep(0.01)))
    del LEFT[:-10]
    asyncio.get_running_loop().call_later(0.001, asyncio.current_task().cancel)  # type: ignore[union-attr]


async def ask_another(ctx: agentrt.Context) -> None:
    with suppress(agentrt.AgentError):
        await ctx.send(f"r{ctx.random.randrange(RUNTIMES)}", Load("done"), wait=0.001)


BEHAVIOUR: dict[str, Callable[[agentrt.Context], Any]] = {
    "fail": fail, "exit": end_the_program, "hang": hang, "cancel": cancel_itself, "group": break_a_group,
    "leave": leave_something, "another": ask_another,
}  # fmt: skip
KINDS = ("done",) * 20 + tuple(BEHAVIOUR)


class Chaos:
    """One run. `errors` are what no fault explains, `counts` how often each thing was done."""

    def __init__(self, seconds: float, seed: int = 1) -> None:
        self.seconds, self.seed = seconds, seed
        self.errors: list[str] = []
        self.counts: Counter[str] = Counter()
        self.memory: list[int] = []
        self.manager = agentrt.RuntimeManager(loop="thread", name="chaos", ring=2_000)
        self.stop = InterruptibleEvent()  # one of `threading` can stay locked by what interrupts who waits
        for n in range(RUNTIMES):
            self.create(n)

    def create(self, n: int) -> None:
        with suppress(agentrt.RuntimeExistsError):
            self.manager.create(
                f"r{n}", 0, work, timeout=0.02, retries=n % 2, backoff=0.001, standard_capacity=50,
                overflow=("wait", "drop_oldest", "drop_newest")[n % 3], key_window=0.1,
            )  # fmt: skip

    def run(self, verbose: bool = False) -> agentrt.Fates:
        """Run it and check what is left. Returns the manager's counts."""
        threads = [
            threading.Thread(target=self.live, args=(random.Random(f"{self.seed}:{n}"),)) for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        chance, ends = random.Random(self.seed), time.monotonic() + self.seconds
        while time.monotonic() < ends:
            self.stop.wait(0.005)
            raise_in(chance.choice(threads))
            self.counts["interruptions"] += 1
            if self.counts["interruptions"] % 100 == 0:
                gc.collect()
                self.memory.append(resident())
                if verbose:
                    print(
                        f"\r{self.manager.fates().accepted:,} accepted, {self.memory[-1] >> 20} MB", end="", flush=True
                    )
        self.stop.set()
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                self.errors.append(f"{thread.name} hangs")
        return self.finish()

    def live(self, chance: random.Random) -> None:
        """Send and steer until it is over; go on after each interruption."""
        while not self.stop.is_set():
            try:
                while not self.stop.is_set():
                    self.act(chance)
            except (Interrupted, agentrt.AgentError, TimeoutError):
                continue
            except BaseException as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    def act(self, chance: random.Random) -> None:
        n = chance.randrange(RUNTIMES)
        runtime = self.manager.get(f"r{n}")
        if runtime is None:
            self.create(n)
        elif chance.random() < 0.9:
            self.send(runtime, chance)
        else:
            self.steer(runtime, chance)

    def send(self, runtime: Any, chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        load = Load(kind, chance.choice((0, 0, 0, 50_000)))
        if chance.random() < 0.01:
            load.last = lambda: runtime.send_nowait("collected")
        options: dict[str, Any] = {"priority": chance.random() < 0.2}
        options |= chance.choice(({}, {}, {}, {"key": chance.choice("abc")}, {"delay": chance.random() / 100}))
        load.receipt = receipt = runtime.send_nowait(load, **options)
        if chance.random() < 0.01:
            receipt.result(1)

    def steer(self, runtime: Any, chance: random.Random) -> None:
        waiting = runtime.mailbox_items()
        command = chance.choice(("pause", "drop", "edit", "promote", "first", "swap", "limit", "terminate", "send"))
        self.counts[command] += 1
        if command == "pause":
            runtime.pause()
            self.stop.wait(0.001)
            runtime.resume()
        elif command in ("drop", "promote", "first") and waiting:
            getattr(runtime, command)(chance.choice(waiting).id)
        elif command == "edit" and waiting:
            runtime.edit(chance.choice(waiting).id, Load("done"))
        elif command == "swap":
            runtime.swap(work)
        elif command == "limit":
            runtime.standard_capacity = chance.randrange(20, 60)
        elif command == "terminate" and chance.random() < 0.2:
            self.manager.run(runtime.terminate(drain=chance.random() < 0.5), 10)
        elif command == "send":
            self.manager.run(runtime.send(Load("done"), wait=0.01), 10)

    def finish(self) -> agentrt.Fates:
        """Let everything that waits be done, and check that every agent answers."""
        manager = self.manager
        for n in range(RUNTIMES):
            self.create(n)
        for runtime in manager.runtimes():
            runtime.resume()
            runtime.recover()
            answer = manager.run(runtime.ask("last", priority=True), 60)
            if not isinstance(answer, int):
                self.errors.append(f"{runtime.id} answers {answer!r}")
        for runtime in manager.runtimes():
            manager.run(runtime.terminate(drain=True), 60)
        gc.collect()
        for _ in range(1_000):
            if manager.fates().pending == 0 and not len(manager):
                break
            time.sleep(0.01)
        counts = manager.fates()
        manager.close()
        return counts

    def thirds(self) -> list[float]:
        """Memory in each third of the run, in MB: the first is the warm-up. Nothing of a run that was too short."""
        third = len(self.memory) // 3
        starts = (0, third, len(self.memory) - third)
        return [statistics.median(self.memory[start : start + third]) / 2**20 for start in starts] if third else []

    def grown(self) -> float:
        """Memory of the last third beside that of the second."""
        thirds = self.thirds()
        return thirds[2] / thirds[1] if thirds else 1.0

    @property
    def is_flat(self) -> bool:
        """Whether memory stays what it was after the warm-up; True of a run too short to tell."""
        return self.seconds < LONG_ENOUGH or self.grown() <= GROWTH


def raise_in(thread: threading.Thread) -> None:
    """Raise `Interrupted` in another thread, wherever it is."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupted))


def main(arguments: list[str] | None = None) -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    chaos = Chaos(options.seconds, options.seed)
    counts = chaos.run(verbose=True)
    print(f"\n{counts}\n{dict(chaos.counts)}")
    print(f"memory: {[round(mb) for mb in chaos.thirds()]} MB, {chaos.grown():.3f} of what it was after the warm-up")
    print(*chaos.errors[:20], sep="\n")
    return int(bool(chaos.errors) or not counts.adds_up or counts.pending > 0 or not chaos.is_flat)


if __name__ == "__main__":
    sys.exit(main())
