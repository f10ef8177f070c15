"""lock.py: one thread at a time, as often as it likes."""

import pytest

from agentrt.engine.lock import make_lock
from tests.harness.interrupt import is_free


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
