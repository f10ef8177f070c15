from collections import Counter

import pytest

from agentrt.distributed.placement import Placement, score
from agentrt.errors import ConfigurationError, RuntimeFailedError

NODES = ["a", "b", "c"]
IDS = [f"runtime-{number}" for number in range(3_000)]


def places(placement: Placement) -> dict[str, str]:
    return {id: placement.node_of(id) for id in IDS}


def test_each_node_has_its_share() -> None:
    shares = Counter(places(Placement(NODES)).values())
    assert set(shares) == set(NODES)
    assert min(shares.values()) > 800  # of a thousand


def test_every_process_comes_to_the_same_place() -> None:
    assert places(Placement(NODES)) == places(Placement(reversed(NODES)))
    assert score("a", "bc") != score("ab", "c")


def test_a_node_that_leaves_moves_only_what_was_there() -> None:
    placement = Placement(NODES)
    before = places(placement)
    placement.remove("b")
    after = places(placement)
    assert {before[id] for id in IDS if before[id] != after[id]} == {"b"}
    assert set(after.values()) == {"a", "c"}


def test_one_more_node_takes_its_share_and_nothing_else_moves() -> None:
    before, after = places(Placement(NODES)), places(Placement([*NODES, "d"]))
    moved = [id for id in IDS if before[id] != after[id]]
    assert {after[id] for id in moved} == {"d"}
    assert 550 < len(moved) < 950


def test_a_pinned_runtime_is_where_it_was_put() -> None:
    placement = Placement(NODES)
    id = next(id for id in IDS if placement.node_of(id) == "a")
    placement.pin(id, "c")
    assert placement.node_of(id) == "c"
    placement.remove("c")
    assert placement.node_of(id) == "a"


def test_what_has_ended_with_its_node_says_so() -> None:
    placement = Placement(NODES)
    placement.remove("a", ["x"])
    with pytest.raises(RuntimeFailedError, match=r"'x' has ended with 'a'.*create it again, or connect with journal="):
        placement.node_of("x")
    placement.forget_loss("x")
    assert placement.node_of("x") in ("b", "c")


def test_bad_input() -> None:
    with pytest.raises(ConfigurationError, match="no node 'z'; there are: a, b, c"):
        Placement(NODES).pin("x", "z")
    with pytest.raises(ConfigurationError, match="no node that takes runtimes"):
        Placement([]).node_of("x")
