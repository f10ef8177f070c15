"""answers.py: an answer comes before all else that waits, and the runtime goes on."""

import pytest

from agentrt.errors import MailboxFullError
from agentrt.integrations.answers import answer, pause_if_it_fails
from tests.support import virtual


def keep(activity, state):
    return (*state, activity.payload)


@virtual
async def test_an_answer_is_the_first_that_is_processed(manager):
    runtime = manager.create("target", (), keep)
    runtime.pause()
    runtime.send_nowait("standard")
    runtime.send_nowait("urgent", priority=True)
    assert (await answer(runtime, "answer")).state == ("answer",)
    assert await runtime.ask("last") == ("answer", "urgent", "standard", "last")
    assert (await answer(runtime, "nobody waits")).state[-1] == "nobody waits"


@virtual
async def test_an_answer_for_which_there_is_no_room_changes_nothing(manager):
    runtime = manager.create("target", (), keep, priority_capacity=1)
    runtime.pause()
    runtime.send_nowait("urgent", priority=True)
    with pytest.raises(MailboxFullError):
        answer(runtime, "answer")
    assert (runtime.status, runtime.depth) == ("paused", (1, 0))


@virtual
@pytest.mark.parametrize("waits", [False, True])
async def test_what_waits_for_an_answer_stays_paused_when_an_activity_fails(manager, waits):
    async def fails(activity, state, ctx):
        with pause_if_it_fails(waits, ctx):
            raise ValueError

    runtime = manager.create("target", (), fails)
    receipts = [runtime.send_nowait(number) for number in range(2)]
    await receipts[0].wait()
    assert (runtime.paused, runtime.depth) == (waits, (0, int(waits)))
