"""The time bar on a page: to any moment and back, read-only in between, while the agents go on."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.discovery import list_managers
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.source import Source
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.app.time_bar import PARTS, TimeBar
from agentrt.views.feed import Feed, Update
from agentrt.views.role import Commands, Role
from agentrt.views.server.server import serve
from tests.harness.shown import serving
from tests.harness.wait import wait_until
from tests.support import add


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    """A runtime whose state is 1, 2, ... 6 after its activities."""
    with RuntimeManager(loop="thread", name="tower") as manager:
        runtime = manager.create("JFK", 0, add)
        manager.create("LGA", 0, add)
        for n in range(6):
            runtime.send_nowait(1, priority=n == 3).result(60)
        yield manager


def board_of(source: Source, role: Role = Role.OPERATOR) -> Dashboard:
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = Dashboard(source, feed, Commands(source, role=role))
    board.draw("runtime/JFK")
    return board


def state_of(board: Dashboard) -> Any:
    shot = board.source.snapshot("JFK")
    return None if shot is None else shot.state


def done(manager: RuntimeManager) -> list[int]:
    """The sequence numbers of the events after which the state was 1, 2, ..."""
    return [record.sequence for record in manager.source.frame().records if record.kind == "done"]


def test_back_and_forth_by_event_and_to_live_again(manager: RuntimeManager) -> None:
    board = board_of(manager.source)
    bar = board.time_bar
    assert (bar.panel.visible, bar.second.visible, bar.live.visible, bar.slider.value) == (True, False, True, PARTS)
    bar.kind.param.update(options=["done"], value="done")
    for n in (6, 5, 4):
        board.key("[")
        assert (state_of(board), board.at.moment) == (n, done(manager)[n - 1])
        bar.kind.value = "done"
    board.key("]")
    assert state_of(board) == 5
    assert 0 < bar.slider.value < PARTS
    assert "This is the past: it can only be looked at" in bar.words.html
    bar.now.clicks += 1
    assert (state_of(board), board.at.moment, bar.words.html) == (6, None, "")
    assert board.source is manager.source


def test_a_drag_goes_to_an_event_and_to_the_end(manager: RuntimeManager) -> None:
    board = board_of(manager.source)
    bar = board.time_bar
    bar.slider.param.trigger("value_throttled")
    for part in (0.5, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bar, "_place", lambda: -1)
            bar._drag(type("Event", (), {"new": round(part * PARTS)}))
        assert board.at.moment == bar.events.at_part(part)
    bar._drag(type("Event", (), {"new": PARTS}))
    assert board.at.moment is None


def test_of_this_runtime_and_of_this_lane(manager: RuntimeManager) -> None:
    manager["LGA"].send_nowait(1).result(60)
    board = board_of(manager.source)
    board.key("[")
    assert board.time_bar.events.find(board.at.moment or 0).runtime == "JFK"  # type: ignore[union-attr]
    board.time_bar.of.value = "priority"
    board.key("[")
    found = board.time_bar.events.find(board.at.moment or 0)
    assert (found.lane, found.kind) == ("priority", "done")  # type: ignore[union-attr]
    board.time_bar.of.value = "any"
    board.go("")
    assert board.at.moment is not None, "the moment stays from one page to the next"
    board.visit("")
    assert board.at.moment is None, "an address that names no moment is now"


def test_nothing_is_steered_in_the_past_and_the_agents_go_on(manager: RuntimeManager) -> None:
    board = board_of(manager.source)
    board.look(done(manager)[1])
    assert (state_of(board), board.commands.may_steer) == (2, False)
    assert all(button.disabled for button in board.bar.buttons)
    told: list[str] = []
    board.bar.say = lambda text, wrong: told.append(text)  # type: ignore[method-assign]
    for key in (" ", "."):
        board.key(key)
    assert not manager["JFK"].paused
    assert "Go back to live first" in told[-1]
    assert not board.commands.pause("JFK")
    assert manager["JFK"].send_nowait(1).result(60).state == 7
    assert state_of(board) == 2
    records = manager.source.frame().records[-2:]
    board.time_bar.update(Update(0.0, records, {"JFK"}))
    assert re.search(r"the agents go on: \d+ events? since", board.time_bar.words.html)
    board.look(None)
    assert not any(button.disabled for button in board.bar.buttons)


def test_a_link_carries_the_moment_and_one_that_is_gone_shows_what_is_now(manager: RuntimeManager) -> None:
    board = board_of(manager.source)
    board.draw(f"runtime/JFK?moment={done(manager)[2]}")
    assert state_of(board) == 3
    assert str(board.at) == f"runtime/JFK?moment={done(manager)[2]}"
    manager.ring.limit = 3
    manager["JFK"].standard_capacity = 5000
    for _ in range(2000):
        manager["JFK"].send_nowait(1)
    manager["JFK"].send_nowait(0).result(60)
    manager.ring.trim()
    board.draw("runtime/JFK?moment=1")
    assert (board.at.moment, board.source) == (None, manager.source)
    assert "This moment can" in board.bar.message.html


def test_it_is_the_same_in_another_process(manager: RuntimeManager) -> None:
    [record] = [each for each in list_managers() if each.name == "tower"]
    live = board_of(manager.source)
    with RemoteSource(record, max_age=0) as source:
        board = board_of(source)
        for n in (2, 5):
            board.look(done(manager)[n])
            live.look(done(manager)[n])
            there, here = board.source, live.source
            assert state_of(board) == n + 1
            assert list(there.runtimes) == list(here.runtimes) == ["JFK", "LGA"]
            for read in ("now", "fates", "ledger"):
                assert getattr(there, read)() == getattr(here, read)()
            assert there.standing() == here.standing()
            assert repr(there.mailbox("JFK")) == repr(here.mailbox("JFK"))
            assert [shot.depth for shot in there.figures(["JFK"])] == [shot.depth for shot in here.figures(["JFK"])]
            assert there.settings("JFK").paused == here.settings("JFK").paused  # type: ignore[union-attr]
        board.draw("runtime/JFK?moment=0")
        assert board.at.moment in (None, 0)


def test_a_fork_goes_on_from_there_on_a_page_of_its_own(manager: RuntimeManager) -> None:
    board = board_of(manager.source)
    board.look(done(manager)[1])
    board.time_bar.fork.clicks += 1
    assert "open the fork" in board.time_bar.message.html
    [fork] = manager.source._commands._forks
    try:
        assert (fork["JFK"].state, fork["JFK"].status, manager["JFK"].state) == (2, "paused", 6)
        assert fork.server.link(Role.OPERATOR, "beside").replace("&", "&amp;") in board.time_bar.message.html
    finally:
        fork.close()


def test_who_may_only_look_may_go_back_and_not_fork(manager: RuntimeManager) -> None:
    board = board_of(manager.source, Role.VIEWER)
    board.key("[")
    assert board.at.moment is not None
    board.time_bar.fork.clicks += 1
    assert f"manager.at({board.at.moment}).fork()" in board.time_bar.message.html
    assert not manager.source._commands._forks


def test_where_nothing_has_happened_the_way_back_is_off_and_says_why() -> None:
    with RuntimeManager(loop="thread", name="new") as manager:
        board = board_of(manager.source)
        bar = board.time_bar
        assert (bar.earlier.disabled, bar.slider.disabled, bar.message.visible) == (True, True, True)
        assert "Nothing has happened yet, so there is nothing to go back to." in bar.message.html
        board.key("[")
        assert board.at.moment is None
        manager.create("JFK", 0, add)
        bar.update(Update(0.0, manager.source.frame().records, {"JFK"}))
        assert (bar.earlier.disabled, bar.slider.disabled, bar.message.visible) == (False, False, False)
        board.key("[")
        assert board.at.moment is not None


def test_where_nothing_can_be_looked_at_as_it_was_there_is_no_bar(manager: RuntimeManager) -> None:
    past = manager.source.past(done(manager)[0])
    bar = TimeBar(past, lambda moment: None)
    assert not bar.panel.visible
    bar.show(5)
    assert bar.words.html == ""


def test_it_names_keys_only_where_there_are_keys(manager: RuntimeManager) -> None:
    for keys, words in ((True, "the event before, key ["), (False, "the event before")):
        assert TimeBar(manager.source, lambda moment: None, keys=keys).earlier.description == words


# ---- in a real browser


@pytest.mark.browser
def test_an_empty_manager_offers_no_way_back_until_something_happens(page: Page) -> None:
    with RuntimeManager(loop="thread", name="new") as manager, serving(serve(manager)) as server:
        page.goto(server.url)
        expect(page.get_by_text("there is nothing to go back to")).to_be_visible()
        expect(page.get_by_role("button", name="Event before")).to_be_disabled()
        manager.create("JFK", 0, add)
        expect(page.get_by_role("button", name="Event before")).to_be_enabled()
        expect(page.get_by_text("there is nothing to go back to")).to_be_hidden()


@pytest.mark.browser
def test_a_person_goes_back_with_a_key_copies_the_link_and_returns(manager: RuntimeManager, page: Page) -> None:
    with serving(serve(manager)) as server:
        page.goto(server.link(Role.OPERATOR, "runtime/JFK"))
        page.get_by_text("● live").wait_for()
        page.locator("h2", has_text="JFK").click()
        page.keyboard.press("[")
        expect(page.get_by_text("As it was at")).to_be_visible()
        page.keyboard.press("[")
        page.wait_for_url(re.compile(r"/runtime/JFK\?moment=\d+"))
        expect(page.get_by_role("button", name="Pause all")).to_be_disabled()
        manager["JFK"].send_nowait(1).result(60)
        expect(page.get_by_text(re.compile(r"the agents go on: [1-9]\d* events? since"))).to_be_visible()
        moment = page.url
        page.get_by_role("button", name="Back to live").click()
        expect(page.get_by_text("● live")).to_be_visible()
        wait_until(lambda: "moment" not in page.evaluate("location.href"))
        other = page.context.new_page()
        other.goto(moment)
        expect(other.get_by_text("As it was at")).to_be_visible()
        assert other.url == moment
        other.close()


def test_several_managers_have_none_and_the_page_says_what_to_do(manager: RuntimeManager) -> None:
    with RuntimeManager(loop="thread", name="shop <b>") as other:
        source = SeveralSource([manager.source, other.source])
        board = board_of(source)
        assert board.time_bar.panel.visible
        assert board.time_bar.panel.objects == [board.time_bar.message]
        board.time_bar.update(Update(0.0, [], set(), first=True))
        html = board.time_bar.message.html
        assert "There is no time bar here" in html
        assert "agentrt watch tower or agentrt watch shop &lt;b&gt;" in html


@pytest.mark.parametrize("watched", [False, True])
def test_a_fork_says_on_its_pages_where_it_comes_from(manager: RuntimeManager, watched: bool) -> None:
    moment = manager.at(done(manager)[2])
    with moment.fork(clock="real") as fork, contextlib.ExitStack() as stack:
        source = stack.enter_context(RemoteSource(fork.name, max_age=0)) if watched else fork.source
        board = board_of(source)
        words = f"Forked from <strong>tower</strong>, as it was at {moment.wall:%H:%M:%S} on {moment.wall:%Y-%m-%d}"
        assert f"{words}, after record {moment.sequence:,}." in board.bar.nav.html
        board.draw("beside")
        text = "".join(part.html for part in board.panel.select(lambda each: hasattr(each, "html")))
        assert ("runs in another process" in text) is watched
    assert "Forked from" not in board_of(manager.source).bar.nav.html
