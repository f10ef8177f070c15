"""What a person is asked for, and the payload that comes of it."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from agentrt.errors import ActivityValidationError
from agentrt.feed.forms import build, fill, form_of, form_with, is_whole, rebuild, type_of
from agentrt.schema.form import Form


@dataclass
class Flight:
    number: Annotated[int, Meta(ge=1)]
    carrier: str = "UA"


class Point(msgspec.Struct):
    x: int


def test_the_type_of_a_changed_payload():
    assert type_of(Flight, Flight(1)) is Flight
    assert type_of(None, Point(1)) is Point
    assert type_of(None, (1, 2)) is tuple
    assert type_of(None, None) is None
    assert is_whole({"a": [1, Point(2), Flight(3)]})
    assert not is_whole({"a": object()})


def test_a_form_starts_with_the_payload():
    assert [field.initial for field in fill(Form.of(Flight), Flight(3, "DL")).fields] == ["3", "DL"]
    form = form_with(Flight, Flight(3, "DL"))
    assert ([field.initial for field in form.fields], form.record, form.whole) == (["3", "DL"], True, True)
    assert form_with(None, {"a": 1}).fields == ()
    assert form_with(Flight, {"another": "type"}).fields == ()
    assert not form_with(None, {"a": object()}).whole


def test_a_new_payload_is_built_of_fields_or_of_json():
    assert build({"number": "7"}, Flight) == build('{"number": 7}', Flight) == Flight(7)
    with pytest.raises(ActivityValidationError) as problem:
        build({"number": "0"}, Flight)
    assert problem.value.problems == {"number": "Expected int >= 1"}
    assert form_of(Flight).text == '{"number":1,"carrier":"UA"}'


def test_what_was_cleared_is_not_replaced_by_a_default():
    assert rebuild({"number": "7", "carrier": "AA"}, Flight, Flight(3)) == Flight(7, "AA")
    with pytest.raises(ActivityValidationError) as problem:
        rebuild({"number": "", "carrier": "AA"}, Flight, Flight(3))
    assert problem.value.problems == {"number": "Required: int >= 1"}
    assert rebuild("[3, 4]", None, (1, 2)) == (3, 4)
