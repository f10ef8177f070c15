import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.dead_letters import Ledger
from agentrt.views.feed import Update
from agentrt.views.mailbox.dead_letters import DeadLettersView
from agentrt.views.role import Commands, Role
from tests.harness.wait import wait_until
from tests.support import add, collect, virtual
from tests.views.support import update

HOSTILE = "<script>window.hacked = 1</script>\"'<img src=x onerror='window.hacked = 1'>\ud800\x00\u202e"


def html(view: DeadLettersView) -> str:
    return view.head.html + view.undoable.message.html + view.list.html


def shown(manager, **options) -> DeadLettersView:
    view = DeadLettersView(manager.source, Commands(manager.source, **options))
    view.update(update(manager, first=True))
    return view


async def buried(manager, *payloads, id="doomed", **options) -> list[int]:
    runtime = manager.create(id, (), collect)
    runtime.pause()
    receipts = [runtime.send_nowait(payload, **options) for payload in payloads]
    await runtime.terminate()
    return [receipt.id for receipt in receipts]


def press(view: DeadLettersView, action: str, of: str = "") -> None:
    view.list.actions[action](of)


def by_hand(view: DeadLettersView, act: str, id: int = 0) -> None:
    """Open a letter (none for an act on all), ask, say yes."""
    if id and view.opened != id:
        press(view, "open", str(id))
    press(view, "ask", f"{act}:{id}")
    press(view, "yes")


# ---- what is seen


@virtual
async def test_none_teaches_what_one_is(manager):
    view = shown(manager)
    assert "An activity becomes one when" in view.head.html
    assert not view.tools.visible
    assert view.update(update(manager)) is False


@virtual
async def test_when_which_why_and_what(manager):
    first, second = await buried(manager, "tea", {"cake": 1}, priority=True)
    view = shown(manager)
    rows = view.list.html
    assert rows.index("cake") < rows.index("tea"), "newest first"
    assert "doomed</strong>" in rows
    assert "its runtime was terminated" in rows
    assert f"{manager.clock.wall(manager.dead_letters[0].at):%H:%M:%S}" in rows
    press(view, "open", str(first))
    assert "Lane: priority." in view.list.html
    assert f'data-with="activity/{first}"' in view.list.html
    assert f"<strong>{2}</strong> here" in view.head.html
    for odd in ("", "-1", "99999", HOSTILE, str(second)):
        press(view, "open", odd)
    assert "<script" not in html(view)


@virtual
async def test_counts_match_the_fates(manager):
    first, second, third = await buried(manager, 1, 2, 3)
    manager.create("doomed", (), collect)
    view = shown(manager)
    by_hand(view, "resend", first)
    by_hand(view, "discard", second)
    assert manager.fates().dead == 3
    assert "3 dead-lettered" in view.head.html
    assert "<strong>1</strong> here + 1 sent again + 1 discarded" in view.head.html
    assert manager.dead_letters.ledger() == Ledger(3, 1, 1, 1)
    assert [letter.activity.id for letter in view.found] == [third]
    await asyncio.sleep(1)


@virtual
async def test_many_are_paged_and_searched(manager):
    ids = await buried(manager, *(f"order {n}" for n in range(120)))
    view = shown(manager)
    assert view.list.html.count("<li") == 50
    assert "1 to 50 of 120, … 70 more" in view.list.html
    for _ in range(5):
        press(view, "turn", "dead-letters:1")
    assert "101 to 120 of 120" in view.list.html
    view.find("ORDER 7")
    assert len(view.found) == 11 + len([id for id in ids if "order 7" in f"order {id}"]) - 11
    by_hand(view, "discard_all")
    assert len(manager.dead_letters) == 109
    view.find(HOSTILE)
    assert "None of 109 activities" in view.list.html
    assert "<script" not in html(view)


@virtual
async def test_nothing_hostile_becomes_markup(manager):
    (id,) = await buried(manager, {HOSTILE: HOSTILE}, id=HOSTILE, key=HOSTILE)
    view = shown(manager)
    press(view, "open", str(id))
    view.to.value_input = HOSTILE + "2"
    press(view, "ask", f"resend:{id}")
    press(view, "yes")
    assert "no runtime has the id" in view.undoable.message.html
    for odd in ("resend", "resend:x", f"terminate:{id}", HOSTILE):
        press(view, "ask", odd)
    assert "<script" not in html(view)
    assert "<img" not in html(view)
    assert len(manager.dead_letters) == 1


@virtual
async def test_only_what_is_about_letters_is_drawn(manager):
    await buried(manager, 1)
    runtime = manager.create("a", 0, add)
    view = shown(manager)
    drawn = []
    view.draw = lambda: drawn.append(1)
    await runtime.ask(1)
    view.update(Update(manager.clock.now(), manager.ring.since(0)[0][-2:], {"a"}))
    assert drawn == []


# ---- hands


