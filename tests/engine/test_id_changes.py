"""id_changes.py: who has read all ids once can follow them."""

from agentrt import RuntimeManager
from agentrt.engine.id_changes import IdChanges
from tests.support import add


def test_changes_after_a_number_are_told_while_they_are_kept():
    changes = IdChanges(keep=3)
    assert changes.since(0) == []
    for id in "abcde":
        changes.add(id, made=True)
    assert changes.number == 5
    assert changes.since(5) == []
    assert changes.since(3) == [("d", True), ("e", True)]
    assert changes.since(2) == [("c", True), ("d", True), ("e", True)]
    assert changes.since(1) is None, "a change in between is not kept any more"
    assert changes.since(-1) is None
    assert changes.since(6) is None, "it is of another manager"


def test_a_manager_notes_what_is_made_and_what_ends():
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, add)
        manager.create("b", 0, add)
        manager.run(manager["a"].terminate())
        manager.create("a", 0, add)
        assert manager.id_changes.since(1) == [("b", True), ("a", False), ("a", True)]
