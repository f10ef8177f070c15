"""One runtime, large: what a class sees of it, and who may steer it."""

import re
from html import unescape

import pytest

from agentrt import RuntimeManager
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.feed import Feed
from agentrt.views.role import Commands, Role
from agentrt.views.server.server import serve
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serious, serving
from tests.harness.wait import PATIENCE, wait_until
from tests.support import add, fail
from tests.views.support import HOSTILE, update

RATE = re.compile(r"<strong>([^<]*)</strong><span class=\"muted\"> processed")


@pytest.fixture
def manager():
    """JFK is paused, with one priority activity and two standard ones; LGA has nothing to do."""
    with RuntimeManager(loop="thread", name="Class") as manager:
        for name in ("LGA", "JFK"):
            manager.create(name, 0, add)
        manager["JFK"].pause()
        for number in (10, 20):
            manager["JFK"].send_nowait(number)
        manager["JFK"].send_nowait(7, priority=True)
        yield manager


def board(manager, role: Role = Role.OPERATOR, **options) -> Dashboard:
    feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)
    shown = Dashboard(manager.source, feed, Commands(manager.source, role=role), root="./", paths=True, **options)
    shown.go()
    return shown


def click(shown: Dashboard, action: str, value: str = "") -> None:
    shown.spotlight.panel._handle_msg({"do": action, "with": value})


def test_it_shows_status_both_lanes_and_what_comes_next(manager):
    shown = board(manager)
    shown.light("JFK")
    html = shown.spotlight.panel.html
    assert shown.spotlight.panel.visible
    for words in ("JFK", "paused", "Paused, with 3 activities waiting.", "priority lane: 1 of", "standard lane: 2 of"):
        assert words in html
    assert [html.index(f"<code>{number}</code>") for number in (7, 10, 20)] == sorted(
        html.index(f"<code>{number}</code>") for number in (7, 10, 20)
    )


def test_it_follows_what_happens(manager):
    shown = board(manager)
    shown.light("JFK")
    assert shown.spotlight in shown.feed.views
    manager["JFK"].resume()
    wait_until(lambda: manager["JFK"].state == 37)
    shown.spotlight.update(update(manager))
    assert "Nothing to do." in shown.spotlight.panel.html
    assert "standard lane: 0 of" in shown.spotlight.panel.html
    for _ in range(2):
        shown.go("flow")
    assert shown.feed.views.count(shown.spotlight) == 1
    shown.light(None)
    assert shown.spotlight not in shown.feed.views
    assert not shown.spotlight.panel.visible


def test_it_says_what_runs_now_and_how_fast(manager, monkeypatch):
    async def hold(activity, state, ctx):
        with ctx.step("rest"):
            await ctx.sleep(3600)

    slow = manager.create("slow", None, hold)
    slow.send_nowait("a letter")
    wait_until(lambda: slow.status == "processing")
    shown = board(manager)
    shown.light("slow")
    html = shown.spotlight.panel.html
    assert "of the standard lane runs for" in html
    assert "in <em>rest</em>" in html
    assert "a letter" in html
    monkeypatch.setattr(shown.spotlight._rates, "of", lambda *given: 12.34)
    assert shown.spotlight.update(update(manager)) is True
    assert RATE.search(shown.spotlight.panel.html)[1] == "12.3/s"


def test_the_rate_falls_to_zero_by_itself(manager, monkeypatch):
    shown = board(manager)
    shown.light("LGA")
    assert shown.spotlight.update(update(manager)) is False
    monkeypatch.setattr(shown.spotlight._rates, "of", lambda *given: 0.5)
    assert shown.spotlight.update(update(manager)) is True, "nothing happens, but the rate is not what it was"


def test_keys_begin_and_end_it(manager):
    shown = board(manager)
    shown.key("s")
    assert (shown.spotlight.id, shown.window.spotlight) == ("JFK", "JFK"), "most activities wait there"
    shown.key("s")
    assert (shown.spotlight.id, shown.window.spotlight) == (None, "")
    shown.go("waits/LGA")
    shown.key("s")
    assert shown.spotlight.id == "LGA", "its page is shown"
    shown.key("Escape")
    assert shown.spotlight.id is None


def test_keys_steer_the_one_in_the_spotlight(manager):
    shown = board(manager)
    shown.light("LGA")
    shown.key(" ")
    assert manager["LGA"].paused
    shown.key(" ")
    assert (manager["LGA"].paused, manager["JFK"].paused) == (False, True)
    shown.light("JFK")
    shown.key(".")
    wait_until(lambda: manager["JFK"].state == 7, what="a step takes the priority activity")


def test_buttons_steer_it_and_turn_to_the_next(manager):
    shown = board(manager)
    shown.light("LGA")
    click(shown, "other", "1")
    assert shown.spotlight.id == "JFK"
    click(shown, "other", "1")
    assert shown.spotlight.id == "LGA", "the first one comes after the last"
    click(shown, "other", "-1")
    click(shown, "toggle")
    wait_until(lambda: manager["JFK"].state == 37)
    click(shown, "end")
    assert shown.spotlight.id is None


