"""samples.py: every type has an example, and the example is a payload."""

import json
from typing import Any

import pytest

from agentrt.schema.convert import parse_json
from agentrt.schema.samples import example
from tests.schema.records import RECORDS, VALUES, Opaque, Order, Row


@pytest.mark.parametrize("of", [each for each in [*RECORDS, *VALUES] if each not in (Order, Row)], ids=str)
def test_the_example_is_a_payload(of: Any) -> None:
    parse_json(example(of), of)


@pytest.mark.parametrize("of", [*RECORDS, *VALUES, Opaque, complex], ids=str)
def test_there_is_always_an_example(of: Any) -> None:
    json.loads(example(of))
