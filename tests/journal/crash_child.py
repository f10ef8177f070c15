"""A process that works on a journal until it is killed: `python -m tests.journal.crash_child FILE`, or an address.

100 senders send to the first of three runtimes; each passes on to the next what it has processed. Whatever is
acknowledged is printed. One in ten is tried twice. What is refused as a server is away is sent again as another one.
"""

import asyncio
import itertools
import os
import sys
from collections import deque
from typing import Any

from agentrt import Activity, JournalError, JournalTakenOverError
from agentrt.journal import Accepted, Committed, Created, PostgresJournal, SQLiteJournal

CHAIN = ("a", "b", "c")
SENDERS = 100
PAUSE = 0.05  # seconds, until it is sent again


def say(*words: Any) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Worker:
    """What an engine does with a journal, in a few lines."""

    def __init__(self, journal: SQLiteJournal | PostgresJournal) -> None:
        self.journal = journal
        self.number = journal.last_activity
        self.queues: dict[str, deque[tuple[int, int]]] = {}
        self.states: dict[str, tuple[int, int]] = {}
        self.wakes = {name: asyncio.Event() for name in CHAIN}

    async def start(self) -> None:
        for name in CHAIN:
            if self.journal.find(name) is None:
                await self.journal.put(Created(runtime=name, state=(0, 0)))
            self.queues[name] = deque((each.activity.id, each.attempts) for each in self.journal.waiting(name))
            self.states[name] = self.journal.state(name)
            self.wakes[name].set()
        say("started")

    def next(self, runtime: str) -> Accepted:
        self.number += 1
        return Accepted(activity=Activity(id=self.number, runtime=runtime, payload=self.number))

    def deliver(self, accepted: Accepted) -> None:
        self.queues[accepted.activity.runtime].append((accepted.activity.id, 0))
        self.wakes[accepted.activity.runtime].set()

    async def send(self) -> None:
        while True:
            accepted = self.next("a")
            try:
                await self.journal.put(accepted)
            except JournalTakenOverError:
                raise
            except JournalError:
                await asyncio.sleep(PAUSE)
                continue
            say("accepted", "a", accepted.activity.id)
            self.deliver(accepted)

    async def process(self, name: str) -> None:
        after = dict(itertools.pairwise(CHAIN)).get(name)
        while True:
            while not self.queues[name]:
                self.wakes[name].clear()
                await self.wakes[name].wait()
            number, attempts = self.queues[name].popleft()
            if number % 10 == 0 and not attempts:
                await self.journal.put(Committed(runtime=name, activity=number, fate=None))
            count = self.states[name][0] + 1
            sent = () if after is None else (self.next(after),)
            await self.journal.put(Committed(runtime=name, activity=number, state=(count, number), sent=sent))
            self.states[name] = count, number
            say("done", name, number)
            for each in sent:
                self.deliver(each)


def open_journal(place: str) -> SQLiteJournal | PostgresJournal:
    if place.startswith("postgresql://"):
        return PostgresJournal(place, timeout=float(os.environ.get("AGENTRT_TEST_TIMEOUT", "30")))
    return SQLiteJournal(place)


async def main(place: str) -> None:
    worker = Worker(open_journal(place))
    await worker.start()
    async with asyncio.TaskGroup() as tasks:
        for work in (*(worker.send() for _ in range(SENDERS)), *map(worker.process, CHAIN)):
            tasks.create_task(work)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except* JournalTakenOverError as errors:
        say("taken", "over", len(errors.exceptions))
