"""form.py: a field for each member of a record, and the payload made of what was typed."""

import subprocess
import sys
from contextlib import suppress
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.schema.convert import FormError, parse_json
from agentrt.schema.form import Form
from tests.schema.records import (
    RECORDS,
    VALUES,
    Flight,
    Mixed,
    Opaque,
    Options,
    Order,
    Pair,
    Reading,
    problems,
)


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
    form = Form.of(record)
    assert form.record
    assert [each.name for each in form.fields] == names
    assert [each.name for each in form.fields if each.required] == required


def test_annotations_that_name_the_unknown_leave_one_field() -> None:
    class Lost(msgspec.Struct):
        there: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    assert [each.name for each in Form.of(Lost).fields] == ["payload"]


def test_an_untouched_form_keeps_the_defaults() -> None:
    form = Form.of(Order)
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
    assert problems(Form.of(Flight).build, typed) == {
        "flight_no": "Expected int >= 1",
        "carrier": "Expected one of UA, AA",
        "late": "Expected float > 0 or nothing",
        "gate": "Expected int, got str at number",
        "tags": "Line 1, column 3: Expecting ',' delimiter",
        "at": "Expected a date and time like 2013-07-22T10:30:00 or nothing",
        "colour": "There is no such field",
    }


def test_a_missing_field_says_so() -> None:
    assert problems(Form.of(Flight).build, {"carrier": "UA"}) == {"flight_no": "Required: int >= 1"}
    assert problems(Form.of(int).build, {"payload": "  "}) == {"payload": "Required: int"}
    assert problems(Form.of(None).build, {"payload": ""}) == {"payload": "Required: any JSON value"}


def test_nothing_is_none_where_none_is_allowed() -> None:
    assert Form.of(int | None).build({"payload": ""}) is None
    assert Form.of(str | None).build({"payload": ""}) is None
    assert Form.of(str).build({"payload": ""}) == ""


def test_what_the_record_itself_refuses_is_about_the_whole() -> None:
    assert problems(Form.of(Order).build, {"kind": "TWO", "amount": "6"}) == {"": "five are enough"}


def test_a_choice_is_taken_by_value_or_by_label() -> None:
    assert Form.of(Literal["1", 1]).build({"payload": 1}) == 1
    assert Form.of(Mixed).build({"payload": "TWO"}) is Mixed.TWO
    assert Form.of(Mixed).build({"payload": "two"}) is Mixed.TWO
    assert Form.of(bool | None).build({"payload": "false"}) is False


def test_pydantic_speaks_for_its_own_models() -> None:
    form = Form.of(Reading)
    assert form.build({"value": "3", "place": "cellar"}) == Reading(where="cellar", value=3)
    assert problems(form.build, {"value": "10"}) == {"value": "Input should be less than or equal to 9"}
    assert list(problems(form.build, {"value": "1", "more": '[1, "x"]'})) == ["more[1]"]


def test_a_class_that_only_code_can_make_says_so() -> None:
    said = problems(Form.of(Opaque).build, {"payload": "{}"})
    assert said == {"payload": "Opaque can't be made from what is typed here, send it from code"}


@given(
    st.builds(
        Order, st.sampled_from(Mixed), st.integers(max_value=5), st.none() | st.booleans(), st.decimals(allow_nan=False)
    )
)
def test_what_a_control_shows_builds_the_same_payload(order: Order) -> None:
    """Any payload, put in a form's controls as the default is, and sent as it stands."""
    form = Form.of(Order)
    shown = {
        each.name: msgspec.structs.replace(each, default=getattr(order, each.name)).initial
        for each in form.fields
        if each.name != "turn"
    }
    assert form.build(shown) == order


@given(st.integers())
def test_integers_of_any_size_survive(number: int) -> None:
    assert Form.of(int).build({"payload": str(number)}) == number
    assert parse_json(str(number), int) == number


@given(st.sampled_from([*RECORDS, *VALUES]), st.dictionaries(st.text(), st.text(), max_size=3), st.text())
def test_nothing_typed_raises_anything_else(of: Any, values: dict[str, str], text: str) -> None:
    form = Form.of(of)
    values |= {each.name: text for each in form.fields}
    for attempt in (lambda: form.build(values), lambda: parse_json(text, of)):
        with suppress(FormError):
            attempt()


def test_pydantic_is_never_imported_for_the_user() -> None:
    code = """
import sys
from agentrt.schema.convert import parse_json
from agentrt.schema.form import Form
from agentrt.schema.samples import example
parse_json(example(list[int]), list[int]), Form.of(int).build({"payload": "1"})
assert not {"pydantic", "panel", "ipywidgets"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
