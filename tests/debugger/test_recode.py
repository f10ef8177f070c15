"""recode.py: a workflow's source, and what is made of an edited one."""

import functools
from typing import Any

import pytest

import agentrt
from agentrt.debugger.recode import make_function, source_of
from tests.support import turns, virtual

FACTOR = 10


def decorate(function: Any) -> Any:
    function.decorations = getattr(function, "decorations", 0) + 1
    return function


@decorate
async def multiply(activity: Any, state: int, ctx: Any) -> int:
    with ctx.step("multiply"):
        return state + activity.payload * FACTOR


def test_an_edited_function_is_of_the_same_module_and_has_its_source() -> None:
    source = source_of(multiply)
    assert source.startswith("@decorate\nasync def multiply(")
    made = make_function(multiply, source.replace("FACTOR", "FACTOR // 2"))
    assert (made.__module__, made.__qualname__, hasattr(made, "decorations")) == (__name__, "multiply", False)
    assert made is not multiply
    assert "FACTOR // 2" in source_of(made)
    assert multiply.decorations == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def other(activity, state):\n    return state", "called multiply"),
        ("x = 1", "write one function"),
        ("def multiply(:", "SyntaxError"),
        ("def multiply(activity, state=1 / 0):\n    return state", "ZeroDivisionError"),
    ],
)
def test_what_is_no_such_function_is_refused(source: str, why: str) -> None:
    with pytest.raises(agentrt.ConfigurationError, match=why):
        make_function(multiply, source)


def test_what_can_not_be_edited_alone_is_refused() -> None:
    outer = 5

    def inner(activity: Any, state: int) -> int:
        return state + outer

    with pytest.raises(agentrt.ConfigurationError, match="uses outer of the function around it"):
        make_function(inner, source_of(inner))
    for other in (functools.partial(multiply), print):
        assert source_of(other) == ""
        with pytest.raises(agentrt.ConfigurationError, match="swap"):
            make_function(other, "x")


@virtual
async def test_a_stopped_activity_runs_again_with_edited_code(manager: Any) -> None:
    runtime = manager.create("x", 0, multiply)
    runtime.breakpoints.add(step="multiply")
    receipt = runtime.send_nowait(3)
    while runtime.breakpoints.stop is None:
        await turns()
    code = runtime.breakpoints.stop.code
    runtime.breakpoints.clear()
    source = manager.source
    source.command("edit_code", "x", typed=code.replace("* FACTOR", "- 1"))
    source.command("retry", "x")
    runtime.resume()
    assert (await receipt).state == 2
    assert [record.kind for record in source.frame().records if record.kind in ("swapped", "retried")] == [
        "swapped", "retried",
    ]  # fmt: skip


def test_a_lambda_has_no_source_to_edit() -> None:
    table = {"a workflow": lambda activity, state: state}
    assert source_of(table["a workflow"]) == ""
