"""The time axis, and bars on it."""

import io

import pytest
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource
from bokeh.resources import INLINE
from PIL import Image

from agentrt.clock import Clock
from agentrt.views.timeline.axes import TimeAxis, time_bars
from tests.harness.shown import loaded

RED, BLUE = (255, 0, 0), (0, 0, 255)


def columns_of(picture: Image.Image, color: tuple[int, int, int]) -> list[int]:
    """Where anything is reddish, or bluish."""
    clear = color.index(255)
    width, height = picture.size
    points = picture.convert("RGB").load()
    return [
        x
        for x in range(width)
        if any(points[x, y][clear] - min(points[x, y]) > 40 and points[x, y][clear] > 150 for y in range(height))
    ]


@pytest.mark.browser
def test_bars_that_are_older_than_what_is_in_view_are_not_drawn(page):
    clock = Clock()
    axis = TimeAxis(clock)
    now = clock.now()
    plot = axis.figure(120)
    old = ColumnDataSource(
        {"from": [axis.ms(now - k - 8) for k in range(60, 400)], "to": [axis.ms(now - k) for k in range(60, 400)]}
    )
    new = ColumnDataSource({"from": [axis.ms(now - 40)], "to": [axis.ms(now - 20)]})
    across = ColumnDataSource({"from": [axis.ms(now - 400)], "to": [axis.ms(now - 50)]})
    time_bars(plot, "from", "to", y=0, height=1, source=old, fill_color="#ff0000", line_color=None)
    for source in (new, across):
        time_bars(plot, "from", "to", y=0, height=1, source=source, fill_color="#0000ff", line_color=None)
    page.set_viewport_size({"width": 700, "height": 140})
    page.set_content(file_html(plot, INLINE))
    loaded(page)
    picture = Image.open(io.BytesIO(page.screenshot()))
    drawn = columns_of(picture, BLUE)
    assert 200 < len(drawn) < 400, "20 of the 60 seconds, and 10 at the left edge"
    assert not columns_of(picture, RED)
