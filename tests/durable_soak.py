"""A durable world for a while: random sends and commands, and its manager is closed and opened again all the time.

    python -m tests.soak --durable --seconds 3600       an hour
    python -m tests.soak --durable --seconds 60         a minute; the tests run some seconds

Activities wait, are urgent, delayed, have keys, fail once or for good, come too late, send others, have effects. They
are edited, moved and dropped while they wait. Runtimes are paused, resumed, terminated and created again. The journal
is bounded, is copied and compacted while all that goes on, and its folder is gone for moments. After each restart
everything that was acknowledged is there once: what was done is in the states, the rest waits, in its order. The file
and the memory stay bounded.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

import agentrt
from agentrt.journal import Retention, SQLiteJournal
from tests.soak import resident

RUNTIMES, SENDERS = 12, 20
TURN = 2.0  # seconds between two restarts
LEAST = 3  # restarts, however slow the machine is
MOST_WAITING = 200  # in one lane
BOUNDS = (Retention(records=2_000), Retention(bytes=400_000), Retention(age=2.0), Retention(records=500, age=60.0))
MOST_BYTES = 24 << 20  # of the file with its write-ahead log, whatever happens
GROWTH, LONG_ENOUGH = 1.1, 120  # seconds of a run, for memory to tell anything
KINDS = ("done",) * 12 + ("turn", "turn", "once", "fail", "late", "effect", "send")


class Load(msgspec.Struct, frozen=True):
    """A payload: what is to happen, and a number that no other has."""

    kind: str
    number: int


class Tally(msgspec.Struct, frozen=True):
    """A state: how many were done, and the sum of their numbers."""

    count: int = 0
    total: int = 0


@dataclass
class Book:
    """What was promised of one runtime: its open receipts by id, and the sum of what was done."""

    open: dict[int, tuple[int, agentrt.Receipt]] = field(default_factory=dict)
    total: int = 0
    paused: bool = False
    order: list[int] = field(default_factory=list)

    def note(self, number: int, receipt: agentrt.Receipt) -> None:
        """A receipt that was given. One of an earlier send, as it has the same key, is noted already, or over."""
        if receipt.id not in self.open and receipt.outcome is None:
            self.open[receipt.id] = number, receipt

    def settle(self, fates: Counter[str], at_end: bool = False) -> None:
        """Count what is decided. What a manager ends with waits for the next one."""
        for id, (number, receipt) in list(self.open.items()):
            if receipt.outcome is not None and not (at_end and receipt.outcome.kind in ("terminated", "dead")):
                fates[receipt.outcome.kind] += 1
                self.total += number if receipt.outcome.kind == "done" else 0
                del self.open[id]


class DurableSoak:
    """One run. `errors` are the promises that were broken, `counts` how often each thing was done."""

    def __init__(self, seconds: float, folder: Path, seed: int = 1) -> None:
        self.seconds, self.folder = seconds, folder
        (folder / "here").mkdir()
        self.file = folder / "here" / "agents.db"
        self.chance = random.Random(seed)
        self.errors: list[str] = []
        self.counts: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()
        self.memory: list[int] = []
        self.sizes: list[int] = []
        self.books = [Book() for _ in range(RUNTIMES)]
        self.numbers = iter(range(1, 1 << 60))
        self.failed_once: set[int] = set()
        self.manager: Any = None
        self.runtimes: list[Any] = []
        self.ending = False

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            self.errors.append(f"restart {self.counts['restarts']}: {what} is {found}, not {wanted}")

    # ---- the agents

    async def work(self, activity: agentrt.Activity[Load], state: Tally, ctx: agentrt.Context) -> Tally:
        """Do what the payload says."""
        load = activity.payload
        if load.kind == "turn":
            await asyncio.sleep(0)
        elif load.kind == "fail":
            raise ValueError("as asked")
        elif load.kind == "once" and load.number not in self.failed_once:
            self.failed_once.add(load.number)
            raise ValueError("as asked")
        elif load.kind == "late":
            await ctx.sleep(60)
        elif load.kind == "effect":
            await ctx.effect("count", lambda: self.counts.update(effects=1))
        elif load.kind == "send":
            await ctx.send(f"r{self.chance.randrange(RUNTIMES)}", Load("done", 0))
        self.failed_once.discard(load.number)
        return Tally(state.count + 1, state.total + load.number)

    def create(self, n: int) -> Any:
        return self.manager.create(
            f"r{n}", Tally(), self.work, timeout=0.02, retries=1, backoff=0.001, key_window=0.5,
            standard_capacity=MOST_WAITING, overflow=("wait", "drop_oldest", "drop_newest")[n % 3],
        )  # fmt: skip

    # ---- what is done to them

    async def send(self, chance: random.Random) -> None:
        while True:
            n = chance.randrange(RUNTIMES)
            runtime, book, number = self.runtimes[n], self.books[n], next(self.numbers)
            load = Load(chance.choice(KINDS), number)
            options: dict[str, Any] = {"priority": chance.random() < 0.2}
            options |= chance.choice(({}, {}, {}, {"key": f"key {number // 50}"}, {"delay": chance.random() / 20}))
            try:
                receipt = runtime.send_nowait(load, **options)
            except agentrt.AgentError as error:
                self.counts[f"refused: {error.tag}"] += 1
                await asyncio.sleep(0.01)
                continue
            self.books[n].note(number, receipt) if book is self.books[n] else None
            self.counts["sends"] += 1
            await (receipt.stored() if chance.random() < 0.5 else asyncio.sleep(0))
            book.settle(self.fates)

    async def steer(self, chance: random.Random) -> None:
        while not self.ending:
            await asyncio.sleep(chance.random() / 100)
            for _ in range(5):
                await self.command(chance)

    async def command(self, chance: random.Random) -> None:
        n = chance.randrange(RUNTIMES)
        what = chance.choice((self.rearrange,) * 20 + (self.hold,) * 6 + (self.replace, self.read_letters))
        try:
            await what(n, chance)
            self.counts[what.__name__] += 1
        except agentrt.AgentError as error:
            self.counts[f"{what.__name__}: {error.tag}"] += 1

    async def rearrange(self, n: int, chance: random.Random) -> None:
        """Edit, move or drop something that waits."""
        runtime = self.runtimes[n]
        waiting = runtime.mailbox_items()
        if not waiting:
            runtime.pause()  # for the next time
            return
        activity = chance.choice(waiting)
        how = chance.choice(("edit", "promote", "demote", "first", "drop"))
        if how != "edit":
            getattr(runtime, how)(activity.id)
            return
        number = next(self.numbers)
        runtime.edit(activity.id, Load("done", number if activity.payload.number else 0))
        if activity.id in self.books[n].open:
            self.books[n].open[activity.id] = number, self.books[n].open[activity.id][1]

    async def hold(self, n: int, chance: random.Random) -> None:
        self.runtimes[n].pause() if chance.random() < 0.3 else self.runtimes[n].resume()

    async def replace(self, n: int, chance: random.Random) -> None:
        """Terminate a runtime and create it again."""
        runtime = self.runtimes[n]
        runtime.resume()
        await runtime.terminate(drain=chance.random() < 0.5)
        self.books[n] = Book()
        while self.manager.get(f"r{n}") is None:
            with suppress(agentrt.JournalError):  # its folder is gone
                self.runtimes[n] = self.create(n)
            await asyncio.sleep(0.01)

    async def read_letters(self, n: int, chance: random.Random) -> None:
        for letter in list(self.manager.dead_letters)[: chance.randrange(1, 200)]:
            self.manager.dead_letters.discard(letter.activity.id)

    async def keep_house(self, chance: random.Random) -> None:
        """Copy and compact the journal while everything goes on, and look at the copy."""
        journal, copy = self.manager.journal, self.folder / "copy.db"
        while not self.ending:
            await asyncio.sleep(chance.random())
            self.sizes.append(journal.size)
            what = chance.choice(("backup", "backup", "compact", "fault"))
            self.counts[what] += 1
            if what == "compact":
                await asyncio.to_thread(journal.compact)
            elif what == "fault":
                await self.take_folder_away()
            else:
                await asyncio.to_thread(journal.backup, copy)
                await asyncio.to_thread(self.check_copy, copy)

    async def take_folder_away(self) -> None:
        """Nothing can be written for a moment; then it goes on by itself."""
        here, away = self.folder / "here", self.folder / "away"
        here.rename(away)
        await asyncio.sleep(0.1)
        away.rename(here)
        async with asyncio.timeout(60):
            while self.manager.journal.error is not None:
                await asyncio.sleep(0.01)

    def check_copy(self, copy: Path) -> None:
        with SQLiteJournal(copy) as journal:
            for each in journal.runtimes():
                if each.created is not None:
                    self.check_counts(f"of {each.id} in a copy", each, journal.state(each.id))
        copy.unlink()

    def check_counts(self, where: str, stored: Any, state: Tally) -> None:
        counts = dict(stored.counts)
        self.expect(f"what is done {where}", counts.get("done", 0), state.count)
        self.expect(f"what is accepted {where}", counts.pop("accepted", 0), sum(counts.values()) + stored.waiting)

    # ---- restarts

    async def run(self) -> None:
        """Live through one manager after the other, and finish what is left."""
        ends = time.monotonic() + self.seconds
        while (left := ends - time.monotonic()) > 0 or self.counts["restarts"] < LEAST:
            await self.live_once(min(TURN, max(left, TURN / 4)))
            gc.collect()
            self.memory.append(resident())
        await self.live_once(0.0)

    async def live_once(self, seconds: float) -> None:
        """One manager: it goes on, lives for some seconds, and ends. Without any, it finishes what is left."""
        with SQLiteJournal(self.file, keep=self.chance.choice(BOUNDS)) as journal:
            stored = {each.id: each for each in journal.runtimes()}
            async with agentrt.RuntimeManager(journal=journal, loop="current", ring=2_000) as self.manager:
                self.runtimes = [self.create(n) for n in range(RUNTIMES)]
                if stored:
                    self.check_what_is_there(stored)
                await (self.live(seconds) if seconds else self.finish())
                self.note_order()
            self.expect("whether the counts add up", self.manager.fates().adds_up, True)
        self.counts["restarts"] += 1
        for book in self.books:
            book.settle(self.fates, at_end=True)

    async def live(self, seconds: float) -> None:
        self.ending = False
        seeds = [random.Random(self.chance.random()) for _ in range(SENDERS + 2)]
        senders = [asyncio.create_task(self.send(each)) for each in seeds[2:]]
        others = [asyncio.create_task(self.steer(seeds[0])), asyncio.create_task(self.keep_house(seeds[1]))]
        await asyncio.sleep(seconds)
        self.ending = True
        await asyncio.gather(*others)
        for task in senders:
            task.cancel()
        for result in await asyncio.gather(*senders, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                self.errors.append(f"a sender has ended: {result!r}")
        if self.chance.random() < 0.5:
            for runtime in self.runtimes:
                runtime.pause()

    async def finish(self) -> None:
        for runtime in self.runtimes:
            runtime.resume()
        async with asyncio.timeout(120):
            while self.manager.fates().pending:
                await asyncio.sleep(0.01)

    def note_order(self) -> None:
        """What waits and is not delayed, in its order."""
        for book, runtime in zip(self.books, self.runtimes, strict=True):
            book.paused = runtime.paused
            book.order = [each.id for each in runtime.mailbox_items() if each.not_before is None]

    def check_what_is_there(self, stored: dict[str, Any]) -> None:
        for n, (book, runtime) in enumerate(zip(self.books, self.runtimes, strict=True)):
            id, state, waits = f"r{n}", runtime.state, runtime.mailbox_items()
            self.check_counts(f"of {id}", stored[id], state)
            self.expect(f"what was resumed of {id}", (runtime.resumed, runtime.paused), (True, book.paused))
            self.expect(f"the sum of {id}", state.total, book.total)
            fates, counts = msgspec.structs.asdict(runtime.fates()), stored[id].counts
            wanted = {name: counts.get(name, 0) for name in fates if name != "pending"}
            self.expect(f"the fates of {id}", fates, wanted | {"pending": stored[id].waiting})
            promised = {each: number for each, (number, _) in book.open.items()}
            found = {each.id: each.payload.number for each in waits if each.payload.number}
            self.expect(f"what waits of {id}", found, promised)
            left = {each.id for each in waits} & set(book.order)
            order = [each.id for each in waits if each.id in left]
            self.expect(f"the order of {id}", order, [each for each in book.order if each in left])
            book.open = {each.id: (each.payload.number, each.receipt) for each in waits if each.payload.number}
            if self.chance.random() < 0.7:
                runtime.resume()

    def grown(self) -> float:
        """The memory of the last third of the restarts, as a multiple of the second third."""
        third = len(self.memory) // 3
        return statistics.median(self.memory[-third:]) / statistics.median(self.memory[third : 2 * third])

    def check(self) -> None:
        """Raise AssertionError if a promise was broken, or if anything has grown."""
        assert self.errors == [], self.errors[:20]
        assert max(self.sizes, default=0) <= MOST_BYTES, max(self.sizes)
        assert self.seconds < LONG_ENOUGH or self.grown() < GROWTH, self.memory[:: len(self.memory) // 20]


def soak(seconds: float, seed: int = 1) -> DurableSoak:
    """Run it in a folder of its own."""
    with TemporaryDirectory() as folder:
        made = DurableSoak(seconds, Path(folder), seed)
        asyncio.run(made.run())
    return made


def main(seconds: float, seed: int) -> int:
    """Run it, print what came of it, and check it."""
    made = soak(seconds, seed)
    print(f"{made.counts['restarts']} restarts, {dict(made.counts)}")
    print(f"fates {dict(made.fates)}")
    print(f"the journal took {max(made.sizes, default=0) >> 10:,} KB at most, {made.sizes[-1] >> 10:,} KB at the end")
    print("memory in MB:", *(each >> 20 for each in made.memory[:: max(1, len(made.memory) // 20)]))
    for error in made.errors[:20]:
        print(error)
    made.check()
    return 0
