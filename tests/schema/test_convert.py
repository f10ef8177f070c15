"""convert.py: JSON and plain data to a type and back, with the path of what does not fit."""

import json
from typing import Any

import pytest

from agentrt.errors import ActivityValidationError
from agentrt.schema.convert import FormError, convert, parse_json, to_builtins, to_json
from tests.schema.records import Flight, Mixed, Opaque, Reading, Tree, problems


def test_a_form_error_is_a_validation_error() -> None:
    error = FormError({"amount": "Expected int", "": "no"})
    assert isinstance(error, ActivityValidationError)
    assert str(error) == "amount: Expected int; no"


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


@pytest.mark.parametrize("value", [1, "x", [1, 2], {"a": None}, Reading(where="x", value=1)], ids=repr)
def test_what_json_can_hold_comes_back(value: Any) -> None:
    assert convert(json.loads(to_json(value)), type(value)) == value


def test_what_json_can_not_hold_is_null() -> None:
    assert to_builtins([Opaque(), Mixed.TWO]) == [None, "two"]


def test_long_json_has_several_lines() -> None:
    assert to_json([1, 2]) == "[1,2]"
    assert to_json(list(range(100))).count("\n") > 50
