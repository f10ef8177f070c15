"""A process that works on a journal until it is killed: `python -m tests.journal.crash_child FILE`.

100 senders send to the first of three runtimes; each passes on to the next what it has processed. Whatever is
acknowledged is printed. One in ten is tried twice.
"""

import asyncio
import itertools
import os
import sys
from collections import deque
from typing import Any

from agentrt import Activity
from agentrt.journal import Accepted, Committed, Created, SQLiteJournal

CHAIN = ("a", "b", "c")
SENDERS = 100


def say(*words: Any) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Worker:
    """What an engine does with a journal, in a few lines."""

    def __init__(self, journal: SQLiteJournal) -> None:
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
            await self.journal.put(accepted)
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


async def main(path: str) -> None:
    worker = Worker(SQLiteJournal(path))
    await worker.start()
    await asyncio.gather(*(worker.send() for _ in range(SENDERS)), *(worker.process(name) for name in CHAIN))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
