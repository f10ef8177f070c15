"""impurity.py: what makes a replay dishonest is found and named, and nothing else is."""

import asyncio
import datetime
import gc
import logging
import os
import random
import secrets
import socket
import threading
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentrt import RuntimeManager
from tests.support import add, virtual

CLOCK, CHANCE, EFFECT = "reads the real clock", "uses chance that is not recorded", "has an effect that is not recorded"
SEEN: list[int] = []
COUNT = 0


def count_up(activity: Any, state: Any) -> Any:
    global COUNT
    COUNT += 1
    return COUNT


def call_home() -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 1))


def remember(activity: Any, state: Any) -> Any:
    SEEN.append(activity.payload)
    return len(SEEN)


@pytest.mark.parametrize(
    ("what", "call", "read"),
    [
        (CLOCK, "time.time", lambda: time.time()),
        (CLOCK, "time.monotonic", lambda: time.monotonic()),
        (CLOCK, "time.perf_counter", lambda: time.perf_counter()),
        (CLOCK, "datetime.now", lambda: str(datetime.datetime.now(datetime.UTC))),
        (CLOCK, "datetime.today", lambda: str(datetime.date.today())),
        (CHANCE, "random.random", lambda: random.random()),
        (CHANCE, "random.choice", lambda: random.choice([1, 2, 3])),
        (CHANCE, "random.randint", lambda: random.randint(1, 1_000_000)),
        (CHANCE, "random.shuffle", lambda: random.shuffle([1, 2])),
        (CHANCE, "os.urandom", lambda: os.urandom(4)),
        (CHANCE, "os.urandom", lambda: str(uuid.uuid4())),
        (CHANCE, "os.urandom", lambda: secrets.token_hex(4)),
        (EFFECT, "io.open", lambda: open(__file__).close()),
        (EFFECT, "posix.listdir", lambda: len(os.listdir("/"))),
        (EFFECT, "socket.connect", call_home),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_no_record_can_repeat_is_named(what, call, read):
    def workflow(activity: Any, state: Any) -> Any:
        return (activity.payload, repr(read()))

    with RuntimeManager() as manager:
        runtime = manager.create("a", None, workflow)
        runtime.send_nowait(2)
        manager.run(runtime.send_nowait(3).wait())
        found = manager.replay().dishonest
    assert (what, call) in {(each.what, each.call) for each in found}, found
    first = found[0]
    assert first.file == __file__
    assert f"{Path(__file__).name}:{first.line}" in str(first)


class ReadsTheClockAtItsEnd:
    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.time()


def read_the_clock(*_: Any) -> None:
    time.perf_counter()


def collect(activity: Any, state: Any) -> Any:
    gc.collect()  # as it may come at any place
    return state


def test_what_the_collector_ends_meanwhile_is_not_the_workflows():
    with RuntimeManager() as manager:
        manager.run(manager.create("a", 0, collect).send_nowait(1).wait())
        gc.disable()
        gc.callbacks.append(read_the_clock)  # as tools have one that measure collections
        try:
            ReadsTheClockAtItsEnd()
            assert manager.replay().dishonest == ()
        finally:
            gc.callbacks.remove(read_the_clock)
            gc.enable()


def test_an_effect_that_is_not_recorded_is_not_done_again(tmp_path):
    file = tmp_path / "log"

    def workflow(activity: Any, state: int) -> int:
        with file.open("a") as log:
            log.write("x")
        return state + 1

    with RuntimeManager() as manager:
        manager.create("a", 0, workflow).send_nowait(1).result(60)
        replay = manager.replay()
    assert file.read_text() == "x"
    assert [each.why for each in replay.skipped] == ["it has an effect that is not recorded: io.open"]


def test_an_effect_in_a_thread_is_not_done_again(tmp_path):
    file = tmp_path / "log"

    async def workflow(activity: Any, state: int) -> int:
        await asyncio.to_thread(file.write_text, f"{activity.payload}")
        return state + 1

    with RuntimeManager() as manager:
        manager.create("a", 0, workflow).send_nowait("x").result(60)
        file.write_text("y")
        replay = manager.replay()
    assert file.read_text() == "y"
    assert [each.why for each in replay.skipped] == ["it has an effect that is not recorded: io.open"]


@virtual
async def test_what_goes_through_the_context_is_honest(manager):
    async def workflow(activity: Any, state: Any, ctx: Any) -> Any:
        logging.getLogger("a test").info("processed %s", activity.payload)
        began = ctx.now()
        await ctx.sleep(ctx.random.random())
        own = random.Random(activity.id).random()
        return (ctx.now() - began, own, await ctx.effect("read", os.getpid))

    runtime = manager.create("a", None, workflow)
    for n in range(3):
        await runtime.ask(n)
    replay = manager.replay()
    assert (replay.matches, replay.dishonest) == (True, ())


@pytest.mark.parametrize(("workflow", "name"), [(remember, "SEEN"), (count_up, "COUNT")])
def test_what_is_shared_is_named(workflow, name):
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, workflow)
        for n in range(3):
            runtime.send_nowait(n).result(60)
        replay = manager.replay()
    assert not replay.matches
    assert [(each.what, each.call) for each in replay.dishonest] == [("changes what it shares with others", name)]


def test_a_closure_is_shared_too():
    seen: list[int] = []

    def workflow(activity: Any, state: Any) -> Any:
        seen.append(1)
        return len(seen)

    with RuntimeManager() as manager:
        manager.create("a", 0, workflow).send_nowait(1).result(60)
        [found] = manager.replay().dishonest
    assert (found.what, found.call) == ("changes what it shares with others", "seen")


@pytest.mark.filterwarnings("ignore:the state of")
def test_what_is_changed_in_place_is_named():
    def workflow(activity: Any, state: list[int]) -> list[int]:
        state.append(activity.payload.pop())
        return state

    with RuntimeManager() as manager:
        manager.create("a", [], workflow).send_nowait([1, 2]).result(60)
        found = manager.replay().dishonest
    assert {each.what for each in found} == {"changes its payload in place", "changes its state in place"}


def test_what_an_effect_or_another_runtime_gave_is_not_changed_by_a_replay():
    rows = [3, 1, 2]

    async def workflow(activity: Any, state: int, ctx: Any) -> int:
        found = await ctx.effect("load", lambda: rows)
        answer = await ctx.ask("names", 1)
        found.pop()
        answer.append("c")
        return state + 1

    def names(activity: Any, state: int, ctx: Any) -> int:
        ctx.reply(["a", "b"])
        return state

    with RuntimeManager() as manager:
        history = manager.create("names", 0, names).history
        manager.create("a", 0, workflow).send_nowait(1).result(60)
        found = [manager.replay(since=history[-1].sequence).dishonest for _ in range(2)][-1]
    assert rows == [3, 1]
    assert [(each.what, each.call) for each in found] == [
        ("changes the result of an effect in place", "load"),
        ("changes an answer in place", "names"),
    ]


class Counter:
    """A workflow with a memory of its own."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, activity: Any, state: int) -> int:
        self.count += 1
        return self.count

    def method(self, activity: Any, state: int) -> int:
        return self(activity, state)


def fill(cache: list[int], activity: Any, state: int) -> int:
    cache.append(1)
    return len(cache)


NOTES: list[int] = []


def note_down(number: int) -> int:
    NOTES.append(number)
    return len(NOTES)


LONG = list(range(100_000, 105_000))


@pytest.mark.parametrize(
    ("workflow", "name"),
    [
        (Counter(), "self"),
        (Counter().method, "self"),
        (partial(fill, []), "argument 0"),
        (lambda activity, state: LONG.append(1) or len(LONG), "LONG"),
        (lambda activity, state: note_down(activity.payload), "NOTES"),
        (lambda activity, state: sum(NOTES.append(each) or len(NOTES) for each in (1,)), "NOTES"),
    ],
)
def test_what_a_workflow_remembers_by_itself_is_shared(workflow, name):
    with RuntimeManager() as manager:
        manager.create("a", 0, workflow).send_nowait(1).result(60)
        [found] = manager.replay().dishonest
    assert (found.what, found.call) == ("changes what it shares with others", name)


def test_a_send_through_a_handle_is_skipped_and_says_why():
    with RuntimeManager() as manager:
        other = manager.create("other", 0, add)

        async def workflow(activity: Any, state: int) -> int:
            return state + await other.ask(1)

        manager.run(manager.create("a", 0, workflow).ask(1))
        replay = manager.replay()
        assert (other.state, replay.matches) == (1, True)
    assert ["ctx.send" in each.why for each in replay.skipped] == [True]


def test_what_waits_for_what_is_not_on_the_record_is_skipped():
    gate = threading.Event()

    async def workflow(activity: Any, state: int) -> int:
        await asyncio.to_thread(gate.wait)
        return state + 1

    with RuntimeManager() as manager:
        receipt = manager.create("a", 0, workflow).send_nowait(1)
        gate.set()
        receipt.result(60)
        assert manager.replay().matches, "it was set"

        async def hang(activity: Any, state: int) -> int:
            await asyncio.Event().wait()
            return state

        replay = manager.replay({"a": hang})
    assert [each.why for each in replay.skipped] == ["it waits for something that is not on the record"]
