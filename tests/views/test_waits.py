"""The waits of both lanes, side by side."""

import pytest

from agentrt import Fate, Lane, Outcome
from agentrt.views.feed import News
from agentrt.views.waits import Waits, overtaken
from tests.support import add, virtual


def outcome(id: int, lane: Lane, ended: int, *, ran: bool = True) -> Outcome:
    return Outcome(ended, id, "a", lane, Fate.DONE, 0.0, 0.0 if ran else None, 1.0, None)


@pytest.mark.parametrize(
    ("urgent", "others", "found"),
    [
        (outcome(3, Lane.PRIORITY, 11), [(1, 12), (2, 13), (4, 14)], (1, 2)),
        (outcome(3, Lane.PRIORITY, 14), [(1, 12), (2, 13)], (0, 0)),
        (outcome(3, Lane.PRIORITY, 11, ran=False), [(1, 12)], (0, 0)),
    ],
)
def test_who_came_later_and_was_done_earlier_overtook(urgent, others, found):
    assert overtaken([urgent, *(outcome(id, Lane.STANDARD, ended) for id, ended in others)]) == found


@virtual
async def test_it_says_who_overtook_whom(manager):
    runtime = manager.create("a", 0, add)
    view = Waits(runtime)
    view.update(News(manager.clock.now(), [], set(), first=True))
    assert "Nothing was processed yet" in view.said.html
    runtime.pause()
    receipts = [runtime.send_nowait(n, priority=n == 3) for n in range(4)]
    await manager.sleep(2)
    runtime.resume()
    for receipt in receipts:
        await receipt
    records, _, _ = manager.ring.since(0)
    view = Waits(runtime)
    view.update(News(manager.clock.now(), records, {"a"}, first=True))
    assert "1 urgent activity overtook 3 standard ones of late." in view.said.html
    assert len(view.sources[Lane.PRIORITY].data["at"]) == 1
    assert len(view.sources[Lane.STANDARD].data["at"]) >= 1


@virtual
async def test_with_one_lane_it_says_that_there_is_nothing_to_compare(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    view = Waits(runtime)
    view.update(News(manager.clock.now(), manager.ring.since(0)[0], {"a"}, first=True))
    assert "Nothing urgent came yet." in view.said.html
