"""redefinition.py: a cell that defines a class is run again, and agents go on. Cells run in a `__main__` made here."""

import asyncio
import itertools
import sys
import types

import pytest

from agentrt import ActivityValidationError, ProcessingError
from agentrt.engine import commands
from agentrt.schema.redefinition import Redefined, newest_hint, newest_value
from tests.support import turns, virtual

IMPORTS = """
import dataclasses, enum, typing
import msgspec, pydantic
from agentrt import Activity
"""
CLASSES = {
    "dataclass": "@dataclasses.dataclass(frozen=True)\nclass State:\n    n: int",
    "slots": "@dataclasses.dataclass(frozen=True, slots=True)\nclass State:\n    n: int",
    "struct": "class State(msgspec.Struct, frozen=True):\n    n: int",
    "pydantic": "class State(pydantic.BaseModel, frozen=True):\n    n: int",
    "namedtuple": "class State(typing.NamedTuple):\n    n: int",
}
WORKFLOW = """
def add(activity: Activity[State], state: State) -> State:
    assert type(activity.payload) is State and type(state) is State, (activity.payload, state)
    return State(n=state.n + activity.payload.n)
"""
KEEPS = """
def keep(activity: Activity[int], state: State) -> State:
    return state
"""


@pytest.fixture
def cell(monkeypatch):
    """Runs a cell, and returns what `__main__` holds then."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)

    def run(*code):
        exec("\n".join(code), main.__dict__)
        return main

    run(IMPORTS)
    return run


@pytest.mark.parametrize("kind", CLASSES)
@virtual
async def test_only_the_class_is_defined_again(manager, cell, kind):
    main = cell(CLASSES[kind], WORKFLOW)
    runtime = manager.create("a", main.State(n=1), main.add)
    old = main.State
    await runtime.ask(old(n=1))
    cell(CLASSES[kind])
    assert (await runtime.ask(main.State(n=2))).n == 4
    assert (await runtime.ask(old(n=3))).n == 7
    assert type(runtime.state) is main.State is not old


@pytest.mark.parametrize("kind", CLASSES)
@virtual
async def test_the_whole_cell_is_run_again(manager, cell, kind):
    main = cell(CLASSES[kind], WORKFLOW)
    runtime = manager.agent("a", state=main.State(n=1))(main.add)
    old = main.State
    runtime.pause()
    waiting = runtime.send_nowait(old(n=1))
    cell(CLASSES[kind], WORKFLOW)
    manager.agent("a")(main.add)
    runtime.resume()
    assert (await waiting).state == main.State(n=2)
    assert (await runtime.ask(old(n=3))).n == 5
    assert (type(runtime.state), type(runtime.initial)) == (main.State, main.State)
    kinds = [record.kind for record in manager.ring.since(0)[0]]
    assert kinds.count("redefined") == 1
    assert runtime.failed == 0


@virtual
async def test_inside_of_containers_and_of_other_classes(manager, cell):
    code = (
        *(
            CLASSES["dataclass"],
            "class Colour(enum.Enum):\n    RED = 1",
            "class Trip(typing.TypedDict):\n    to: State",
        ),
        "class All(msgspec.Struct, frozen=True):\n    one: State\n    more: dict[str, list[State]]\n    trip: Trip",
        "def take(activity: Activity[Colour | All], state: All) -> All:\n    return state",
    )
    main = cell(*code)
    state = main.All(main.State(1), {"a": [main.State(2)]}, {"to": main.State(3)})
    red = main.Colour.RED
    with pytest.warns(UserWarning, match="can be changed in place"):
        runtime = manager.create("a", state, main.take)
    cell(*code)
    runtime.swap(main.take)
    new = await runtime.ask(red)
    assert type(new) is main.All
    assert new == main.All(main.State(1), {"a": [main.State(2)]}, {"to": main.State(3)})
    assert newest_value(red) is main.Colour.RED
    assert newest_hint(list[type(state)] | None) == list[main.All] | None


OTHER = [
    ("    n: int", "    m: int", "'n' is gone, 'm' is new"),
    ("    n: int", "    n: str", "'n' was int and is str"),
    ("    n: int", "    n: int\n    m: int = 0", "'m' is new"),
]


@pytest.mark.parametrize(("was", "now", "text"), OTHER, ids=["name", "type", "added"])
@pytest.mark.parametrize("kind", CLASSES)
@virtual
async def test_another_shape_is_an_error_that_says_what_differs(manager, cell, kind, was, now, text):
    main = cell(CLASSES[kind], KEEPS, WORKFLOW)
    old = main.State
    runtime = manager.create("a", old(n=1), main.keep)
    other = manager.create("b", old(n=1), main.add)
    cell(CLASSES[kind].replace(was, now), KEEPS, WORKFLOW)
    runtime.swap(main.keep)
    other.swap(main.add)
    with pytest.raises(ProcessingError, match=f"another shape: {text}"):
        await runtime.ask(1)
    with pytest.raises(ActivityValidationError, match=f"another shape: {text}"):
        other.send_nowait(old(n=1))


@virtual
async def test_another_enum_is_an_error(manager, cell):
    main = cell("class Colour(enum.Enum):\n    RED = 1")
    red = main.Colour.RED
    cell("class Colour(enum.Enum):\n    RED = 2")
    with pytest.raises(Redefined, match="'RED' was 1 and is 2"):
        newest_value(red)


@virtual
async def test_a_send_that_waits_for_room_sends_the_newest(manager, cell):
    main = cell(CLASSES["dataclass"], WORKFLOW)
    runtime = manager.create("a", main.State(0), main.add, standard_capacity=1)
    old = main.State
    cell(CLASSES["dataclass"], WORKFLOW)
    runtime.swap(main.add)
    receipts = [await runtime.send(old(n)) for n in range(5)]
    assert (await receipts[-1]).state == main.State(10)
    await turns()


@pytest.mark.parametrize("value", [1, "a", [1, (2,)], {"a": {1}}, object()])
def test_what_has_no_older_class_stays_the_same_object(value):
    assert newest_value(value) is value


def test_a_value_that_contains_itself_stays():
    value = []
    value.append(value)
    assert newest_value(value) is value


@pytest.mark.kernel
def test_in_a_kernel(kernel):
    """A cell with the class and the agent is run three times, then one with only the class."""
    cell = f"""{IMPORTS}
