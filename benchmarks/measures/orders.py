"""Five senders to one agent, again and again: each order once, as the explorer does it, or one for each seed."""

from __future__ import annotations

import asyncio
from typing import Any

from ..measure import ONE_KIND, Measure
from ..sizes import Size
from ..stopwatch import Figures, Stopwatch
from ..work import Kind

SENDERS = 5


def append(activity: Any, state: Any) -> Any:
    return (*state, activity.payload)


async def five_senders(manager: Any) -> None:
    """The scenario: each order of five sends to one runtime."""
    log = manager.create("log", (), append)

    async def sender(number: int) -> None:
        await log.send(number)

    await asyncio.gather(*map(sender, range(SENDERS)))


def explored(peer: Any, kind: Kind, size: Size) -> Figures:
    watch = Stopwatch()
    return watch.each(peer.explore_orders(five_senders, size.orders, watch))


def seeded(peer: Any, kind: Kind, size: Size) -> Figures:
    watch = Stopwatch()
    peer.run_seeds(five_senders, size.orders, watch)
    return watch.each(size.orders)


def _measure(name: str, text: str, method: str, sample: Any) -> Measure:
    return Measure(name, text, method, sample, kinds=ONE_KIND)


MEASURES = [
    _measure("explored", "one schedule of five senders, all of them", "explore_orders", explored),
    _measure("seeded", "one run of five senders on virtual time, by a seed", "run_seeds", seeded),
]
