"""Exercises about time and order: what survives, what is on the record, and what every order does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ...activity import Activity
from ...distributed.placement import score
from ...history.commits import CommittedState, History
from ...manager import RuntimeManager
from ...runtime import Runtime
from ...schema.numbers import number
from ...testing import explore
from ..exercise import Exercise
from .trial import PATIENCE, trial_manager

__all__ = ["first_above", "moved_desks", "no_lost_update", "paid_once", "seats"]

Workflow = Callable[..., Any]
BUDGET = 20.0  # seconds for all orders of a trial
DESKS = 6000


class _PaymentService:
    """Takes money once for each key, as real ones do with an idempotency key."""

    def __init__(self) -> None:
        self.paid: dict[object, int] = {}

    def charge(self, key: object, amount: int) -> str:
        """Take the money, unless this key was charged before."""
        self.paid.setdefault(key, amount)
        return f"paid {amount}"


def _check_paid_once(make: Callable[[Callable[[object, int], str]], Workflow]) -> str | None:
    return say_failure(explore(_two_orders(make), budget=BUDGET, faults="crash"))


def _two_orders(make: Callable[[Callable[[object, int], str]], Workflow]) -> Callable[..., Any]:
    """A scenario of two orders: whatever happens, the service is paid for two."""
    service = _PaymentService()

    async def two_orders(manager: RuntimeManager) -> None:
        shop = manager.create("shop", 0, make(service.charge))
        if not shop.resumed:  # a new world, and not one that goes on after a crash
            service.paid.clear()
        for order in (1, 2):
            await shop.ask(10, key=f"order {order}")
        paid = sum(service.paid.values())
        assert paid == 20, f"for two orders of 10 the customer has paid {paid}"

    return two_orders


def say_failure(found: Any) -> str | None:
    """What an exploration says, as the words of a check."""
    if found.failures:
        return f"in one of {found.schedules} orders: {found.failures[0].text}"
    return None if found.complete else f"{found.schedules} orders were tried, and there are more"


paid_once = Exercise(
    "Write `make(charge)`, which returns the workflow `shop(activity, total, ctx)`: it charges the payload with "
    "`charge(key, amount)` and returns the new total. Two orders are placed, and the process is killed at every "
    "place where that makes a difference. The customer must pay for two.",
    _check_paid_once,
    '`await ctx.effect("charge", charge, key, amount)` writes down that it is done. In between, only the payment '
    "service knows: it takes the money once for each key, and `activity.id` is the same when an activity runs again.",
    "wherever it is killed, the customer pays once for each order",
)


def _check_first_above(find: Callable[[History[int], int], CommittedState[int] | None]) -> str | None:
    with trial_manager() as manager:
        account = manager.create("account", 0, lambda activity, state: state + activity.payload)
        receipts = [account.send_nowait(amount) for amount in (40, 70, -30, 10, 55)]
        for receipt in receipts:
            receipt.result(PATIENCE)
        for limit, payload in ((100, 70), (120, 55), (30, 40)):
            found = find(account.history, limit)
            got = getattr(getattr(found, "activity", None), "payload", None)
            if got != payload:
                return (
                    f"the first activity that brought the account above {limit} added {payload}; yours gave {found!r}"
                )
        return None if find(account.history, 1_000) is None else "it was never above 1,000, and yours found something"


first_above = Exercise(
    "Write `find(history, limit)`: which commit of an account was the first with more than `limit` in it? None if "
    "there is none.",
    _check_first_above,
    "`history.search(predicate)` takes a function of the state.",
    "from a state to the activity that made it",
)


def _check_no_lost_update(
    make: Callable[[], tuple[Workflow, Callable[[Runtime[Any, Any], int], Awaitable[Any]]]],
) -> str | None:
    async def two_deposits(manager: RuntimeManager) -> None:
        workflow, deposit = make()
        account = manager.create("account", 0, workflow)
        await asyncio.gather(deposit(account, 10), deposit(account, 20))
        assert account.state == 30, f"10 and 20 were paid in, and {account.state} are there"

    return say_failure(explore(two_deposits, budget=BUDGET))


no_lost_update = Exercise(
    "Write `make()`, which returns a workflow and `async def deposit(account, amount)`, so that two deposits at once "
    "are never lost, whatever the order.",
    _check_no_lost_update,
    "Who reads first and writes later works with what is old by then. Let the agent do both, in one activity.",
    "every order was tried, and no deposit is lost in any",
)


def _check_seats(which_first: Callable[[int, int], tuple[int, int]]) -> str | None:
    for philosophers in (2, 3, 4):
        problem = say_failure(explore(_dinner(philosophers, which_first), budget=BUDGET))
        if problem is not None:
            return f"with {philosophers} philosophers, {problem}"
    return None


def _dinner(philosophers: int, which_first: Callable[[int, int], tuple[int, int]]) -> Callable[..., Any]:
    async def use_fork(activity: Activity[tuple[str, ...]], uses: int, ctx: Any) -> int:
        rest = activity.payload
        if rest:
            await ctx.ask(rest[0], rest[1:])
        return uses + 1

    async def dining(manager: RuntimeManager) -> None:
        forks = [manager.create(f"fork {seat}", 0, use_fork) for seat in range(philosophers)]

        async def eat(seat: int) -> None:
            left, right = seat, (seat + 1) % philosophers
            first, second = which_first(left, right)
            assert {first, second} == {left, right}, (
                f"whoever sits between {left} and {right} takes {first} and {second}"
            )
            await forks[first].ask((f"fork {second}",))

        await asyncio.gather(*map(eat, range(philosophers)))

    return dining


seats = Exercise(
    "There is another way out: let one philosopher be left-handed. Write `which_first(left, right)`, where the forks "
    "are numbered from 0 and `left` is also the number of the seat.",
    _check_seats,
    "A circle closes only if all begin on the same side. It is enough that the one on seat 0 does not.",
    "proved for two, three and four philosophers",
)


def _check_moved_desks(share: float) -> str | None:
    desks, nodes = [f"desk {each}" for each in range(DESKS)], ["a", "b", "c", "d"]
    moved = sum(max(nodes, key=lambda node: score(node, desk)) == "d" for desk in desks)
    guess = number("desks", share, "a number of desks, 0 or more")
    if abs(guess - moved) <= DESKS / 50:
        return None
    return f"not {guess:,.0f}: {DESKS:,} desks were placed on three nodes and then on four"


moved_desks = Exercise(
    f"{DESKS:,} desks are spread over three nodes by the hash of their names, and a fourth node is added. About how "
    "many desks move?",
    _check_moved_desks,
    "The new node gets its share. No desk moves from one old node to another.",
    "only what the new node takes, and it takes a quarter",
)
