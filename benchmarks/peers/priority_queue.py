"""asyncio.PriorityQueue and a task: the usual first version."""

from __future__ import annotations

import asyncio
from typing import Any

from .bare import Bare


class Agent:
    def __init__(self, workflow: Any) -> None:
        self.queue: asyncio.PriorityQueue[Any] = asyncio.PriorityQueue()
        self.put = self.queue.put_nowait
        self.left = self.queue.qsize
        self.workflow = workflow
        self.state = 0
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        get, workflow = self.queue.get, self.workflow
        while True:
            _, _, message, future = await get()
            self.state = await workflow(message, self.state)
            if future is not None:
                future.set_result(self.state)


class PriorityQueue(Bare):
    name = "PriorityQueue"

    def agent(self, workflow: Any) -> Agent:
        return Agent(workflow)
