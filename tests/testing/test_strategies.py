"""strategies.py: what it makes fits the type, for every kind of type that a payload may have."""

import datetime
import enum
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, find, given, settings, strategies
from msgspec import Meta

from agentrt import Activity, ConfigurationError, Lane, MissingPackageError
from agentrt.schema.typecheck import find_problem
from agentrt.testing import activities, virtual_manager
from tests.support import add

few = settings(max_examples=25, database=None, suppress_health_check=[HealthCheck.too_slow])  # of a machine in use
Narrow = Annotated[int, Meta(ge=40, le=42)]


class Color(enum.Enum):
    RED = "red"


class Node(msgspec.Struct, frozen=True):
    number: Narrow
    name: Annotated[str, Meta(min_length=2, max_length=3)]
    child: "Node | None" = None


@dataclass(frozen=True)
class Deposit:
    cents: Annotated[int, Meta(gt=0, lt=5)]
    tree: Node | None


class Options(TypedDict, total=False):
    color: Color


class Point(NamedTuple):
    x: float
    unit: Literal["m", "km"] = "m"


class Booking(pydantic.BaseModel, extra="forbid"):
    seats: int = pydantic.Field(ge=3, lt=5, alias="numberOfSeats")
    on: datetime.date


def workflow_of(hint):
    def workflow(activity, state):
        return state

    workflow.__annotations__ = {"activity": Activity[hint]}
    return workflow


KINDS = [
    int,
    bytes,
    int | str,
    list[int],
    dict[str, Annotated[int, Meta(ge=0)]],
    Color,
    Node,
    list[Node],
    Deposit,
    Options,
    Point,
    Booking,
    Point | Deposit,
    Narrow,
    Annotated[float, Meta(gt=0)],
    Annotated[str, Meta(pattern="^a+$")],
]


@pytest.mark.parametrize("hint", KINDS, ids=str)
def test_payloads_fit_their_type(hint):
    @few
    @given(activities(workflow_of(hint)))
    def check(activity):
        assert find_problem(activity.payload, hint) is None
        assert activity.not_before is None

    check()


def test_a_workflow_takes_what_is_made():
    @few
    @given(strategies.data())
    def check(data):
        with virtual_manager() as manager:
            runtime = manager.create("trees", 0, workflow_of(Node))
            sent = [runtime.send_nowait(data.draw(activities(runtime, longest_delay=60))) for _ in range(3)]
            manager.loop.run_until_idle()
            assert [receipt.result(0).fate.value for receipt in sent] == 3 * ["done"]
            assert manager.clock.now() <= 60

    check()


def test_either_lane_and_any_delay():
    for lane in Lane:
        assert find(activities(workflow_of(int)), lambda activity, lane=lane: activity.lane is lane)
    found = activities(workflow_of(int), lanes=[Lane.PRIORITY], longest_delay=60)
    assert find(found, lambda activity: activity.not_before is None).lane is Lane.PRIORITY
    assert 0 <= find(found, lambda activity: activity.not_before is not None).not_before <= 60


def test_a_delay_is_counted_from_when_it_is_made():
    with virtual_manager() as manager:
        runtime = manager.create("counter", 0, workflow_of(int))
        manager.loop.advance(1000)
        later = find(activities(runtime, longest_delay=60), lambda activity: activity.not_before is not None)
        assert 1000 <= later.not_before <= 1060


def test_what_is_accepted_besides_the_annotation():
    with virtual_manager() as manager:
        runtime = manager.create("counter", 0, workflow_of(Any), accepts=(int, str))
        assert find(activities(runtime), lambda activity: isinstance(activity.payload, str)).payload == ""


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ConfigurationError, match=r"takes any payload.*activity: Activity\[int\].*payloads"):
        activities(add)
    assert find(activities(add, payloads=strategies.just(7)), lambda activity: True).payload == 7
    with pytest.raises(ConfigurationError, match="lanes is empty"):
        activities(workflow_of(int), lanes=[])
    with pytest.raises(ConfigurationError, match="longest_delay"):
        activities(workflow_of(int), longest_delay=-1)


def test_without_hypothesis_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingPackageError, match="pip install hypothesis"):
        activities(workflow_of(int))
