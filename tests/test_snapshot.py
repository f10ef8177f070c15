"""snapshot.py: one immutable record of a runtime at one time."""

import threading

import pytest

from agentrt import Policy, RuntimeManager, Status, Supervision
from tests.support import Gate, add, fail, turns, virtual


@virtual
async def test_it_holds_all_that_a_view_draws(manager):
    gate = Gate()
    runtime = manager.create("a", (), gate, standard_capacity=5)
    receipt = runtime.send_nowait("first")
    runtime.send_nowait("second")
    runtime.send_nowait("urgent", priority=True)
    await gate.entered.wait()
    shot = runtime.snapshot()
    assert (shot.id, shot.status, shot.state, shot.workflow) == ("a", Status.PROCESSING, (), "Gate")
    assert (shot.depth, shot.capacity) == ((0, 2), (1000, 5))
    assert (shot.current.payload, shot.started, shot.at) == ("urgent", 0, 0)
    assert (shot.fates.accepted, shot.fates.pending) == (3, 3)
    assert shot.metrics.standard.accepted == 2
    assert runtime.snapshot(metrics=False).metrics is None
    gate.open.set()
    await receipt


@virtual
async def test_it_stays_as_it_was(manager):
    runtime = manager.create("a", 0, add)
    before = runtime.snapshot()
    await runtime.ask(1)
    assert (before.state, before.fates.done, runtime.snapshot().state) == (0, 0, 1)
    with pytest.raises(AttributeError):
        before.state = 5


@virtual
async def test_the_last_one_of_a_terminated_runtime_is_kept(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    await runtime.terminate()
    shot = manager.snapshot("a")
    assert (shot.status, shot.state, shot.fates.done) == (Status.TERMINATED, 1, 1)


@virtual
async def test_the_managers_are_one_each(manager):
    for name in "ab":
        manager.create(name, 0, add)
    assert [shot.id for shot in manager.snapshots()] == ["a", "b"]
    assert manager.snapshots()[0].metrics is None
    assert manager.snapshots(metrics=True)[0].metrics is not None


@virtual
async def test_every_status_has_its_time(manager):
    gate = Gate()
    runtime = manager.create("a", 0, gate, supervision=Supervision(Policy.STOP, intensity=2))
    seen = [runtime.status]
    receipt = runtime.send_nowait(1)
    await gate.entered.wait()
    seen.append(runtime.status)
    gate.open.set()
    await receipt
    runtime.pause()
    seen.append(runtime.status)
    runtime.resume()
    runtime.swap(fail)
    for _ in range(2):
        with pytest.raises(Exception, match="no x"):
            await runtime.ask("x")
        seen.append(runtime.status)
    await runtime.terminate()
    seen.append(runtime.status)
    assert [status.value for status in seen] == ["idle", "processing", "paused", "error", "failed", "terminated"]


@virtual
async def test_a_pause_shows_before_an_error(manager):
    runtime = manager.create("a", 0, fail)
    with pytest.raises(Exception, match="no 1"):
        await runtime.ask(1)
    runtime.pause()
    assert runtime.status is Status.PAUSED
    assert runtime.snapshot().error_at == 0


def test_counts_read_while_it_runs_always_add_up():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=100_000)
        wrong, stop = [], threading.Event()

        def look():
            last = 0
            while not stop.is_set():
                for fates in (runtime.fates(), manager.fates(), runtime.snapshot(metrics=False).fates):
                    if not fates.adds_up or fates.accepted < last:
                        wrong.append(fates)
                last = runtime.fates().accepted

        looking = threading.Thread(target=look)
        looking.start()
        receipts = [runtime.send_nowait(1) for _ in range(20_000)]
        receipts[-1].result(60)
        stop.set()
        looking.join()
        assert wrong == []
        assert (runtime.fates().done, runtime.fates().pending) == (20_000, 0)


@virtual
async def test_the_state_seen_is_always_one_that_was_committed(manager):
    runtime = manager.create("a", (0, 0), lambda activity, state: (state[0] + 1, state[1] + 1))
    receipts = [runtime.send_nowait(n) for n in range(500)]
    while receipts[-1].outcome is None:
        one, other = runtime.snapshot().state
        assert one == other == runtime.fates().done
        await turns(1)
