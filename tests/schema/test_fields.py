"""fields.py: which control suits a type, what it expects and what it starts with."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from agentrt.schema.form import Form
from tests.schema.records import Flight, Gate, Mixed, Order, Reading


def field(of: Any, name: str = "payload") -> Any:
    return next(each for each in Form.of(of).fields if each.name == name)


@pytest.mark.parametrize(
    ("annotation", "kind", "expects"),
    [
        (int, "int", "int"),
        (Annotated[int, Meta(ge=0, lt=9)], "int", "int >= 0, < 9"),
        (Annotated[float, Meta(gt=0)] | None, "float", "float > 0 or nothing"),
        (str, "text", "text"),
        (Annotated[str, Meta(min_length=2, pattern="^a")], "text", "text length >= 2, matching ^a"),
        (bool, "bool", "bool"),
        (bool | None, "choice", "one of none, true, false"),
        (Literal["a", 1], "choice", "one of a, 1"),
        (Literal["1", 1], "choice", "one of '1', 1"),
        (Mixed, "choice", "one of ONE, TWO"),
        (dt.date, "date", "a date like 2013-07-22"),
        (dt.datetime, "datetime", "a date and time like 2013-07-22T10:30:00"),
        (Decimal, "text", "a decimal number"),
        (list[Gate], "json", "list[Gate]"),
        (Gate, "json", "Gate"),
        (int | str, "json", "int or text"),
        ((int, str), "json", "int or text"),
        (None, "json", "any JSON value"),
    ],
)
def test_a_plain_type_is_one_field(annotation: Any, kind: str, expects: str) -> None:
    form = Form.of(annotation)
    if annotation is Gate:
        assert form.record
        return
    assert not form.record
    assert [(each.name, each.kind, each.expects) for each in form.fields] == [("payload", kind, expects)]


def test_labels_and_docs_come_from_the_annotation() -> None:
    flight = field(Flight, "flight_no")
    assert (flight.label, flight.doc, flight.constraints) == ("Flight", "As on the ticket", {"ge": 1})
    assert field(Order, "amount").doc == "How many"
    assert field(Reading, "place").doc == "Where"
    assert field(Reading, "value").expects == "int >= 0, <= 9"


@pytest.mark.parametrize(
    ("name", "initial"),
    [("flight_no", ""), ("carrier", "UA"), ("late", ""), ("gate", '{"number":3}'), ("tags", "[]"), ("at", "")],
)
def test_a_control_starts_with_the_default_or_an_example(name: str, initial: str) -> None:
    assert field(Flight, name).initial == initial
