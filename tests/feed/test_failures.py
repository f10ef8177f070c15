"""Errors that travel: the same picture, no class of a user."""

import msgspec
import pytest

from agentrt import RuntimeManager, errors
from agentrt.errors import AgentError, ProcessingError
from agentrt.feed.failures import FailureRecord, error_of, failure_of, places, traceback_of
from agentrt.views.activity.traceback import traceback_html
from agentrt.views.runtime.last_error import error_html


class Mine(ValueError):
    pass


class Wrong(Exception):
    def __str__(self):
        raise RuntimeError


def travel(error, traced=True):
    return error_of(msgspec.msgpack.decode(msgspec.msgpack.encode(failure_of(error, traced)), type=FailureRecord))


def inner():
    raise KeyError("inner <b>")


def caused(activity, state):
    try:
        inner()
    except KeyError as error:
        raise Mine("outer") from error


def handled(activity, state):
    try:
        inner()
    except KeyError:
        raise Mine("while handling")  # noqa: B904


def plain(activity, state):
    raise Mine("plain")


@pytest.mark.parametrize("workflow", [plain, caused, handled])
def test_the_picture_is_the_same(workflow):
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, workflow)
        with pytest.raises(ProcessingError):
            runtime.send_nowait(1).result(60)
        error = manager.source.snapshot("a").error
        there = travel(error)
    assert type(there) is ProcessingError
    assert type(there.__cause__).__name__ == "Mine"
    assert not isinstance(there.__cause__, Mine)
    assert traceback_html(there) == traceback_html(error)
    assert traceback_of(there) == traceback_of(error)
    assert error_html(there, 1.0) == error_html(error, 1.0)


def test_without_a_traceback_it_says_so():
    try:
        plain(None, 0)
    except Mine as error:
        there = travel(error, traced=False)
    assert "was not sent" in traceback_of(there)
    assert places(there.__cause__) == []


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "DeadlockError"])
def test_every_error_of_ours_comes_as_itself(name):
    there = travel(getattr(errors, name)("words", runtime="a"))
    assert type(there).__name__ == name
    assert (str(there), there.runtime, there.activity) == ("words", "a", None)
    assert isinstance(there.copy(), AgentError)


def test_a_hostile_error_travels():
    assert "can't be shown" in str(travel(Wrong()))
    assert len(failure_of(ValueError("x" * 10**6)).message) == 2_000
    loop = ValueError("a")
    loop.__cause__ = loop
    assert travel(loop)
    assert str(travel(ValueError("\ud800"))) == r"\ud800"
    assert type(error_of(FailureRecord("a\0b", "x")).__cause__).__name__ == "ab"
