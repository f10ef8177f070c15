"""Numbers that no two nodes share."""

from agentrt.distributed.numbers import first_number_of, index_of
from agentrt.feed.shift import STRIDE


def test_each_node_has_numbers_of_its_own() -> None:
    nodes = ["node-1", "node-2", "node-12"]
    assert [index_of(node, nodes) for node in nodes] == [1, 2, 12]
    assert index_of("driver-7f21", nodes) == 0
    assert [index_of(node, ["east", "west"]) for node in ("east", "west")] == [1, 2]
    assert first_number_of("node-12", nodes) == 12 * STRIDE + 1
