import panel as pn
import pytest

from agentrt import RuntimeManager
from agentrt.views.app.tabs import Tabs
from agentrt.views.feed import Feed
from agentrt.views.live import Live


class Pane(pn.viewable.Viewer):
    """A view that counts how often it was drawn."""

    def __init__(self):
        super().__init__()
        self.drawn = 0

    def __panel__(self):
        return Live("<p>here</p>")

    def update(self, update):
        self.drawn += 1
        return False


@pytest.fixture
def feed():
    with RuntimeManager(loop="thread") as manager:
        yield Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)


def test_only_what_is_shown_is_made_and_fed(feed):
    made, chosen = [], []

    def maker():
        made.append(Pane())
        return made[-1]

    tabs = Tabs({"one": maker, "two": maker}, feed.follow, first="two", on_choose=chosen.append)
    assert tabs.title == "two"
    assert feed.views == made[:1]
    assert made[0].drawn == 1
    tabs.strip.active = 0
    assert chosen == ["one"]
    assert feed.views == [made[1]]
    assert len(tabs.holder) == 1
    tabs.end()
    tabs.end()
    assert feed.views == []


def test_an_unknown_tab_is_the_first(feed):
    assert Tabs({"one": Pane, "two": Pane}, feed.follow, first="three").title == "one"
