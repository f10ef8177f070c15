"""The breakpoints on a runtime's page."""

import asyncio
from typing import Any

from agentrt.views.role import Commands
from agentrt.views.runtime.stops import MOST_STEPS, Stops
from tests.support import add, virtual
from tests.views.support import HOSTILE


def stops_of(manager: Any, **options: Any) -> Stops:
    stops = Stops(manager.source, "a", Commands(manager.source, **options))
    stops.draw()
    return stops


@virtual
async def test_those_inside_are_set_and_cleared_by_a_button(manager: Any) -> None:
    points = manager.create("a", 0, add).breakpoints
    stops = stops_of(manager)
    for at, name in (("raise", "raise"), ("step *", "step *"), ("step fetch", "step fetch")):
        stops.offer("fetch")
        stops.toggle(at)
        assert points.names == (name,)
        assert 'aria-pressed="true"' in stops.live.html
        stops.toggle(at)
        assert points.names == ()
    stops.toggle("step never seen")
    assert points.names == ()


@virtual
async def test_a_step_is_added_with_hits_and_a_condition_and_removed_by_its_button(manager: Any) -> None:
    points = manager.create("a", 0, add).breakpoints
    stops = stops_of(manager)
    stops.submit()
    assert points.names == ()
    stops.step.value_input, stops.hits.value_input, stops.when.value_input = "fetch", "3", "state > 1"
    stops.submit()
    assert points.names == ("step fetch if state > 1, from hit 3 on",)
    stops.toggle("0")
    assert points.names == ()


@virtual
async def test_what_is_wrong_is_said_and_no_condition_is_taken_where_expressions_are_off(manager: Any) -> None:
    points = manager.create("a", 0, add).breakpoints
    told: list[str] = []
    stops = stops_of(manager, tell=lambda text, wrong: told.append(text))
    stops.step.value_input, stops.hits.value_input = "fetch", "many"
    stops.submit()
    stops.hits.value_input, stops.when.value_input = "1", "not an expression"
    stops.submit()
    off = stops_of(manager, evaluator=False)
    off.commands.tell = lambda text, wrong: told.append(text)
    off.step.value_input, off.when.value_input = "fetch", "True"
    off.submit()
    assert points.names == ()
    assert ["hits" in told[0], "no expression" in told[1], "Expressions are off" in told[2]] == [True] * 3


@virtual
async def test_names_are_text_and_few_are_offered(manager: Any) -> None:
    points = manager.create("a", 0, add).breakpoints
    stops = stops_of(manager)
    for n in range(20):
        stops.offer(f"{HOSTILE} {n}")
    points.add(step=HOSTILE)
    stops.draw()
    await asyncio.sleep(0)
    assert len(stops.steps) == MOST_STEPS
    assert "<script" not in stops.live.html
