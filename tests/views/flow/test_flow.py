import asyncio
import html
import time

import pytest

from agentrt import RuntimeManager
from agentrt.views.feed import Update
from agentrt.views.flow.flow import EMPTY, EVERY, READABLE, Flow
from agentrt.views.flow.graph import zoom_of
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serious, shown
from tests.harness.wait import wait_until
from tests.support import add, fail, virtual
from tests.views.flow.support import relay
from tests.views.support import HOSTILE


def update(manager, cursor: int = 0) -> Update:
    records, _, missed = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {r.runtime for r in records}, missed=missed, first=not cursor)


def drawn(flow: Flow) -> dict[str, dict]:
    return {node["label"].split("\n")[0]: node for node in flow.graph.nodes}


def lines(flow: Flow) -> list[dict]:
    """The edges that have a line: labels are edges of their own, without one."""
    return [edge for edge in flow.graph.edges if "label" not in edge]


def words(flow: Flow) -> str:
    return " | ".join(edge["ariaLabel"] for edge in lines(flow))


def test_an_empty_graph_teaches_the_next_step():
    with RuntimeManager(loop="thread") as manager:
        flow = Flow(manager.source)
        assert flow.update(update(manager)) is False
        assert "Nothing was sent yet" in flow.say.html
        assert flow.graph is None
        exec(html.unescape(EMPTY.partition("<pre>")[2].partition("</pre>")[0]), {"manager": manager})
        wait_until(lambda: manager.fates().done == 2, what="what it teaches works")
        flow.update(update(manager))
        assert "relay → counter" in words(flow)


@virtual
async def test_it_says_who_sends_to_whom(manager):
    manager.create("a", 0, relay)
    manager.create("b", 0, fail)
    flow = Flow(manager.source)
    for _ in range(60):
        manager["a"].send_nowait({"b": 1})
        await asyncio.sleep(1)
    assert flow.update(update(manager)) is True
    assert "outside → a: 1/s" in words(flow)
    assert "a → b: 0.98/s" in words(flow), "59 in a minute"
    assert "failed in the last minute" in words(flow)
    assert "failed in the last minute" in flow.list.html
    assert "between 2 runtimes" in flow.say.html
    shown = drawn(flow)
    assert "error" in shown["b"]["label"]
    assert shown["outside"]["position"]["x"] < shown["a"]["position"]["x"] < shown["b"]["position"]["x"]


@virtual
async def test_it_counts_on_and_the_busiest_come_first(manager):
    for name in "ab":
        manager.create(name, 0, relay)
    flow = Flow(manager.source)
    manager["a"].send_nowait({"b": {}})
    await asyncio.sleep(5)
    flow.update(update(manager))
    cursor = manager.ring.cursor
    for _ in range(9):
        manager["b"].send_nowait({})
    await asyncio.sleep(10)
    flow.update(update(manager, cursor))
    assert [flow.sent for flow in flow.counts.values()] == [1, 1, 9]
    assert flow.list.html.index("outside → b") < flow.list.html.index("outside → a")
    assert flow.list.html.index("outside → a") < flow.list.html.index("a → b")


@virtual
async def test_the_window_is_a_minute_of_a_person_at_any_speed(manager):
    manager.speed = 60
    flow = Flow(manager.source)
    assert flow.window == 3600
    manager.create("a", 0, fail).send_nowait(1)
    await asyncio.sleep(1)
    flow.update(update(manager))
    assert "1 failed in the last hour" in words(flow)
    manager.speed = 0
    assert flow.window == 60


@virtual
async def test_nodes_never_jump_and_nothing_is_sent_when_nothing_changed(manager):
    for name in "abcde":
        manager.create(name, 0, relay)
    flow = Flow(manager.source)
    manager["a"].send_nowait({"b": {}})
    await asyncio.sleep(5)
    flow.update(update(manager))
    graph, before = flow.graph, {name: node["position"] for name, node in drawn(flow).items()}
    cursor = manager.ring.cursor
    manager["a"].send_nowait({"c": {"b": {}}})
    await asyncio.sleep(5)
    flow.update(update(manager, cursor))
    assert {name: node["position"] for name, node in drawn(flow).items() if name in before} == before
    events: list = []
    for owner, names in ((flow.graph, ["nodes", "edges"]), (flow.say, ["html"]), (flow.list, ["html"])):
        owner.param.watch(events.append, names)
    await asyncio.sleep(100)
    flow.update(Update(manager.clock.now(), [], set()))
    assert events, "what flowed has left the window"
    events.clear()
    assert flow.update(Update(manager.clock.now(), [], set())) is False
    assert events == []
    assert graph is not None


