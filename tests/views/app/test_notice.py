import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.feed.live import LiveSource
from agentrt.feed.source import JournalStanding, Standing
from agentrt.views.app.notice import Notice
from agentrt.views.feed import Update
from agentrt.views.server.server import serve
from tests.harness.shown import serving
from tests.support import add


class Source:
    def __init__(self):
        self.now = Standing()
        self.stored = None

    def standing(self):
        return self.now

    def journal(self):
        return self.stored


def test_it_says_what_is_wrong_and_has_the_page_drawn_again():
    source, redrawn = Source(), []
    notice = Notice(source, lambda: redrawn.append(1))
    assert not notice.update(Update(0.0, [], set()))
    assert "role" in str(notice.panel.html)
    assert not notice.panel.visible
    source.now = Standing("<b>gone</b>", 0, True)
    assert notice.update(Update(0.0, [], set()))
    assert "&lt;b&gt;gone&lt;/b&gt;" in str(notice.panel.html)
    assert notice.panel.visible
    assert redrawn == []
    source.now = Standing("", 1, True)
    notice.update(Update(0.0, [], set()))
    notice.update(Update(0.0, [], set()))
    assert "gone" not in str(notice.panel.html)
    assert redrawn == [1]


def test_it_says_that_nothing_can_be_stored_until_it_can():
    source = Source()
    notice = Notice(source, lambda: None)
    source.stored = JournalStanding("agents.db", 100, 1, 0.5, "the disk is full")
    assert notice.update(Update(0.0, [], set()))
    assert "Nothing can be stored, and nothing is accepted until it can: the disk is full." in str(notice.panel.html)
    source.stored = JournalStanding("agents.db", 100)
    assert not notice.update(Update(0.0, [], set()))
    assert not notice.panel.visible


@pytest.mark.browser
def test_the_page_shows_it_while_there_is_something_to_say(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing()
    monkeypatch.setattr(LiveSource, "standing", lambda self: standing)
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        with serving(serve(manager)) as server:
            page.goto(server.url)
            page.locator(".say").first.wait_for()
            expect(page.locator(".notice")).to_be_hidden()
            standing = Standing("the manager is blocked", 0, True)
            runtime.send_nowait(1)
            expect(page.get_by_role("alert").get_by_text("the manager is blocked")).to_be_visible()
            standing = Standing()
            runtime.send_nowait(1)
            expect(page.locator(".notice")).to_be_hidden()
