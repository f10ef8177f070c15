"""The managers, the recorder and the pytest plugin of agentrt.testing; and docs/testing.md, word for word."""

import asyncio
import doctest
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import agentrt
from agentrt import Fate, Fates, RuntimeManager, Status
from agentrt.testing import Recorder, StalledError, check_fates, managers, recorder, run_until_idle
from tests.support import Gate, add, collect, fail, forever

pytest_plugins = ["agentrt.testing.plugin", "pytester"]

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "testing.md"


# --- the fixtures


def test_time_passes_only_in_run(virtual_manager):
    counter = virtual_manager.create("counter", 0, add)
    receipt = counter.send_nowait(2, delay=3600)
    assert (virtual_manager.clock.now(), counter.state) == (0, 0)
    assert virtual_manager.run(receipt).state == 2
    assert virtual_manager.clock.now() == 3600


def test_sync_and_async_workflows(virtual_manager):
    plain = virtual_manager.create("plain", 0, lambda activity, state: state + activity.payload)
    assert virtual_manager.run(plain.ask(1)) == 1
    assert virtual_manager.run(virtual_manager.create("async", 0, add).ask(1)) == 1


def test_a_blocking_workflow_holds_the_clock(virtual_manager):
    here = threading.get_ident()
    blocking = virtual_manager.create(
        "blocking", None, lambda activity, state: threading.get_ident(), blocking=True, timeout=0.5
    )
    assert virtual_manager.run(blocking.ask("go")) != here
    assert virtual_manager.clock.now() == 0


def test_the_manager_runs_on_its_own_thread(manager):
    counter = manager.create("counter", 0, add)
    assert counter.send_nowait(2).result(5).state == 2
    assert manager.thread != threading.get_ident()


def test_chance_and_order_follow_the_seed():
    async def pick(activity, state, ctx):
        await asyncio.sleep(1)
        ctx.log(ctx.random.random())
        return state + 1

    def told(seed):
        with managers.virtual_manager(seed=seed) as manager, Recorder(manager) as seen:
            receipts = [manager.create(id, 0, pick).send_nowait(None) for id in "abcdef"]
            manager.run(asyncio.wait_for(all_of(receipts), 10))
            return [(record.runtime, record.detail["message"]) for record in seen.records if record.kind == "log"]

    assert told(3) == told(3)
    assert len({tuple(told(seed)) for seed in range(10)}) == 10
    assert len({"".join(id for id, _ in told(seed)) for seed in range(10)}) > 5


async def all_of(receipts):
    return [await receipt for receipt in receipts]


def test_what_still_runs_is_ended():
    with managers.virtual_manager() as manager:
        stuck = manager.create("forever", None, forever)
        receipt = stuck.send_nowait("go")
        waiting = stuck.send_nowait("later")
        manager.loop.advance(1)
    assert manager.closed
    assert (receipt.outcome.fate, waiting.outcome.fate) == (Fate.TERMINATED, Fate.DEAD)
    assert manager.loop.is_closed()


def test_a_failing_test_closes_its_manager():
    def test():
        with managers.virtual_manager() as manager:
            seen.append(manager)
            manager.create("counter", 0, add).send_nowait(1)
            raise LookupError

    seen = []
    with pytest.raises(LookupError):
        test()
    manager = seen[0]
    assert manager.closed
    assert manager.loop.is_closed()


def test_a_fate_that_is_missing_fails_the_test(monkeypatch):
    manager = RuntimeManager(loop="thread")
    monkeypatch.setattr(manager, "fates", lambda: Fates(accepted=2, done=1))
    with pytest.raises(AssertionError, match="of 2 accepted activities not every one has a fate"):
        check_fates(manager)
    manager.close()


def test_of_a_closed_manager_nothing_is_pending(monkeypatch):
    manager = RuntimeManager(loop="thread")
    monkeypatch.setattr(manager, "fates", lambda: Fates(accepted=1, pending=1))
    check_fates(manager)
    manager.close()
    with pytest.raises(AssertionError, match="pending=1"):
        check_fates(manager)


