"""Where labels of edges stand."""

import asyncio
import itertools
import re

import pytest

from agentrt import RuntimeManager
from agentrt.views.flow.flow import Flow
from agentrt.views.flow.graph import HEIGHT as NODE_HEIGHT
from agentrt.views.flow.graph import WIDTH as NODE_WIDTH
from agentrt.views.flow.graph import box_of, line_of
from agentrt.views.flow.labels import HEIGHT, Box, LabelPlaces, Point, text_width
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, shown
from tests.harness.wait import wait_until
from tests.support import virtual
from tests.views.support import update


def level(x: float, y: float) -> list[Point]:
    """An edge of two columns side by side, with room for a label in its middle only."""
    return [Point(x, y)]


def test_no_label_lies_over_another_or_beyond_the_graph():
    nodes = [Box(0, row * 86, 164, row * 86 + 62) for row in range(3)]
    places = LabelPlaces([*nodes, *(node._replace(left=280, right=444) for node in nodes)])
    found = [places.place(level(222, 5 + row * 20), "0.3/min") for row in range(4)]
    tops = sorted(place.y - HEIGHT / 2 for place in found if place is not None)
    assert len(tops) == 4
    assert all(below - above >= HEIGHT for above, below in itertools.pairwise(tops))
    assert tops[0] >= 0
    assert tops[-1] + HEIGHT <= 2 * 86 + 62


def test_a_rate_with_its_failures_stands_on_its_own_edge_and_not_on_that_of_another():
    places = LabelPlaces(box_of((column, row)) for column in (0, 1) for row in range(5))
    for row in range(5):
        line = line_of((0, 0), (1, row))
        assert places.place(line, "0.21/s, 12 failed") == line[0], "in its middle"


def test_what_could_not_be_read_is_left_out():
    places = LabelPlaces(Box(0, row * 70, 164, row * 70 + 62) for row in range(9))
    assert places.place(level(82, 300), "0.21/s") is None
    assert places.place(level(230, 300), "0.21/s") == (230, 300), "beside them there is room"


def test_where_its_middle_is_hidden_a_label_moves_along_its_edge():
    places = LabelPlaces(map(box_of, itertools.product(range(3), range(2))))
    line = line_of((0, 0), (2, 1))
    hides = box_of((1, 0))
    assert hides.left < line[0].x < hides.right
    assert hides.top < line[0].y < hides.bottom
    assert places.place(line, "0.21/s") in line[1:]


def test_a_label_that_would_be_about_another_edge_is_left_out():
    wide = Box(0, 0, 1000, 200)
    places = LabelPlaces([wide, Box(0, 400, 1000, 600)])
    assert places.place(level(500, 60), "0.21/s") is None, "below all that hides it there would be room"


@pytest.mark.parametrize(
    ("source", "target"), [((0, 0), (1, 3)), ((3, 1), (0, 0)), ((2, 0), (2, 4))], ids=["forward", "back", "in a column"]
)
def test_a_line_begins_in_the_middle_of_its_edge_and_goes_on_to_both_sides(source, target):
    line = line_of(source, target)
    begin, end = box_of(source), box_of(target)
    middle = (begin.right + end.left) / 2, (begin.top + end.top + NODE_HEIGHT) / 2
    assert line[0] == pytest.approx(middle)
    for before, after in zip(line[1::2], line[2::2], strict=True):
        assert (before.x + after.x, before.y + after.y) == pytest.approx((2 * middle[0], 2 * middle[1]))
        assert min(begin.top, end.top) < before.y < max(begin.bottom, end.bottom)


def letters(count: int) -> list[str]:
    return [f"{chr(97 + n)}x" for n in range(count)]


def star(count: int) -> dict[str, list[str]]:
    """One sends to all others."""
    first, *others = letters(count)
    return {first: others, **{name: [] for name in others}}


def hub(count: int) -> dict[str, list[str]]:
    """The same, and each of them answers."""
    first, *others = letters(count)
    return {first: others, **{name: [first] for name in others}}


def chain(count: int) -> dict[str, list[str]]:
    """Each sends to its neighbours on both sides."""
    names = letters(count)
    return {name: names[max(0, n - 1) : n] + names[n + 1 : n + 2] for n, name in enumerate(names)}


def mesh(count: int) -> dict[str, list[str]]:
    """Each sends to each."""
    return {name: [other for other in letters(count) if other != name] for name in letters(count)}


