"""Who stands for whom in the picture, and where."""

import pytest

from agentrt.views.flow.nodes import MOST, Node, Nodes, Places, layers, pattern
from tests.views.support import HOSTILE


def number(name: str) -> Node:
    return Node("runtime", name)


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