from agentrt import RuntimeManager
manager = globals().get("manager") or RuntimeManager()
{CLASSES["dataclass"]}
@manager.agent("a", state=State(n=0))
def add(activity: Activity[State], state: State) -> State:
    assert type(state) is State
    return State(n=state.n + activity.payload.n)
print(manager.run(add.ask(State(n=1))))
"""
    answers = [kernel.run(cell) for _ in range(3)]
    assert [answer.error for answer in answers] == [None] * 3
    assert answers[-1].text.strip() == "State(n=3)"
    assert kernel.run(CLASSES["dataclass"]).error is None
    again = "for _ in range(2): manager.run(add.ask(State(n=1)))\nprint(add.state, add.failed)"
    assert kernel.run(again).text.strip() == "State(n=5) 0"


@pytest.mark.parametrize("held", [True, False])
@virtual
async def test_a_long_mailbox_goes_on_in_slices(manager, cell, held, monkeypatch):
    monkeypatch.setattr(commands, "SLICE_SECONDS", -1.0)  # as on a machine that is busy with something else
    main = cell(CLASSES["dataclass"], WORKFLOW)
    waiting = 6 * commands.SLICE
    runtime = manager.create("a", main.State(n=0), main.add, standard_capacity=waiting, priority_capacity=waiting)
    runtime.pause()
    for n in range(waiting):
        runtime.send_nowait(main.State(n=1), priority=n < waiting // 2)
    old, main = main.State, cell(CLASSES["dataclass"], WORKFLOW)
    runtime.swap(main.add)
    if not held:
        runtime.resume()

    def old_ones():
        return sum(type(activity.payload) is old for activity in runtime.mailbox_items())

    left = [old_ones()]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(old_ones())
    runtime.resume()
    assert left[0] > 5 * commands.SLICE  # as much as a slice takes is done by `swap` itself
    assert max(before - after for before, after in itertools.pairwise(left)) <= commands.FEWEST + 64
    await runtime.ask(main.State(n=0))
    assert (runtime.state.n, runtime.fates().failed) == (waiting, 0)
