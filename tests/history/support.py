"""A day with something of everything, and what a reader saw of it after each step."""

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agentrt import RuntimeFailedError, RuntimeManager
from agentrt.activity import Activity
from agentrt.engine.unread import read_records
from agentrt.history.moment import Moment
from agentrt.metrics import Fates
from agentrt.snapshot import Snapshot
from agentrt.supervision import Supervision
from tests.support import add

# `AGENTRT_MOMENTS=1000 python -m pytest tests/history -k long_run` is 1,000 moments of 100,000 records.
MOMENTS = int(os.environ.get("AGENTRT_MOMENTS", "40"))
NOT_COMPARED = {"at", "metrics"}  # when it was read, and the times of the lanes


def broken(activity: Any, state: Any) -> Any:
    if activity.payload < 0:
        raise ValueError("less than nothing")
    return state + activity.payload


async def slow(activity: Any, state: int, ctx: Any) -> int:
    with ctx.step("outer"), ctx.step("inner"):
        await ctx.sleep(10)
    await ctx.sleep(10)
    return state + activity.payload


@dataclass
class Seen:
    """What a reader saw."""

    sequence: int
    time: float | None  # if it has passed since that record
    snapshots: list[Snapshot]
    items: dict[str, list[Activity[Any]]]
    fates: Fates


@dataclass
class Reader:
    """Looks at a manager from its loop, when no record can come in between."""

    manager: RuntimeManager
    seen: list[Seen] = field(default_factory=list)

    def look(self) -> None:
        manager = self.manager
        with manager.lock:
            last = max(read_records(manager.ring.records), key=lambda record: record.sequence)
            now = manager.clock.now()
            items = {runtime.id: runtime.mailbox_items() for runtime in manager.runtimes()}
            self.seen.append(
                Seen(
                    last.sequence,
                    now if now > last.at else None,
                    manager.snapshots(metrics=True),
                    items,
                    manager.fates(),
                )
            )


def moment_of(manager: RuntimeManager, seen: Seen) -> Moment:
    """The moment at which a reader saw this."""
    return Moment(manager.origin, seen.sequence, seen.time)


def plain(value: Any) -> Any:
    """An activity without its receipt, which its sender holds and is not part of what it says."""
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return (
        msgspec.structs.astuple(msgspec.structs.replace(value, receipt=None)) if isinstance(value, Activity) else value
    )


def differences(moment: Moment, seen: Seen) -> Iterator[str]:
    """What a moment has otherwise than a reader saw it."""
    if list(moment.ids) != [each.id for each in seen.snapshots]:
        yield f"ids {moment.ids}"
        return
    for was, now in zip(seen.snapshots, moment.snapshots(metrics=True), strict=True):
        for name in set(was.__struct_fields__) - NOT_COMPARED:
            if plain(getattr(was, name)) != plain(getattr(now, name)):
                yield f"{seen.sequence} {was.id}.{name}: {getattr(was, name)!r:.200}, not {getattr(now, name)!r:.200}"
        if (was.metrics.priority.accepted, was.metrics.standard.accepted) != (
            now.metrics.priority.accepted, now.metrics.standard.accepted,
        ):  # fmt: skip
            yield f"{seen.sequence} {was.id}: {was.metrics}, not {now.metrics}"
    for id, items in seen.items.items():
        if plain(items) != plain(moment.mailbox_items(id)):
            yield f"{seen.sequence} {id}: {items!r:.200}, not {moment.mailbox_items(id)!r:.200}"
    if moment.fates() != seen.fates:
        yield f"{seen.sequence}: {seen.fates}, not {moment.fates()}"


async def day(manager: RuntimeManager, look: Callable[[], None]) -> None:
    """Commands, failures, delays, a restart, an end and a second runtime of the same id. On a virtual clock."""
    a = manager.create("a", 0, add)
    b = manager.create("b", 10, broken, supervision=Supervision("restart", 2, 1e6))
    look()
    await a.ask(5)
    a.pause()
    look()
    numbers = [a.send_nowait(n, priority=n == 3).id for n in (1, 2, 3, 4)]
    late = [a.send_nowait(n, delay=n, priority=n == 60).id for n in (50, 60)]
    look()
    a.promote(numbers[3])
    look()
    place = a.first(numbers[3])
    look()
    a.put_back(numbers[3], place)
    a.edit(numbers[0], 100)
    a.promote(late[0])
    look()
    a.drop(numbers[1])
    look()
    await asyncio.sleep(55)  # one of the delayed ones is due
    look()
    await asyncio.sleep(10)
    look()
    a.timeout = 4.0
    a.standard_capacity = 7
    a.breakpoints.add("error")
    look()
    a.resume()
    a.breakpoints.clear()
    await a.ask(0)
    look()
    for payload in (1, -1, 2, -2, 3):
        b.send_nowait(payload)
    await b.ask(0)
    look()
    a.swap(broken)
    look()
    c = manager.create("c", 0, slow, overflow="drop_oldest", standard_capacity=3)
    for n in range(5):
        c.send_nowait(n)
    look()
    await asyncio.sleep(5)
    look()
    await asyncio.sleep(5)
    look()
    d = manager.create("d", 0, slow)
    moving = [d.send_nowait(n).id for n in range(5)]
    await asyncio.sleep(1)
    d.first(moving[3])
    look()
    place = d.promote(moving[2])
    d.put_back(moving[2], place)
    look()
    await asyncio.sleep(3)
    await c.terminate()
    look()
    again = manager.create("c", 7, add)
    await again.ask(1)
    look()


async def long_run(manager: RuntimeManager, look: Callable[[], None], looks: int, failing: float = 0.02) -> None:
    """A hundred records or so from one look to the next: both lanes, delays, failures, pauses, moves and drops."""
    chance = random.Random(looks)
    runtimes = [manager.create(f"r{n}", 0, broken, standard_capacity=5_000) for n in range(12)]
    for step in range(4 * looks):
        for runtime in chance.choices(runtimes, k=12):
            payload = -1 if chance.random() < failing else chance.randint(0, 9)
            delay = chance.random() * 2 if chance.random() < 0.1 else None
            try:
                runtime.send_nowait(payload, priority=chance.random() < 0.2, delay=delay)
            except RuntimeFailedError:
                runtime.recover()
        runtime = chance.choice(runtimes)
        if chance.random() < 0.3:
            (runtime.resume if runtime.paused else runtime.pause)()
        waiting = runtime.mailbox_items()
        if waiting and chance.random() < 0.3:
            activity = chance.choice(waiting)
            first = (
                runtime.first if activity.not_before is None else runtime.drop
            )  # one that is due may not be in its lane
            chance.choice((first, runtime.promote, runtime.drop))(activity.id)
        await asyncio.sleep(0.1 * (step % 3))
        if step % 4 == 3:
            look()
