"""event_order.py: the way from one event to another."""

import pytest

from agentrt import RuntimeManager
from agentrt.views.app.event_order import EVERYTHING, EventOrder, Scope
from tests.support import add


@pytest.fixture(scope="module")
def events() -> EventOrder:
    """Two runtimes, of which one has both lanes."""
    with RuntimeManager(loop="thread", offer=False) as manager:
        a, b = manager.create("a", 0, add), manager.create("b", 0, add)
        for receipt in [a.send_nowait(1), a.send_nowait(2, priority=True), b.send_nowait(3)]:
            receipt.result(60)
        a.pause()
        return EventOrder(manager.source.events())


@pytest.mark.parametrize(
    "scope",
    [
        EVERYTHING,
        Scope("a"),
        Scope("a", "priority"),
        Scope("b", "standard"),
        Scope(kind="done"),
        Scope("a", None, "paused"),
    ],
)
def test_there_and_back_again_every_event_that_counts_is_met_once(events: EventOrder, scope: Scope) -> None:
    wanted = [record.sequence for record in events.records if scope.has(record)]
    assert wanted
    met: list[int] = []
    moment = events.before(None, scope)
    while moment is not None:
        met.append(moment)
        moment = events.before(moment, scope)
    assert met == wanted[::-1]
    moment, met = 0, []
    while (moment := events.after(moment, scope) or 0) != 0:
        met.append(moment)
    assert met == wanted


def test_a_lane_is_of_activities_only(events: EventOrder) -> None:
    kinds = {record.kind for record in events.records if Scope("a", "priority").has(record)}
    assert kinds == {"accepted", "done"}


def test_each_part_of_the_way_is_an_event_and_back(events: EventOrder) -> None:
    for place, sequence in enumerate(events.moments):
        part = place / (len(events) - 1)
        assert events.at_part(part) == sequence
        assert events.part_of(sequence) == pytest.approx(part)
    assert (events.at_part(-1), events.at_part(2)) == (events.moments[0], events.moments[-1])
    assert events.part_of(None) == 1.0
    assert events.count_after(events.moments[1]) == len(events) - 2


def test_nothing_is_recorded_yet() -> None:
    events = EventOrder()
    assert (events.before(None), events.after(0), events.at_part(0.5), events.part_of(7), events.find(7)) == (
        None, None, None, 1.0, None,
    )  # fmt: skip
    assert events.kinds() == []


def test_kinds_come_with_the_most_frequent_first(events: EventOrder) -> None:
    assert events.kinds()[:2] == ["accepted", "done"]
