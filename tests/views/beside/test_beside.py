"""A fork beside its origin: in a cell, on a page, live, and with two thousand runtimes."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.beside.beside import Beside, beside_view
from agentrt.views.feed import Feed
from agentrt.views.role import Commands, Role
from agentrt.views.server.server import serve
from tests.harness.shown import loaded, serious, serving
from tests.harness.wait import wait_until
from tests.support import add
from tests.views.support import HOSTILE, update


def add_more(activity: Any, state: int) -> int:
    """Other code than `add`: from the second activity on."""
    return state + activity.payload + (activity.payload == 2)


@pytest.fixture
def forked() -> Iterator[Callable[..., tuple[RuntimeManager, RuntimeManager]]]:
    """A manager whose runtimes were sent 1, 2 and 3, and its fork, before these were processed."""
    made: list[RuntimeManager] = []

    def fork(ids: tuple[str, ...] = ("JFK", "LGA"), code: Any = None) -> tuple[RuntimeManager, RuntimeManager]:
        origin = RuntimeManager(loop="thread", name="tower")
        made.append(origin)
        for id in ids:
            origin.create(id, 0, add).pause()
            for n in (1, 2, 3):
                origin[id].send_nowait(n)
        branch = origin.at().fork(clock="real", paused=True, workflows=code or {})
        made.append(branch)
        return origin, branch

    yield fork
    for each in made:
        each.close()


def go_on(*managers: RuntimeManager) -> None:
    for manager in managers:
        manager.source.command("resume_all")
        wait_until(lambda manager=manager: manager.fates().pending == 0)  # type: ignore[misc]


def still_feed(manager: RuntimeManager) -> Feed:
    return Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)


def view_of(branch: RuntimeManager) -> Beside:
    feed = still_feed(branch)
    view = beside_view(branch.source, feed, lambda address: None, branch.source)
    assert view is not None
    feed.follow(view)
    return view


def words(view: Any) -> str:
    html = view if isinstance(view, str) else view.panel.html
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html)).replace(" ,", ",").replace(" :", ":")


def test_the_first_difference_is_told_and_marked_on_both_sides(forked):
    origin, branch = forked(code={"JFK": add_more})
    go_on(origin, branch)
    view = view_of(branch)
    text = words(view)
    assert "First difference: JFK after 2, the state is 3 in the origin and 4 in the fork." in text
    assert "1 step before it was the same" in text
    assert view.panel.html.count('class="step differs"') == 2
    assert [re.sub("<[^>]*>", "", each) for each in re.findall("<mark>.*?</mark>", view.panel.html)] == list("3647")
    assert "1 runtime is alike" in text
    assert "LGA" in text.split("is alike")[1]
    address = re.search(r'data-with="(runtime/JFK\?moment=\d+)"', view.panel.html)
    assert address is not None
    board = Dashboard(branch.source, still_feed(branch), Commands(branch.source))
    board.draw(address[1])
    shot = board.source.snapshot("JFK")
    assert shot is not None
    assert shot.state == 4, "the link goes to the fork as it was after that step"


def test_while_there_is_no_difference_it_says_so_and_how_far_both_are(forked):
    origin, branch = forked()
    assert "No difference so far. Neither has done anything yet. The fork is paused" in words(view_of(branch))
    go_on(origin)
    view = view_of(branch)
    text = words(view)
    assert "Since then the origin has processed 6 activities, the fork 0. The fork is paused: Resume all" in text
    assert text.count("the origin has done more so far") == 2
    cursor = branch.ring.cursor
    go_on(branch)
    view.update(update(branch, cursor))
    assert "No difference so far. Both have processed 6 activities since then." in words(view)
    assert "2 runtimes are alike" in words(view)


def test_it_follows_both_and_lets_go_of_the_origin(forked):
    origin, branch = forked()
    calls: list[Callable[[], Any]] = []
    feed = Feed(branch.source, schedule=calls.append, later=lambda seconds, call: None)
    view = beside_view(branch.source, feed, lambda address: None, branch.source)
    assert view is not None
    feed.follow(view)
    feed.start()

    def run_until(condition: Callable[[], bool]) -> None:
        def run() -> bool:
            while calls:
                calls.pop(0)()
            return condition()

        wait_until(run)

    go_on(origin)
    run_until(lambda: "the origin has processed 6 activities" in words(view))
    go_on(branch)
    run_until(lambda: "Both have processed 6 activities" in words(view))
    feed.stop()
    assert not view._feed.running
    assert origin.hub.clients == branch.hub.clients == []


def test_what_one_side_alone_was_sent_is_a_difference_once_the_other_has_nothing_to_do(forked):
    origin, branch = forked()
    go_on(origin, branch)
    branch["LGA"].send_nowait(9).result(60)
    text = words(view_of(branch))
    assert "First difference: LGA was sent 9 from outside, in the fork only." in text
    assert "did no such step" in text


def test_what_was_changed_by_hand_is_told(forked):
    _, branch = forked()
    branch.source.command("edit_state", "JFK", typed="100")
    assert "First difference: JFK was changed by hand: state edited, in the fork only." in words(view_of(branch))


@pytest.mark.parametrize("ended", ["origin", "fork", "both"])
def test_one_or_both_may_have_ended(forked, ended):
    origin, branch = forked(code={"JFK": add_more})
    go_on(origin, branch)
    for manager in {"origin": [origin], "fork": [branch], "both": [origin, branch]}[ended]:
        manager.close()
    text = words(view_of(branch))
    assert "JFK after 2, the state is 3 in the origin and 4 in the fork." in text
    assert text.count("it has ended") == (2 if ended == "both" else 1)
    assert "1 runtime is alike" in text


def test_a_runtime_that_is_on_one_side_only(forked):
    _, branch = forked()
    branch.create("EWR", 0, add)
    text = words(view_of(branch))
    assert "EWR origin There is no such runtime here." in text


def test_of_two_thousand_runtimes_only_what_differs_is_shown(forked):
    ids = tuple(f"r{n:04}" for n in range(2000))
    origin, branch = forked(ids, dict.fromkeys(ids[::40], add_more))
    origin.ring.limit = branch.ring.limit = 100_000
    go_on(origin, branch)
    view = view_of(branch)
    text = words(view)
    assert view.panel.html.count("<section") == 20
    assert "30 more runtimes that are not alike" in text
    assert "1,950 runtimes are alike" in text
    assert "and 1,750 more" in text
    assert len(view.panel.html) < 80_000


def test_records_that_were_let_go_leave_what_is_now(forked):
    origin, branch = forked(code={"JFK": add_more})
    go_on(origin, branch)
    origin.ring.limit = 20
    for n in range(40):
        origin["LGA"].send_nowait(n).result(60)
    origin.ring.mark = 0
    origin.ring.trim()
    text = words(view_of(branch))
    assert "No first difference is known." in text
    assert "JFK" in text.split("alike")[0]


def test_nothing_of_a_state_becomes_an_element(forked):
    origin, branch = forked((HOSTILE, "LGA"))
    go_on(origin, branch)
    branch.source.command("edit_state", HOSTILE, typed="7")
    html = view_of(branch).panel.html
    assert "<script" not in html
    assert "<img" not in html


def test_a_manager_that_is_no_fork_says_how_to_get_one(forked):
    origin, _ = forked()
    board = Dashboard(origin.source, still_feed(origin), Commands(origin.source))
    board.draw("beside")
    assert "choose Fork from here" in board.holder.objects[0].html
    assert "Fork and origin" not in board.bar.nav.html
    assert "choose Fork from here" in origin.beside().html()


def test_a_fork_does_not_keep_its_origin(forked):
    origin, branch = forked()
    point = branch.source.branch_point()
    assert point is not None
    assert point.find_origin() is origin.source
    gone = type(point)("tower", lambda: None, 1, 1, point.wall)
    branch.branch_point = gone
    board = Dashboard(branch.source, still_feed(branch), Commands(branch.source))
    board.draw("beside")
    assert "is gone" in board.holder.objects[0].html


def test_a_page_that_is_left_lets_go_of_the_origin(forked):
    _, branch = forked()
    feed = still_feed(branch)
    board = Dashboard(branch.source, feed, Commands(branch.source))
    board.draw("beside")
    assert len(feed._companions) == 1
    assert "Fork and origin" in board.bar.nav.html
    board.draw("")
    assert feed._companions == []


def test_as_the_value_of_a_cell_and_as_a_file(forked, tmp_path):
    origin, branch = forked(code={"JFK": add_more})
    go_on(origin, branch)
    assert repr(branch.beside()) == f"<beside of {branch.name!r}>"
    assert "First difference" in branch.export(tmp_path / "beside.html", view="beside").read_text("utf-8")


# ---- in a real browser


@pytest.mark.browser
def test_fork_from_here_leads_to_both_side_by_side(forked, page: Page) -> None:
    origin, _ = forked()
    go_on(origin)
    with serving(serve(origin)) as server:
        page.goto(server.link(Role.OPERATOR, "runtime/JFK"))
        page.get_by_text("● live").wait_for()
        page.locator("h2", has_text="JFK").click()
        for _ in range(3):
            page.keyboard.press("[")
            expect(page.get_by_text("As it was at")).to_be_visible()
        page.get_by_role("button", name="Fork from here").click()
        with page.expect_popup() as opened:
            page.get_by_role("link", name="open the fork beside its origin").click()
        [fork] = origin.source._commands._forks
        with serving(fork.server):
            other = opened.value
            loaded(other)
            expect(other.get_by_text("No difference so far.")).to_be_visible()
            other.get_by_role("button", name="Resume all").click()
            wait_until(lambda: fork.fates().pending == 0)
            fork["LGA"].send_nowait(5).result(60)
            expect(other.get_by_text("LGA was sent 5 from outside, in the fork only.")).to_be_visible()
            origin["LGA"].send_nowait(6).result(60)
            expect(other.get_by_text("what it was sent is 6 in the origin and 5 in the fork.")).to_be_visible()
            assert serious(other) == []
            sides = other.locator(".pair.first .half")
            left, right = (sides.nth(n).bounding_box() for n in (0, 1))
            assert left is not None
            assert right is not None
            assert left["x"] < right["x"]
            assert left["y"] == right["y"]
            other.set_viewport_size({"width": 400, "height": 900})
            wait_until(lambda: sides.nth(1).bounding_box()["y"] > sides.nth(0).bounding_box()["y"])  # type: ignore[index]
            other.get_by_role("button", name="open the fork as it was then").first.click()
            other.wait_for_url(re.compile(r"/runtime/LGA\?moment=\d+"))
        fork.close()
