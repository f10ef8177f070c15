import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import Runtime, RuntimeManager
from agentrt.views.mailbox.microscope import Microscope
from agentrt.views.mailbox.undoable_commands import Undo
from agentrt.views.role import Commands, Role
from tests.harness.wait import PATIENCE, wait_until
from tests.support import collect, turns, virtual
from tests.views.mailbox.support import by_hand, order, paused, press, shown, undo
from tests.views.support import update

HOSTILE = "<script>window.hacked = 1</script>\"'<img src=x onerror='window.hacked = 1'>\ud800\x00\u202e"


def html(view: Microscope) -> str:
    return "".join(part.html for part in (view.legend, view.undoable.message, *view.lists.values()))


# ---- what is seen


@virtual
async def test_both_lanes_and_what_is_not_due_yet(manager):
    runtime, _ = paused(manager, "s1", "s2")
    runtime.send_nowait("p1", priority=True)
    runtime.send_nowait("later", delay=90)
    await asyncio.sleep(20)
    view = shown(manager, runtime)
    priority, standard, later = (view.lists[name].html for name in ("priority", "standard", "delayed"))
    assert "p1" in priority
    assert standard.index("s1") < standard.index("s2")
    assert "later" in later
    assert "in 70 s" in later
    assert "later" not in priority + standard
    assert '<span class="age a3"' in standard, "as old as 15 s to 60 s"
    assert "2 of 1,000 waiting" in standard
    assert "15 s to 60 s" in view.legend.html
    runtime.resume()
    await asyncio.sleep(100)
    view.update(update(manager))
    assert "Nothing waits." in view.lists["standard"].html
    assert "<li" not in html(view)
    assert view.update(update(manager)) is False


@virtual
async def test_a_long_lane_is_paged_and_searched(manager):
    runtime, ids = paused(manager, *(f"order {n}" for n in range(1000)))
    view = shown(manager, runtime)
    lane = view.lists["standard"]
    assert lane.html.count("<li") == 50
    assert "1 to 50 of 1,000, … 950 more" in lane.html
    press(view, "turn", "standard:1")
    assert "51 to 100 of 1,000" in lane.html
    assert "order 50'<" in lane.html
    for odd in ("standard:7", "nowhere:1", HOSTILE, ""):
        press(view, "turn", odd)
    assert "51 to 100 of 1,000" in lane.html
    view.find("ORDER 99")
    assert "11 match" in lane.html
    assert lane.html.count("<li") == 11
    view.find(str(ids[500]))
    assert f'data-key="i{ids[500]}"' in lane.html
    assert lane.html.count("<li") == 2, "its id, and the payload of another"
    view.find(HOSTILE)
    assert "None of 1,000 activities" in lane.html
    assert "<script" not in lane.html
    view.find("")
    for _ in range(30):
        press(view, "turn", "standard:1")
    assert "951 to 1,000 of 1,000" in lane.html, "not beyond the last"
    runtime.resume()


@virtual
async def test_what_is_opened_shows_all_of_it(manager):
    runtime, (id,) = paused(manager, {"text": HOSTILE, "long": "x" * 300})
    view = shown(manager, runtime)
    press(view, "open", str(id))
    page = html(view)
    assert "x" * 300 in page
    assert "its page" in page
    assert 'aria-expanded="true"' in page
    press(view, "open", str(id))
    assert 'aria-expanded="true"' not in html(view)
    for odd in ("", "-1", "999999", HOSTILE):
        press(view, "open", odd)
    assert "<script" not in html(view)
    runtime.resume()


@virtual
async def test_nothing_hostile_becomes_markup(manager):
    runtime = manager.create(HOSTILE, (), collect)
    runtime.pause()

    async def sends(activity, state, ctx):
        await ctx.send(HOSTILE, {HOSTILE: [HOSTILE]}, key=HOSTILE)
        return state

    sender = manager.create(HOSTILE + "2", 0, sends)
    await sender.ask(None)
    view = shown(manager, runtime)
    press(view, "open", str(runtime.mailbox_items()[0].id))
    await by_hand(view, "drop", runtime.mailbox_items()[0].id)
    assert "<script" not in html(view)
    assert "<img" not in html(view)
    runtime.resume()


class Odd:
    """Can be neither compared nor written."""

    def __eq__(self, other):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")

    __hash__ = None


@virtual
async def test_payloads_are_neither_compared_nor_trusted(manager):
    runtime, ids = paused(manager, Odd(), Odd())
    view = shown(manager, runtime)
    view.update(update(manager))
    assert "Odd, whose repr raises RuntimeError" in html(view)
    press(view, "open", str(ids[0]))
    press(view, "ask", f"edit:{ids[0]}")
    assert "can&#x27;t be written as JSON" in view.editor.message.html
    runtime.resume()


