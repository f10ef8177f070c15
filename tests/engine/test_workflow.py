"""workflow.py: what a signature says, read once."""

import functools
import types
from typing import Any, TypeVar

import msgspec
import pytest

from agentrt import Activity, ConfigurationError
from agentrt.engine.workflow import Workflow
from tests.support import virtual

P = TypeVar("P")


class Note(Activity[str], frozen=True, kw_only=True):
    urgent: bool = False


class Typed(Activity[P], frozen=True):
    pass


async def two(activity, state): ...


async def three(activity, state, ctx): ...


def plain(activity: Activity[int], state: float) -> float:
    return state


class Callable_:
    async def __call__(self, activity: Activity[int], state: str, ctx) -> str:
        return state

    def method(self, activity, state):
        return state


@pytest.mark.parametrize(
    ("function", "is_async", "takes_context"),
    [
        (two, True, False),
        (three, True, True),
        (plain, False, False),
        (Callable_(), True, True),
        (Callable_().method, False, False),
        (lambda activity, state: state, False, False),
        (functools.partial(three, ctx=None), True, False),
        (functools.partial(lambda extra, activity, state: state, 1), False, False),
        (lambda *args: args[1], False, False),
        (lambda activity, state, n=1: state, False, False),
        (lambda activity, state, ctx=None: state, False, True),
        (lambda activity, state=0, ctx=None: state, False, True),
        (lambda activity, state, n=1, ctx=None: state, False, False),
        (lambda activity, state, *, option=1: state, False, False),
    ],
    ids=[
        "two",
        "three",
        "plain",
        "object",
        "method",
        "lambda",
        "partial",
        "partial2",
        "star",
        "default",
        "ctx",
        "ctx2",
        "fourth",
        "keyword",
    ],
)
def test_it_knows_how_to_be_called(function, is_async, takes_context):
    workflow = Workflow.of(function)
    assert (workflow.is_async, workflow.takes_context) == (is_async, takes_context)


@pytest.mark.parametrize(
    "function",
    [
        lambda: 0,
        lambda activity: 0,
        lambda a, b, c, d: 0,
        lambda activity, state, *, needed: 0,
        lambda a, b, c, d, *rest: 0,
    ],
    ids=["none", "one", "four", "keyword", "four and more"],
)
def test_a_wrong_number_of_parameters_is_refused(function):
    with pytest.raises(ConfigurationError, match=r"it must take two, \(activity, state\), or three"):
        Workflow.of(function)


def yields(activity, state):
    yield state


async def yields_async(activity, state):
    yield state


class Yields:
    def __call__(self, activity, state):
        yield state


@pytest.mark.parametrize(
    "function", [yields, yields_async, Yields(), functools.partial(yields)], ids=["def", "async", "object", "partial"]
)
def test_a_generator_is_refused(function):
    with pytest.raises(ConfigurationError, match=r"has a `yield`.* return the new state instead"):
        Workflow.of(function)


@virtual
async def test_a_generator_that_is_made_a_coroutine_runs(manager):
    @types.coroutine
    def old(activity, state):
        yield
        return state + 1

    assert await manager.create("a", 0, old).ask(1) == 1


@virtual
async def test_a_ctx_with_a_default_is_given(manager):
    async def tested_alone(activity, state, ctx=None):
        ctx.reply("replied")
        return state

    assert await manager.create("a", 0, tested_alone).ask(1) == "replied"


@pytest.mark.parametrize("thing", [None, 3, "workflow", object()])
def test_what_can_not_be_called_is_refused(thing):
    with pytest.raises(ConfigurationError, match="can't be called"):
        Workflow.of(thing)


def annotated(hint):
    def workflow(activity, state): ...

    workflow.__annotations__ = {"activity": hint}
    return workflow


@pytest.mark.parametrize(
    ("hint", "accepts"),
    [
        (Activity[int], int),
        (Activity[list[int]], list[int]),
        (Activity[Any], None),
        (Activity, None),
        (Activity[P], None),
        (Any, None),
        (Note, str),
        (Typed[int], int),
        (Typed, None),
    ],
    ids=str,
)
def test_the_payload_type_is_read_from_the_annotation(hint, accepts):
    assert Workflow.of(annotated(hint)).accepts == accepts


def test_an_annotation_that_is_no_activity_says_what_to_write():
    with pytest.raises(ConfigurationError, match=r"write `activity: Activity\[int\]`"):
        Workflow.of(annotated(int))


def test_the_state_type_is_that_of_the_parameter_or_of_what_is_returned():
    def returned(activity, state) -> int:
        return 1

    assert Workflow.of(plain).state is float
    assert Workflow.of(returned).state is int
    assert Workflow.of(two).state is None


def test_annotations_that_can_not_be_read_are_a_warning():
    def workflow(activity: "Activity[Missing]", state: "Gone"): ...  # noqa: F821

    with pytest.warns(UserWarning, match="can't be read"):
        read = Workflow.of(workflow)
    assert (read.accepts, read.state) == (None, None)


def test_its_name_is_for_people():
    def inner(activity, state): ...

    assert Workflow.of(inner).name == "test_its_name_is_for_people.inner"
    assert Workflow.of(Callable_()).name == "Callable_"


def test_it_is_immutable():
    with pytest.raises(AttributeError):
        Workflow.of(two).name = "other"


@virtual
async def test_every_kind_runs(manager):
    class Adder(msgspec.Struct):
        by: int

        async def __call__(self, activity, state, ctx):
            ctx.reply("replied")
            return state + self.by

    async def later(activity, state):
        return state + 1

    kinds = [
        Adder(1),
        later,
        lambda activity, state: state + 1,
        lambda activity, state: later(activity, state),
        functools.partial(lambda by, activity, state: state + by, 1),
    ]
    for n, workflow in enumerate(kinds):
        runtime = manager.create(f"r{n}", 0, workflow)
        await runtime.ask("x")
        assert runtime.state == 1
