"""case.py: a workflow on what a test gives it."""

from typing import Any

import pytest

from agentrt.history.case import Case
from tests.history.shop import Order, SoldOut, Till, sell
from tests.support import add


def test_what_came_of_it_can_be_asked():
    case = Case("till", sell, Till(), seed=5)
    case.run(Order("tea", 2), id=9, effects={"price": 4}, answers=[("stock", 3)])
    assert (case.state, case.error) == (Till(8, ("tea",)), None)
    assert case.sends == [("stock", ("tea", 2)), ("ledger", 8, "priority")]
    assert (case.effects, case.reply["price"]) == (["price"], 4)
    again = Case("till", sell, Till(), seed=5).run(Order("tea"), id=9, effects={"price": 4}, answers=[("stock", 3)])
    assert again.reply["lucky"] == case.reply["lucky"]


def test_a_failure_leaves_the_state():
    case = Case("till", sell, Till(7)).run(Order("tea"), effects={"price": 4}, answers=[("stock", -1)])
    assert (case.state, case.error, case.reply) == (Till(7), "SoldOut: no more tea", None)


def test_an_exception_that_is_given_is_raised():
    case = Case("till", sell, Till())
    case.run(Order("tea"), effects={"price": SoldOut("line is dead")})
    assert case.error == "SoldOut: line is dead"
    case.run(Order("tea"), effects={"price": 1}, answers=[("stock", KeyError("tea"))])
    assert case.error == "KeyError: 'tea'"


def test_what_the_case_does_not_have_fails_the_test():
    with pytest.raises(AssertionError, match="it does 'price', for which the case has no result; it has 'cost'"):
        Case("till", sell, Till()).run(Order("tea"), effects={"cost": 1})
    with pytest.raises(AssertionError, match="never decided"):
        Case("till", sell, Till()).run(Order("tea"), effects={"price": 1})


def test_states_follow_one_another():
    case = Case("sum", add, 1)
    assert case.run(2).run(3).state == 6


def test_times_and_refusals_are_given():
    async def late(activity: Any, state: Any, ctx: Any) -> Any:
        try:
            await ctx.send("nobody", 1)
        except LookupError as error:
            return str(error), ctx.now(), ctx.now()

    case = Case("a", late, "").run(1, at=5.0, times=[6.0], refusals=[(1, LookupError("gone"))])
    assert case.state == ("gone", 6.0, 6.0)
