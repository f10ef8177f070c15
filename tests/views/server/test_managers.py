"""A page over several managers of this machine."""

import asyncio

import pytest

from agentrt import RuntimeManager, discovery
from agentrt.discovery import ServerRecord
from agentrt.metrics import Fates
from agentrt.views.role import Role
from agentrt.views.server.managers import ManagersPage, ManagerSummary, fetch_summary, managers_html
from agentrt.views.server.server import start
from tests.harness.shown import loaded, serving
from tests.harness.wait import PATIENCE, wait_until
from tests.support import add, fail
from tests.views.support import HOSTILE

ONE = ServerRecord(7, "one", 1, "http://127.0.0.1:1/?token=operators", "http://127.0.0.1:1/?token=viewers", 0.0)


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))


def test_each_role_gets_links_of_its_own():
    told = ManagerSummary("one", 3, 0, "All 3 runtimes are fine.", (1, 2), Fates(accepted=3, pending=3))
    for role, mine, other in ((Role.OPERATOR, "operators", "viewers"), (Role.VIEWER, "viewers", "operators")):
        html = managers_html([(ONE, told)], role)
        assert f"token={mine}" in html
        assert f"token={other}" not in html
        assert "All managers are fine." in html


def test_what_another_process_says_is_only_text():
    told = ManagerSummary(HOSTILE, 1, 1, HOSTILE)
    html = managers_html([(ONE, told), (ServerRecord(8, HOSTILE, 2, "javascript:x", "y", 0.0), None)], Role.OPERATOR)
    assert "<script" not in html
    assert "<img" not in html
    assert "2 managers of 2 need a look." in html
    assert "It does not answer." in html


def test_an_empty_page_says_what_to_do():
    assert "manager.serve()" in managers_html([], Role.OPERATOR)


def test_who_does_not_answer_is_none():
    assert asyncio.run(fetch_summary(ONE)) is None


@pytest.mark.browser
def test_two_managers_stand_side_by_side_and_lead_to_their_pages(guard, page):
    guard.allow_loss()  # of the page whose manager is closed
    with RuntimeManager(loop="thread", name="fine") as fine, RuntimeManager(loop="thread", name="ill") as ill:
        fine.create("a", 0, add)
        ill.create("b", 0, fail)
        links = [fine.serve().url, ill.serve().url]
        with serving(start(ManagersPage())) as both:
            assert sorted(each.url for each in discovery.list_servers()) == sorted(links), (
                "the page itself is none of them"
            )
            page.goto(both.url)
            page.get_by_text("All managers are fine.").wait_for()
            with pytest.raises(Exception, match=r"."):
                ill.send_nowait("b", 1).result(PATIENCE)
            card = page.locator("section.manager", has=page.get_by_role("heading", name="ill"))
            card.get_by_text("1 of 1 runtime is failing (b).").wait_for()
            page.get_by_text("1 manager of 2 need a look.").wait_for()
            with page.context.expect_page() as opened:
                card.get_by_role("link", name="open").click()
            opened.value.get_by_text("is failing").wait_for()
            opened.value.wait_for_load_state("networkidle")  # what it asks for while its server ends fails
            assert opened.value.evaluate("document.referrer") == ""
            ill.close()
            card.wait_for(state="detached")
        wait_until(lambda: not both.content.pages, what="who left is asked about no longer")


@pytest.mark.browser
def test_a_page_that_is_opened_beside_another_one_is_drawn_at_once(page):
    with RuntimeManager(loop="thread", name="calm") as calm:
        calm.create("a", 0, add)
        with serving(calm.serve()), serving(start(ManagersPage())) as both:
            page.goto(both.url)
            page.locator("section.manager").wait_for()
            for _ in range(2):
                other = page.context.new_page()
                other.goto(both.url)
                loaded(other)
                other.locator("section.manager").wait_for()
