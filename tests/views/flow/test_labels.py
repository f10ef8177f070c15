"""Where labels of edges stand."""

import itertools

from agentrt.views.flow.labels import HEIGHT, Box, LabelPlaces


def test_no_label_lies_over_another_or_beyond_the_graph():
    nodes = [Box(0, row * 86, 164, row * 86 + 62) for row in range(3)]
    places = LabelPlaces([*nodes, *(node._replace(left=280, right=444) for node in nodes)])
    middles = [(222, 31 + row * 20) for row in range(5)]
    shifts = [places.shift(x, y, "0.3/min") for x, y in middles]
    tops = sorted(y + shift - HEIGHT / 2 for (_, y), shift in zip(middles, shifts, strict=True))
    assert all(below - above >= HEIGHT for above, below in itertools.pairwise(tops))
    assert tops[0] >= 0
    assert tops[-1] + HEIGHT <= 2 * 86 + 62


def test_a_long_label_stays_within_the_graph_though_it_lies_over_nodes():
    places = LabelPlaces([Box(0, 0, 164, 62), Box(280, 0, 444, 62)])
    assert abs(places.shift(222, 31, "0.0061/s, 1 failed and more")) <= HEIGHT
