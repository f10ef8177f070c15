"""deadlines.py: one timer for all; each activity is late at its own time."""

import asyncio
import math

import pytest

from agentrt import ActivityTimeoutError
from tests.support import forever, virtual


@virtual
async def test_each_is_late_at_its_own_time_with_one_timer_for_all(manager):
    ends = {}

    async def ask(seconds):
        with pytest.raises(ActivityTimeoutError):
            await manager[str(seconds)].ask(1, timeout=seconds)
        ends[seconds] = manager.clock.now()

    for seconds in (7, 2, 5):
        manager.create(str(seconds), 0, forever)
    asking = [asyncio.ensure_future(ask(seconds)) for seconds in (7, 2, 5)]
    await asyncio.sleep(1)
    assert manager.deadlines.first == 2
    await asyncio.gather(*asking)
    assert ends == {2: 2, 5: 5, 7: 7}
    assert manager.deadlines.first == math.inf


@virtual
async def test_a_later_deadline_does_not_move_the_first(manager):
    manager.deadlines.arm(10)
    manager.deadlines.arm(20)
    assert manager.deadlines.first == 10
    manager.deadlines.arm(5)
    assert manager.deadlines.first == 5
