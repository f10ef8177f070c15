"""plain_data.py: what is shown of other packages' values can't be changed, and is stored as it is."""

import copy
import dataclasses
import pickle
from datetime import date

import pytest

pytest.importorskip("pydantic_core")

from pydantic import BaseModel

from agentrt import RuntimeManager
from agentrt.integrations.plain_data import FrozenDict, freeze, freeze_values
from agentrt.schema.immutability import is_frozen


class Model(BaseModel):
    name: str


@dataclasses.dataclass
class Point:
    x: float


CHANGES = {
    "set": lambda d: d.__setitem__("a", 2),
    "del": lambda d: d.__delitem__("a"),
    "or": lambda d: d.__ior__({"a": 2}),
    "clear": lambda d: d.clear(),
    "pop": lambda d: d.pop("a"),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("b", 1),
    "update": lambda d: d.update(a=2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_frozen_dict_can_not_be_changed(change):
    frozen = freeze({"a": 1})
    with pytest.raises(TypeError, match="can't be changed"):
        change(frozen)
    assert frozen == {"a": 1}


def test_all_parts_are_frozen():
    frozen = freeze({"a": [1, {"b": [2]}], 3: "c"})
    assert frozen == {"a": (1, {"b": (2,)}), "3": "c"}
    assert is_frozen(frozen)
    assert type(frozen["a"][1]) is FrozenDict
    assert freeze(frozen) == frozen


def test_a_copy_is_as_frozen():
    frozen = freeze({"a": {"b": 1}})
    assert copy.copy(frozen) is copy.deepcopy(frozen) is frozen
    again = pickle.loads(pickle.dumps(frozen))
    assert (again, type(again["a"])) == (frozen, FrozenDict)


def test_values_of_all_kinds_are_plain():
    class Odd:
        def __repr__(self):
            return "<odd>"

    values = {"m": Model(name="x"), "p": Point(1.5), "d": date(2013, 7, 22), "s": {1}, "o": Odd(), "n": float("nan")}
    shown = freeze_values(values)
    assert {**shown, "n": None} == {
        "m": {"name": "x"},
        "p": {"x": 1.5},
        "d": "2013-07-22",
        "s": (1,),
        "o": "<odd>",
        "n": None,
    }
    assert shown["n"] != shown["n"]


def test_it_is_stored_in_a_journal_and_comes_back(tmp_path):
    def keep(activity, state):
        return freeze(activity.payload)

    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        manager.create("a", FrozenDict(), keep).send_nowait({"a": [1, {"b": 2}]}).result(60)
    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        runtime = manager.create("a", FrozenDict(), keep)
        assert (runtime.resumed, runtime.state, type(runtime.state)) == (True, {"a": (1, {"b": 2})}, FrozenDict)