def test_waiting_for_a_runtime_that_never_answers_is_an_error(virtual_manager):
    runtime = virtual_manager.create("forever", None, forever)
    with pytest.raises(StalledError) as caught:
        virtual_manager.run(runtime.ask("?"))
    assert "locks.py" in caught.value.waiting["agentrt forever"]


# --- run_until_idle


def test_idle_includes_what_is_due_later(virtual_manager):
    log = virtual_manager.create("log", (), collect)
    for hours in (3, 1, 2):
        log.send_nowait(hours, delay=3600 * hours)
    run_until_idle(virtual_manager)
    assert (log.state, virtual_manager.clock.now()) == ((1, 2, 3), 3 * 3600)


def test_idle_within_a_limit(virtual_manager):
    async def tick(activity, state, ctx):
        await ctx.send(ctx.runtime, None, delay=1)
        return state + 1

    ticker = virtual_manager.create("ticker", 0, tick)
    ticker.send_nowait(None)
    with pytest.raises(TimeoutError, match=r"at 10\.5 s there is still something to do"):
        run_until_idle(virtual_manager, timeout=10.5)
    assert ticker.state == 11
    with pytest.raises(TimeoutError):
        run_until_idle(virtual_manager, timeout=10)
    assert ticker.state == 21


def test_a_manager_on_a_thread_becomes_idle(manager):
    runtimes = [manager.create(id, 0, add) for id in "abc"]
    for number in range(300):
        runtimes[number % 3].send_nowait(1)
    run_until_idle(manager)
    assert [runtime.state for runtime in runtimes] == [100, 100, 100]


def test_idle_does_not_wait_for_what_is_paused(manager):
    paused = manager.create("paused", 0, add)
    paused.pause()
    paused.send_nowait(1)
    manager.create("counter", 0, add).send_nowait(1)
    run_until_idle(manager)
    assert (paused.status, paused.depth) == (Status.PAUSED, (0, 1))


def test_a_manager_on_a_thread_that_does_not_become_idle(manager):
    busy = manager.create("forever", None, forever)
    busy.send_nowait("go")
    with pytest.raises(TimeoutError, match=r"not so within 0\.05 s; the last records are"):
        run_until_idle(manager, timeout=0.05)


# --- Recorder


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
        with pytest.raises(TimeoutError, match=r"not so within 5 s; the last records are \['created'\]"):
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


# --- documentation, imports


def test_the_guide(pytester):
    """Its code is one test module; ten minutes and three retries take milliseconds."""
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.DOTALL | re.MULTILINE)
    pytester.makepyfile(test_guide="\n\n".join(blocks))
    ran = pytester.inline_run("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider", "-p", "no:playwright")
    ran.assertoutcome(passed=2 + 20 + 4)
    calls = {r.nodeid: r.duration for r in ran.getreports("pytest_runtest_logreport") if r.when == "call"}
    attempts = {id: duration for id, duration in calls.items() if "attempt" in id}
    assert len(attempts) == 2
    assert max(attempts.values()) < 0.5


def test_a_test_that_loses_an_activity_fails(pytester):
    pytester.makepyfile(
        """
        def test_lost(manager):
            counter = manager.create("counter", 0, lambda activity, state: state + 1)
            counter.send_nowait(None).result(5)
            counter.entry.done -= 1
        """
    )
    ran = pytester.inline_run("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider")
    ran.assertoutcome(passed=1, failed=1)  # the failure is the end of the fixture


def test_who_does_not_use_pytest_does_not_import_it():
    code = "import sys, agentrt.testing; sys.exit('pytest' in sys.modules or 'agentrt.testing.plugin' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_everything_public_is_documented():
    for name in agentrt.testing.__all__:
        assert getattr(agentrt.testing, name).__doc__


@pytest.mark.parametrize("module", [agentrt.testing, managers, recorder], ids=lambda module: module.__name__)
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
