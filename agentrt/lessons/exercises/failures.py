"""Exercises about what goes wrong: supervision, a deadlock, a saga, a loop that does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...activity import Activity
from ...errors import AgentError, ProcessingError
from ...manager import RuntimeManager
from ..exercise import Exercise
from .trial import PATIENCE, trial_manager

__all__ = ["bounded_loop", "pump_station", "transfers", "undo_in_reverse"]

Workflow = Callable[..., Any]
Message = dict[str, Any]
Assistants = Callable[[Callable[..., Message], Mapping[str, Callable[..., Any]], int], Workflow]
MOST_TURNS = 5


def _check_pump_station(make: Callable[[RuntimeManager, Workflow], object]) -> str | None:
    def work(activity: Activity[Any], done: int) -> int:
        if activity.payload == "break":
            raise RuntimeError("broken")
        return done + 1

    def counts_after_failure(of: str) -> tuple[int, ...]:
        with trial_manager() as manager:
            make(manager, work)
            for id in ("pump", "valve", "display"):
                manager.run(manager.ask(id, "work"), PATIENCE)
            with suppress(ProcessingError):
                manager.run(manager.ask(of, "break"), PATIENCE)
            return tuple(manager[id].state for id in ("pump", "valve", "display"))

    for broken, wanted in (("pump", (0, 0, 0)), ("valve", (1, 0, 0)), ("display", (1, 1, 0))):
        found = counts_after_failure(broken)
        if found != wanted:
            named = ", ".join(f"{id} {count}" for id, count in zip(("pump", "valve", "display"), found, strict=True))
            return (
                f"each had done 1 when the {broken} broke; then there were {named}, not {', '.join(map(str, wanted))}"
            )
    return None


pump_station = Exercise(
    'Write `make(manager, workflow)`, which creates "pump", "valve" and "display", each with the state 0, '
    "under one supervisor: what breaks begins anew, and with it all that stands behind it in the pipe, and nothing "
    "that stands before it.",
    _check_pump_station,
    "`group = manager.group(name, strategy)`, then `group.create(...)` in the order of the pipe. Of the three "
    "strategies one is about the rest.",
    "the rest is restarted, for the one",
)


def _check_transfers(branch: Workflow) -> str | None:
    with trial_manager() as manager:
        ada, bob = manager.create("ada", 100, branch), manager.create("bob", 50, branch)

        async def both_at_once() -> None:
            await asyncio.gather(ada.ask(("transfer", "bob", 30)), bob.ask(("transfer", "ada", 10)))

        try:
            manager.run(both_at_once(), PATIENCE)
        except AgentError as error:
            return f"one of the two was not carried out: {error}"
        for runtime in (ada, bob):  # what they have sent each other comes before this
            manager.run(runtime.ask(("deposit", 0)), PATIENCE)
        balances = (ada.state, bob.state)
    if balances == (80, 70):
        return None
    return f"ada has {balances[0]} and bob {balances[1]}; with 30 there and 10 back it should be 80 and 70"


transfers = Exercise(
    'Mend `branch`: ada gives 30 to bob and bob 10 to ada, at once. It is asked `("transfer", to, amount)` and '
    '`("deposit", amount)`, its state is the balance.',
    _check_transfers,
    "Who needs no answer does not have to wait for one: `await ctx.send(...)` in place of `await ctx.ask(...)`.",
    "nobody waits for anybody, and no money is lost",
)


class _Services:
    """Three services that book and cancel, one of which may be full; what they did, in order."""

    def __init__(self, manager: RuntimeManager, full: str) -> None:
        self.done: list[str] = []
        self._full = full
        for name in ("flight", "hotel", "car"):
            manager.create(name, (), self._make_service(name))

    def _make_service(self, name: str) -> Workflow:
        def serve(activity: Activity[Any], trips: tuple[Any, ...]) -> tuple[Any, ...]:
            verb, trip = activity.payload
            self.done.append(f"{verb} {name}")
            if verb == "book" and name == self._full:
                raise RuntimeError(f"no {name} left")
            return (*trips, trip) if verb == "book" else tuple(each for each in trips if each != trip)

        return serve


def _check_undo_in_reverse(travel: Workflow) -> str | None:
    for full, wanted in (
        ("", ["book flight", "book hotel", "book car"]),
        ("car", ["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]),
        ("flight", ["book flight"]),
    ):
        with trial_manager() as manager:
            services = _Services(manager, full)
            agency = manager.create("agency", (), travel)
            told = False
            try:
                manager.run(agency.ask("Lisbon"), PATIENCE)
            except ProcessingError:
                told = True
            done = list(services.done)
        where = f"with no {full} left" if full else "with all to be had"
        if done != wanted:
            return f"{where} this happened: {', '.join(done)}; it should be: {', '.join(wanted)}"
        if told != bool(full):
            return f"{where} whoever asked was told that it {'failed' if told else 'went well'}"
    return None


undo_in_reverse = Exercise(
    'Write the workflow of an agency, `travel(activity, trips, ctx)`: it asks "flight", "hotel" and "car" in '
    'that order `("book", trip)`. If one fails, it asks those that have booked `("cancel", trip)`, the last one '
    "first, and fails too.",
    _check_undo_in_reverse,
    "Keep a list of those that have booked. `except agentrt.ProcessingError:` goes through it with `reversed(...)`, "
    "and ends with a bare `raise`.",
    "what was done is undone, the last first, and whoever asked is told",
)


def _check_bounded_loop(make: Assistants) -> str | None:
    asked: list[int] = []
    call = {"id": "1", "type": "function", "function": {"name": "time", "arguments": "{}"}}

    def restless(messages: Sequence[Message]) -> Message:
        asked.append(len(messages))
        if len(asked) > 10 * MOST_TURNS:
            raise RuntimeError("the model was asked for ever")
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def quick(messages: Sequence[Message]) -> Message:
        if any(message["role"] == "tool" for message in messages):
            return {"role": "assistant", "content": "It is noon."}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    tools = {"time": lambda: "12:00"}
    with trial_manager() as manager:
        assistant = manager.create("quick", (), make(quick, tools, MOST_TURNS))
        answer = manager.run(assistant.ask("What time is it?"), PATIENCE)
        if answer != "It is noon.":
            return f"a model that asks for one tool and then answers gave {answer!r}, not its answer"
        endless = manager.create("restless", (), make(restless, tools, MOST_TURNS))
        try:
            manager.run(endless.ask("What time is it?"), PATIENCE)
        except ProcessingError as error:
            if len(asked) == MOST_TURNS:
                return None
            return f"with {MOST_TURNS} turns allowed the model was asked {len(asked)} times, then: {error.__cause__}"
    return "a model that never answers has given an answer"


bounded_loop = Exercise(
    "Write `make_assistant(model, tools, most)`, which returns a workflow like the one above that asks the model at "
    "most `most` times for one question, and then fails.",
    _check_bounded_loop,
    "`for turn in range(most):` in place of `while True:`, and `raise RuntimeError(...)` after it.",
    "a model that never comes to an end is stopped, and it is on the record",
)
