"""cause.py: from a field of a state to the activity that last wrote it, and on to its cause."""

from typing import Any

import pytest

from agentrt import ConfigurationError, RuntimeManager
from agentrt.history.cause import parse_field, read_field
from agentrt.schema.difference import NOTHING
from tests.support import virtual

pytestmark = pytest.mark.filterwarnings("ignore:the state of")
BOARD = {"gates": {"A1": None, "B2": None}, "count": 0, "log": ()}


async def board(activity: Any, state: dict) -> dict:
    gate, flight = activity.payload
    log = (*state["log"], flight)
    return {"gates": {**state["gates"], gate: flight}, "count": state["count"] + 1, "log": log}


async def desk(activity: Any, state: int, ctx: Any) -> int:
    await ctx.ask("board", activity.payload)
    return state + 1


@virtual
async def test_a_field_leads_to_who_wrote_it_and_to_its_cause(manager):
    manager.create("board", BOARD, board, copy_state=False)
    office = manager.create("desk", 0, desk)
    await office.ask(("A1", "UA 1"))
    await office.ask(("B2", "AA 2"))
    await office.ask(("B2", "AA 3"))
    history = manager["board"].history
    write = history.last_write("gates.A1")
    assert (write.before, write.after, write.activity.payload) == (None, "UA 1", ("A1", "UA 1"))
    assert [each.runtime for each in write.chain] == ["desk", "board"]
    assert history.last_write("gates.B2").after == "AA 3"
    assert history.last_write("gates.B2", write.sequence).record.kind == "created"
    assert history.last_write("log[0]").after == "UA 1"
    assert history.last_write("log[0]").before is NOTHING
    assert history.last_write().activity.payload == ("B2", "AA 3")
    assert "gates.A1: None became 'UA 1'" in repr(write)
    assert manager.at(write.sequence)["board"].last_write("count").after == 1


@virtual
async def test_what_nothing_wrote_has_no_cause(manager):
    runtime = manager.create("board", BOARD, board, copy_state=False)
    await runtime.ask(("A1", "UA 1"))
    assert runtime.history.last_write("gates.B2").record.kind == "created"
    assert runtime.history.last_write("wings") is None


def test_of_what_was_let_go_it_says_nothing():
    with RuntimeManager(ring=500) as manager:
        runtime = manager.create("a", {"kept": 0, "n": 0}, lambda activity, state: state | activity.payload)
        runtime.send_nowait({"kept": 1}).result(60)
        for n in range(2_000):
            runtime.send_nowait({"n": n}).result(60)
        assert runtime.history.last_write("n").after == 1_999
        assert runtime.history.last_write("kept") is None


def test_an_edit_is_a_write():
    with RuntimeManager() as manager:
        runtime = manager.create("a", (1, 2), lambda activity, state: state)
        runtime.edit_state((1, 5))
        write = runtime.history.last_write("[1]")
        assert (write.record.kind, write.before, write.after, write.activity) == ("state_edited", 2, 5, None)


@pytest.mark.parametrize(
    ("path", "parts"),
    [("", ()), ("a", ("a",)), ("a.b[2].c", ("a", "b", "2", "c")), ("[0]", ("0",)), ("a[x y]", ("a", "x y"))],
)
def test_a_path_has_parts(path, parts):
    assert parse_field(path) == parts


@pytest.mark.parametrize("path", ["a[", "a..b", "a]", "[0"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigurationError):
        parse_field(path)


def test_a_part_that_is_not_there_is_nothing():
    assert read_field({"a": (1,)}, parse_field("a[4]")) is NOTHING
    assert read_field({1: "x"}, parse_field("1")) == "x"
    assert read_field(5, parse_field("real")) == 5
    assert read_field(None, parse_field("a.b")) is NOTHING
    assert read_field(Broken(), parse_field("broken")) is NOTHING


class Broken:
    @property
    def broken(self) -> int:
        raise RuntimeError("not now")


@virtual
async def test_every_path_of_a_difference_leads_to_its_write(manager):
    def write(n: int) -> dict[Any, Any]:
        return {"a.b": n, "c": {"d[0]": (n,), "e": {"f.g.h": [n]}}, 5: {"i": n}, "x": {"y": n}, "x.y": 0}

    runtime = manager.create("a", write(1), lambda activity, state: write(activity.payload), copy_state=False)
    await runtime.ask(2)
    history = runtime.history
    paths = [change.path for change in history.diff(history[0].sequence, history[1].sequence)]
    assert paths == ["a.b", "c.d[0][0]", "c.e.f.g.h[0]", "5.i", "x.y"]
    assert [history.last_write(path).after for path in paths] == [2] * 5
