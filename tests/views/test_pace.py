import asyncio
import math

import pytest

from agentrt.views.app.bar import TopBar
from agentrt.views.feed import Update
from agentrt.views.fleet.overview import Overview
from agentrt.views.flow.flow import Flow
from agentrt.views.pace import clock_words
from agentrt.views.role import Commands
from tests.support import add, fail, virtual


def update(manager, cursor: int = 0) -> Update:
    records, _, _ = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {record.runtime for record in records}, first=not cursor)


@virtual
async def test_a_page_says_which_clock_its_times_are_by(manager):
    bar = TopBar(manager.source, Commands(manager.source), lambda address: None)
    bar.show("")
    assert "clock" not in bar.nav.html
    for speed, words in {
        60: "runs 60 times as fast",
        0.5: "0.5 of the speed",
        0: "is stopped",
        math.inf: "leaps",
    }.items():
        manager.speed = speed
        bar.update(update(manager))
        assert words in bar.nav.html
    manager.speed = 1


def test_a_clock_of_another_day_says_which():
    from agentrt.demo import load_day

    day = load_day()
    assert "reads Monday, 22 July 2013" in clock_words(day.clock())


@pytest.mark.parametrize("speed", [1, 60])
def test_the_real_rate_stands_beside_the_rate_by_the_agents_clock(speed):
    @virtual
    async def main(manager):
        manager.speed = speed
        runtime = manager.create("a", 0, add)
        overview, flow = Overview(manager.source, lambda address: None), Flow(manager.source)
        overview.update(update(manager))
        for _ in range(60):
            runtime.send_nowait(1)
            await asyncio.sleep(1)
        overview.looked_at = overview.sum_at = 0.0
        overview.update(update(manager))
        flow.update(update(manager))
        assert ("in real time" in overview.panel.html) == ("in real time" in flow.say.html) == (speed != 1)
        assert speed == 1 or "1/s in real time" in overview.panel.html

    main()


@virtual
async def test_recent_failures_are_those_of_five_minutes_of_who_looks(manager):
    manager.speed = 60
    manager.create("a", 0, fail).send_nowait(1)
    await asyncio.sleep(240)
    opened = Overview(manager.source, lambda address: None)
    opened.update(update(manager))
    assert "in the last 5 hours" in opened.panel.html
    assert ">1</div>" in opened.panel.html
    await asyncio.sleep(100)
    opened = Overview(manager.source, lambda address: None)
    opened.update(update(manager))
    assert ">1</div>" not in opened.panel.html, "it failed before that"
