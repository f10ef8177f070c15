"""Where labels of edges stand."""

import itertools

import pytest

from agentrt import RuntimeManager
from agentrt.views.flow.flow import Flow
from agentrt.views.flow.graph import box_of, middle_of
from agentrt.views.flow.labels import HEIGHT, Box, LabelPlaces
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, shown
from tests.harness.wait import wait_until


def test_no_label_lies_over_another_or_beyond_the_graph():
    nodes = [Box(0, row * 86, 164, row * 86 + 62) for row in range(3)]
    places = LabelPlaces([*nodes, *(node._replace(left=280, right=444) for node in nodes)])
    middles = [(222, 31 + row * 20) for row in range(5)]
    shifts = [places.shift(x, y, "0.3/min") for x, y in middles]
    tops = sorted(y + shift - HEIGHT / 2 for (_, y), shift in zip(middles, shifts, strict=True))
    assert all(below - above >= HEIGHT for above, below in itertools.pairwise(tops))
    assert tops[0] >= 0
    assert tops[-1] + HEIGHT <= 2 * 86 + 62


def test_a_rate_with_its_failures_stands_on_its_own_edge_and_not_on_that_of_another():
    places = LabelPlaces(box_of((column, row)) for column in (0, 1) for row in range(5))
    for row in range(5):
        assert places.shift(*middle_of((0, 0), (1, row)), "0.21/s, 12 failed") == 0


def test_what_could_not_be_read_is_left_out():
    places = LabelPlaces(Box(0, row * 70, 164, row * 70 + 62) for row in range(9))
    assert places.shift(82, 300, "0.21/s") is None
    assert places.shift(230, 300, "0.21/s") == 0, "beside them there is room"


def test_a_long_label_stays_within_the_graph_though_it_lies_over_nodes():
    places = LabelPlaces([Box(0, 0, 164, 62), Box(280, 0, 444, 62)])
    assert abs(places.shift(222, 31, "0.0061/s, 1 failed and more")) <= HEIGHT


# ---- in a real browser


async def send_once(activity, state, ctx):
    """Sends something to each it is told, which does nothing more."""
    for to in activity.payload:
        await ctx.send(to, ())
    return state


OVERLAPS = """() => {
  const nodes = (root, found = []) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.matches(".react-flow__edge-textwrapper, .react-flow__node")) found.push(node)
      if (node.shadowRoot) nodes(node.shadowRoot, found)
    }
    return found
  }
  const boxes = nodes(document).map((node) => {
    const label = node.matches(".react-flow__edge-textwrapper")
    return {label, text: node.textContent, box: (label ? node.querySelector("rect") : node).getBoundingClientRect()}
  })
  const found = []
  for (const [n, a] of boxes.entries()) for (const b of boxes.slice(n + 1)) {
    const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left)
    const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top)
    if ((a.label || b.label) && across > 1 && down > 1) found.push(`${a.text} | ${b.text}: ${across} x ${down}`)
  }
  return {labels: boxes.filter((each) => each.label).length, found}
}"""


@pytest.mark.browser
@pytest.mark.parametrize(
    "sends",
    [
        {"a": ["b"], "b": ["a"]},
        {"a": ["b", "c"], "b": ["c", "a"], "c": ["a", "b"]},
        {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["a"]},
    ],
    ids=["two", "three", "circle"],
)
def test_no_label_lies_over_another_or_over_a_node(new_page, sends):
    page = new_page(viewport={"width": 1100, "height": 700})
    with RuntimeManager(loop="thread") as manager:
        for name in sends:
            manager.create(name, 0, send_once)
        for name, to in sends.items():
            manager[name].send_nowait(to)
        wait_until(lambda: manager.fates().pending == 0)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url)
            page.locator(".react-flow__edge-textwrapper").nth(sum(map(len, sends.values()))).wait_for()
            loaded(page)
            measured = page.evaluate(OVERLAPS)
            shoot(page, f"flow-labels-{len(sends)}")
    assert measured["labels"] == len(sends) + sum(map(len, sends.values()))
    assert measured["found"] == []


PAINTED = """() => {
  const edges = (root, found = []) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.matches(".react-flow__edge")) found.push(node)
      if (node.shadowRoot) edges(node.shadowRoot, found)
    }
    return found
  }
  return edges(document).map((edge) => {
    const text = edge.querySelector(".react-flow__edge-textbg")
    if (!text) return "line"
    return getComputedStyle(text).fill.startsWith("rgb(") ? "label" : "label without a background"
  })
}"""


@pytest.mark.browser
def test_no_line_goes_through_a_label(new_page):
    page = new_page(viewport={"width": 1100, "height": 700})
    with RuntimeManager(loop="thread") as manager:
        for name in "abc":
            manager.create(name, 0, send_once)
        for name in "abc":
            for _ in range(ord(name) - 96):
                manager[name].send_nowait([other for other in "abc" if other != name])
        wait_until(lambda: manager.fates().pending == 0)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url)
            page.locator(".react-flow__edge-textwrapper").nth(8).wait_for()
            painted = page.evaluate(PAINTED)
            page.locator(".react-flow__edge:not(.label)").first.hover(force=True)
    assert painted == ["line"] * 9 + ["label"] * 9, "what is painted later lies over what was painted before"
