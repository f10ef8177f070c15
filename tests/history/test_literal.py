"""literal.py: a value as the source that makes the same one."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import sys
import types
import uuid
from collections import namedtuple
from pathlib import PurePosixPath
from typing import Any

import pytest

from agentrt import AgentError, ConfigurationError, Lane, RuntimeNotFoundError
from agentrt.history.literal import SourceWriter
from agentrt.integrations.functions import function_workflow
from agentrt.integrations.plain_data import FrozenDict
from agentrt.supervision import Supervision
from tests.history.shop import Order, SoldOut, Till, count_words, sell, word_counter


class Color(enum.Enum):
    RED = 1


class Side(enum.Flag):
    LEFT = 1
    RIGHT = 2


class Coded(Exception):
    """Takes other arguments than it has."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


Pair = namedtuple("Pair", "one two")


@dataclasses.dataclass
class Box:
    items: list[Any] = dataclasses.field(default_factory=list)
    name: str = "box"


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2.5, float("inf"), "a'b\n", b"x", (), (1,), (1, "a"), [1, [2]], {"a": {1: (2,)}}, set(), {2, 1},
        frozenset(), frozenset({"a"}), range(3), Color.RED, Lane.PRIORITY, Pair(1, 2), Box(), Box([1], "b"),
        Order("tea"), Till(3, ("tea",)), Supervision("restart", 2), datetime.date(2013, 7, 22),
        datetime.timedelta(minutes=3),
        datetime.datetime(2013, 7, 22, 8, tzinfo=datetime.UTC), decimal.Decimal("1.50"), uuid.UUID(int=5),
        PurePosixPath("/tmp/a"), 1j, bytearray(b"x"), fractions.Fraction(1, 3), Side.LEFT | Side.RIGHT, Side(0),
        collections.deque([1], 5), collections.Counter("aab"), collections.OrderedDict(a=1),
        collections.defaultdict(list, {"a": [1]}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_source_makes_the_same_value(value):
    writer = SourceWriter()
    text = writer.value(value)
    space: dict[str, Any] = {}
    exec("\n".join(writer.import_lines()), space)
    again = eval(text, space)
    assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize("error", [ValueError("x", 2), KeyError("a"), SoldOut("tea"), RuntimeNotFoundError("gone")])
def test_an_exception_is_made_again(error):
    writer = SourceWriter()
    space: dict[str, Any] = {}
    text = writer.value(error)
    exec("\n".join(writer.import_lines()), space)
    again = eval(text, space)
    assert (type(again), again.args) == (type(error), error.args)


def _coded(code: int, **more: Any) -> Coded:
    error = Coded(code, "refused")
    vars(error).update(more)
    return error


@pytest.mark.parametrize("error", [_coded(5), _coded(5, after=7), OSError(2, "gone"), AgentError("no", runtime="a")])
def test_an_exception_has_its_attributes_and_its_cause_again(error):
    error.__cause__ = KeyError("tea")
    writer = SourceWriter()
    space: dict[str, Any] = {}
    text = writer.value(error)
    exec("\n".join(writer.import_lines()), space)
    again = eval(text, space)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert repr(again.__cause__) == "KeyError('tea')"


def test_what_has_the_same_name_is_told_apart():
    writer = SourceWriter()
    writer.reserve("sell")
    assert writer.name(sell) == "shop_sell"
    assert writer.name(sell) == "shop_sell"
    assert writer.name(Order) == "Order"
    assert writer.import_lines() == ["from tests.history.shop import Order, sell as shop_sell"]


def test_only_what_differs_from_a_default_is_written():
    assert SourceWriter().value(Order("tea")) == 'Order(item="tea")'
    assert SourceWriter().value(Till()) == "Till()"


def test_what_is_imported_is_said():
    writer = SourceWriter()
    assert (writer.name(sell), writer.value(Order("x", 2))) == ("sell", 'Order(item="x", count=2)')
    assert writer.import_lines() == ["from tests.history.shop import Order, sell"]


class Opaque:
    pass


@pytest.mark.parametrize("value", [Opaque(), object(), [Opaque()]], ids=lambda each: type(each).__name__)
def test_what_has_no_source_is_refused(value):
    with pytest.raises(ConfigurationError, match="can't be written into a test"):
        SourceWriter().value(value)


def test_what_refers_to_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ConfigurationError):
        SourceWriter().value(loop)


def test_what_a_module_does_not_have_is_refused():
    def local() -> None: ...

    for thing in (local, type("Made", (), {})):
        with pytest.raises(ConfigurationError, match="a test can't import it"):
            SourceWriter().name(thing)
    assert issubclass(ConfigurationError, AgentError)


def test_what_a_call_returned_has_the_name_that_a_module_gives_it():
    """Of the modules that have it, the one that has not imported it."""
    writer = SourceWriter()
    assert writer.name(word_counter) == "word_counter"
    assert writer.import_lines() == ["from tests.history.shop import word_counter"]


def test_what_a_call_returned_and_nobody_named_is_refused_with_the_fix():
    with pytest.raises(ConfigurationError, match=r"needs a name there, such as `workflow = tool_workflow\(\.\.\.\)`"):
        SourceWriter().name(function_workflow(count_words))


def test_a_name_in_a_notebook_is_refused(monkeypatch):
    made = function_workflow(count_words)
    main = types.ModuleType("__main__")
    main.made = made
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(ConfigurationError, match="made is defined in a notebook"):
        SourceWriter().name(made)
    main.__file__ = "/anywhere/shop.py"
    assert SourceWriter().name(made) == "made"


class Sealed:
    """Says how it is made."""

    def __init__(self, content):
        self.content = content

    def __eq__(self, other):
        return isinstance(other, Sealed) and other.content == self.content

    def __hash__(self):
        return hash(self.content)

    def __reduce__(self):
        return Sealed, (self.content,)


def test_what_says_how_it_is_made_is_written_so():
    assert SourceWriter().value(FrozenDict(a=(1, Sealed(b"x")))) == """FrozenDict({"a": (1, Sealed(b'x'))})"""
