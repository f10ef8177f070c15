"""The borders of the nodes of a cluster, in the picture of who sends to whom."""

import pytest

from agentrt import RuntimeManager
from agentrt.views.feed import Update
from agentrt.views.flow.borders import Borders
from agentrt.views.flow.flow import Flow
from tests.distributed.test_cluster import collect, started
from tests.distributed.test_cluster_source import fresh
from tests.harness.wait import PATIENCE
from tests.views.app.test_dashboard import texts


class Source:
    """Whose runtimes are where their ids say."""

    link = ""

    def nodes(self) -> list[object]:
        return []

    def node_of(self, id: str) -> str:
        return id.partition("/")[0]

    def node_events(self) -> list[object]:
        return []


def test_what_goes_from_one_node_to_another_crosses() -> None:
    borders = Borders(Source())  # type: ignore[arg-type]
    assert borders.crossing(["east/a", "east/b"], ["west/a"]) == ("east", "west")
    assert borders.crossing(["east/a"], ["east/b"]) is None
    assert borders.crossing(["east/a", "west/a"], ["west/b"]) is None  # nobody knows which of them sends
    assert borders.crossing([], ["west/b"]) is None
    assert [borders.words(ids) for ids in (["east/a"], ["east/a", "west/a"], [])] == ["east", "2 nodes", ""]


def test_one_manager_has_no_borders() -> None:
    with RuntimeManager(loop="thread", name="alone", offer=False) as manager:
        borders = Borders(manager.source)
        assert (borders.words(["a"]), borders.crossing(["a"], ["b"])) == ("", None)


def test_an_edge_over_a_border_is_dashed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentrt.views.flow.flow.EVERY", 0.0)

    async def pass_on(activity, state, ctx):
        await ctx.ask(activity.payload, 1)
        return state

    with started() as cluster:

        def look() -> None:
            source = fresh(cluster)
            for id, node in (("sends", "node-1"), ("near", "node-1"), ("far", "node-2")):
                cluster.manager.create(id, (), pass_on if id == "sends" else collect, placement=node)
            for to in ("near", "far"):
                cluster.manager["sends"].send_nowait(to).result(PATIENCE)
            flow, frame = Flow(source), source.frame()
            flow.update(Update(frame.at, frame.records, set(frame.changed), first=True))
            words = {edge["ariaLabel"].split(":")[0]: edge for edge in flow.graph.edges if "label" not in edge}
            assert "strokeDasharray" in words["sends → far"]["style"]
            assert "from node-1 to node-2" in words["sends → far"]["ariaLabel"]
            assert "strokeDasharray" not in words["sends → near"]["style"]
            assert "strokeDasharray" not in words["outside → sends"]["style"]
            assert "from one node to another (dashed)" in texts(flow.say)
            assert [node["label"].split("\n")[1] for node in flow.graph.nodes if node["label"].startswith("far")] == [
                "○ idle · node-2"
            ]

        cluster.do(look)
