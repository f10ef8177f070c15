"""A replay beside its record: the first difference on both sides, its diff, and what led there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import ConfigurationError, RuntimeManager
from agentrt.history.replay import Replay
from agentrt.views.feed import Feed, run_now
from agentrt.views.notebook.standalone import StandaloneBoard
from tests.harness.shown import serious
from tests.support import add
from tests.views.support import HOSTILE

pytestmark = pytest.mark.filterwarnings("ignore:the state of")


async def sell(activity: Any, till: dict[str, Any], ctx: Any) -> dict[str, Any]:
    await ctx.send("stock", activity.payload)
    ctx.reply(3 * activity.payload)
    return {"total": till["total"] + 3 * activity.payload, "sold": (*till["sold"], activity.payload)}


async def sell_for_less(activity: Any, till: dict[str, Any], ctx: Any) -> dict[str, Any]:
    after = await sell(activity, till, ctx)
    return {**after, "total": after["total"] - (activity.payload > 1)}


async def sell_more(activity: Any, till: dict[str, Any], ctx: Any) -> dict[str, Any]:
    await ctx.send("stock", activity.payload + 1)
    return till


async def reply_more(activity: Any, till: dict[str, Any], ctx: Any) -> dict[str, Any]:
    after = await sell(activity, till, ctx)
    ctx.reply(4)
    return after


async def order(activity: Any, state: int, ctx: Any) -> int:
    await ctx.send("till", activity.payload)
    return state + 1


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread", name="shop") as manager:
        manager.create("stock", 0, add)
        manager.create("till", {"total": 0, "sold": ()}, sell, copy_state=False)
        clerk = manager.create("clerk", 0, order)
        for count in (1, 2, 1):
            clerk.send_nowait(count).result(60)
            manager.run(manager["till"].ask(count))
        yield manager


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html)).replace(" ,", ",")


def board_of(replay: Replay) -> tuple[StandaloneBoard, Any]:
    display = replay.beside()
    feed = Feed(display.source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = StandaloneBoard(display.source, feed, run_now)
    return board, display._view_of(board)


def test_another_state_is_shown_on_both_sides_with_its_diff_and_what_led_there(manager: RuntimeManager) -> None:
    replay = manager.replay(workflows={"till": sell_for_less})
    board, view = board_of(replay)
    html = view.panel.html
    text = words(html)
    assert "First difference: till after 2, total of the state is 12 in the record and 11 in the replay." in text
    assert [re.sub("<[^>]*>", "", each) for each in re.findall("<mark>.*?</mark>", html)] == ["12", "12", "11", "11"]
    assert html.count('class="step differs"') == 2
    chain = text.split("What led there")[1]
    assert re.search(r"activity \d+ of clerk, from outside: 2 .*activity \d+ of till, from clerk: 2", chain)
    assert "2 runtimes are alike" in text
    assert "clerk (2 activities)" in text
    number = re.search(r'data-with="(activity/\d+)"', html)
    assert number is not None
    view.panel.actions["go"](number[1])
    assert len(board.below.objects) == 2, "the activity is opened below"
    view.panel.actions["go"]("runtime/till")
    shot = board.source.snapshot("till")
    assert shot is not None
    assert shot.state["total"] == 12, "as it was when that activity had ended"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (sell_more, "till after 1, its call is send stock 1 in the record and send stock 2 in the replay."),
        (reply_more, "till after 1, the reply is 3 in the record and 4 in the replay."),
        (
            lambda activity, till: till,
            "till after 1, its call is send stock 1 in the record and nothing in the replay.",
        ),
    ],
)
def test_what_else_may_differ(manager: RuntimeManager, code: Any, sentence: str) -> None:
    _, view = board_of(manager.replay(workflows={"till": code}))
    text = words(view.panel.html)
    assert sentence in text
    assert "what it would have left is not known" in text
    assert "from its first activity on" in text


def test_where_nothing_differs_it_says_how_much_was_run_again(manager: RuntimeManager) -> None:
    replay = manager.replay()
    assert replay.runs == {"clerk": 3, "till": 6, "stock": 6}
    assert replay.count == 15
    _, view = board_of(replay)
    text = words(view.panel.html)
    assert "No difference: 15 activities did again what the record says." in text
    assert "3 runtimes are alike" in text
    assert "What led there" not in text


def test_what_was_not_run_again_and_what_is_not_honest_is_told(manager: RuntimeManager) -> None:
    import random

    manager.create("dice", 0, lambda activity, state: random.randint(1, 1_000_000)).send_nowait(1).result(60)
    text = words(board_of(manager.replay())[1].panel.html)
    assert "1 activity depended on more than the record" in text
    assert "uses chance that is not recorded" in text


def test_where_nothing_was_run_again_there_is_no_view() -> None:
    with RuntimeManager() as manager:
        replay = manager.replay()
        with pytest.raises(ConfigurationError, match="nothing was run again"):
            replay.beside()
        data, _ = replay._repr_mimebundle_()
        assert "Replay of 0 activities" in data["text/html"]


def test_outside_of_a_notebook_it_is_a_text_and_a_table(manager: RuntimeManager) -> None:
    replay = manager.replay(workflows={"till": sell_for_less})
    data, metadata = replay._repr_mimebundle_()
    assert (data, metadata) == ({"text/plain": repr(replay), "text/html": replay._repr_html_()}, {})
    assert "<table" in data["text/html"]


def test_nothing_of_a_payload_becomes_an_element() -> None:
    with RuntimeManager(loop="thread", name=HOSTILE) as manager:
        manager.create(HOSTILE, "", lambda activity, state: activity.payload).send_nowait(HOSTILE).result(60)
        replay = manager.replay(workflows={HOSTILE: lambda activity, state: activity.payload * 2})
        html = board_of(replay)[1].panel.html
    assert "<script" not in html
    assert "<img" not in html


# ---- in a real browser


@pytest.mark.browser
def test_a_person_sees_both_side_by_side(manager: RuntimeManager, page: Page, guard: Any, tmp_path: Any) -> None:
    guard.allow("file:///")
    path = manager.replay(workflows={"till": sell_for_less}).beside().save(tmp_path / "replay.html")
    page.set_viewport_size({"width": 1000, "height": 700})
    page.goto(path.as_uri())
    expect(page.get_by_text("total of the state is 12 in the record and 11 in the replay.")).to_be_visible()
    halves = page.locator(".pair.first .half")
    left, right = (halves.nth(n).bounding_box() for n in (0, 1))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    expect(page.get_by_text("What led there")).to_be_visible()
    page.get_by_text("2 runtimes are alike").click()
    expect(page.get_by_text("clerk (2 activities)")).to_be_visible()
    assert serious(page) == []
    page.set_viewport_size({"width": 400, "height": 700})
    left, right = (halves.nth(n).bounding_box() for n in (0, 1))
    assert left is not None
    assert right is not None
    assert left["y"] + left["height"] <= right["y"]
