"""The table of the nodes of a cluster."""

from datetime import UTC, datetime

import pytest

from agentrt import RuntimeManager
from agentrt.events import Event
from agentrt.feed.nodes import NODE_EVENTS, NodeStanding, Usage
from agentrt.views.feed import Update
from agentrt.views.fleet import cluster_nodes
from agentrt.views.fleet.cluster_nodes import ClusterNodes
from tests.views.app.test_dashboard import texts

BUSY = Usage(1_200, (3, 4_000), 10, 0.5, 120_000_000, 4711, "east <1>")


class Source:
    """Whose nodes are set."""

    link, speed = "", 1.0

    def __init__(self, *found: NodeStanding) -> None:
        self.found = list(found)
        self.events: list[Event] = []

    def nodes(self) -> list[NodeStanding]:
        return self.found

    def node_of(self, id: str) -> str:
        return ""

    def node_events(self) -> list[Event]:
        return self.events

    def wall(self, at: float) -> datetime:
        return datetime(2026, 1, 1, 12, 0, int(at), tzinfo=UTC)


def drawn(source: Source) -> str:
    view = ClusterNodes(source)  # type: ignore[arg-type]
    assert view.update(Update(0.0, [], set(), first=True))
    return texts(view.panel)


def test_each_node_has_a_line() -> None:
    html = drawn(Source(NodeStanding("node-1", BUSY, "", -2.5, 0.01), NodeStanding("node-2", Usage(), "", 0.0, 0.004)))
    for words in ("node-1", "1,200", "4,000", "50 %", "120 MB", "2.5 s behind", "4711 on east &lt;1&gt;"):
        assert words in html
    assert "within 4 ms" in html
    assert "<a " not in html


def test_what_does_not_answer_says_so_and_the_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_nodes, "MOST", 2)
    idle = [NodeStanding(f"idle-{number}", Usage()) for number in range(3)]
    source = Source(*idle, NodeStanding("busy", BUSY), NodeStanding("gone", BUSY, "Since 12:00 there is no answer."))
    source.link = "http://127.0.0.1:8265"
    html = drawn(source)
    assert "Since 12:00 there is no answer." in html
    assert "busy" in html
    assert "idle-" not in html
    assert "3 nodes with less to do." in html
    assert 'href="http://127.0.0.1:8265"' in html
    assert "It has not answered yet." in drawn(Source(NodeStanding("new")))


def test_what_became_of_nodes_is_told_below() -> None:
    source = Source(NodeStanding("node-1", BUSY))
    source.events = [
        Event(1, "", 1.0, "node_adopted", None, {"node": "node-2", "host": "<b>node-1"}),
        Event(2, "", 2.0, "node_lost", None, {"node": "node-3"}),
        Event(3, "", 3.0, "members_not_reached", None, "nothing that is known"),
    ]
    html = drawn(source)
    assert "12:00:01: the process of node-2 ended; all of it goes on in the process of &lt;b&gt;node-1." in html
    assert "12:00:02: node-3 ended. What ran there and does not restart elsewhere is gone." in html
    assert "12:00:03: \N{EM DASH} can" in html


@pytest.mark.parametrize("kind", sorted(NODE_EVENTS))
def test_there_are_words_for_each_of_them(kind: str) -> None:
    source = Source(NodeStanding("node-1", BUSY))
    source.events = [Event(1, "", 1.0, kind, None, {"node": "node-7", "host": "node-1", "group": "g"})]
    assert "12:00:01: " in drawn(source)
    assert "node-7" in drawn(source)


def test_the_rate_is_of_what_was_done_since() -> None:
    source = Source(NodeStanding("node-1", BUSY))
    view = ClusterNodes(source)  # type: ignore[arg-type]
    view.update(Update(0.0, [], set(), first=True))
    source.found = [NodeStanding("node-1", Usage(1, (0, 0), 30))]
    view.update(Update(10.0, [], set(), first=True))
    assert "2/s" in texts(view.panel)


def test_one_manager_has_no_nodes() -> None:
    from tests.feed.test_same_picture import draw

    with RuntimeManager(loop="thread", name="alone", offer=False) as manager:
        assert "Nodes" not in draw(manager.source, "")
