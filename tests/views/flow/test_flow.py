import asyncio
import html
import time

import pytest

from agentrt import RuntimeManager
from agentrt.views.feed import Update
from agentrt.views.flow.flow import EMPTY, EVERY, Flow
from agentrt.views.flow.node_status import NodeStatuses
from agentrt.views.flow.nodes import MOST, Node, Nodes, Places, layers, pattern
from agentrt.views.flow.traffic import CELLS, Counts, Traffic
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serious, shown
from tests.harness.wait import wait_until
from tests.support import Gate, add, fail, virtual

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


@pytest.fixture(autouse=True)
def at_every_update(monkeypatch):
    """A view that is looked at by no person need not wait until numbers can be read."""
    monkeypatch.setattr("agentrt.views.flow.flow.EVERY", 0.0)


def update(manager, cursor: int = 0) -> Update:
    records, _, missed = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {r.runtime for r in records}, missed=missed, first=not cursor)


async def relay(activity, state, ctx):
    """Passes on what it is given, as far as it is told."""
    await ctx.sleep(1)
    for to in activity.payload:
        await ctx.send(to, activity.payload[to])
    return state + 1


def drawn(flow: Flow) -> dict[str, dict]:
    return {node["label"].split("\n")[0]: node for node in flow.graph.nodes}


def lines(flow: Flow) -> list[dict]:
    """The edges that have a line: labels are edges of their own, without one."""
    return [edge for edge in flow.graph.edges if "label" not in edge]


def words(flow: Flow) -> str:
    return " | ".join(edge["ariaLabel"] for edge in lines(flow))


def number(name: str) -> Node:
    return Node("runtime", name)


# ---- what flows


@virtual
async def test_rates_and_failures_are_over_a_window_that_slides(manager):
    runtime = manager.create("bad", 0, fail)
    traffic = Traffic()
    for n in range(30):
        runtime.send_nowait(n)
        await asyncio.sleep(1)
    assert traffic.take(update(manager), 60) == [(None, "bad")]
    ((pair, flow),) = traffic.pairs.recent(30, 60).items()
    assert (pair, flow.sent, flow.failed, flow.lost) == ((None, "bad"), 30, 30, 0)
    assert flow.rate == 1, "over the half minute that it has lasted"
    (later,) = traffic.pairs.recent(75, 60).values()
    assert 10 <= later.sent <= 16, "cells of two seconds leave it one by one"
    assert traffic.pairs.recent(200, 60) == {}


@virtual
async def test_an_old_failure_is_not_recent_because_newer_sends_are_read_with_it(manager):
    runtime = manager.create("bad", 0, fail)
    runtime.send_nowait(1)
    await asyncio.sleep(50)
    runtime.swap(add)
    runtime.send_nowait(1)
    await asyncio.sleep(1)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    traffic.count_edges(lambda pair: pair, 60)
    for counts in (traffic.pairs, traffic.edges):
        (flow,) = counts.recent(90, 60).values()
        assert (flow.sent, flow.failed) == (1, 0)


def test_counts_can_be_summed_by_something_coarser():
    fine: Counts[str] = Counts(100)
    for at in range(30):
        fine.add(f"a{at % 2}", at, 2, 0)
        fine.add("b", at, 2, 1)
    coarse = fine.group_by(lambda key: key[0])
    assert {key: tuple(flow)[:2] for key, flow in coarse.recent(30, 60).items()} == {"a": (30, 0), "b": (0, 30)}
    assert 13 <= coarse.recent(75, 60)["a"].sent <= 17
    assert fine.recent(30, 60)["a0"].sent == 15, "what it was summed from stays"


@virtual
async def test_whose_failure_it_is_is_who_sent_it(manager):
    manager.create("a", 0, relay)
    manager.create("bad", 0, fail)
    manager["a"].send_nowait({"bad": 1})
    await asyncio.sleep(5)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    flow = traffic.pairs.recent(5, 60)
    assert flow["a", "bad"].failed == 1
    assert flow[None, "a"].failed == 0
    assert not traffic.open


@virtual
async def test_what_is_dropped_is_lost_and_not_failed(manager):
    runtime = manager.create("full", 0, add, standard_capacity=1, overflow="drop_oldest")
    runtime.pause()
    for _ in range(3):
        runtime.send_nowait(1)
    traffic = Traffic()
    traffic.take(update(manager), 60)
    (flow,) = traffic.pairs.recent(0, 60).values()
    assert (flow.failed, flow.lost) == (0, 2)
    runtime.resume()
    await asyncio.sleep(1)


@virtual
async def test_counting_is_bounded(manager, monkeypatch):
    monkeypatch.setattr("agentrt.views.flow.traffic.PAIRS", 5)
    monkeypatch.setattr("agentrt.views.flow.traffic.OPEN", 7)
    traffic = Traffic()
    for n in range(20):
        manager.create(f"r{n}", 0, add).pause()
        manager[f"r{n}"].send_nowait(1)
    traffic.take(update(manager), 60)
    assert (len(traffic.pairs.of), len(traffic.open)) == (5, 7)
    assert list(traffic.pairs.of)[-1] == (None, "r19"), "the quiet ones go first"
    counter = traffic.pairs.of[None, "r19"]
    for at in range(1000):
        counter.add(at, 0.5, 0)
    assert len(counter.cells) <= 2 * CELLS
    for name in list(manager):
        manager[name].resume()
    await asyncio.sleep(1)


# ---- who stands for whom


def workflow(id: str) -> str:
    return "work"


