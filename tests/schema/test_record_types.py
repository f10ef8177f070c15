"""record_types.py: which classes are nothing but their fields."""

import dataclasses
import enum
from typing import NamedTuple

import msgspec
import pydantic
import pytest

from agentrt.schema.record_types import is_record_type, record_fields


@dataclasses.dataclass
class Data:
    a: int
    b: int = 0


class Struct(msgspec.Struct):
    a: int


class Model(pydantic.BaseModel):
    a: int


class Listed(NamedTuple):
    a: int


class Colour(enum.Enum):
    RED = 1


class Made(Data):
    def __new__(cls, *args):
        return super().__new__(cls)


@pytest.mark.parametrize(
    ("cls", "fields"), [(Data, ("a", "b")), (Struct, ("a",)), (Model, ("a",)), (Listed, ("a",)), (Colour, None)]
)
def test_a_record_and_its_fields(cls, fields):
    assert is_record_type(cls)
    assert record_fields(cls) == fields


@pytest.mark.parametrize("cls", [int, tuple, object, Made, list[int], 3, None])
def test_what_is_no_record(cls):
    assert not is_record_type(cls)
