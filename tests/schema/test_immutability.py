"""immutability.py: what can be changed in place, and the copies that readers get."""

import dataclasses
import datetime as dt
import threading

import msgspec
import pydantic
import pytest

from agentrt.schema.immutability import MAX_PARTS, copy_in, copy_out, is_frozen
from tests.schema.records import Mixed


class Frozen(msgspec.Struct, frozen=True):
    x: object = 1


class Open(msgspec.Struct):
    x: int = 1


@dataclasses.dataclass(frozen=True)
class FrozenData:
    x: object = 1


@dataclasses.dataclass
class OpenData:
    x: int = 1


class FrozenModel(pydantic.BaseModel, frozen=True):
    x: object = 1


class OpenModel(pydantic.BaseModel):
    x: int = 1


class Declared:
    __frozen__ = True


@pytest.mark.parametrize(
    "value",
    [
        1,
        "a",
        None,
        (1, (2,)),
        frozenset({1}),
        dt.date(2013, 7, 22),
        Mixed.ONE,
        Frozen(),
        FrozenData(),
        FrozenModel(),
        Declared(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_frozen(value):
    assert is_frozen(value)
    assert copy_out(value) is value
    assert copy_in(value) is value


@pytest.mark.parametrize(
    "value",
    [[], {}, set(), (1, []), Open(), OpenData(), OpenModel(), Frozen([]), FrozenData({}), FrozenModel(x=[])],
    ids=lambda value: type(value).__name__,
)
def test_can_be_changed_in_place(value):
    assert not is_frozen(value)
    assert copy_out(value) is not value
    assert copy_in(value) == value
    assert copy_out(value, copy=False) is value


def test_only_a_part_of_a_large_value_is_examined():
    assert is_frozen((*range(MAX_PARTS), []))
    assert not is_frozen((1, [], *range(10_000)))


def test_what_can_not_be_copied_is_given_with_a_warning():
    state = [threading.Lock()]
    with pytest.warns(UserWarning, match="a state of type list can't be copied") as warned:
        assert copy_out(state) is state
    assert len(str(warned[0].message)) < 200, "two lines are read, five are not"
    assert copy_in(state) is state
