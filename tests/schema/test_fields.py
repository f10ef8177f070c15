import dataclasses
import datetime as dt
import json
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from agentrt.errors import ActivityValidationError
from agentrt.schema.fields import FormError, example, fields_of, parse_json


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
    with pytest.raises(FormError) as caught:
        call(*args)
    return caught.value.problems


def field(of: Any, name: str = "payload") -> Any:
    return next(each for each in fields_of(of).fields if each.name == name)


# -- what is asked for


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
    form = fields_of(annotation)
    if annotation is Gate:
        assert form.record
        return
    assert not form.record
    assert [(each.name, each.kind, each.expects) for each in form.fields] == [("payload", kind, expects)]


@pytest.mark.parametrize(
    ("record", "names", "required"),
    [
        (Flight, ["flight_no", "carrier", "late", "gate", "tags", "at"], ["flight_no", "carrier"]),
        (Order, ["kind", "amount", "urgent", "price", "turn", "after"], ["kind", "amount"]),
        (Reading, ["place", "value", "more"], ["value"]),
        (Options, ["width", "title"], ["width"]),
        (Pair, ["left", "right"], ["left"]),
    ],
)
def test_a_record_is_a_field_for_each_of_its_own(record: Any, names: list[str], required: list[str]) -> None:
    form = fields_of(record)
    assert form.record
    assert [each.name for each in form.fields] == names
    assert [each.name for each in form.fields if each.required] == required


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


def test_annotations_that_name_the_unknown_leave_one_field() -> None:
    class Lost(msgspec.Struct):
        there: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    assert [each.name for each in fields_of(Lost).fields] == ["payload"]


# -- from what was typed


def test_an_untouched_form_keeps_the_defaults() -> None:
    form = fields_of(Order)
    values = {each.name: each.initial for each in form.fields} | {"amount": " 2 "}
    assert form.build(values) == Order(Mixed.ONE, 2)


def test_every_wrong_field_says_what_it_expects() -> None:
    typed = {
        "flight_no": "-1",
        "carrier": "XX",
        "late": "0",
        "gate": '{"number": "x"}',
        "tags": "[1",
        "at": "noon",
        "colour": "red",
    }
    assert problems(fields_of(Flight).build, typed) == {
        "flight_no": "Expected int >= 1",
        "carrier": "Expected one of UA, AA",
        "late": "Expected float > 0 or nothing",
        "gate": "Expected int, got str at number",
        "tags": "Line 1, column 3: Expecting ',' delimiter",
        "at": "Expected a date and time like 2013-07-22T10:30:00 or nothing",
        "colour": "There is no such field",
    }


def test_a_missing_field_says_so() -> None:
    assert problems(fields_of(Flight).build, {"carrier": "UA"}) == {"flight_no": "Required: int >= 1"}
    assert problems(fields_of(int).build, {"payload": "  "}) == {"payload": "Required: int"}
    assert problems(fields_of(None).build, {"payload": ""}) == {"payload": "Required: any JSON value"}


def test_nothing_is_none_where_none_is_allowed() -> None:
    assert fields_of(int | None).build({"payload": ""}) is None
    assert fields_of(str | None).build({"payload": ""}) is None
    assert fields_of(str).build({"payload": ""}) == ""


def test_what_the_record_itself_refuses_is_about_the_whole() -> None:
    assert problems(fields_of(Order).build, {"kind": "TWO", "amount": "6"}) == {"": "five are enough"}


def test_a_choice_is_taken_by_value_or_by_label() -> None:
    assert fields_of(Literal["1", 1]).build({"payload": 1}) == 1
    assert fields_of(Mixed).build({"payload": "TWO"}) is Mixed.TWO
    assert fields_of(Mixed).build({"payload": "two"}) is Mixed.TWO
    assert fields_of(bool | None).build({"payload": "false"}) is False


def test_pydantic_speaks_for_its_own_models() -> None:
    form = fields_of(Reading)
    assert form.build({"value": "3", "place": "cellar"}) == Reading(where="cellar", value=3)
    assert problems(form.build, {"value": "10"}) == {"value": "Input should be less than or equal to 9"}
    assert list(problems(form.build, {"value": "1", "more": '[1, "x"]'})) == ["more[1]"]


