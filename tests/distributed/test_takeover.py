"""takeover.py without a journal, where no other node is left. With one: `test_all_ended.py` and `test_cluster.py`."""

import asyncio
from typing import Any

import pytest

from agentrt import ProcessingError
from agentrt.errors import RuntimeFailedError
from tests.distributed.test_all_ended import LONGEST, NODES, kill_all
from tests.distributed.test_cluster import Cluster, collect, collect_slowly, started


async def pass_on(activity, state, ctx):
    return await ctx.ask("again on node-3", activity.payload)


def divide(activity, state):
    return state + 1 // activity.payload


def make(cluster: Cluster, node: str, workflow: Any = collect, **options: Any) -> str:
    """A runtime on a node; its id says whether it begins again where that ends."""
    id = f"{'again' if options else 'once'} on {node}"
    cluster.do(lambda: cluster.manager.create(id, (), workflow, placement=node, **options))
    return id


def end_all(cluster: Cluster) -> None:
    """End all processes, and wait until the driver has started them again."""
    kill_all(cluster)
    cluster.run(asyncio.sleep(25))


def ask(cluster: Cluster, id: str, payload: Any) -> Any:
    return cluster.run(asyncio.wait_for(cluster.manager.ask(id, payload), LONGEST))


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_what_restarts_begins_again_and_of_the_rest_everybody_hears(seed: int, nodes: int) -> None:
    with started(seed, nodes=nodes) as cluster:
        names = NODES[:nodes]
        again = [make(cluster, node, supervision="restart") for node in names]
        once = [make(cluster, node) for node in names]
        assert [ask(cluster, id, 1) for id in (*again, *once)] == [(1,)] * 2 * nodes
        cluster.spoil()
        end_all(cluster)
        assert [ask(cluster, id, 2) for id in again] == [(2,)] * nodes
        for id, node in zip(once, names, strict=True):
            with pytest.raises(RuntimeFailedError, match=f"'{id}' has ended with '{node}'"):
                ask(cluster, id, 2)
        assert "node_started_again" in cluster.node_events()
        assert ask(cluster, make(cluster, "node-1"), 3) == (3,)


def test_who_waits_for_what_was_taken_hears_that_it_has_ended() -> None:
    with started() as cluster:
        id = make(cluster, "node-1", collect_slowly, supervision="restart")

        async def main() -> tuple[Any, Any]:
            receipt = await cluster.manager.send(id, 1)
            kill_all(cluster)
            after = cluster.manager.send_nowait(id, 2)  # nobody knows of it yet
            await receipt.wait()
            return receipt.outcome, (await after.wait()) or after.outcome

        taken, sent = cluster.run(asyncio.wait_for(main(), LONGEST))
        assert isinstance(taken.error, RuntimeFailedError)
        assert "'node-1' has ended" in str(taken.error)
        assert sent.state == (2,) or isinstance(sent.error, RuntimeFailedError)


def test_what_is_sent_while_the_process_starts_is_done_by_the_one_that_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with started(nodes=1) as cluster:
        id, start, receipts = make(cluster, "node-1", supervision="restart"), cluster.engine.start_again, []

        async def start_again(node: str, nodes: tuple[str, ...]) -> None:
            receipts.append(cluster.manager.send_nowait(id, "meanwhile"))
            if len(receipts) == 1:
                raise OSError("no room")
            await asyncio.sleep(20)
            await start(node, nodes)
            receipts.append(cluster.manager.send_nowait(id, "at once"))

        monkeypatch.setattr(cluster.engine, "start_again", start_again)
        end_all(cluster)
        assert [receipt.outcome.state for receipt in receipts[1:]] == [("meanwhile",), ("meanwhile", "at once")]
        assert isinstance(receipts[0].outcome.error, RuntimeFailedError)  # given up with the first try
        assert "node_not_adopted" in cluster.node_events()


def test_agents_of_other_nodes_reach_each_other_again() -> None:
    with started() as cluster:
        make(cluster, "node-3", supervision="restart")
        first = make(cluster, "node-1", pass_on, supervision="restart")
        assert ask(cluster, first, 1) == (1,)
        end_all(cluster)
        assert ask(cluster, first, 2) == (2,)


def test_a_group_is_there_again_for_new_members() -> None:
    with started() as cluster:
        group = cluster.do(lambda: cluster.manager.group("over all", "one_for_all"))
        end_all(cluster)
        for id, node in zip("abc", NODES, strict=True):
            options = {"group": group, "placement": node, "retries": 0}
            cluster.do(lambda id=id, options=options: cluster.manager.create(id, 0, divide, **options))
        assert [ask(cluster, id, 1) for id in "abc"] == [1, 1, 1]
        with pytest.raises(ProcessingError):
            ask(cluster, "b", 0)
        cluster.run(asyncio.sleep(1))
        assert cluster.do(lambda: [cluster.manager[id].state for id in "abc"]) == [0, 0, 0]
