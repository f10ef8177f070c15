"""ids.py: the ids of another process, followed by what changes."""

from agentrt import RuntimeManager
from agentrt.feed.ids import FollowedIds, IdsUpdate, RemoteIds
from tests.support import add


def test_ids_are_taken_whole_once_and_then_followed():
    followed = FollowedIds()
    followed.take(IdsUpdate(3, ["a", "b", "c"]))
    followed.take(IdsUpdate(6, None, [("b", False), ("d", True), ("a", False)]))
    assert (list(followed.ids), followed.number) == (["c", "d"], 6)
    followed.take(IdsUpdate(7, None, [("c", False), ("c", True)]))
    assert list(followed.ids) == ["d", "c"], "made again, it is the newest"
    followed.take(IdsUpdate(7, None, [("x", False), ("d", True)]))
    assert set(followed.ids) == {"c", "d"}, "what is told again changes nothing"


def test_they_are_those_of_the_manager_whatever_is_made_and_ended():
    followed = FollowedIds()
    with RuntimeManager(loop="thread") as manager:
        manager.id_changes = type(manager.id_changes)(keep=5)
        for n in range(60):
            manager.create(f"r{n}", 0, add)
            if n % 3 == 0:
                manager.run(manager[f"r{n // 2}"].terminate()) if f"r{n // 2}" in manager else None
            if n % 4 == 0 or n > 50:
                followed.take(manager.source.ids_since(followed.number))
                assert list(followed.ids) == list(manager)
        assert manager.source.ids_since(followed.number) == IdsUpdate(followed.number, None, [])


def test_a_collection_of_them_may_change_while_somebody_goes_through_it():
    ids = {"a": None, "b": None}
    collection = RemoteIds(lambda: ids)
    for id in collection:
        ids[id * 2] = None
    assert (len(collection), "aa" in collection, "x" in collection) == (4, True, False)
    assert repr(collection) == "<4 ids>"
