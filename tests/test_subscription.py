"""subscription.py: records as an async iterator, bounded, on any loop."""

import asyncio
import threading

import pytest

from agentrt import RuntimeManager
from tests.support import Gate, add, collect, turns, virtual


async def until(subscription, kind, most=10_000):
    """The kinds up to and including the first of this kind."""
    kinds = []
    async for record in subscription:
        kinds.append(record.kind)
        if record.kind == kind:
            return kinds
        assert len(kinds) < most
    return kinds


@virtual
async def test_it_gives_the_records_of_one_runtime_from_now_on(manager):
    runtime, other = manager.create("a", 0, add), manager.create("b", 0, add)
    await runtime.ask(1)
    subscription = runtime.subscribe()
    await other.ask(1)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    runtime.resume()
    await receipt
    assert await until(subscription, "done") == ["paused", "accepted", "resumed", "done"]


@virtual
async def test_that_of_the_manager_gives_all(manager):
    subscription = manager.subscribe()
    await manager.create("a", 0, add).ask(1)
    await manager.create("b", 0, add).ask(1)
    seen = []
    async for record in subscription:
        seen.append((record.runtime, record.kind))
        if len(seen) == 6:
            break
    assert seen == [(name, kind) for name in "ab" for kind in ("created", "accepted", "done")]


@virtual
async def test_two_see_the_same(manager):
    runtime = manager.create("a", 0, add)
    subscriptions = [runtime.subscribe(), runtime.subscribe()]
    await runtime.ask(1)
    assert [await until(each, "done") for each in subscriptions] == [["accepted", "done"]] * 2


@pytest.mark.parametrize("end", ["terminate", "close", "manager"])
@pytest.mark.parametrize("n", [2, 5])
@virtual
async def test_several_loops_over_one_share_its_records_and_all_end(manager, n, end):
    runtime = manager.create("a", (), collect)
    subscription = runtime.subscribe()
    seen = []

    async def read():
        async for record in subscription:
            seen.append((record.kind, getattr(record, "id", None)))
            await asyncio.sleep(0)

    reading = [asyncio.create_task(read()) for _ in range(n)]
    await turns()
    receipts = [runtime.send_nowait(k) for k in range(20)]
    for receipt in receipts:
        await receipt
    if end == "terminate":
        await runtime.terminate()
    elif end == "close":
        subscription.close()
    else:
        await manager.aclose()
    await asyncio.wait_for(asyncio.gather(*reading, return_exceptions=True), 60)
    ids = [receipt.id for receipt in receipts]
    expected = [(kind, id) for kind in ("accepted", "done") for id in ids]
    assert sorted(each for each in seen if each[0] != "terminated") == sorted(expected)
    assert len(manager.listeners) == 0


def test_two_event_loops_over_one_subscription_share_its_records():
    seen = []

    def read():
        async def reading():
            async for record in subscription:
                seen.append(record.kind)

        asyncio.run(reading())

    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        subscription = runtime.subscribe()
        threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            runtime.send_nowait(1).result(60)
        manager.run(runtime.terminate())
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert (seen.count("accepted"), seen.count("done"), len(seen)) == (200, 200, 401)


@pytest.mark.parametrize("what", ["accepted", "log", "delayed", "speed"])
@virtual
async def test_news_comes_while_the_runtime_is_busy_or_paused(manager, what):
    gate = Gate()

    async def note(activity, state, ctx):
        await gate.open.wait()
        ctx.log("hello")
        await asyncio.sleep(1000)
        return state

    runtime = manager.create("a", 0, note)
    runtime.send_nowait(1)
    await turns()
    subscription = manager.subscribe()
    news = asyncio.create_task(anext(subscription))
    await turns()
    if what == "log":
        gate.open.set()
    elif what == "speed":
        manager.speed = 2
    else:
        runtime.send_nowait(2, delay=60 if what == "delayed" else None)
    await turns()
    assert news.done()
    assert news.result().kind == what.replace("delayed", "accepted")
    await runtime.terminate()


@virtual
async def test_it_ends_with_its_runtime_after_the_last_record(manager):
    runtime = manager.create("a", (), collect)
    subscription = runtime.subscribe()
    reading = asyncio.create_task(until(subscription, "never"))
    await runtime.ask(1)
    await runtime.terminate()
    assert (await asyncio.wait_for(reading, 60))[-1] == "terminated"


def test_on_another_loop_it_ends_after_the_last_record_too():
    """What waited goes to the dead letters while the runtime is closed already."""

    async def ended():
        return [record.kind async for record in subscription].count("dead")

    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.pause()
        subscription = runtime.subscribe()
        for n in range(100):
            runtime.send_nowait(n)
        looked = []
        dead_letter = manager.dead_letter

        def slowly(activity, reason):
            if not looked:
                assert runtime.entry.closed
                looked.append(subscription._ended())
            dead_letter(activity, reason)

        manager.dead_letter = slowly
        manager.run(runtime.terminate())
        assert looked == [False]
        assert asyncio.run(ended()) == 100


@virtual
async def test_it_ends_with_its_manager(manager):
    subscription = manager.subscribe()
    reading = asyncio.create_task(until(subscription, "never"))
    manager.create("a", 0, add)
    await turns()
    await manager.aclose()
    assert (await asyncio.wait_for(reading, 60)) == ["created", "terminated"]


@virtual
async def test_close_ends_it_after_what_is_ready(manager):
    runtime = manager.create("a", 0, add)
    subscription = runtime.subscribe()
    reading = asyncio.create_task(until(subscription, "never"))
    await runtime.ask(1)
    subscription.close()
    assert await asyncio.wait_for(reading, 60) == ["accepted", "done"]


@virtual
async def test_it_is_bounded_and_says_how_many_it_dropped(manager):
    runtime = manager.create("a", 0, add, standard_capacity=100_000)
    subscription = runtime.subscribe()
    receipts = [runtime.send_nowait(0) for _ in range(20_000)]
    await receipts[-1]
    await runtime.terminate()
    kinds = await asyncio.wait_for(until(subscription, "never", 50_000), 60)
    assert subscription.dropped > 0
    assert len(kinds) + subscription.dropped == 40_001


@virtual
async def test_who_stops_listening_is_forgotten(manager):
    reading = asyncio.create_task(anext(manager.subscribe()))
    await turns()
    assert len(manager.listeners) == 1
    reading.cancel()
    await turns()
    assert len(manager.listeners) == 0


def test_it_works_on_another_loop():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)

        async def elsewhere():
            subscription = runtime.subscribe()
            reading = asyncio.create_task(until(subscription, "done"))
            await turns()
            runtime.send_nowait(1)
            return await asyncio.wait_for(reading, 10)

        assert asyncio.run(elsewhere()) == ["accepted", "done"]


def test_a_loop_that_is_gone_does_not_disturb_the_manager():
    with RuntimeManager(loop="thread") as manager:

        async def leave():
            asyncio.create_task(anext(manager.subscribe()))  # noqa: RUF006
            await turns()

        asyncio.run(leave())
        assert manager.create("a", 0, add).send_nowait(1).result(60).state == 1
