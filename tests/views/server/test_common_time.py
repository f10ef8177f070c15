"""Several managers as they were at one time."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.views.app.time_bar import PARTS
from agentrt.views.role import Role
from agentrt.views.server.common_time import CommonTimeBar, find_moment
from agentrt.views.server.content import ManagerPage
from agentrt.views.server.managers import ManagersPage, ManagerSummary, _as_it_was
from agentrt.views.server.server import serve, start
from tests.harness.shown import serious, serving
from tests.support import add


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))


def test_the_moment_of_a_time_is_after_the_last_record_up_to_then():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        done = [runtime.send_nowait(1).result(60) for _ in range(3)]
        source = manager.source
        times = [source.wall(each.finished).timestamp() for each in done]
        for outcome, at in zip(done, times, strict=True):
            moment, why = find_moment(source, at + 1e-6)
            assert (moment, why) == (outcome.sequence, "")
        assert find_moment(source, times[0] - 3600) == (None, "Nothing had happened in it yet.")
        manager.ring.limit = 2
        manager.ring.mark = 0
        manager.ring.trim()
        assert find_moment(source, times[0] - 3600) == (None, "It keeps no history that far back.")
        assert find_moment(source.past(done[2].sequence), times[0])[1] == "It can't be looked at as it was."


def test_a_summary_of_then():
    with RuntimeManager(loop="thread", name="one") as manager:
        runtime = manager.create("a", 0, add)
        first = runtime.send_nowait(1).result(60)
        manager.create("b", 0, add)
        page = ManagerPage(manager.source)
        now = page.summary()
        then = page.summary(manager.source.wall(first.finished).timestamp() + 1e-6)
        assert (now["runtimes"], then["runtimes"], then["moment"]) == (2, 1, first.sequence)
        assert then["fates"]["done"] == 1
        assert now["since"] <= now["now"]
        assert page.summary(1.0) == {**page.summary(1.0), "absent": "Nothing had happened in it yet."}
        for n in range(20):
            page.summary(float(n))
        assert len(page._summary.earlier) <= 8, "bounded"


def test_a_clock_of_its_own_has_no_time_in_common():
    other = ManagerSummary("demo", now=1_000_000_000.0)
    found = _as_it_was(other, ManagerSummary("demo", 3))
    assert found is not None
    assert "Its clock reads 2001-09-09" in found.absent
    assert _as_it_was(None, None) is None


def test_the_bar_goes_to_a_time_and_back():
    calls = []
    bar = CommonTimeBar(lambda: calls.append(bar.at))
    bar.set_range(None, 200.0)
    assert bar.slider.disabled
    bar.set_range(100.0, 200.0)
    assert not bar.slider.disabled
    bar._drag(type("Event", (), {"new": PARTS // 4}))
    assert (bar.at, bar.slider.value, bar.now.visible) == (125.0, PARTS // 4, True)
    assert "All managers at" in bar.words.html
    bar.set_range(100.0, 900.0)
    assert bar.slider.value == PARTS // 4, "the range stays while an earlier time is shown"
    bar._drag(type("Event", (), {"new": PARTS // 4}))
    bar.now.clicks += 1
    assert (bar.at, bar.slider.value, bar.now.visible, bar.words.html) == (None, PARTS, False, "")
    assert calls == [125.0, None]


@pytest.mark.parametrize("at", ["x", "nan", "inf"])
def test_a_time_that_is_none_is_refused(at):
    with RuntimeManager(loop="thread") as manager, serving(serve(manager)) as server:
        url = server.link(Role.VIEWER, "summary") + f"&at={at}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        with caught.value as answer:
            assert answer.code == 400


@pytest.mark.browser
def test_a_person_sees_all_managers_as_they_were(page: Page):
    with RuntimeManager(loop="thread", name="old") as old, RuntimeManager(loop="thread", name="young") as young:
        for name in "abc":
            old.create(name, 0, add)
        young.create("d", 0, add)
        first = old.source.frame().records[0]
        with serving(old.serve()) as served, serving(young.serve()), serving(start(ManagersPage())) as both:
            page.goto(both.url)
            card, other = (
                page.locator("section.manager", has=page.get_by_role("heading", name=name)) for name in ("old", "young")
            )
            card.get_by_text("3 runtimes, waiting").wait_for()
            page.get_by_role("slider").press("Home")
            expect(page.get_by_text("All managers at")).to_be_visible()
            expect(card.get_by_text("1 runtime, waiting")).to_be_visible()
            expect(other.get_by_text("Nothing had happened in it yet.")).to_be_visible()
            expect(page.get_by_text("1 manager of 2 can't be shown as of then.")).to_be_visible()
            href = card.get_by_role("link", name="open").get_attribute("href")
            assert href == f"{served.url}&moment={first.sequence}"
            assert serious(page) == []
            page.get_by_role("button", name="Back to live").click()
            expect(card.get_by_text("3 runtimes, waiting")).to_be_visible()
            expect(page.get_by_text("All managers at")).to_be_hidden()
