"""How many activities end, as bars."""

import io
from collections import Counter

import pytest
from bokeh.embed import file_html
from bokeh.resources import INLINE
from PIL import Image

from agentrt.clock import Clock
from agentrt.views.timeline.axes import TimeAxis
from agentrt.views.timeline.throughput import MIDDLES, Throughput
from tests.harness.shown import loaded
from tests.views.timeline.test_axes import columns_of


def test_the_parts_of_a_bar_stand_on_each_other():
    plot = Throughput(TimeAxis(Clock()))
    plot.counts = {7: Counter(standard=4, priority=2), 8: Counter(failed=1)}
    plot._show()
    assert [plot.source.data[middle] for middle in MIDDLES.values()] == [[2, 0], [5, 0], [6, 0.5]]
    assert plot.scale.top == 7.5


@pytest.mark.browser
def test_bars_that_are_older_than_what_is_in_view_are_not_drawn(page):
    clock = Clock()
    plot = Throughput(TimeAxis(clock), height=120)
    now = int(clock.now() / plot.width)
    plot.counts = {now - ago: Counter(standard=5, priority=5) for ago in (*range(62, 120), 30)}
    plot._show()
    page.set_viewport_size({"width": 700, "height": 140})
    page.set_content(file_html(plot.plot, INLINE))
    loaded(page)
    picture = Image.open(io.BytesIO(page.screenshot()))
    for color in ((0, 0, 255), (255, 0, 0)):  # the blue of the standard lane, the orange of the priority lane
        drawn = columns_of(picture, color)
        assert drawn
        assert drawn[-1] - drawn[0] < 20, "one bar, and nothing at the left edge"
