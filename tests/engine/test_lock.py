"""lock.py: one thread at a time, as often as it likes; that of the compiled core where it is built."""

import os
import threading
from typing import Any

import pytest

from agentrt.engine.core import PURE
from agentrt.engine.lock import make_lock
from tests.cores import core_is_built
from tests.harness.interrupt import is_free

LOCKS = [PURE["make_lock"]]
if core_is_built():
    from agentrt.engine._core import make_lock as make_compiled_lock  # type: ignore[import-not-found]

    LOCKS.append(make_compiled_lock)
each_core = pytest.mark.parametrize("make", LOCKS)


def test_the_thread_that_holds_it_may_take_it_again() -> None:
    lock = make_lock()
    with lock:
        with lock:
            assert not is_free(lock, 0.02)
        assert not is_free(lock, 0.02)
    assert is_free(lock)


def test_an_exception_releases_it() -> None:
    lock = make_lock()
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018
    assert is_free(lock)


def test_each_lock_is_its_own() -> None:
    one, other = make_lock(), make_lock()
    with one:
        assert is_free(other)


@each_core
def test_all_who_wait_get_it_one_after_the_other(make: Any) -> None:
    lock, here, inside, most = make(), [threading.Event() for _ in range(4)], 0, 0

    def take(number: int) -> None:
        nonlocal inside, most
        for _ in range(200):
            here[number].set()
            with lock:
                inside += 1
                most = max(most, inside)
                os.stat(os.curdir)  # another thread may run here
                inside -= 1

    threads = [threading.Thread(target=take, args=(number,), daemon=True) for number in range(len(here))]
    with lock:
        for thread in threads:
            thread.start()
        assert all(each.wait(30) for each in here)
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert (inside, most) == (0, 1)
    assert is_free(lock)


@each_core
def test_nobody_releases_what_another_thread_holds(make: Any) -> None:
    lock = make()
    with pytest.raises(RuntimeError):
        lock.__exit__(None, None, None)
    with lock:
        failed: list[str] = []
        thread = threading.Thread(target=lambda: failed.append(describe_release(lock)))
        thread.start()
        thread.join(30)
        assert failed == ["cannot release un-acquired lock"]
        assert not is_free(lock, 0.02)


def describe_release(lock: Any) -> str:
    try:
        lock.__exit__(None, None, None)
    except RuntimeError as error:
        return str(error)
    return "released"
