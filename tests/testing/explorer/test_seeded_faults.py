"""Twenty programs with a fault of order: each found, with a schedule of minimal length. Ten right ones: no alarm."""

import pytest

from agentrt.testing import ScheduleError, explore
from tests.testing.explorer.seeded_faults import FAULTS, RIGHT

MOST = 300  # orders without reduction, to compare lengths with


def test_there_are_enough():
    assert (len(FAULTS), len(RIGHT)) == (20, 10)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name):
    scenario, kind, text = FAULTS[name]
    found = explore(scenario, budget=5.0)
    failure = next(each for each in found.failures if each.kind == kind and text in each.text)
    with pytest.raises(ScheduleError if failure.error is None else type(failure.error)):
        failure.replay()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_its_schedule_is_as_short_as_any(name):
    scenario, *_ = FAULTS[name]
    every = explore(scenario, MOST, "all")
    found = explore(scenario)
    lengths = [(len(each.failures[0].schedule), each.failures[0].schedule.switches) for each in (found, every)]
    assert lengths[0] <= lengths[1]
    assert lengths[0] == lengths[1] or not every.complete


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_is_explored_to_the_end(name):
    found = explore(RIGHT[name])
    assert found.complete
    assert found.failures == []
