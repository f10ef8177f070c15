"""managers.py: time passes only in `run`, and an activity without a fate fails the test."""

import asyncio
import threading

import pytest

from agentrt import AgentError, DeadlockError, Fate, Fates, RuntimeManager, Status
from agentrt.testing import Recorder, StalledError, check_fates, managers, run_until_idle
from tests.support import add, collect, forever

pytest_plugins = ["agentrt.testing.plugin", "pytester"]


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
    assert counter.send_nowait(2).result(60).state == 2
    assert manager.thread != threading.get_ident()


def test_random_numbers_and_order_follow_the_seed():
    async def pick(activity, state, ctx):
        await asyncio.sleep(1)
        ctx.log(ctx.random.random())
        return state + 1

    def logged(seed):
        with managers.virtual_manager(seed=seed) as manager, Recorder(manager) as recorder:
            receipts = [manager.create(id, 0, pick).send_nowait(None) for id in "abcdef"]
            manager.run(asyncio.wait_for(all_of(receipts), 10))
            return [(record.runtime, record.detail["message"]) for record in recorder.records if record.kind == "log"]

    assert logged(3) == logged(3)
    assert len({tuple(logged(seed)) for seed in range(10)}) == 10
    assert len({"".join(id for id, _ in logged(seed)) for seed in range(10)}) > 5


async def all_of(receipts):
    return [await receipt for receipt in receipts]


def test_what_still_runs_is_terminated():
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
    with pytest.raises(AssertionError, match="not every one of 2 accepted activities has a fate"):
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
    with pytest.raises(TimeoutError, match=r"at 10\.5 s something is left to do"):
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
    with pytest.raises(TimeoutError, match=r"the condition was not met within 0\.05 s; the last records are"):
        run_until_idle(manager, timeout=0.05)


# ---- awaited where its loop does not run

WAY_OUT = r"write a plain `def` and `manager.run\(runtime.ask\(...\)\)`, or use a manager whose loop runs"


async def subscribes(runtime, manager):
    with Recorder(manager) as recorder:
        await recorder.until(lambda: False)


async def fills(runtime, manager):
    runtime.pause()
    runtime.standard_capacity = 1
    runtime.send_nowait(1)
    await runtime.send(2)


async def ends(runtime, manager):
    await runtime.ask(1)


async def awaits_receipt(runtime, manager):
    await runtime.send_nowait(1)


async def blocks(runtime, manager):
    runtime.send_nowait(1).result()


async def runs(runtime, manager):
    manager.run(runtime.ask(1))


async def terminates(runtime, manager):
    receipt = runtime.send_nowait(1)
    await runtime.terminate(drain=True)
    await receipt


ELSEWHERE = [subscribes, fills, ends, awaits_receipt, blocks, runs, terminates]


@pytest.mark.parametrize("wait", ELSEWHERE, ids=lambda wait: wait.__name__)
def test_who_awaits_on_another_loop_is_told_the_way_out(virtual_manager, wait):
    runtime = virtual_manager.create("a", 0, add)
    with pytest.raises(DeadlockError, match=WAY_OUT):
        asyncio.run(asyncio.wait_for(wait(runtime, virtual_manager), 5))


def test_the_way_out_works(virtual_manager):
    runtime = virtual_manager.create("a", 0, add)
    with pytest.raises(DeadlockError, match=r"write `manager.run\(...\)` around"):
        runtime.send_nowait(1).result()
    assert virtual_manager.run(runtime.ask(1)) == 2


def test_a_receipt_of_a_loop_that_is_over_is_not_waited_for_for_ever():
    async def leave():
        runtime = RuntimeManager(loop="current").create("a", 0, forever)
        receipt = runtime.send_nowait(1)
        runtime.pause()
        return runtime.manager, receipt, runtime.send_nowait(2)

    async def wait():
        for receipt in receipts:
            with pytest.raises(AgentError):
                await asyncio.wait_for(receipt, 5)

    manager, *receipts = asyncio.run(leave())
    asyncio.run(wait())
    manager.close()


ASYNC_TESTS = """
import pytest
from agentrt import DeadlockError
from tests.support import add

{mark}
async def test_it(virtual_manager):
    runtime = virtual_manager.create("a", 0, add)
    with pytest.raises(DeadlockError, match="write a plain `def`"):
        await runtime.ask(1)
"""


@pytest.mark.parametrize(
    ("library", "mark", "plugin"),
    [("anyio", "@pytest.mark.anyio", "anyio"), ("pytest_asyncio", "@pytest.mark.asyncio", "pytest_asyncio")],
)
def test_in_an_async_test(pytester, library, mark, plugin):
    pytest.importorskip(library)
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n")
    pytester.makepyfile(ASYNC_TESTS.format(mark=mark))
    plugins = ("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider", "-p", "no:playwright", "-p", plugin)
    pytester.inline_run(*plugins).assertoutcome(passed=1)
