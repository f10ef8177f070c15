"""frames.py: stack frames and short texts of values, read without running anybody's code."""

import ast
import functools
from pathlib import Path

import msgspec
import pytest

import agentrt
from agentrt.activity import UntrackedActivity
from agentrt.frames import RUNNERS, class_name, definition_of, safe_repr, suspended_stack, thread_stack

PACKAGE = Path(agentrt.__file__).parent


async def plain(activity, state):
    return state


class Callable:
    def __call__(self, activity, state):
        return state

    def method(self, activity, state):
        return state

    def __getattr__(self, name):
        raise AssertionError("its code ran")


def test_where_a_callable_is_defined():
    for call, code in (
        (plain, plain.__code__),
        (functools.partial(plain, 1), plain.__code__),
        (Callable(), Callable.__call__.__code__),
        (Callable().method, Callable.method.__code__),
    ):
        found = definition_of(call)
        assert (found.file, found.line, found.function) == (__file__, code.co_firstlineno, code.co_qualname)
    assert [definition_of(call) for call in (print, int, "x".join, None)] == [None] * 4


def test_every_caller_of_a_workflow_is_there():
    """RUNNERS names functions of the core by text: a function that is renamed must be renamed there too."""
    sources = (path.read_text() for room in ("engine", "debugger") for path in (PACKAGE / room).glob("*.py"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    defined = {node.name for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}
    assert {name for package, name in RUNNERS if package == "agentrt"} <= defined


class Point(msgspec.Struct):
    x: int = 1
    y: object = None


class Hostile:
    def __repr__(self):
        raise AssertionError("its code ran")

    __str__ = __len__ = __iter__ = __eq__ = __repr__
    __hash__ = None


class HostileText(str):
    def __getitem__(self, key):
        raise AssertionError("its code ran")

    __repr__ = __str__ = __len__ = __getitem__


class HostileList(list):
    def __iter__(self):
        raise AssertionError("its code ran")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (None, "None"),
        ("a" * 100, "'" + "a" * 60 + "..."),
        (10**5000, "<int>"),
        ([1, [2, [3, [4]]]], "[1, [2, <list>]]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"),
        ((1,), "(1)"),
        ({"a": Hostile()}, "{'a': <Hostile>}"),
        (HostileList([1]), "<HostileList>"),
        (HostileText("a" * 100), "'" + "a" * 60 + "..."),
        (agentrt.Lane.PRIORITY, "'priority'"),
        (Point(2, Hostile()), "Point(x=2, y=<Hostile>)"),
        (Hostile(), "<Hostile>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_safe_repr_runs_no_code_of_the_class(value, text):
    assert safe_repr(value) == text


def test_safe_repr_is_short_whatever_the_value():
    wide = {n: [["x" * 1000] * 100] * 100 for n in range(1000)}
    assert len(safe_repr(wide)) < 5000


def test_a_finished_coroutine_has_no_frames():
    async def nothing():
        pass

    coro = nothing()
    assert [frame.function.split(".")[-1] for frame in suspended_stack(coro)] == ["nothing"]
    coro.close()
    assert suspended_stack(coro) == []
    assert suspended_stack(None) == []


def test_a_thread_that_has_ended_has_no_frames():
    assert thread_stack(-1) == []


def test_a_class_that_is_another_for_the_collector_only_is_called_as_the_other():
    activity = UntrackedActivity(id=1, runtime="a", payload=2)
    assert class_name(UntrackedActivity) == "Activity"
    assert safe_repr(activity).startswith("Activity(id=1,")
    assert class_name(type("Odd", (), {"SHOWN_AS": 3})) == "Odd"
