"""recursion.py: types that contain themselves, in the check, the form and the conversion; values that do."""

import dataclasses
import sys
import typing
from datetime import date

import pytest
import typing_extensions

from agentrt import Activity, ActivityValidationError, ProcessingError
from agentrt.engine.workflow import Workflow
from agentrt.schema.annotations import annotation_problem, base_of
from agentrt.schema.convert import FormError, convert, parse_json, to_builtins
from agentrt.schema.form import Form
from agentrt.schema.samples import example
from agentrt.schema.typecheck import find_problem
from tests.support import virtual

T = typing.TypeVar("T")
Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | None")
Days = typing_extensions.TypeAliasType("Days", "list[Days | date] | date")
Tree = typing_extensions.TypeAliasType("Tree", "T | list[Tree[T]]", type_params=(T,))
Written = dict[str, "Written"] | list["Written"] | str | int | None
Typing = typing.Union[typing.Dict[str, "Typing"], typing.List["Typing"], str, int, None]  # noqa: UP006, UP007
Loop = typing_extensions.TypeAliasType("Loop", "Loop")
Left = typing_extensions.TypeAliasType("Left", "int | Right")
Right = typing_extensions.TypeAliasType("Right", "str | Left")

NATIVE = """
from datetime import date
type Json = dict[str, Json] | list[Json] | str | int | None
type Days = list[Days | date] | date
type Tree[T] = T | list[Tree[T]]
type Loop = Loop
type Left = int | Right
type Right = str | Left
"""


def of_texts(hint):
    """What a workflow with this annotation takes."""

    def workflow(activity, state): ...

    workflow.__annotations__ = {"activity": Activity[hint]}
    return Workflow.of(workflow).accepts


def names():
    yield pytest.param(lambda name: globals()[name], id="typing_extensions")
    if sys.version_info >= (3, 12):
        space = {}
        exec(NATIVE, space)
        yield pytest.param(space.__getitem__, id="native")


def jsons():
    yield from (pytest.param(named.values[0]("Json"), id=named.id) for named in names())
    yield from (pytest.param(of_texts(each), id=id) for each, id in [(Written, "written"), (Typing, "typing")])


VALUES = [
    ({"a": [1, "b", None, {"c": []}]}, None),
    ([[[[1]]]], None),
    (1, None),
    (1.5, ""),
    ({"a": [1, 1.5]}, ""),
    ({1: 2}, ""),
]


@pytest.mark.parametrize("hint", list(jsons()))
@pytest.mark.parametrize(("value", "path"), VALUES, ids=repr)
def test_values_are_checked(hint, value, path):
    assert annotation_problem(hint) is None
    found = find_problem(value, hint)
    assert (found and found.path) == path


@pytest.mark.parametrize("hint", list(jsons()))
def test_json_is_converted(hint):
    assert parse_json('{"a": [1, "b", null, {"c": []}]}', hint) == {"a": [1, "b", None, {"c": []}]}
    with pytest.raises(FormError) as caught:
        parse_json('{"a": {"b": [1, 1.5]}}', hint)
    assert list(caught.value.problems) == ["[...][...][1]"]
    with pytest.raises(FormError):
        parse_json("[" * 3000 + "]" * 3000, hint)


@pytest.mark.parametrize("hint", list(jsons()))
def test_a_form_asks_for_it(hint):
    form = Form.of(hint)
    (field,) = form.fields
    assert (field.kind, form.build({"payload": '{"a": [1]}'})) == ("json", {"a": [1]})
    assert "or" in field.expects
    assert find_problem(convert({"key": {}}, hint), hint) is None
    assert isinstance(example(hint), str)


@pytest.mark.parametrize("name", list(names()))
def test_what_is_made_of_plain_data_is_made_on_every_level(name):
    days = name("Days")
    assert convert(["2013-07-22", [["2013-07-23"]]], days) == [date(2013, 7, 22), [[date(2013, 7, 23)]]]
    assert find_problem([date(2013, 7, 22), [[1]]], days) is not None


@pytest.mark.parametrize("name", list(names()))
def test_with_type_variables(name):
    tree = name("Tree")[int]
    assert annotation_problem(tree) is None
    assert find_problem([1, [2, [3]]], tree) is None
    assert find_problem([1, [2, ["3"]]], tree) is not None
    assert convert([1, [2]], tree) == [1, [2]]


@pytest.mark.parametrize("which", ["Loop", "Left", "Right"])
@pytest.mark.parametrize("name", list(names()))
def test_a_name_that_stands_for_itself_is_not_checked(name, which):
    hint = name(which)
    assert "stands for itself" in annotation_problem(hint)
    assert find_problem(1.5, hint) is not None
    base_of(hint)

    def workflow(activity, state): ...

    workflow.__annotations__ = {"activity": Activity[hint]}
    with pytest.warns(UserWarning, match="stands for itself"):
        assert Workflow.of(workflow).accepts is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of 3.12")
def test_a_name_of_what_is_not_there_is_not_checked():
    space = {}
    exec("type Missing = list[Nowhere]", space)
    assert "can't be read" in annotation_problem(space["Missing"])


def test_what_grows_without_end_is_not_checked():
    grows = typing_extensions.TypeAliasType("grows", "T | list[grows[list[T]]]", type_params=(T,))
    assert annotation_problem(grows[int]) is None or "without end" in annotation_problem(grows[int])
    assert find_problem("x", grows[int]) is not None


@virtual
async def test_a_workflow_takes_and_makes_it(manager):
    def add(activity: Activity[Json], state: Json) -> Json:
        return activity.payload

    with pytest.warns(UserWarning, match="can be changed in place"):
        runtime = manager.create("a", {}, add)
    assert await runtime.ask({"a": [1]}) == {"a": [1]}
    with pytest.raises(ActivityValidationError, match="expected dict"):
        runtime.send_nowait({"a": [1.5]})


# ---- values that contain themselves


def round():
    value = []
    value.append(value)
    return value


def deep(n=5000):
    value = []
    for _ in range(n):
        value = [value]
    return value


@dataclasses.dataclass
class Node:
    following: "Node | None" = None


@pytest.mark.parametrize("make", [round, deep], ids=["round", "deep"])
@virtual
async def test_a_value_that_contains_itself_is_refused(manager, make):
    def take(activity: Activity[Json], state: Json) -> Json:
        return make() if activity.payload else 0

    runtime = manager.create("a", 0, take)
    with pytest.raises(ActivityValidationError, match="is nested too deep"):
        runtime.send_nowait(make())
    with pytest.raises(ProcessingError, match="is nested too deep"):
        await runtime.ask(1)
    assert await runtime.ask(0) == 0


@pytest.mark.parametrize("make", [round, deep], ids=["round", "deep"])
def test_it_is_no_plain_data(make):
    assert make is deep or to_builtins(make()) is None  # how deep is too deep differs between versions of Python
    with pytest.raises(FormError):
        convert(make(), Json)


@virtual
async def test_an_object_that_refers_to_itself_is_no_matter(manager):
    def take(activity: Activity[Node], state: int) -> int:
        return state + 1

    node = Node()
    node.following = node
    assert await manager.create("a", 0, take).ask(node) == 1
