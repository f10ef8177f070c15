import asyncio
import contextlib
import re

from agentrt.views.fleet.health import Health
from tests.support import add, fail, virtual

FULL_NOW = "standard lane is full"


async def fail_one_in_ten(activity, state, ctx):
    await ctx.sleep(0.05)
    if activity.payload % 10 == 0:
        raise ValueError("the tenth")
    return state


async def take_a_moment(activity, state, ctx):
    await ctx.sleep(0.05)
    return state


def plain_words(html):
    return re.sub("<[^>]*>", "", html)


async def sentences(health, seconds, act=lambda quarter: None):
    """Read the sentence four times a second, as the page does. Returns each that differs from the one before."""
    said = []
    for quarter in range(round(seconds * 4)):
        act(quarter)
        for _ in range(2):
            health.look_at()
            words = health.sentence(health.source.now())
            said += [words] if said[-1:] != [words] else []
            await asyncio.sleep(0.125)
    return said


@virtual
async def test_the_sentence_does_not_change_with_each_activity(manager):
    """One runtime fails one in ten, another gets ten at once each second into a lane of ten."""
    one_in_ten = manager.create("a", 0, fail_one_in_ten)
    bursts = manager.create("b", 0, take_a_moment, standard_capacity=10)
    sent = iter(range(10**6))

    def act(quarter):
        for _ in range(3):
            one_in_ten.send_nowait(next(sent))
        if quarter % 4 == 0:
            for n in range(10):
                bursts.send_nowait(n)

    said = await sentences(Health(manager.source), 45, act)
    assert len(said) <= 3, said
    assert "had failures in the last minute" in said[-1]
    assert "standard lane was full in the last minute" in said[-1]
    await asyncio.sleep(2)


@virtual
async def test_what_lasts_is_said_as_it_is_now(manager):
    health = Health(manager.source)
    manager.create("a", 0, fail)
    paused = manager.create("b", 0, add, standard_capacity=10)
    await sentences(health, 1)
    paused.pause()
    for n in range(10):
        paused.send_nowait(n)

    def act(quarter):
        manager["a"].send_nowait(quarter)

    said = await sentences(health, 20, act)
    assert len(said) <= 4, said
    assert "standard lane was full in the last minute" in said[0]
    assert "1 of 2 runtimes is failing" in said[-1]
    assert FULL_NOW in said[-1]
    paused.resume()


@virtual
async def test_what_is_over_is_said_for_a_minute_and_then_no_more(manager):
    health = Health(manager.source)
    runtime = manager.create("a", 0, fail_one_in_ten)
    runtime.send_nowait(0)
    said = await sentences(health, 10)
    assert said[-1].startswith("1 of 1 runtime is failing")
    runtime.send_nowait(1)
    await asyncio.sleep(0.1)
    said = await sentences(health, 80)
    assert [plain_words(words).split(" (")[0] for words in said] == [
        "1 of 1 runtime had failures in the last minute",
        "The runtime is fine.",
    ]


@virtual
async def test_on_a_faster_clock_the_window_is_a_minute_of_who_looks(manager):
    manager.speed = 60
    health = Health(manager.source)
    manager.create("a", 0, fail_one_in_ten).send_nowait(0)
    await asyncio.sleep(1)
    manager["a"].send_nowait(1)
    assert "had failures in the last hour" in (await sentences(health, 5))[-1]


@virtual
async def test_a_runtime_that_ends_or_is_stopped_is_said_at_once(manager):
    health = Health(manager.source)
    runtime = manager.create("a", 0, fail, supervision="stop")
    for n in range(12):
        runtime.send_nowait(n)
    await asyncio.sleep(1)
    health.look_at({"a"})
    assert "is stopped by its supervisor" in health.sentence(manager.source.now())
    await manager["a"].terminate()
    health.look_at({"a"})
    assert "ended" in health.sentence(manager.source.now())


@virtual
async def test_how_long_it_is_stuck_is_said_in_steps(manager):
    async def go_on(activity, state, ctx):
        end = ctx.now() + 40
        while ctx.now() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(end - ctx.now())

    health = Health(manager.source)
    manager.create("a", 0, go_on, timeout=1, grace=1).send_nowait(1)
    said = await sentences(health, 39)
    assert [plain_words(words).rpartition("stuck")[2].split(" (")[0] for words in said[1:]] == [
        "",
        " for over 5 s",
        " for over 10 s",
        " for over 30 s",
    ]
    await asyncio.sleep(2)


@virtual
async def test_no_line_ends_with_the_parenthesis_before_a_name(manager):
    runtime = manager.create("a", 0, fail)
    with contextlib.suppress(Exception):
        await runtime.ask(1)
    health = Health(manager.source)
    health.look_at()
    assert re.search(r'<span class="unbroken">\(<button [^>]*>a</button></span>\)', health.sentence(0))