@virtual
async def test_one_is_sent_again_to_the_same_or_another(manager):
    first, second = await buried(manager, "a", "b")
    view = shown(manager, who="operator (page)")
    press(view, "open", str(first))
    assert "That runtime has ended" in view.list.html
    assert view.list.html.count("</svg> terminated</span>") == 2
    by_hand(view, "resend", first)
    assert "was terminated" in view.undoable.message.html
    assert len(manager.dead_letters) == 2, "it stays"
    other = manager.create("other", (), collect)
    view.to.value_input = "other"
    press(view, "ask", f"resend:{first}")
    assert "can't be unsent" in view.list.html
    assert len(manager.dead_letters) == 2, "it asks"
    press(view, "yes")
    assert "sent again to other" in view.undoable.message.html
    assert "Undo" not in view.undoable.message.html
    view.to.value_input = ""
    same = manager.create("doomed", (), collect)
    view.update(update(manager))
    assert "there again" in view.list.html
    by_hand(view, "resend", second)
    await asyncio.sleep(1)
    assert (other.state, same.state) == (("a",), ("b",))
    who = [record.who for record in manager.ring.since(0)[0] if record.kind == "resent"]
    assert who == ["operator (page)"] * 2


@virtual
async def test_discarding_is_undone(manager):
    ids = await buried(manager, 1, 2, 3)
    view = shown(manager)
    by_hand(view, "discard", ids[1])
    assert len(manager.dead_letters) == 2
    view.undoable.message.actions["undo"]("")
    await asyncio.sleep(1)
    assert [letter.activity.id for letter in manager.dead_letters] == ids
    by_hand(view, "discard_all")
    assert len(manager.dead_letters) == 0
    assert "3 dead letters discarded" in view.undoable.message.html
    view.undoable.message.actions["undo"]("")
    await asyncio.sleep(1)
    assert [letter.activity.id for letter in manager.dead_letters] == ids
    assert "3 dead letters put back" in view.undoable.message.html


@virtual
async def test_all_are_sent_again_as_far_as_that_goes(manager):
    await buried(manager, *range(5))
    await buried(manager, *range(5), id="gone")
    full = manager.create("doomed", (), collect, standard_capacity=3)
    full.pause()
    view = shown(manager)
    press(view, "ask", "resend_all:0")
    assert "Send 10 dead letters again" in view.head.html
    press(view, "yes")
    assert "3 dead letters sent again. 7 stay here:" in view.undoable.message.html
    assert manager.dead_letters.ledger() == Ledger(dead=10, here=7, resent=3)
    full.resume()
    await asyncio.sleep(1)
    by_hand(view, "resend_all")
    by_hand(view, "resend_all")
    assert "Nothing sent again. 5 stay here" in view.undoable.message.html
    await asyncio.sleep(1)
    assert full.state == (0, 1, 2, 3, 4)


@virtual
async def test_who_comes_second_is_told(manager):
    (id,) = await buried(manager, 1)
    mine, other = shown(manager), shown(manager)
    press(mine, "open", str(id))
    press(mine, "ask", f"discard:{id}")
    by_hand(other, "discard", id)
    press(mine, "yes")
    assert "not among the dead letters" in mine.undoable.message.html
    mine.update(update(manager))
    assert mine.opened is None


@virtual
async def test_a_viewer_is_refused(manager):
    (id,) = await buried(manager, 1)
    manager.create("doomed", (), collect)
    view = shown(manager, role=Role.VIEWER)
    cursor = manager.ring.cursor
    for act, of in (("resend", id), ("discard", id), ("resend_all", 0), ("discard_all", 0)):
        by_hand(view, act, of)
        assert "for looking only" in view.undoable.message.html
    assert (len(manager.dead_letters), manager.ring.cursor) == (1, cursor)
    assert html(view).count(" disabled>") == 4


# ---- in a real browser


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        yield manager


@pytest.fixture
def opened(show):
    """Opens the dead letters of a manager in the real browser."""

    def open(manager: RuntimeManager, role: Role = Role.OPERATOR) -> Page:
        source = manager.source
        return show(manager, lambda feed: DeadLettersView(source, Commands(source, role=role), schedule=feed.schedule))

    return open


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.browser
def test_a_person_sends_one_to_another_runtime(manager, opened):
    manager.run(buried(manager, "tea", HOSTILE))
    page = opened(manager)
    page.locator(".items .line").first.click()
    expect(page.get_by_text("That runtime has ended")).to_be_visible()
    expect(button(page, "Send again to doomed")).to_be_disabled()
    runtime = manager.create("other", (), collect)
    page.get_by_label("send again to another runtime").fill("other")
    button(page, "Send again to other").click()
    button(page, "Send it").click()
    expect(page.get_by_role("status")).to_contain_text("sent again to other")
    wait_until(lambda: runtime.state == (HOSTILE,))
    expect(page.get_by_text("1 sent again")).to_be_visible()
    button(page, "Discard all").click()
    button(page, "Discard it").click()
    expect(page.get_by_text("0 here")).to_be_visible()
    button(page, "Undo: put back").click()
    expect(page.locator(".items .line")).to_have_count(1)
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_new_letters_come_while_one_is_read(manager, opened):
    manager.run(buried(manager, "tea"))
    page = opened(manager)
    row = page.locator(".items .line").last
    row.click()
    expect(button(page, "Discard")).to_be_visible()
    row.focus()
    manager.run(buried(manager, "cake", id="another"))
    expect(page.locator(".items .line")).to_have_count(2)
    expect(row).to_be_focused()
    expect(button(page, "Discard")).to_be_visible()
