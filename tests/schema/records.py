"""The types that the tests of forms, examples and JSON share."""

import dataclasses
import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from msgspec import Meta

from agentrt.schema.convert import FormError


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Gate(msgspec.Struct):
    number: int


class Flight(msgspec.Struct, rename="camel", tag=True):
    flight_no: Annotated[int, Meta(ge=1, description="As on the ticket", title="Flight")]
    carrier: Literal["UA", "AA"]
    late: Annotated[float, Meta(gt=0)] | None = None
    gate: Gate = msgspec.field(default_factory=lambda: Gate(3))
    tags: list[str] = []
    at: dt.datetime | None = None


@dataclasses.dataclass
class Order:
    kind: Mixed
    amount: int = dataclasses.field(metadata={"doc": "How many"})
    urgent: bool | None = None
    price: Decimal = Decimal("1.5")
    turn: complex = 1j
    after: "Order | None" = None

    def __post_init__(self) -> None:
        if self.amount > 5:
            raise ValueError("five are enough")


class Reading(pydantic.BaseModel):
    place: str = pydantic.Field("roof", alias="where", description="Where")
    value: int = pydantic.Field(ge=0, le=9)
    more: list[int] = []


class Row(pydantic.RootModel[list[int]]):
    pass


class Options(TypedDict):
    width: int
    title: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Tree(msgspec.Struct):
    children: list["Tree"]


class Opaque:
    pass


RECORDS = [Flight, Order, Reading, Options, Pair, Tree]
VALUES = [
    int, float, str, bool, bytes, dict, list, Any, None, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal, UUID,
    list[int], dict[str, int], dict[int, str], set[int], tuple[int, str], tuple[int, ...], list[Gate],
    int | None, int | str, Gate | None, Literal["a", 1], Annotated[int, Meta(ge=3, multiple_of=2)],
    Annotated[int, Meta(lt=-3)], (int, str), Row,
]  # fmt: skip


def problems(call: Any, *args: Any) -> dict[str, str]:
    """The problems of the FormError that a call raises."""
    with pytest.raises(FormError) as caught:
        call(*args)
    return caught.value.problems
