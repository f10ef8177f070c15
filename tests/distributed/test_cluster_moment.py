"""A cluster as it was: each node no later than what another one had caused there."""

from collections.abc import Iterator

import pytest

from agentrt.errors import AccessDeniedError, ConfigurationError
from agentrt.events import Outcome
from agentrt.feed.source import Rewindable
from agentrt.views.app.time_bar import TimeBar
from agentrt.views.role import Commands
from tests.distributed.test_cluster import Cluster, collect, relay, started
from tests.distributed.test_cluster_source import fresh
from tests.feed.test_same_picture import draw
from tests.harness.wait import PATIENCE
from tests.views.app.test_dashboard import texts


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


def fill(cluster: Cluster) -> None:
    """A runtime on node-1 that asks one on node-2, three times."""
    cluster.manager.create("target", (), collect, placement="node-2")
    cluster.manager.create("asks", 0, relay, placement="node-1")
    for number in range(3):
        cluster.manager["asks"].send_nowait(number).result(PATIENCE)


def test_it_goes_back_on_all_nodes_at_once(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        fill(cluster)
        assert isinstance(source, Rewindable)
        events = source.events()
        assert [moment for moment, _ in events] == sorted({moment for moment, _ in events})
        ends = [moment for moment, record in events if isinstance(record, Outcome) and record.runtime == "target"]
        states = [source.past(moment).snapshot("target").state for moment in ends]  # type: ignore[union-attr]
        assert states == [(0,), (0, 1), (0, 1, 2)]
        assert source.snapshot("target").state == (0, 1, 2)  # type: ignore[union-attr]

    cluster.do(look)


def test_no_node_is_shown_before_what_another_had_caused_there(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        fill(cluster)
        for moment, _ in source.events():
            past = source.past(moment)
            asks, target = past.snapshot("asks"), past.snapshot("target")
            asked = 0 if asks is None else asks.fates.accepted
            came = 0 if target is None else target.fates.accepted
            assert came <= asked

    cluster.do(look)


def test_it_stands_still_and_says_when_it_was(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        fill(cluster)
        moment = source.events()[-1][0]
        past = source.past(moment)
        assert source.past(moment) is past
        standing = past.standing().recorded
        assert standing.startswith(f"the manager {source.name} as it stood on ")
        assert standing.endswith(" ms")
        assert past.now() == past.now()
        assert len(past.frame().records) == len(source.frame().records)
        with pytest.raises(AccessDeniedError):
            Commands(past).command("pause", "asks")
        html = draw(past, "")
        assert "a view failed" not in html
        assert "asks" in html

    cluster.do(look)


def test_the_time_bar_goes_back_and_says_how_far_clocks_are_off(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        fill(cluster)
        looked: list[int | None] = []
        bar = TimeBar(source, looked.append)
        bar.back()
        assert looked == [source.events()[-1][0]]
        bar.show(looked[0])
        assert "their clocks were up to " in texts(bar.words)
        assert (bar.panel.visible, bar.fork.visible) == (True, False)

    cluster.do(look)


def test_what_is_not_recorded_is_refused(cluster: Cluster) -> None:
    def look() -> None:
        source = fresh(cluster)
        with pytest.raises(ConfigurationError, match="of that moment nothing is recorded"):
            source.past(1)
        with pytest.raises(ConfigurationError, match="'fork' is for one manager"):
            source.command("fork", sequence=1)

    cluster.do(look)
