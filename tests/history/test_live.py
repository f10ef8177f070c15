"""live.py: the chronicle of a manager that runs."""

import gc
import weakref

import pytest

from agentrt import ManagerClosedError, RuntimeManager
from tests.support import add


def test_it_does_not_keep_the_manager_alive():
    manager = RuntimeManager(name="brief")
    moment = manager.at()
    gone = weakref.ref(manager)
    manager.close()
    del manager
    gc.collect()
    assert gone() is None
    assert len(moment) == 0


def test_a_cut_needs_the_manager():
    manager = RuntimeManager(ring=100, name="brief")
    runtime = manager.create("a", 0, add)
    for _ in range(2_000):
        runtime.send_nowait(1).result(60)
    origin = manager.origin
    manager.close()
    del manager, runtime
    gc.collect()
    with pytest.raises(ManagerClosedError):
        origin.chronicle.pull()


def test_nothing_is_read_before_somebody_asks():
    with RuntimeManager() as manager:
        manager.create("a", 0, add).send_nowait(1).result(60)
        assert manager._origin is None


def test_a_closed_manager_can_still_be_looked_back_at():
    with RuntimeManager() as manager:
        done = manager.create("a", 0, add).send_nowait(1).result(60)
    assert manager.at(done.sequence)["a"].state == 1
    assert manager.at().ended == ("a",)
