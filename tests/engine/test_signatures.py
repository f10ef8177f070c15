"""signatures.py: a workflow behind a decorator is called right, or refused with a sentence. Each shape is run."""

import asyncio
import functools
import inspect
from unittest import mock

import pytest

from agentrt import Activity, ActivityValidationError, ConfigurationError, ProcessingError
from agentrt.context import Context
from agentrt.engine.signatures import read_signature
from agentrt.engine.workflow import Workflow
from tests.support import virtual

DB = object()


# ---- what is decorated: adds the payload, or says what was wrong with its arguments


def two(activity: Activity[int], state: int) -> int:
    assert isinstance(activity, Activity)
    return state + activity.payload


def three(activity: Activity[int], state: int, ctx: Context) -> int:
    assert isinstance(ctx, Context)
    return two(activity, state)


async def later(activity: Activity[int], state: int) -> int:
    return two(activity, state)


async def later_three(activity: Activity[int], state: int, c: Context) -> int:
    return three(activity, state, c)


def with_db(db, activity: Activity[int], state: int) -> int:
    assert db is DB
    return two(activity, state)


def with_db_three(db, activity, state, ctx):
    assert db is DB
    return three(activity, state, ctx)


def db_last(activity, state, db):
    assert db is DB
    return two(activity, state)


def db_by_keyword(activity, state, *, db):
    assert db is DB
    return two(activity, state)


def of_payload(payload: int, state: int) -> int:
    return state + payload


def of_payload_alone(payload: int) -> int:
    return payload


def by_keyword(*, activity, state):
    return two(activity, state)


def by_keyword_three(*, activity, state, ctx):
    return three(activity, state, ctx)


def unnamed(event, value):
    return two(event, value)


# ---- decorators


