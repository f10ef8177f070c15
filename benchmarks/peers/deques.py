"""Two deques, a future to wait on, and a turn of the loop every 64 messages: a tuned loop without accounting."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from .bare import Bare


class Agent:
    def __init__(self, workflow: Any) -> None:
        self.priority: deque[Any] = deque()
        self.standard: deque[Any] = deque()
        self.sleeper: asyncio.Future[None] | None = None
        self.workflow = workflow
        self.state = 0
        self.task = asyncio.create_task(self.run())

    def put(self, item: Any) -> None:
        (self.standard if item[0] else self.priority).append(item)
        if self.sleeper is not None:
            self.sleeper.set_result(None)
            self.sleeper = None

    def left(self) -> int:
        return len(self.priority) + len(self.standard)

    async def run(self) -> None:
        priority, standard, workflow = self.priority, self.standard, self.workflow
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(64):
                if priority:
                    item = priority.popleft()
                elif standard:
                    item = standard.popleft()
                else:
                    self.sleeper = loop.create_future()
                    await self.sleeper
                    continue
                _, _, message, future = item
                self.state = await workflow(message, self.state)
                if future is not None:
                    future.set_result(self.state)
            await asyncio.sleep(0)


class Deques(Bare):
    name = "two deques"

    def agent(self, workflow: Any) -> Agent:
        return Agent(workflow)
