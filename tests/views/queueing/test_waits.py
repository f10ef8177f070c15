"""The waits of both lanes, side by side."""

import pytest

from agentrt import Lane, Outcome, RuntimeManager
from agentrt.views.feed import Update
from agentrt.views.queueing.waits import Waits, count_overtaken
from tests.harness.shown import loaded, shown
from tests.support import add, virtual


def outcome(id: int, lane: Lane, ended: int, *, ran: bool = True) -> Outcome:
    return Outcome(ended, id, "a", lane is Lane.PRIORITY, "done", 0.0, 0.0 if ran else None, 1.0, None)


@pytest.mark.parametrize(
    ("urgent", "others", "found"),
    [
        (outcome(3, Lane.PRIORITY, 11), [(1, 12), (2, 13), (4, 14)], (1, 2)),
        (outcome(3, Lane.PRIORITY, 14), [(1, 12), (2, 13)], (0, 0)),
        (outcome(3, Lane.PRIORITY, 11, ran=False), [(1, 12)], (0, 0)),
    ],
)
def test_who_came_later_and_was_done_earlier_overtook(urgent, others, found):
    assert count_overtaken([urgent, *(outcome(id, Lane.STANDARD, ended) for id, ended in others)]) == found


def test_one_that_two_pass_is_overtaken_once():
    urgent = [outcome(4, Lane.PRIORITY, 10), outcome(5, Lane.PRIORITY, 11)]
    assert count_overtaken([*urgent, *(outcome(id, Lane.STANDARD, 11 + id) for id in (1, 2, 3))]) == (2, 3)


@virtual
async def test_what_ends_between_two_drawings_is_drawn_with_the_next(manager):
    runtime = manager.create("a", 0, add)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), [], set(), first=True))
    view.drawn_at = float("inf")  # it drew a moment ago
    _, at, _ = manager.ring.since(0)
    await runtime.ask(1, priority=True)
    await runtime.ask(1)
    assert view.update(Update(manager.clock.now(), manager.ring.since(at)[0], {"a"}))
    assert "Nothing was processed yet" in view.words.html
    view.drawn_at = 0.0
    view.update(Update(manager.clock.now(), [], set()))
    assert "nothing was overtaken" in view.words.html
    assert len(view.sources[Lane.STANDARD].data["at"]) == 1


@virtual
async def test_what_waits_now_is_counted(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    for n in range(3):
        runtime.send_nowait(n)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), [], set(), first=True))
    assert "<td>3</td></tr>" in view.words.html


@virtual
async def test_it_says_who_overtook_whom(manager):
    runtime = manager.create("a", 0, add)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), [], set(), first=True))
    assert "Nothing was processed yet" in view.words.html
    runtime.pause()
    receipts = [runtime.send_nowait(n, priority=n == 3) for n in range(4)]
    await manager.sleep(2)
    runtime.resume()
    for receipt in receipts:
        await receipt
    records, _, _ = manager.ring.since(0)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), records, {"a"}, first=True))
    assert "1 priority activity overtook 3 standard ones in the last minute." in view.words.html
    assert len(view.sources[Lane.PRIORITY].data["at"]) == 1
    assert len(view.sources[Lane.STANDARD].data["at"]) >= 1


@virtual
async def test_of_late_is_a_minute_of_who_looks(manager):
    manager.speed = 60
    runtime = manager.create("a", 0, add)
    await runtime.ask(1, priority=True)
    await runtime.ask(1)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), manager.ring.since(0)[0], {"a"}, first=True))
    assert "In the last hour nothing was overtaken" in view.words.html


@virtual
async def test_with_one_lane_it_says_that_there_is_nothing_to_compare(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    view = Waits(runtime.manager.source, runtime.id)
    view.update(Update(manager.clock.now(), manager.ring.since(0)[0], {"a"}, first=True))
    assert "No priority activity came yet." in view.words.html


@pytest.mark.browser
def test_on_a_narrow_page_the_table_fits_and_short_waits_have_a_unit(page):
    page.set_viewport_size({"width": 400, "height": 900})
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        for n in range(8):
            runtime.send_nowait(1, priority=n % 2 == 0).result(60)
        with shown(manager, lambda feed: Waits(manager.source, "a")) as url:
            page.goto(url)
            page.get_by_text("longest").wait_for()
            loaded(page)
            assert page.locator("table").evaluate("(table) => table.getBoundingClientRect().right") <= 400
            assert not page.get_by_text("p99", exact=True).is_visible()
            ticks = page.evaluate(TICKS)
            assert ticks[0] == "0"
            assert all(tick.endswith((" s", " ms", " \N{MICRO SIGN}s")) for tick in ticks[1:])


# What the axis of the plot writes at its ticks.
TICKS = """() => {
  const models = Bokeh.documents.flatMap((doc) => [...doc._all_models.values()])
  const plot = models.find((model) => model.type === "Figure")
  return plot.left[0].formatter.doFormat([0, 2e-4, 4e-4], {loc: 0})
}"""
