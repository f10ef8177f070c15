"""disposal.py: managers that nobody closes end by themselves, before there are many."""

import threading
from weakref import WeakSet

import pytest

from agentrt import RuntimeManager
from agentrt.engine import disposal
from agentrt.engine.disposal import FEW, Disposal

THREADS = 3  # of one manager: its loop's, the watchdog's, and the one that offers its feed


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """None of the managers that other tests have left counts here."""
    monkeypatch.setattr(disposal, "_open", WeakSet())
    monkeypatch.setattr(Disposal, "_collect_at", FEW)


def test_a_cell_that_is_run_again_and_again_leaves_few_threads():
    before, most = set(threading.enumerate()), 0
    for n in range(30):
        manager = RuntimeManager(loop="thread", name=f"again{n}")
        runtime = manager.create("a", 0, lambda activity, state: state + 1)
        manager.run(runtime.ask(1))
        most = max(most, len(disposal._open))
        del manager, runtime
    few = 2 * FEW  # their loops may still hold them when the collector is called first
    assert most <= few
    started = {thread for thread in threading.enumerate() if thread not in before}
    for _ in range(1_000):
        started = {thread for thread in started if thread.is_alive()}
        if len(started) <= THREADS * few:
            break
        next(iter(started)).join(0.01)
    assert len(started) <= THREADS * few


def test_a_program_that_keeps_many_open_is_not_collected_each_time(monkeypatch):
    calls = []
    monkeypatch.setattr(disposal.gc, "collect", lambda: calls.append(1))
    managers = [RuntimeManager(loop="thread") for _ in range(40)]
    assert len(calls) == 4  # with 4, 8, 16 and 32
    assert len(disposal._open) == 40
    for manager in managers:
        manager.close()
    assert len(disposal._open) == 0


def test_one_that_is_closed_is_no_longer_looked_after():
    manager = RuntimeManager(loop="thread")
    assert manager._disposal._finalizer.alive
    manager.close()
    assert not manager._disposal._finalizer.alive
