"""recorder.py: the records from now on, bounded, and waiting for a condition on them."""

import asyncio

import pytest

from agentrt.testing import Recorder, managers, run_until_idle
from tests.support import Gate, add, fail

pytest_plugins = ["agentrt.testing.plugin"]


def test_it_records_what_happens_from_now_on(virtual_manager):
    virtual_manager.create("before", 0, add)
    with Recorder(virtual_manager) as seen:
        counter = virtual_manager.create("counter", 0, add)
        virtual_manager.run(counter.ask(1))
        virtual_manager.create("other", 0, fail)
    virtual_manager.create("after", 0, add)
    assert seen.kinds() == ["created", "accepted", "done", "created"]
    assert seen.kinds("counter") == ["created", "accepted", "done"]
    assert [record.sequence for record in seen.of("counter")] == sorted(
        record.sequence for record in seen.of("counter")
    )
    assert seen.missed == 0


def test_it_waits_for_a_condition(virtual_manager):
    gate = Gate()
    with Recorder(virtual_manager) as seen:
        runtime = virtual_manager.create("gate", (), gate)
        runtime.send_nowait(1)
        virtual_manager.loop.call_later(60, gate.open.set)
        assert virtual_manager.run(seen.until(lambda: seen.kinds().count("done"))) == 1
    assert virtual_manager.clock.now() == 60


def test_it_waits_for_a_manager_on_another_thread(manager):
    async def main():
        with Recorder(manager) as seen:
            counter = manager.create("counter", 0, add)
            for _ in range(5):
                counter.send_nowait(1)
            await seen.until(lambda: counter.state == 5, timeout=10)

    asyncio.run(main())


def test_what_does_not_come_is_an_error_that_says_what_did(virtual_manager):
    with Recorder(virtual_manager) as seen:
        virtual_manager.create("counter", 0, add)
        with pytest.raises(
            TimeoutError, match=r"the condition was not met within 5 s; the last records are \['created'\]"
        ):
            virtual_manager.run(seen.until(lambda: False, timeout=5))
    assert not virtual_manager.listeners


def test_it_is_bounded_and_says_what_it_has_let_go(virtual_manager):
    with Recorder(virtual_manager, limit=10) as seen:
        counter = virtual_manager.create("counter", 0, add)
        for _ in range(20):
            counter.send_nowait(1)
        run_until_idle(virtual_manager)
    assert seen.kinds() == ["done"] * 10
    assert seen.missed == 1 + 20 + 10


def test_it_misses_nothing_that_the_ring_lets_go():
    with managers.virtual_manager(ring=300) as manager, Recorder(manager) as seen:
        counter = manager.create("counter", 0, add)
        for _ in range(20):
            for _ in range(100):
                counter.send_nowait(1)
            run_until_idle(manager)
    assert manager.ring.let_go > 0
    assert (seen.kinds().count("done"), seen.missed) == (2000, 0)
