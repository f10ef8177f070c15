import pytest
from bokeh.models import VAreaStep

from agentrt import RuntimeManager
from agentrt.views.timeline.axes import TimeAxis
from agentrt.views.timeline.depth import Depth
from tests.harness.shown import loaded, shown
from tests.support import add
from tests.views.support import update


def areas(depth: Depth) -> list[bool]:
    """Whether each of the two areas is visible."""
    return [each.visible for each in depth.plot.renderers if isinstance(each.glyph, VAreaStep)]


def test_areas_are_hidden_until_they_have_points():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        depth = Depth(TimeAxis(manager.source))
        assert areas(depth) == [False, False]
        depth.draw(runtime.snapshot(), update(manager, first=True), [])
        assert areas(depth) == [True, True]


@pytest.mark.browser
def test_a_page_without_points_is_drawn_and_answers(page):
    class Empty:
        def __init__(self, axis: TimeAxis) -> None:
            self.panel = Depth(axis).panel

        def update(self, update):
            return False

    with RuntimeManager(loop="thread") as manager, shown(manager, lambda feed: Empty(TimeAxis(manager.source))) as url:
        page.goto(url)
        loaded(page)
        page.locator("canvas").first.wait_for(state="attached")
