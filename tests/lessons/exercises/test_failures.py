"""What each exercise takes for done, and what it says of answers that are not."""

import json

import pytest

from agentrt import ProcessingError
from agentrt.lessons.exercises.failures import bounded_loop, pump_station, transfers, undo_in_reverse


def station(strategy, order=("pump", "valve", "display")):
    def make(manager, workflow):
        group = manager.group("station", strategy)
        for id in order:
            group.create(id, 0, workflow)

    return make


def test_pump_station():
    assert pump_station.check(station("rest_for_one")).passed
    assert pump_station.check(station("one_for_one")).words == (
        "each had done 1 when the pump broke; then there were pump 0, valve 1, display 1, not 0, 0, 0"
    )
    assert pump_station.check(station("one_for_all")).words.startswith("each had done 1 when the valve broke")
    assert not pump_station.check(station("rest_for_one", ("display", "valve", "pump"))).passed


async def asking_branch(activity, balance, ctx):
    verb, *rest = activity.payload
    if verb == "deposit":
        return balance + rest[0]
    to, amount = rest
    await ctx.ask(to, ("deposit", amount))
    return balance - amount


async def sending_branch(activity, balance, ctx):
    verb, *rest = activity.payload
    if verb == "deposit":
        return balance + rest[0]
    to, amount = rest
    await ctx.send(to, ("deposit", amount))
    return balance - amount


async def forgetful_branch(activity, balance, ctx):
    verb, *rest = activity.payload
    return balance + rest[0] if verb == "deposit" else balance - rest[1]


def test_transfers():
    assert transfers.check(sending_branch).passed
    assert "DeadlockError" in transfers.check(asking_branch).words
    assert transfers.check(forgetful_branch).words.startswith("ada has 70 and bob 40")


def agency(reverse=True, tell=True, undo=True):
    async def travel(activity, trips, ctx):
        booked = []
        try:
            for service in ("flight", "hotel", "car"):
                await ctx.ask(service, ("book", activity.payload))
                booked.append(service)
        except ProcessingError:
            for service in (reversed(booked) if reverse else booked) if undo else ():
                await ctx.ask(service, ("cancel", activity.payload))
            if tell:
                raise
            return trips
        return (*trips, activity.payload)

    return travel


def test_undo_in_reverse():
    assert undo_in_reverse.check(agency()).passed
    assert "cancel flight, cancel hotel; it should be" in undo_in_reverse.check(agency(reverse=False)).words
    assert undo_in_reverse.check(agency(undo=False)).words.startswith("with no car left this happened: book flight, ")
    told = undo_in_reverse.check(agency(tell=False))
    assert told.words == "with no car left whoever asked was told that it went well"


def assistants(turns):
    def make(model, tools, most):
        async def assistant(activity, messages, ctx):
            messages = (*messages, {"role": "user", "content": activity.payload})
            for _ in range(turns(most)):
                message = model(messages)
                messages = (*messages, message)
                if not message.get("tool_calls"):
                    ctx.reply(message["content"])
                    return messages
                for call in message["tool_calls"]:
                    function = call["function"]
                    content = tools[function["name"]](**json.loads(function["arguments"]))
                    messages = (*messages, {"role": "tool", "tool_call_id": call["id"], "content": content})
            raise RuntimeError("no answer")

        return assistant

    return make


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        (lambda most: most, ""),
        (lambda most: most + 1, "with 5 turns allowed the model was asked 6 times, then: no answer"),
        (lambda most: 10**6, "with 5 turns allowed the model was asked 51 times, then: the model was asked for ever"),
        (lambda most: 1, "it raised ProcessingError"),
    ],
)
def test_bounded_loop(turns, words):
    said = bounded_loop.check(assistants(turns))
    assert said.passed == (not words)
    assert said.words.startswith(words)
