"""A program that is killed: a hundred senders, a chain of three runtimes, retries and delays, all of it durable.

It goes on with what the file holds, and says what was acknowledged.
"""

import asyncio
import sys
from typing import Any

import msgspec

from agentrt import Activity, Context, RuntimeManager

SENDERS = 100
CHAIN = ("a", "b", "c")
EVERY = 5  # of so many commits of the first one sends something that is delayed


class Numbers(msgspec.Struct, frozen=True):
    """How many were processed, and the last number of each sender."""

    count: int = 0
    last: tuple[int, ...] = (0,) * SENDERS
    wrong: str = ""


def take(state: Numbers, sender: int, number: int) -> Numbers:
    """The next number of a sender; one that is not the next is remembered for good."""
    expected = state.last[sender] + 1
    wrong = state.wrong or ("" if number == expected else f"{number} of {sender} came instead of {expected}")
    last = (*state.last[:sender], number, *state.last[sender + 1 :])
    return Numbers(state.count + 1, last, wrong)


failed: set[int] = set()


def link(after: str | None) -> Any:
    """A workflow that sends what it gets to the next one, and fails now and then."""

    async def forward(activity: Activity[tuple[int, int]], state: Numbers, ctx: Context) -> Numbers:
        sender, number = activity.payload
        if after is not None:
            await ctx.send(after, activity.payload)
        if after == "b" and (state.count + 1) % EVERY == 0:
            await ctx.send("late", state.count + 1, delay=0.02)
        if activity.id % 7 == 0 and activity.id not in failed:
            failed.add(activity.id)
            raise ValueError("the first time it fails")
        return take(state, sender, number)

    return forward


def late(activity: Activity[int], state: tuple[int, ...]) -> tuple[int, ...]:
    return (*state, activity.payload)


async def send_numbers(manager: RuntimeManager, sender: int, first: int) -> None:
    number = first
    while True:
        receipt = await manager.send("a", (sender, number))
        print("accepted", sender, number, flush=True)
        if number % 3 == 0:
            await receipt
            print("done", sender, number, flush=True)
        number += 1


async def work(file: str) -> None:
    async with RuntimeManager(journal=file, loop="current") as manager:
        limits: Any = {"standard_capacity": 100_000, "backoff": 0.001}
        for name, after in zip(CHAIN, (*CHAIN[1:], None), strict=True):
            manager.create(name, Numbers(), link(after), **limits)
        manager.create("late", (), late, **limits)
        waiting = [each.payload for each in manager["a"].mailbox_items()]
        last = list(manager["a"].state.last)
        for sender, number in waiting:
            last[sender] = max(last[sender], number)
        await asyncio.gather(*(send_numbers(manager, each, last[each] + 1) for each in range(SENDERS)))


def main() -> None:
    asyncio.run(work(sys.argv[1]))
