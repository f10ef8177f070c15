from agentrt.feed.source import Standing
from agentrt.views.app.notice import Notice
from agentrt.views.feed import Update


class Source:
    def __init__(self):
        self.now = Standing()

    def standing(self):
        return self.now


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