def test_few_stand_for_themselves_and_many_are_grouped():
    nodes = Nodes(workflow)
    assert nodes.add(["a1", "a2"]) is False
    assert nodes.of("a1") == Node("runtime", "a1")
    assert nodes.add(f"agent-{n}" for n in range(1000)) is True
    assert nodes.of("agent-7") == Node("group", "agent-#")
    assert nodes.of(None).kind == "outside"
    assert len(nodes.members(Node("group", "agent-#"))) == 1000
    assert nodes.add(["lonely"]) is False
    assert nodes.of("lonely") == Node("runtime", "lonely"), "one is no group"


@pytest.mark.parametrize(
    "ids",
    [
        [f"{word}-{n}" for word in ("a", "b") for n in range(500)],
        [f"{chr(97 + n % 26)}{chr(97 + n // 26)}{n % 7}" for n in range(500)],
        [f"{n}{chr(945 + n)}" for n in range(100)],
        [chr(0x4E00 + n) for n in range(500)],
        [HOSTILE + str(n) for n in range(100)],
    ],
)
def test_whatever_the_ids_the_picture_stays_small(ids):
    nodes = Nodes(lambda id: id[:1])
    nodes.add(ids)
    shown = {nodes.of(id) for id in ids}
    assert len(shown) <= MOST
    assert sum(len(nodes.members(node)) for node in shown) == len(ids)


def test_the_largest_groups_of_too_many_kinds_stay_nodes():
    nodes = Nodes(lambda id: id.rpartition("-")[0] or id)
    services = [f"{chr(97 + n)}{chr(97 + n % 7)}service" for n in range(26)] + [chr(945 + n) for n in range(20)]
    ids = [*services, *(f"worker-{n}" for n in range(600)), *(f"session-{n}" for n in range(300))]
    nodes.add(ids)
    shown = {nodes.of(id) for id in ids}
    assert len(shown) <= MOST
    assert len(nodes.members(nodes.of("worker-7"))) == 600
    assert len(nodes.members(nodes.of("session-7"))) == 300
    assert sum(node.kind == "runtime" for node in shown) == MOST - 3, "as many of the rest as there is room for"
    assert sum(len(nodes.members(node)) for node in shown) == len(ids)
    assert nodes.add(["late", "worker-900"]) is False
    assert nodes.of("late") == Node("group", "others")


def test_a_group_that_is_opened_shows_some_and_the_rest():
    nodes = Nodes(workflow)
    nodes.add(f"agent-{n}" for n in range(100))
    nodes.open("agent-#", ["agent-3", "agent-4"])
    assert nodes.of("agent-3") == Node("runtime", "agent-3")
    assert nodes.of("agent-5") == Node("rest", "agent-#")
    assert len(nodes.members(nodes.of("agent-5"))) == 98
    nodes.close()
    assert nodes.of("agent-3") == Node("group", "agent-#")


def test_what_has_been_forgotten_may_come_again():
    nodes = Nodes(workflow)
    nodes.add(["a", "b"])
    nodes.forget(["a"])
    assert nodes.add(["a"]) is False
    assert sorted(nodes.names) == ["a", "b"]


def test_a_pattern_is_an_id_without_its_numbers():
    assert pattern("a1-22") == pattern("a9-1") == "a#-#"


# ---- where they stand


def test_who_is_sent_to_stands_right_of_who_sends():
    a, b, c, d = map(number, "abcd")
    columns = layers([(a, b), (b, c), (a, c), (c, b), (c, d), (d, d)])
    assert columns == {a: 0, b: 1, c: 2, d: 3}
    assert set(layers([(a, b), (b, a)]).values()) == {0, 1}, "a circle is opened somewhere"


def test_a_place_once_taken_is_kept():
    names = [number(str(n)) for n in range(60)]
    places = Places([(names[0], names[1])])
    before = dict(places.of)
    places.add([(names[0], other) for other in names[2:]])
    assert {node: places.of[node] for node in before} == before
    assert len(set(places.of.values())) == 60, "no two at one place"


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


# ---- how they are


@virtual
async def test_statuses_count_what_changed(manager):
    gate = Gate()
    for n in range(40):
        manager.create(f"w-{n}", 0, gate)
    statuses = NodeStatuses(manager.source)
    statuses.nodes.add(manager)
    statuses.look(manager)
    group = Node("group", "w-#")
    assert statuses.of(group).statuses == {"idle": 40}
    manager["w-1"].send_nowait(1)
    manager["w-1"].send_nowait(1)
    await gate.entered.wait()
    statuses.look(["w-1"])
    assert statuses.of(group).by_worst == [("processing", 1), ("idle", 39)]
    assert statuses.of(group).depth == [0, 1]
    gate.open.set()
    await asyncio.sleep(1)
    statuses.look([])
    assert statuses.of(group).by_worst == [("idle", 40)], "what runs is looked at without being asked for"
    await manager.terminate("w-2")
    statuses.forget()
    statuses.sort()
    assert statuses.of(group).statuses == {"idle": 39}


# ---- the view


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
    page = new_page(viewport={"width": 1440, "height": 900})
    with RuntimeManager(loop="thread") as manager:
        shop(manager)
        manager.speed = 0  # what was sent stays within the time that is shown, however long the page takes
        with shown(manager, lambda feed: Flow(manager.source, go=went.append)) as url:
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


async def send_once(activity, state, ctx):
    """Sends something to each it is told, which does nothing more."""
    for to in activity.payload:
        await ctx.send(to, ())
    return state