@virtual
async def test_only_ages_are_sent_while_nothing_moves(manager):
    runtime, (id,) = paused(manager, "a")
    view = shown(manager, runtime)
    lane = view.lists["standard"]
    before, sent = lane.html, []
    lane._send_msg = sent.append
    view.update(update(manager))
    assert (lane.html, sent) == (before, [])
    await asyncio.sleep(30)
    view._aged_at = 0.0
    view.update(update(manager))
    assert lane.html == before
    assert list(sent[0]["pieces"]) == [f"a{id}"]
    assert "30 s" in sent[0]["pieces"][f"a{id}"]
    runtime.resume()


@virtual
async def test_a_mailbox_that_churns_is_drawn_four_times_a_second_at_most(manager):
    runtime, _ = paused(manager)
    view = shown(manager, runtime)
    view.pause = 60
    runtime.send_nowait("x")
    assert view.update(update(manager)) is True, "what was left out is drawn later"
    assert "<li" not in view.lists["standard"].html
    runtime.resume()
    await turns()
    assert runtime.depth == (0, 0)
    assert view.update(update(manager)) is True, "that it is empty too"
    runtime.pause()
    runtime.send_nowait("x")
    view.pause = 0
    view.update(update(manager))
    assert "<li" in view.lists["standard"].html
    runtime.resume()


@virtual
async def test_a_runtime_that_is_over_has_no_mailbox(manager):
    runtime, _ = paused(manager, "a")
    view = shown(manager, runtime)
    await runtime.terminate()
    view.update(update(manager))
    assert "It is terminated" in html(view)
    assert "It is terminated" in html(shown(manager, runtime))


# ---- hands


@virtual
async def test_what_is_not_due_yet_can_only_be_dropped(manager):
    runtime, _ = paused(manager)
    id = runtime.send_nowait("later", delay=60).id
    view = shown(manager, runtime)
    press(view, "open", str(id))
    assert 'data-with="drop:' in view.lists["delayed"].html
    assert 'data-with="promote:' not in view.lists["delayed"].html
    await by_hand(view, "drop", id)
    assert runtime.mailbox_items() == []
    runtime.resume()


@virtual
async def test_who_comes_too_late_is_told(manager):
    runtime, ids = paused(manager, *"ab")
    view = shown(manager, runtime)
    press(view, "open", str(ids[0]))
    press(view, "ask", f"drop:{ids[0]}")
    runtime.step()
    await turns()
    press(view, "yes")
    await turns()
    assert "does not wait in" in view.undoable.message.html
    assert "Undo" not in view.undoable.message.html
    view.update(update(manager))
    assert (view.opened, view.asked) == (None, "")
    press(view, "yes")
    runtime.resume()


@virtual
async def test_a_full_lane_refuses_and_says_so(manager):
    runtime, ids = paused(manager, "a", priority_capacity=1)
    runtime.send_nowait("u", priority=True)
    view = shown(manager, runtime)
    await by_hand(view, "promote", ids[0])
    assert "lane of" in view.undoable.message.html
    assert order(runtime) == "ua"
    runtime.resume()


@virtual
async def test_a_viewer_moves_nothing(manager):
    runtime, ids = paused(manager, *"abc")
    view = shown(manager, runtime, role=Role.VIEWER)
    cursor = manager.ring.cursor
    for act in ("first", "promote", "demote", "drop"):
        await by_hand(view, act, ids[1])
        assert "for looking only" in view.undoable.message.html
    press(view, "ask", f"edit:{ids[1]}")
    assert view.editor is None
    view._save(ids[1], '"B"')
    moved = manager.source.command("first", "a", activity=ids[2])
    cursor = manager.ring.cursor
    view.undoable.undo = Undo("", "", moved.undo)
    view.undoable._until = float("inf")
    await undo(view)
    assert (order(runtime), manager.ring.cursor) == ("cab", cursor)
    assert html(view).count("disabled") >= 4
    runtime.resume()


@virtual
async def test_a_closed_manager_is_said(manager):
    runtime, ids = paused(manager, *"ab")
    view = shown(manager, runtime)
    manager.closed = True
    await by_hand(view, "first", ids[1])
    manager.closed = False
    assert "the manager is closed" in view.undoable.message.html
    assert order(runtime) == "ab"

    def refuse(awaitable):
        awaitable.close()
        from agentrt import ManagerClosedError

        raise ManagerClosedError("the manager is closed; make a new one")

    manager.submit = refuse
    await by_hand(view, "first", ids[0])
    del manager.submit
    assert "the manager is closed" in view.undoable.message.html
    runtime.resume()


# ---- in a real browser


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        yield manager


def test_a_page_does_not_wait_for_a_loop_that_is_kept(manager):
    entered, leave = threading.Event(), threading.Event()

    def keeps(activity, state):
        entered.set()
        leave.wait(PATIENCE)
        return state

    runtime, ids = paused(manager, "tea", "cake")
    view = shown(manager, runtime)
    receipt = manager.create("keeper", 0, keeps).send_nowait(1)
    try:
        assert entered.wait(PATIENCE)
        press(view, "open", str(ids[0]))
        press(view, "ask", f"drop:{ids[0]}")
        press(view, "yes")
        assert "as soon as the loop is free" in view.undoable.message.html
        assert view.undoable.update() is True
        assert len(runtime.mailbox_items()) == 2
    finally:
        leave.set()
    receipt.result(PATIENCE)
    wait_until(lambda: "was dropped" in view.undoable.message.html)
    assert order(runtime) == "cake"