def test_a_class_that_only_code_can_make_says_so() -> None:
    said = problems(fields_of(Opaque).build, {"payload": "{}"})
    assert said == {"payload": "Opaque can't be made from what is typed here, send it from code"}


def test_a_form_error_is_a_validation_error() -> None:
    error = FormError({"amount": "Expected int", "": "no"})
    assert isinstance(error, ActivityValidationError)
    assert str(error) == "amount: Expected int; no"


@given(
    st.builds(
        Order, st.sampled_from(Mixed), st.integers(max_value=5), st.none() | st.booleans(), st.decimals(allow_nan=False)
    )
)
def test_what_a_control_shows_builds_the_same_payload(order: Order) -> None:
    """Any payload, put in a form's controls as the default is, and sent as it stands."""
    form = fields_of(Order)
    shown = {
        each.name: msgspec.structs.replace(each, default=getattr(order, each.name)).initial
        for each in form.fields
        if each.name != "turn"
    }
    assert form.build(shown) == order


@given(st.integers())
def test_integers_of_any_size_survive(number: int) -> None:
    assert fields_of(int).build({"payload": str(number)}) == number
    assert parse_json(str(number), int) == number


@given(st.sampled_from([*RECORDS, *VALUES]), st.dictionaries(st.text(), st.text(), max_size=3), st.text())
def test_nothing_typed_raises_anything_else(of: Any, values: dict[str, str], text: str) -> None:
    form = fields_of(of)
    values |= {each.name: text for each in form.fields}
    for attempt in (lambda: form.build(values), lambda: parse_json(text, of)):
        with suppress(FormError):
            attempt()


# -- JSON


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": }', "Line 1, column 7: Expecting value"),
        ('{\n  "a": 1,\n  b\n}', "Line 3, column 3: Expecting property name enclosed in double quotes"),
        ("", "Line 1, column 1: Expecting value"),
        ("hello", 'text needs double quotes: "hello"'),
        ("{'a': 1}", "text needs double quotes"),
        ("[True]", "JSON writes true"),
        ("NaN", "NaN is no JSON number"),
        ("9" * 5000, "A number of 5000 digits is too long"),
        ("[" * 100_000, "This JSON is nested too deeply"),
    ],
)
def test_json_that_does_not_parse_says_where(text: str, says: str) -> None:
    assert says in problems(parse_json, text, Any)[""]


@pytest.mark.parametrize(
    ("text", "of", "path", "says"),
    [
        ('[1, "x"]', list[int], "[1]", "Expected int, got str"),
        ('{"type": "Flight", "flightNo": 0, "carrier": "UA"}', Flight, "flightNo", "Expected int >= 1"),
        ('{"where": "x", "value": 10}', Reading, "value", "less than or equal to 9"),
        ('{"children": [{"children": 3}]}', Tree, "children[0].children", "Expected array, got int"),
        ('{"x": 1}', dict[int, int], "", "Expected int, got str, as a key"),
        ('"x"', (int, bool), "", "Expected"),
    ],
)
def test_json_of_the_wrong_type_says_at_which_path(text: str, of: Any, path: str, says: str) -> None:
    found = problems(parse_json, text, of)
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.parametrize("of", [each for each in [*RECORDS, *VALUES] if each not in (Order, Row)], ids=str)
def test_the_example_is_a_payload(of: Any) -> None:
    parse_json(example(of), of)


@pytest.mark.parametrize("of", [*RECORDS, *VALUES, Opaque, complex], ids=str)
def test_there_is_always_an_example(of: Any) -> None:
    json.loads(example(of))


def test_pydantic_is_never_imported_for_the_user() -> None:
    code = """
import sys
from agentrt.schema.fields import example, fields_of, parse_json
parse_json(example(list[int]), list[int]), fields_of(int).build({"payload": "1"})
assert not {"pydantic", "panel", "ipywidgets"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