SAGA = {f"traveller {n}": ["flight", "hotel", "car"] for n in range(1, 21)} | {"flight": [], "hotel": [], "car": []}
GRAPHS = {
    "saga": SAGA,
    **{f"{make.__name__} of {count}": make(count) for make in (star, hub, chain) for count in (3, 8, 22)},
    **{f"mesh of {count}": mesh(count) for count in (3, 4, 8)},
    "30 in a group": {f"agent {n}": [f"agent {(n + 1) % 30}", "ax"] for n in range(30)} | {"ax": ["agent 7"]},
}


def node_boxes(flow: Flow) -> list[Box]:
    corners = [(node["position"]["x"], node["position"]["y"]) for node in flow.graph.nodes]
    return [Box(x, y, x + NODE_WIDTH, y + NODE_HEIGHT) for x, y in corners]


def label_boxes(flow: Flow) -> dict[str, Box]:
    """Where React Flow draws each label: in the middle of its edge, moved as its style says."""
    nodes = {node["id"]: box for node, box in zip(flow.graph.nodes, node_boxes(flow), strict=True)}
    found = {}
    for edge in flow.graph.edges:
        if "label" in edge:
            source, target = nodes[edge["source"]], nodes[edge["target"]]
            move = re.findall(r"[-\d.]+", edge["labelStyle"].get("transform", "0 0"))
            x = (source.right + target.left) / 2 + float(move[0])
            y = (source.top + target.bottom) / 2 + float(move[1])
            half = text_width(edge["label"]) / 2
            found[f"{edge['id']}: {edge['label']}"] = Box(x - half, y - HEIGHT / 2 + 1, x + half, y + HEIGHT / 2 - 1)
    return found


@pytest.mark.parametrize("width", [None, 900.0, 500.0])
@pytest.mark.parametrize("sends", GRAPHS.values(), ids=GRAPHS)
@virtual
async def test_every_label_can_be_read_whole(manager, sends, width):
    for name in sends:
        manager.create(name, 0, send_once)
    for name, to in sends.items():
        manager[name].send_nowait(to)
    await asyncio.sleep(5)
    flow = Flow(manager.source)
    flow.width = width
    flow.update(update(manager, first=True))
    labels, nodes = label_boxes(flow), node_boxes(flow)
    assert [name for name, box in labels.items() if any(map(box.overlaps, nodes))] == []
    pairs = itertools.combinations(labels.items(), 2)
    assert [(one, other) for (one, here), (other, there) in pairs if here.overlaps(there)] == []
    lines = len(flow.graph.edges) - len(labels)
    assert len(labels) >= min(lines, 12) * (1 if width is None else 0.5), "they are not all left out"


@virtual
async def test_where_a_rate_with_its_failures_finds_no_room_the_rate_stands_alone(manager):
    for name, to in mesh(4).items():
        manager.create(name, 0, refuse_what_is_empty).send_nowait(to)
    await asyncio.sleep(5)
    flow = Flow(manager.source)
    flow.update(update(manager, first=True))
    labels = {edge["label"] for edge in flow.graph.edges if "label" in edge and edge["source"] != "n0"}
    assert {("failed" in label, "/s" in label) for label in labels} == {(True, True), (False, True)}
    assert flow.list.html.count("1 failed") == 12, "in words they are all there"


async def refuse_what_is_empty(activity, state, ctx):
    """Sends nothing to each it is told, and refuses nothing."""
    for to in activity.payload:
        await ctx.send(to, ())
    if not activity.payload:
        raise ValueError("nothing")
    return state


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


LINES = """() => {
  const found = (root) => [...root.querySelectorAll("*")].flatMap((node) => [
    ...(node.matches(".react-flow__edge:not(.label) .react-flow__edge-path") ? [node.getAttribute("d")] : []),
    ...(node.shadowRoot ? found(node.shadowRoot) : []),
  ])
  return found(document)
}"""


@pytest.mark.browser
def test_lines_end_in_the_middle_of_nodes_however_late_the_style_sheet_comes(new_page):
    page, held = new_page(viewport={"width": 1100, "height": 700}), []
    page.route("**/panel-reactflow.bundle.css*", lambda route: held.append(route))
    with RuntimeManager(loop="thread") as manager:
        for name in "ab":
            manager.create(name, 0, send_once)
        manager["a"].send_nowait(["b"])
        wait_until(lambda: manager.fates().done == 2)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url, wait_until="domcontentloaded")
            page.locator(".react-flow__edge-path").nth(3).wait_for(state="attached")
            assert held, "it is still on its way"
            for route in held:
                route.continue_()
            loaded(page)
            begins = [[float(number) for number in re.findall(r"[-\d.]+", line)[:2]] for line in page.evaluate(LINES)]
            tops = [box.top for box in map(box_of, [(0, 0), (1, 0)])]
    assert sorted(y for _, y in begins) == [top + NODE_HEIGHT / 2 for top in tops]