@pytest.fixture
def opened(show):
    """Opens the microscope of a runtime in the real browser."""

    def open(runtime: Runtime, role: Role = Role.OPERATOR) -> Page:
        source = runtime.manager.source
        return show(
            runtime.manager,
            lambda feed: Microscope(source, runtime.id, Commands(source, role=role), schedule=feed.schedule),
        )

    return open


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.browser
def test_a_person_moves_an_item_and_takes_it_back(manager, opened):
    runtime, _ = paused(manager, "tea", "cake", HOSTILE)
    page = opened(runtime)
    rows = page.locator(".items .line")
    expect(rows).to_have_count(3)
    rows.nth(2).click()
    button(page, "Move to the front").click()
    expect(page.get_by_text("go before all others")).to_be_visible()
    button(page, "Move it").click()
    expect(rows.nth(0)).to_contain_text("<script>")
    wait_until(lambda: runtime.mailbox_items()[0].payload == HOSTILE)
    button(page, "Undo: put it back").click()
    expect(rows.nth(0)).to_contain_text("tea")
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_focus_and_what_is_typed_stay_while_it_changes(manager, opened):
    runtime, ids = paused(manager, {"n": 1}, {"n": 2})
    page = opened(runtime)
    page.locator(".items .line").nth(1).click()
    button(page, "Change payload").click()
    box = page.get_by_label("payload as JSON")
    box.fill('{"n": 20}')
    for n in range(5):
        runtime.send_nowait({"n": f"new {n}"})
    expect(page.locator(".items .line")).to_have_count(7)
    expect(box).to_be_focused()
    expect(box).to_have_value('{"n": 20}')
    row = page.locator(f".items [data-key=b{ids[0]}]")  # by its number: another one is the first afterwards
    row.focus()
    runtime.promote(ids[1])
    expect(page.locator(".items .line").nth(0)).to_contain_text("'n': 2")
    expect(row).to_be_focused()
    button(page, "Change it").click()
    wait_until(lambda: runtime.mailbox_items()[0].payload == {"n": 20})
    expect(button(page, "Undo: the old payload")).to_be_visible()


@pytest.mark.browser
def test_focus_stays_on_an_item_while_those_before_it_are_taken_and_it_is_moved(manager, opened):
    runtime, ids = paused(manager, *(f"order {n}" for n in range(8)))
    page = opened(runtime)
    row = page.locator(f".items [data-key=b{ids[5]}]")
    row.focus()
    for left in (7, 6, 5):
        runtime.step()
        expect(page.locator(".items .line")).to_have_count(left)
        expect(row).to_be_focused()
    runtime.first(ids[5])
    expect(page.locator(".items .line").nth(0)).to_contain_text("order 5")
    expect(row).to_be_focused()
    runtime.drop(ids[6])
    expect(page.locator(".items .line")).to_have_count(4)
    expect(row).to_be_focused()


@pytest.mark.browser
def test_what_is_opened_is_scrolled_into_view_and_nothing_else_moves(manager, opened):
    runtime, _ = paused(manager, *(f"order {n}" for n in range(40)))
    page = opened(runtime)
    boxes = page.locator(".box")
    expect(page.locator(".items .line")).to_have_count(40)
    high = [box.bounding_box()["height"] for box in boxes.all()]
    page.locator(".items .line").nth(12).click()
    expect(button(page, "Drop")).to_be_in_viewport(ratio=1)
    button(page, "Drop").click()
    expect(button(page, "Drop it")).to_be_in_viewport(ratio=1)
    runtime.resume()
    expect(page.get_by_text("Nothing waits. What comes")).to_be_visible()
    assert [box.bounding_box()["height"] for box in boxes.all()] == high


@pytest.mark.browser
def test_by_keyboard_and_search(manager, opened):
    runtime, _ = paused(manager, *(f"order {n}" for n in range(120)))
    page = opened(runtime)
    expect(page.get_by_text("1 to 50 of 120, … 70 more")).to_be_visible()
    page.get_by_placeholder("search what waits").fill("order 117")
    row = page.locator(".items .line")
    expect(row).to_have_count(1)
    row.focus()
    page.keyboard.press("Enter")
    expect(button(page, "Drop")).to_be_visible()
    button(page, "Drop").press("Enter")
    expect(button(page, "Drop it")).to_be_visible()
    page.keyboard.press("Tab")
    expect(button(page, "Drop it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, "Send the same again")).to_be_visible()
    assert runtime.fates().dropped == 1


@pytest.mark.browser
def test_a_viewer_sees_and_moves_nothing(manager, opened):
    runtime, _ = paused(manager, "tea")
    page = opened(runtime, Role.VIEWER)
    page.locator(".items .line").click()
    expect(button(page, "Drop")).to_be_disabled()
    page.locator(".act[data-with^=drop]").dispatch_event("click")
    assert runtime.depth == (0, 1)