@virtual
async def test_what_passes_a_column_on_its_way_passes_no_node(manager):
    for name in "abc":
        manager.create(name, 0, relay)
    manager["a"].send_nowait({"b": {"c": {}}, "c": {}})
    await asyncio.sleep(9)
    flow = Flow(manager.source)
    flow.update(update(manager))
    nodes = drawn(flow)
    middle = nodes["a"]["position"]["y"] + nodes["a"]["height"] / 2
    assert nodes["c"]["position"]["y"] == nodes["a"]["position"]["y"], "the edge from a to c is level"
    assert not 0 <= middle - nodes["b"]["position"]["y"] <= nodes["b"]["height"]


@virtual
async def test_what_one_sends_itself_stands_in_its_node(manager):
    manager.create("a", 0, relay)
    manager["a"].send_nowait({"a": {}})
    await asyncio.sleep(5)
    flow = Flow(manager.source)
    flow.update(update(manager))
    assert "itself" in drawn(flow)["a"]["label"]
    assert [edge["ariaLabel"].split(":")[0] for edge in lines(flow)] == ["outside → a"]


@virtual
async def test_a_click_opens_a_runtime_or_a_group(manager):
    went: list[str] = []
    for n in range(100):
        manager.create(f"agent-{n}", 0, add).send_nowait(1)
    manager.create("a/b", 0, add).send_nowait(1)
    await asyncio.sleep(1)
    flow = Flow(manager.source, go=went.append)
    flow.update(update(manager))
    assert set(drawn(flow)) == {"outside", "agent-# 100", "a/b"}
    one, many = drawn(flow)["a/b"]["id"], drawn(flow)["agent-# 100"]["id"]
    flow._on_select({"nodes": [one]})
    flow._on_select({"nodes": [one]})
    assert went == ["runtime/a%2Fb"], "the page says it twice"
    flow._on_select({"nodes": ["nonsense"]})
    flow._on_select({"nodes": None})
    flow._on_select({"nodes": [many]})
    assert "agent-# +88" in drawn(flow)
    assert len(drawn(flow)) == 12 + 3
    assert "close agent-#" in flow.say.html
    assert "outside → other agent-#" in flow.list.html
    flow.say._handle_msg({"do": "close", "with": ""})
    assert set(drawn(flow)) == {"outside", "agent-# 100", "a/b"}
    flow.say._handle_msg({"do": "tidy", "with": ""})
    assert set(drawn(flow)) == {"outside", "agent-# 100", "a/b"}
    assert went == ["runtime/a%2Fb"]


@virtual
async def test_it_is_laid_out_for_the_width_that_the_page_reports(manager):
    for name in "abcde":
        manager.create(name, 0, relay)
    manager["a"].send_nowait({"b": {"c": {"d": {"e": {}}}}})
    await asyncio.sleep(9)
    flow = Flow(manager.source)
    flow.update(update(manager))
    assert flow.places.size[0] == 6
    for nonsense in (None, {}, {"zoom": "x"}, {"zoom": -1}, {"zoom": 0}):
        flow._on_fit(nonsense or {})
    assert flow.width is None
    wide = flow.graph
    wide.viewport = {"x": 0, "y": 0, "zoom": 0.3}
    assert flow.places.size[0] == 2, "what is drawn too small to be read is laid out in fewer columns"
    assert flow.graph is not wide
    narrow = flow.graph
    narrow.viewport = {"x": 0, "y": 0, "zoom": 1.2}
    assert flow.graph is narrow, "once: after that it is the person who zooms"


@virtual
@pytest.mark.parametrize(("width", "fits_first"), [(720, True), (720, False), (1180, False)])
async def test_where_so_many_cannot_be_read_those_with_numbers_are_grouped(manager, width, fits_first):
    names = [f"traveller {n}" for n in range(20)]
    for name in ["hotel", "car", *names]:
        manager.create(name, 0, relay)
    flow = Flow(manager.source)
    manager["hotel"].send_nowait({"car": {}})
    await asyncio.sleep(5)
    flow.update(update(manager))
    if fits_first:
        flow.graph.viewport = {"x": 0, "y": 0, "zoom": zoom_of(flow.extent, width)}
    cursor = manager.ring.cursor
    for name in names:
        manager[name].send_nowait({"hotel": {}, "car": {}})
    await asyncio.sleep(5)
    flow.update(update(manager, cursor))
    if not fits_first:
        flow._tidy("")
        assert len(flow.graph.nodes) == 23, "how much room there is, nobody has said"
        flow.graph.viewport = {"x": 0, "y": 0, "zoom": zoom_of(flow.extent, width)}
    assert set(drawn(flow)) == {"outside", "hotel", "car", "traveller # 20"}
    assert zoom_of(flow.places.size, flow.width) >= READABLE