def test_one_that_has_failed_says_why_and_is_recovered(manager):
    bad = manager.create("bad", 0, fail, supervision="stop")
    for _ in range(8):
        bad.send_nowait(1)
    wait_until(lambda: bad.status == "failed")
    shown = board(manager)
    shown.light("bad")
    html = shown.spotlight.panel.html
    assert str(bad.error) in unescape(html)
    assert {"recover", "slow"} <= (offered := set(re.findall('data-do="([^"]*)"', html)))
    assert not {"toggle", "step"} & offered, "it takes nothing until it is recovered"
    click(shown, "recover")
    wait_until(lambda: bad.fates().pending == 0, what="it goes on with what waits")


def test_slow_motion_and_back_to_the_speed_before(manager):
    manager.speed = 60
    shown = board(manager)
    shown.light("JFK")
    click(shown, "slow")
    assert manager.speed == 0.1
    shown.spotlight.update(update(manager))
    assert "Usual speed" in shown.spotlight.panel.html
    assert "speed 0.1x" in shown.spotlight.panel.html
    click(shown, "slow")
    assert manager.speed == 60


def test_a_viewer_sees_it_and_steers_nothing(manager):
    shown = board(manager, Role.VIEWER)
    shown.key("s")
    assert "standard lane: 2 of" in shown.spotlight.panel.html
    assert not {"toggle", "step", "slow"} & set(re.findall('data-do="([^"]*)"', shown.spotlight.panel.html))
    click(shown, "toggle")
    click(shown, "slow")
    assert manager["JFK"].paused
    assert manager.speed == 1
    assert "looking only" in shown.bar.message.html


def test_it_shows_the_moment_that_the_page_shows(manager):
    manager["JFK"].resume()
    wait_until(lambda: manager["JFK"].state == 37)
    sent = [record.sequence for record in manager.ring.since(0)[0] if record.kind == "accepted"]
    shown = board(manager)
    shown.light("JFK")
    assert "standard lane: 0 of" in shown.spotlight.panel.html
    shown.look(sent[1])
    assert "standard lane: 2 of" in shown.spotlight.panel.html
    assert "as it was" in shown.spotlight.panel.html
    assert 'data-do="toggle"' not in shown.spotlight.panel.html
    shown.look(None)
    assert "standard lane: 0 of" in shown.spotlight.panel.html


def test_an_odd_or_unknown_id_is_told_and_harmless(manager):
    shown = board(manager)
    shown.light(HOSTILE)
    assert "There is no runtime &lt;script&gt;" in shown.spotlight.panel.html
    assert "<script" not in shown.spotlight.panel.html
    manager.create(HOSTILE, HOSTILE, add).pause()
    manager[HOSTILE].send_nowait(1)
    shown.light(HOSTILE)
    assert "There is no runtime" not in shown.spotlight.panel.html
    assert "<script" not in shown.spotlight.panel.html


def test_nothing_to_show_is_told():
    with RuntimeManager(loop="thread") as manager:
        shown = board(manager)
        shown.key("s")
        assert shown.spotlight.id is None
        assert "There is no runtime yet." in shown.bar.message.html


# ---- in a browser


@pytest.fixture
def server(manager):
    with serving(serve(manager)) as server:
        yield server


FOCUSED = """() => {
  let node = document.activeElement
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
  return node.getAttribute("role")
}"""


def dialog(page):
    return page.get_by_role("dialog", name=re.compile("spotlight"))


def type_of(element) -> float:
    """Pixels of the type of an element."""
    return float(element.evaluate("(node) => parseFloat(getComputedStyle(node).fontSize)"))


@pytest.mark.browser
def test_a_class_sees_it_by_a_link(manager, server, page, new_page):
    page.goto(server.link("operator", "runtime/JFK"))
    loaded(page)
    page.keyboard.press("s")
    dialog(page).wait_for()
    page.wait_for_url("**/runtime/JFK?spotlight=JFK")
    usual = type_of(dialog(page).locator("h2"))
    assert usual > 2 * type_of(page.locator("header h2"))
    shoot(page, "views/spotlight-light")
    assert page.evaluate(FOCUSED) == "dialog", "a screen reader reads it, and space presses no button"
    page.keyboard.press("Space")
    wait_until(lambda: manager["JFK"].state == 37, what="space resumes it")
    page.keyboard.press("t")
    wait_until(lambda: type_of(dialog(page).locator("h2")) > 1.3 * usual, PATIENCE, "the type is larger")
    shoot(page, "views/spotlight-light-large")
    assert serious(page) == []
    page.keyboard.press("Escape")
    dialog(page).wait_for(state="detached")
    page.wait_for_url("**/runtime/JFK")
    phone = new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    phone.goto(f"{server.link('viewer')}&spotlight=JFK")
    dialog(phone).get_by_text("standard").wait_for()
    loaded(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert dialog(phone).get_by_role("button").all_inner_texts() == ["Previous", "Next", "Close (Esc)"]
    shoot(phone, "views/spotlight-dark-phone")
    assert serious(phone) == []
    dialog(phone).get_by_role("button", name="Close").click()
    dialog(phone).wait_for(state="detached")


@pytest.mark.browser
def test_a_long_error_fits_a_narrow_page(manager, server, new_page):
    def work(activity, state):
        raise ValueError("no address: " + "x" * 100)

    bad = manager.create("bad", 0, work)
    bad.send_nowait(1)
    wait_until(lambda: bad.error is not None)
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{server.link('viewer')}&spotlight=bad")
    dialog(page).get_by_text("no address").wait_for()
    assert dialog(page).evaluate("(card) => card.scrollWidth <= card.clientWidth")
    shoot(page, "views/spotlight-error-phone")
    assert serious(page) == []
