"""activity.py: immutable, numbered when it is accepted, open to types of one's own."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import pytest

from agentrt import Activity, ConfigurationError, Lane
from agentrt.activity import may_hold_others
from tests.support import Gate, collect, turns, virtual


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int


def test_it_is_immutable():
    with pytest.raises(AttributeError):
        Activity(payload=1).payload = 2


def test_it_is_the_record_of_having_been_accepted():
    activity = Activity(id=7, runtime="a", created=3.5)
    assert (activity.sequence, activity.kind, activity.at, activity.runtime) == (7, "accepted", 3.5, "a")


def test_its_repr_is_short_whatever_the_payload():
    text = repr(Activity(id=7, runtime="a", payload="x" * 10_000, lane=Lane.PRIORITY))
    assert text.startswith("<Activity 7 to 'a' priority 'xxx")
    assert len(text) < 200


@virtual
async def test_what_the_sender_says_arrives(manager):
    gate = Gate()
    runtime = manager.create("a", None, gate)
    runtime.send_nowait("now")
    await gate.entered.wait()
    runtime.send_nowait("later", priority=True, timeout=9, delay=5, key="k")
    (activity,) = runtime.mailbox_items()
    assert (activity.payload, activity.lane, activity.timeout, activity.key) == ("later", Lane.PRIORITY, 9, "k")
    assert (activity.created, activity.not_before, activity.runtime) == (0, 5, "a")
    gate.open.set()


@virtual
async def test_a_type_of_ones_own_arrives_as_it_is(manager):
    seen = []

    async def workflow(activity: Alert, state):
        seen.append(activity)
        return state

    runtime = manager.create("a", 0, workflow)
    template = Alert(payload="fire", severity=3, timeout=60)
    receipt = runtime.send_nowait(template, priority=True)
    await receipt
    (alert,) = seen
    assert (type(alert), alert.severity, alert.payload, alert.timeout) == (Alert, 3, "fire", 60)
    assert (alert.id, alert.runtime, alert.lane) == (receipt.id, "a", Lane.PRIORITY)
    assert (template.id, template.runtime) == (0, "")


@virtual
async def test_correlation_and_parent_lead_from_end_to_end(manager):
    async def forward(activity, state, ctx):
        await (await ctx.send("end", activity.payload))
        return state

    async def end(activity, state):
        return (*state, activity)

    manager.create("end", (), end)
    first = manager.create("first", 0, forward)
    receipt = first.send_nowait("x")
    await receipt
    (activity,) = manager["end"].state
    assert (activity.source, activity.parent, activity.correlation) == ("first", receipt.id, receipt.id)


@virtual
async def test_parent_and_correlation_survive_a_wait_for_room(manager):
    async def flood(activity, state, ctx):
        for n in range(5):
            await ctx.send("narrow", n)
        return state

    async def keep(activity, state):
        return (*state, activity)

    narrow = manager.create("narrow", (), keep, standard_capacity=1)
    narrow.pause()
    receipt = manager.create("flood", 0, flood).send_nowait("go")
    while not receipt.outcome:
        await turns()
        narrow.step()
    narrow.resume()
    await narrow.ask("last")
    sent = [activity for activity in narrow.state if activity.payload != "last"]
    assert [(a.payload, a.source, a.parent, a.correlation) for a in sent] == [
        (n, "flood", receipt.id, receipt.id) for n in range(5)
    ]


@virtual
async def test_one_of_ones_own_is_sent_as_it_says(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    own = Activity(payload="own", lane=Lane.PRIORITY, timeout=9.0, key="k", not_before=60.0)
    receipt = runtime.send_nowait(own)
    assert runtime.send_nowait(own) is await runtime.send(own) is receipt
    (sent,) = runtime.mailbox_items()
    assert (sent.lane, sent.timeout, sent.key, sent.not_before) == (Lane.PRIORITY, 9.0, "k", 60.0)
    other = runtime.send_nowait(own, delay=5, key="other", timeout=3)
    sent = runtime.mailbox_items()[1]
    assert (sent.lane, sent.timeout, sent.key, sent.not_before) == (Lane.PRIORITY, 3, "other", 5)
    runtime.resume()
    assert ((await other).finished, (await receipt).finished) == (5, 60)


@virtual
async def test_one_of_ones_own_that_waits_for_room_is_sent_as_it_says(manager):
    runtime = manager.create("a", (), collect, priority_capacity=1)
    runtime.pause()
    runtime.send_nowait(1, priority=True)
    own = Activity(payload="own", lane=Lane.PRIORITY, key="k")
    waiting = [asyncio.create_task(runtime.send(own)) for _ in range(2)]
    await turns()
    assert runtime.entry.mailbox.statistics().senders == 2
    runtime.resume()
    first, second = [await task for task in waiting]
    assert first is second
    assert (await first).lane is Lane.PRIORITY


@virtual
async def test_one_whose_time_can_not_be_is_refused(manager):
    runtime = manager.create("a", (), collect)
    with pytest.raises(ConfigurationError, match="not_before is 'soon'"):
        runtime.send_nowait(Activity(payload=1, not_before="soon"))
    assert runtime.fates().accepted == 0


@virtual
async def test_one_of_ones_own_is_never_a_payload(manager):
    runtime = manager.create("a", (), collect)
    await runtime.ask(0)
    runtime.validate(Activity(payload=1))
    assert await runtime.ask(Activity(payload=1)) == (0, 1)


@virtual
async def test_ids_are_the_managers_one_sequence(manager):
    a, b = manager.create("a", (), collect), manager.create("b", (), collect)
    ids = [runtime.send_nowait(1).id for runtime in (a, b, a, b)]
    assert ids == sorted(set(ids))
    await a.ask(2)
    records = manager.ring.since(0)[0]
    assert [r.sequence for r in records] == sorted({r.sequence for r in records})


def test_an_activity_can_be_sent_as_json():
    assert msgspec.json.decode(msgspec.json.encode(Activity(id=3, payload="x")), type=Activity[str]).payload == "x"


@dataclass(frozen=True)
class Plain:
    number: int
    text: "str | None" = None
    either: float | None = None


@dataclass(frozen=True)
class OfParts:
    parts: "list[int]"


@dataclass
class Mutable:
    number: int


class WithoutItsOwn(Plain):
    """It takes any attribute."""


class PlainStruct(msgspec.Struct, frozen=True):
    number: int


class LongerStruct(PlainStruct, frozen=True):
    parts: tuple[int, ...] = ()


class Listed(NamedTuple):
    number: int


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (int, False), (str, False), (Plain, False), (PlainStruct, False), (OfParts, True), (Mutable, True),
        (WithoutItsOwn, True), (LongerStruct, True), (Listed, True), (dict, True), (Activity, True),
    ],
)  # fmt: skip
def test_what_may_hold_others_is_told_by_its_types(kind, may):
    assert may_hold_others(kind) is may
