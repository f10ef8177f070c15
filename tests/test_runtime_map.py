"""runtime_map.py: the thread-safe map of runtimes."""

import asyncio

import pytest

from agentrt import Runtime, RuntimeExistsError, RuntimeManager, RuntimeNotFoundError, RuntimeTerminatedError
from agentrt.metrics import Fates
from tests.support import add, together, virtual

TIMEOUT = 60


@pytest.fixture
def threaded():
    with RuntimeManager(loop="thread") as manager:
        yield manager


@virtual
async def test_it_is_a_map_in_the_order_of_making(manager):
    runtimes = [manager.create(name, 0, add) for name in "cab"]
    assert (list(manager), len(manager), "a" in manager, "z" in manager) == (["c", "a", "b"], 3, True, False)
    assert manager.runtimes() == runtimes
    assert manager["a"] is runtimes[1]
    assert manager.get("z") is None
    assert manager._ipython_key_completions_() == ["c", "a", "b"]


@virtual
async def test_an_unknown_id_names_those_that_are(manager):
    manager.create("JFK", 0, add)
    for look in (manager.__getitem__, lambda id: manager.send_nowait(id, 1), manager.terminate, manager.snapshot):
        with pytest.raises(RuntimeNotFoundError, match="no runtime has the id 'LGA'; there are: JFK"):
            look("LGA")
    with pytest.raises(KeyError):
        manager["LGA"]


@virtual
async def test_a_terminated_id_says_so(manager):
    await manager.create("a", 0, add).terminate()
    with pytest.raises(RuntimeTerminatedError, match="create it again"):
        manager["a"]
    assert "a" not in manager


@virtual
async def test_sending_by_id_is_sending(manager):
    manager.create("a", 0, add)
    assert await manager.ask("a", 1) == 1
    assert (await (await manager.send("a", 2, priority=True))).state == 3
    assert (await manager.send_nowait("a", 3)).state == 6
    assert await manager.terminate("a")


def test_the_same_id_from_many_threads_is_given_once(threaded):
    results = together(8, lambda i: threaded.create("a", i, add))
    made = [result for result in results if isinstance(result, Runtime)]
    assert len(made) == 1
    assert [type(r) for r in results if r is not made[0]] == [RuntimeExistsError] * 7
    assert threaded["a"] is made[0]


def test_many_threads_make_send_and_end_at_once(threaded):
    def work(i):
        runtime = threaded.create(f"r{i}", 0, add)
        receipts = [runtime.send_nowait(1) for _ in range(200)]
        state = receipts[-1].result(TIMEOUT).state
        threaded.run(runtime.terminate())
        return state

    assert together(8, work) == [200] * 8
    assert len(threaded) == 0
    assert (threaded.fates().accepted, threaded.fates().done) == (1600, 1600)


class Listener:
    """Notes each entry that ends."""

    def __init__(self, manager, told):
        self.manager = manager
        self.told = told

    def note(self, entry):
        self.told.append((entry.id, entry.done, self.manager.holds(entry)))


def test_whoever_listens_is_told_of_each_runtime_that_ends_with_its_last_counts(threaded):
    told, forgotten = [], []
    listener = Listener(threaded, told)
    threaded.on_end(Listener(threaded, forgotten).note)
    threaded.on_end(listener.note)
    for name in "ab":
        runtime = threaded.create(name, 0, add)
        runtime.send_nowait(1).result(TIMEOUT)
        threaded.run(runtime.terminate())
    assert (told, forgotten) == ([("a", 1, True), ("b", 1, True)], [])
    assert len(threaded._end_listeners) == 1


def test_sends_from_eight_threads_are_counted_exactly(threaded):
    runtimes = [threaded.create(f"r{n}", 0, add, standard_capacity=100_000) for n in range(4)]

    def send(i):
        for n in range(2_000):
            runtimes[n % 4].send_nowait(1, priority=n % 10 == 0, key=None if n % 7 else f"{i}-{n}")

    together(8, send)
    for runtime in runtimes:
        runtime.send_nowait(0).result(TIMEOUT)
        assert runtime.state == runtime.processed - 1 == 4_000
    assert threaded.fates().accepted == threaded.fates().done == 16_004
    kinds = [record.kind for record in threaded.ring.since(0)[0]]
    assert set(kinds) <= {"created", "accepted", "done"}


def test_thousands_of_idle_runtimes_cost_no_task(threaded):
    limits = threaded.create("first", 0, add).entry.limits
    for n in range(3_000):
        threaded.create_entry(f"r{n}", 0, add, limits)
    assert len(threaded) == 3_001
    assert threaded.run(count_tasks()) == 1
    assert len(threaded.snapshots()) == 3_001


async def count_tasks():
    return len(asyncio.all_tasks())


@virtual
async def test_the_counts_of_all_are_those_of_each(manager, monkeypatch):
    def work(activity, state):
        return state + 1 / activity.payload

    runtimes = [manager.create(f"r{n}", 0, work, supervision="continue", standard_capacity=2) for n in range(6)]
    for runtime, payloads in zip(runtimes, ((), (1,), (0,), (1, 0), (1, 1), (1,)), strict=True):
        receipts = [runtime.send_nowait(each) for each in payloads]
        for each in receipts:
            await each.wait()
    runtimes[4].pause()
    runtimes[4].send_nowait(1)
    runtimes[5].pause()
    runtimes[5].send_nowait(1)
    await runtimes[5].terminate()
    each = [manager.snapshot(runtime.id).fates for runtime in runtimes]
    made = []
    monkeypatch.setattr("agentrt.snapshot.Fates", lambda *counts: made.append(counts) or Fates(*counts))
    found = manager.fates()
    assert len(made) == 1  # and not one for each runtime
    assert found == sum(each, Fates())
    assert (found.done, found.failed, found.dead, found.terminated, found.pending) == (5, 2, 1, 0, 1)
