"""records.py: the members of every kind of record, with their defaults."""

from decimal import Decimal
from typing import Any

import pytest

from agentrt.schema.records import MISSING, RecordMember, members_of
from tests.schema.records import Flight, Options, Order, Pair, Reading, Row, Tree


@pytest.mark.parametrize("kind", [int, str, list[int], None, Any, Row], ids=repr)
def test_what_is_not_a_record_has_no_members(kind: Any) -> None:
    assert members_of(kind) is None


def member(kind: Any, name: str) -> RecordMember:
    return next(each for each in members_of(kind) or () if each.name == name)


@pytest.mark.parametrize(
    ("kind", "name", "default"),
    [
        (Flight, "tags", []),
        (Flight, "carrier", MISSING),
        (Order, "price", Decimal("1.5")),
        (Order, "amount", MISSING),
        (Reading, "more", []),
        (Options, "title", MISSING),
        (Pair, "right", "r"),
    ],
)
def test_defaults_are_those_of_the_record(kind: Any, name: str, default: Any) -> None:
    assert member(kind, name).default == default


def test_a_default_is_made_new_each_time() -> None:
    assert member(Flight, "tags").default is not member(Flight, "tags").default


def test_a_member_knows_its_name_in_json() -> None:
    assert (member(Flight, "flight_no").key, member(Reading, "place").key) == ("flightNo", "where")


def test_only_what_has_a_default_may_be_left_out() -> None:
    assert [each.required for each in members_of(Options) or ()] == [True, False]
    assert [each.required for each in members_of(Tree) or ()] == [True]