def passes(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


def passes_args(f):
    @functools.wraps(f)
    async def wrapper(*args):
        await asyncio.sleep(0)
        return await f(*args)

    return wrapper


def passes_twice(f):
    @functools.wraps(f)
    def wrapper(activity, state):
        print(f.__name__)
        return f(activity, state)

    return wrapper


def in_thread(f):
    @functools.wraps(f)
    async def wrapper(*args):
        return await asyncio.to_thread(f, *args)

    return wrapper


def injects(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(DB, *args)

    return wrapper


def injects_named(f):
    @functools.wraps(f)
    def wrapper(activity, state):
        return f(DB, activity, state)

    return wrapper


def injects_last(f):
    @functools.wraps(f)
    def wrapper(activity, state):
        return f(activity, state, DB)

    return wrapper


def injects_last_args(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args, DB)

    return wrapper


def injects_keyword(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **{**kwargs, "db": DB})

    return wrapper


def takes_ctx(f):
    @functools.wraps(f)
    def wrapper(activity, state, ctx):
        assert isinstance(ctx, Context)
        return f(activity, state)

    return wrapper


def unpacks(f):
    @functools.wraps(f)
    def wrapper(activity, state):
        return f(activity.payload, state)

    return wrapper


def unpacks_args(f):
    @functools.wraps(f)
    def wrapper(*args):
        activity, state = args
        return f(activity.payload, state)

    return wrapper


def adds(f):
    """What the decorated function returns is not the state."""

    @functools.wraps(f)
    def wrapper(*args):
        activity, state = args
        return state + f(activity.payload)

    return wrapper


def in_dict(f):
    """The state is not what the decorated function is given."""

    @functools.wraps(f)
    def wrapper(activity, state):
        return f(activity, state["n"])

    return wrapper


def to_keywords(f):
    @functools.wraps(f)
    def wrapper(activity, state, ctx=None):
        given = {"ctx": ctx} if "ctx" in inspect.signature(f).parameters else {}
        return f(activity=activity, state=state, **given)

    return wrapper


def to_keywords_args(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(**dict(zip(("activity", "state", "ctx"), args, strict=False)))

    return wrapper


def only_keywords(f):
    @functools.wraps(f)
    def wrapper(*, activity, state):
        return f(activity, state)

    return wrapper


class Timed:
    """A decorator that is a class."""

    def __init__(self, f):
        functools.update_wrapper(self, f)
        self.f = f

    def __call__(self, *args):
        return self.f(*args)


class Adder:
    def __call__(self, activity: Activity[int], state: int) -> int:
        return two(activity, state)

    def method(self, activity: Activity[int], state: int, ctx) -> int:
        return three(activity, state, ctx)

    @passes
    def decorated(self, activity: Activity[int], state: int, ctx) -> int:
        return three(activity, state, ctx)

    @injects
    def injected(*args):
        db, _self, activity, state = args
        assert db is DB
        return two(activity, state)

    @classmethod
    def of_class(cls, activity: Activity[int], state: int) -> int:
        assert cls is Adder
        return two(activity, state)

    @staticmethod
    def static(activity: Activity[int], state: int) -> int:
        return two(activity, state)

    raw = staticmethod(two)


def explicit():
    @functools.wraps(with_db)
    def wrapper(*args):
        return with_db(DB, *args)

    wrapper.__signature__ = inspect.signature(two)
    return wrapper


@functools.singledispatch
def dispatched(activity, state):
    return two(activity, state)


# ---- the table: called right


RIGHT = {
    "plain": (two, int),
    "ctx": (three, int),
    "coroutine": (later, int),
    "coroutine with another name for ctx": (later_three, int),
    "passes": (passes(two), int),
    "passes ctx": (passes(three), int),
    "passes twice over": (passes(passes(three)), int),
    "passes another name": (passes(unnamed), None),
    "passes to a coroutine": (passes(later), int),
    "passes to a coroutine, awaits": (passes_args(later_three), int),
    "passes named": (passes_twice(two), int),
    "in a thread": (in_thread(two), None),
    "in a thread with ctx": (in_thread(three), None),
    "injects before": (injects(with_db), None),
    "injects before, with ctx": (injects(with_db_three), None),
    "injects before, twice over": (injects(passes(with_db)), None),
    "injects before, outside": (passes(injects(with_db)), None),
    "injects before, named": (injects_named(with_db), None),
    "injects after, named": (injects_last(db_last), None),
    "takes ctx": (takes_ctx(two), None),
    "takes ctx, outside": (passes(takes_ctx(two)), None),
    "unpacks": (unpacks(of_payload), None),
    "unpacks args": (unpacks_args(of_payload), None),
    "returns something else": (adds(of_payload_alone), None),
    "keyword-only": (to_keywords(by_keyword), None),
    "keyword-only with ctx": (to_keywords(by_keyword_three), None),
    "keyword-only args": (to_keywords_args(by_keyword), None),
    "keyword-only args with ctx": (to_keywords_args(by_keyword_three), None),
    "decorator class": (Timed(two), None),
    "decorator class with ctx": (Timed(three), None),
    "decorator class over a wrapper": (Timed(injects(with_db)), None),
    "object": (Adder(), int),
    "method": (Adder().method, int),
    "decorated method": (Adder().decorated, int),
    "class method": (Adder.of_class, int),
    "static method": (Adder.static, int),
    "raw static method": (vars(Adder)["raw"], int),
    "partial": (functools.partial(with_db, DB), int),
    "partial by keyword": (functools.partial(db_by_keyword, db=DB), None),
    "partial of a wrapper": (functools.partial(passes(with_db), DB), int),
    "wrapper of a partial": (passes(functools.partial(with_db, DB)), int),
    "wrapper of a method": (passes(Adder().method), int),
    "wrapper of an object": (passes(Adder()), int),
    "says its signature": (explicit(), None),
    "cached": (functools.lru_cache(two), None),
    "dispatched": (dispatched, None),
    "mock": (mock.Mock(side_effect=two), None),
    "async mock": (mock.AsyncMock(side_effect=two), None),
    "star": (lambda *args: two(*args), None),
}


@pytest.mark.parametrize("name", RIGHT)
@virtual
async def test_it_is_called_right(manager, name):
    function, accepts = RIGHT[name]
    runtime = manager.create("a", 1, function)
    await runtime.send_nowait(5)
    assert (runtime.state, runtime.failed) == (6, 0)
    assert runtime.accepts is accepts
    if accepts is int:
        with pytest.raises(ActivityValidationError):
            runtime.send_nowait("5")


@virtual
async def test_the_annotations_of_what_is_called_otherwise_hold_for_nothing(manager):
    """Its state is a dict, and the decorated function says int."""
    with pytest.warns(UserWarning, match="can be changed in place"):
        runtime = manager.create("a", {"n": 1}, in_dict(lambda activity, n: {"n": n + activity.payload}))
    await runtime.send_nowait(5)
    assert runtime.state == {"n": 6}

    def typed(activity: Activity[int], state: int) -> dict[str, int]:
        return {"n": state + activity.payload}

    assert Workflow.of(in_dict(typed)).state is None
    assert Workflow.of(passes(typed)).state is int


# ---- the table: refused


def yields(activity, state):
    yield state


async def yields_async(activity, state):
    yield state


class Yields:
    def method(self, activity, state):
        yield state


class Forgotten:
    def __init__(self, activity, state):
        raise AssertionError("it is never made")

    def __call__(self, activity, state):
        raise AssertionError("it is never called")


MUST = r"it must take two, \(activity, state\), or three"
REFUSED = {
    "one": (lambda activity: 0, MUST),
    "keyword-only": (by_keyword, MUST),
    "keyword-only wrapper": (only_keywords(two), MUST),
    "keyword-only left": (db_by_keyword, MUST),
    "injected is left": (passes(lambda db, cache, activity, state: 0), MUST),
    "swapped": (lambda state, activity: state, "called with the activity first"),
    "swapped, annotated": (with_db, "called with the activity first"),
    "passes to what takes more": (passes(with_db), "called with the activity first"),
    "method of the class": (Adder.method, "is a method of a class and not of an object"),
    "class": (Forgotten, "give that object: Forgotten"),
    "injects after, args": (injects_last_args(db_last), "nobody can say which of"),
    "injects by keyword": (injects_keyword(db_by_keyword), "nobody can say which of"),
    "ctx first": (injects(lambda ctx, activity, state: state), "nobody can say which of"),
    "generator": (yields, "has a `yield`"),
    "async generator": (yields_async, "has a `yield`"),
    "generator method": (Yields().method, "has a `yield`"),
    "generator, static": (staticmethod(yields), "has a `yield`"),
    "partial of a partial": (functools.partial(functools.partial(yields_async)), "has a `yield`"),
    "class method, not bound": (vars(Adder)["of_class"], "can't be called"),
    "nothing": (None, "can't be called"),
}


@pytest.mark.parametrize("name", REFUSED)
@virtual
async def test_it_is_refused_with_a_sentence(manager, name):
    function, sentence = REFUSED[name]
    with pytest.raises(ConfigurationError, match=sentence):
        manager.create("a", 1, function)
    assert "a" not in manager


@pytest.mark.parametrize(
    "function", [passes(yields), passes(yields_async), Timed(yields)], ids=["def", "async", "object"]
)
@virtual
async def test_what_only_shows_when_it_is_called_fails_the_activity(manager, function):
    runtime = manager.create("a", 1, function)
    with pytest.raises(ProcessingError, match=r"returned a .*; a workflow must return the new state"):
        await runtime.ask(1)
    assert runtime.state == 1


@virtual
async def test_a_coroutine_of_a_coroutine_is_awaited_to_its_end(manager):
    async def outer(activity, state):
        return later(activity, state)

    assert await manager.create("a", 1, outer).ask(5) == 6


def test_a_wrapper_that_changes_its_arguments_first_is_not_taken_for_one_that_passes_them_on():
    def changes(f):
        @functools.wraps(f)
        def wrapper(*args):
            args = (DB, *args)
            return f(*args)

        return wrapper

    assert read_signature(changes(with_db)) == (["activity", "state"], None, True)