@virtual
async def test_edges_are_bounded_and_the_rest_is_counted(manager):
    names = [f"{chr(97 + n)}x" for n in range(20)]
    for name in names:
        manager.create(name, 0, relay)
    for name in names:
        manager[name].send_nowait({other: {} for other in names})
    await asyncio.sleep(30)
    flow = Flow(manager.source)
    flow.update(update(manager))
    assert len(lines(flow)) <= 30
    assert "connections with less are not drawn" in flow.say.html
    assert 0 < len(flow.graph.edges) - len(lines(flow)) <= 12
    assert ["label" in edge for edge in flow.graph.edges] == sorted("label" in edge for edge in flow.graph.edges)


@virtual
async def test_hostile_names_are_only_text(manager):
    for name in (HOSTILE, HOSTILE + "2"):
        manager.create(name, 0, relay)
    manager[HOSTILE].send_nowait({HOSTILE + "2": {}})
    await asyncio.sleep(5)
    flow = Flow(manager.source)
    flow.update(update(manager))
    shown_html = flow.say.html + flow.list.html
    assert "&lt;script&gt;" in shown_html
    assert "<script" not in shown_html
    assert "<img" not in shown_html
    assert all(node["id"].startswith("n") and node["id"][1:].isdigit() for node in flow.graph.nodes)


@virtual
async def test_runtimes_that_came_and_went_are_forgotten(manager, monkeypatch):
    monkeypatch.setattr("agentrt.views.flow.flow.MOST_RUNTIMES", 50)
    flow, cursor = Flow(manager.source), 0
    for n in range(120):
        runtime = manager.create(f"job-{n}", 0, add)
        await runtime.ask(1)
        await runtime.terminate()
        flow.update(update(manager, cursor))
        cursor = manager.ring.cursor
    assert len(flow.nodes) <= 51
    assert len(flow.traffic.pairs.of) <= 51
    assert len(flow.statuses.conditions) <= 51


@pytest.mark.slow
def test_ten_thousand_runtimes_cost_little(monkeypatch):
    monkeypatch.setattr("agentrt.views.flow.flow.EVERY", EVERY)
    with RuntimeManager(loop="thread") as manager:
        from agentrt.limits import Limits

        for n in range(10_000):
            manager.create_entry(f"agent-{n}", 0, add, Limits())
            manager.send_nowait(f"agent-{n}", 1)
        wait_until(lambda: manager.fates().pending == 0)
        flow = Flow(manager.source)
        first = update(manager)
        started = time.thread_time()
        flow.update(first)
        assert time.thread_time() - started < 1.5
        cursor = manager.ring.cursor
        for n in range(0, 10_000, 10):
            manager.send_nowait(f"agent-{n}", 1)
        wait_until(lambda: manager.fates().pending == 0)
        more = update(manager, cursor)
        flow.looked_at = 0
        started = time.thread_time()
        flow.update(more)
        assert time.thread_time() - started < 0.15


# ---- as a person sees it


def shop(manager) -> None:
    """One that passes on to another, which fails; and a statuses."""
    manager.create("front", 0, relay)
    manager.create("till", 0, fail)
    manager["front"].send_nowait({"till": 1})
    for n in range(40):
        manager.create(f"agent-{n}", 0, add).send_nowait(1)
    wait_until(lambda: manager.fates().pending == 0)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["default", "dark"])
