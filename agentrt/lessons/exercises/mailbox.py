"""Exercises about one agent and its mailbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...activity import Activity
from ...errors import AgentError, ProcessingError
from ...manager import RuntimeManager
from ...runtime import Runtime
from ..exercise import Exercise
from .trial import PATIENCE, trial_manager, wait_for_fates

__all__ = ["newest", "overdraft", "two_telegrams"]

Workflow = Callable[..., Any]
Maker = Callable[[RuntimeManager], Runtime[Any, Any]]


def _check_overdraft(bank: Workflow) -> str | None:
    with trial_manager() as manager:
        account = manager.create("account", 100, bank)
        manager.run(account.ask(-30), PATIENCE)
        if account.state != 70:
            return f"of 100, 30 were taken, and {account.state} are left"
        try:
            manager.run(account.ask(-90), PATIENCE)
        except ProcessingError:
            pass
        else:
            return f"of 70, 90 were taken, and nobody was told: the account has {account.state}"
        manager.run(account.ask(5), PATIENCE)
        return None if account.state == 75 else f"70 and 5 make {account.state}"


overdraft = Exercise(
    "Write a workflow `bank(activity, cents)` that adds the payload to the account, and fails where that would leave "
    "less than nothing.",
    _check_overdraft,
    "Work out the new state first. `raise ValueError(...)` if it is below zero, else return it: what raises changes "
    "nothing.",
    "the account is never below zero, and whoever asked for too much is told",
)


def _check_two_telegrams(make: Maker) -> str | None:
    done: list[str] = []

    def desk(activity: Activity[str], state: int) -> int:
        done.append(activity.payload)
        return state + 1

    with trial_manager() as manager:
        office = make_with(make, manager, desk)
        office.pause()
        receipts = [office.send_nowait(f"letter {number}") for number in range(3)]
        receipts += [office.send_nowait(f"telegram {number}", priority=True) for number in range(6)]
        office.resume()
        wait_for_fates(receipts)
    runs = "".join("t" if each.startswith("telegram") else "l" for each in done)
    if runs == "ttlttlttl":
        return None
    first = runs.index("l")
    return f"{first} telegrams went before the first letter: the order was {', '.join(done)}"


def make_with(make: Callable[..., Any], manager: RuntimeManager, workflow: Workflow) -> Runtime[Any, Any]:
    """Call what makes an agent, and say what it has to return where it does not."""
    made = make(manager, workflow)
    if not isinstance(made, Runtime):
        raise TypeError(f"the function has to return the runtime that it made, not {made!r}")
    return made


two_telegrams = Exercise(
    "Write `make(manager, workflow)`, which creates an agent where at most two telegrams go before a letter that "
    "waits.",
    _check_two_telegrams,
    "`fairness=8` is the limit that you did not give. Return what `manager.create(...)` returns.",
    "two telegrams, a letter, two telegrams, a letter",
)


def _check_newest(make: Maker) -> str | None:
    with trial_manager() as manager:

        async def show(activity: Activity[int], shown: int, ctx: Any) -> int:
            await ctx.sleep(1)
            return activity.payload

        display = make_with(make, manager, show)
        try:
            receipts = [display.send_nowait(number) for number in range(100)]
        except AgentError as error:
            return f"the sender was refused: {error}"
        wait_for_fates(receipts)
        processed, shown = display.processed, display.state
    if shown != 99:
        return f"at the end it shows {shown}, and the newest value is 99"
    if processed > 5:
        return f"it showed {processed} of 100 values, most of them long after they were measured"
    return None


newest = Exercise(
    "Write `make(manager, workflow)`, which creates a display that shows a value for a second. A sensor sends it a "
    "hundred at once. It must never refuse the sensor, and must show the newest value within a few seconds.",
    _check_newest,
    "What waits longest is worth least here. A lane of one is enough.",
    "what is old is let go and counted, and the newest value is shown",
)
