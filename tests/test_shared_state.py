"""Two managers in one process share nothing: no module and no class of the package holds a registry of them."""

import gc
import sys
import types
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import agentrt

WEAK = (WeakKeyDictionary, WeakValueDictionary, WeakSet)
CONTAINERS = (dict, list, set, frozenset, tuple, *WEAK)
# What happens to a process happens to all of its managers. These hold them weakly, and nothing is read from them.
OF_THE_PROCESS = {
    "agentrt.engine.fork._managers": "a fork closes each of them in the child",
    "agentrt.engine.disposal._open": "how many may wait for the collector",
}
OPAQUE = (types.ModuleType, types.FunctionType, type)


def holders() -> dict[str, object]:
    """Every container that is a global of a module of the package, or an attribute of one of its classes."""
    found: dict[str, object] = {}
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] != "agentrt":
            continue
        for key, value in vars(module).items():
            found[f"{name}.{key}"] = value
            if isinstance(value, type) and value.__module__ == name:
                found.update({f"{name}.{key}.{each}": part for each, part in vars(value).items()})
    return {name: value for name, value in found.items() if isinstance(value, CONTAINERS)}


def parts(item: object) -> list[object]:
    if isinstance(item, WeakKeyDictionary | WeakValueDictionary):
        return [*item.keys(), *item.values()]
    return list(item) if isinstance(item, WeakSet) else gc.get_referents(item)


def reaches(item: object, goals: list[object], depth: int = 4) -> bool:
    """Whether an object leads to one of these in a few steps, not through modules, functions and classes."""
    level, seen = [item], set()
    for _ in range(depth):
        level = [part for each in level for part in parts(each) if not isinstance(part, OPAQUE)]
        level = [part for part in level if id(part) not in seen and not seen.add(id(part))]
        if any(part is goal for part in level for goal in goals):
            return True
    return False


def use(manager: agentrt.RuntimeManager) -> list[object]:
    """Do a little of everything."""
    group = manager.group("pair", "one_for_all")
    runtime = group.create("a", 0, lambda activity, state: state + activity.payload)
    runtime.param.watch(lambda event: None, "state")
    runtime.breakpoints.add(lambda activity: False)
    runtime.grant("send").send_nowait(1).result(60)
    doomed = manager.create("b", 0, lambda activity, state: state)
    doomed.pause()
    doomed.send_nowait(1)
    manager.run(doomed.terminate())
    assert len(manager.dead_letters) == 1
    return [manager, runtime, runtime.entry, manager.dead_letters, group]


def test_no_module_and_no_class_holds_what_is_one_managers():
    with agentrt.RuntimeManager(loop="thread") as one, agentrt.RuntimeManager(loop="thread") as other:
        goals = use(one) + use(other)
        found = {name: value for name, value in holders().items() if reaches(value, goals)}
        assert [name for name in found if name not in OF_THE_PROCESS] == []
        assert {type(found[name]) for name in OF_THE_PROCESS} == {WeakSet}


def test_two_managers_have_the_same_ids_and_numbers_of_their_own():
    with agentrt.RuntimeManager(loop="thread", seed=1) as one, agentrt.RuntimeManager(loop="thread", seed=1) as other:
        use(one)
        assert (list(other), other.fates().accepted, len(other.dead_letters)) == ([], 0, 0)
        use(other)
        assert one.ring.records is not other.ring.records
        assert list(one) == list(other) == ["a"]
        assert one["a"] is not other["a"]


def test_a_registry_is_found_by_this_test():
    registry = WeakKeyDictionary()
    with agentrt.RuntimeManager(loop="thread") as manager:
        registry[manager] = 1
        assert reaches(registry, [manager])
        assert reaches({"x": [manager]}, [manager])
        assert not reaches({"x": [1]}, [manager])