def test_a_person_sees_who_talks_to_whom_and_opens_it(new_page, theme):
    went: list[str] = []
    flows: list[Flow] = []

    def make(feed):
        flows.append(Flow(manager.source, go=went.append))
        return flows[0]

    page = new_page(viewport={"width": 1440, "height": 900})
    with RuntimeManager(loop="thread") as manager:
        shop(manager)
        manager.speed = 0  # what was sent stays within the time that is shown, however long the page takes
        with shown(manager, make) as url:
            page.goto(f"{url}/?theme={theme}")
            page.get_by_text("front → till").first.wait_for()
            loaded(page)
            node = page.locator(".react-flow__node")
            assert node.count() == 4, "outside, two runtimes and a group"
            assert "\N{MULTIPLICATION SIGN} error" in node.filter(has_text="till").inner_text()
            assert serious(page) == []
            edge = page.locator(".react-flow__edge", has_text="1 failed").first  # its label, which says less
            edge.locator(".react-flow__edge-textwrapper").hover()
            page.locator(".rf-value-popup", has_text="front → till").wait_for()
            before = node.filter(has_text="till").bounding_box()
            manager.speed = 1
            manager["front"].send_nowait({"agent-3": 1, "till": 1})
            page.get_by_text("front → agent-#").first.wait_for()
            assert node.filter(has_text="till").bounding_box() == before, "nothing jumps"
            shoot(page, f"views/flow-{theme}")
            node.filter(has_text="agent-#").click()
            node.filter(has_text="agent-3").first.wait_for()
            page.get_by_role("button", name="close agent-#").click()
            wait_until(lambda: node.count() == 4, what="the group is one node again")
            wait_until(lambda: flows[0].graph.viewport, what="the new frame hears of what a person does")
            node.filter(has_text="till").focus()
            page.keyboard.press("Enter")
            wait_until(lambda: went == ["runtime/till"])


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1024])
def test_it_fits_a_narrow_page(new_page, width):
    page = new_page(viewport={"width": width, "height": 900})
    with RuntimeManager(loop="thread") as manager:
        shop(manager)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url)
            page.get_by_text("front → till").first.wait_for()
            loaded(page)
            ends = "nodes => nodes.map(n => n.getBoundingClientRect()).map(box => [box.left, box.right])"
            nodes = page.locator(".react-flow__node")

            def least() -> float:
                return min((right - left for left, right in nodes.evaluate_all(ends)), default=0)

            wait_until(lambda: least() > 100, what="they are large enough to be read")
            assert all(left >= 0 and right <= width for left, right in nodes.evaluate_all(ends))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            shoot(page, f"views/flow-{width}")


@pytest.mark.browser
def test_the_wheel_scrolls_the_page_and_not_the_graph(new_page):
    page = new_page(viewport={"width": 1000, "height": 360})
    with RuntimeManager(loop="thread") as manager:
        shop(manager)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url)
            page.get_by_text("front → till").first.wait_for()
            loaded(page)
            picture = page.locator(".react-flow__viewport")
            before = picture.get_attribute("style")
            for over in (page.locator(".react-flow__node").first, page.get_by_test_id("rf__wrapper")):
                top = page.locator(".say").bounding_box()["y"]
                over.hover(force=True)
                page.mouse.wheel(0, 30)
                wait_until(lambda top=top: page.locator(".say").bounding_box()["y"] < top, what="it scrolls")
            assert picture.get_attribute("style") == before


@pytest.mark.browser
def test_no_name_runs_as_a_script(page):
    names = [HOSTILE.replace("boom()", "window.owned=1"), "</div><svg onload=window.owned=1>", "{{window.owned=1}}"]
    with RuntimeManager(loop="thread") as manager:
        for name in names:
            manager.create(name, 0, relay)
        manager[names[0]].send_nowait({names[1]: {names[2]: {}}})
        wait_until(lambda: manager.fates().pending == 0 and manager.fates().done == 3)
        with shown(manager, lambda feed: Flow(manager.source)) as url:
            page.goto(url)
            page.locator(".react-flow__node").nth(3).wait_for()
            loaded(page)
            for edge in page.locator(".react-flow__edge-textwrapper").all():
                edge.hover()
                page.locator(".rf-value-popup").wait_for()
            assert page.evaluate("window.owned") is None


@pytest.mark.lab
def test_it_is_live_in_a_cell_and_fetches_nothing(jupyterlab, page):
    cell = """
import agentrt
from agentrt.views.notebook.cell import bundle, kernel_loop
from agentrt.views.flow.flow import Flow
manager = agentrt.RuntimeManager()
async def relay(activity, state, ctx):
    await ctx.send("counter", 1)
    return state + 1
manager.create("relay", 0, relay)
manager.create("counter", 0, lambda activity, state: state + activity.payload)
manager["relay"].send_nowait(1)
class Shown:
    def _repr_mimebundle_(self, include=None, exclude=None):
        loop = kernel_loop()
        def fill(holder, feed):
            flow = Flow(manager.source, schedule=loop.call_soon_threadsafe)
            holder.append(flow)
            feed.follow(flow)
        return bundle(manager.source, loop, fill, "flow")
Shown()"""
    notebook = jupyterlab.open(page, [cell, "manager.create('late', 0, relay).send_nowait(1)"])
    notebook.start(0)
    notebook.wait_for_output(0, "relay → counter")
    page.locator(".react-flow__node", has_text="counter").wait_for()
    notebook.run(1)
    notebook.wait_for_output(0, "late → counter")
    page.locator(".react-flow__node", has_text="late").wait_for()
