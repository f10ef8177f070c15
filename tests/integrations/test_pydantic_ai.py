"""pydantic_ai.py: Pydantic AI's own first programs, seen, stopped, approved, taken back and stored as agents."""

import asyncio
import subprocess
import sys

import pytest

pytest.importorskip("pydantic_ai")

from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, ModelRetry, RunContext, ToolReturn, UsageLimits, models
from pydantic_ai.exceptions import CallDeferred
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

from agentrt import ProcessingError, RuntimeManager
from agentrt.integrations.plain_data import FrozenDict
from agentrt.integrations.pydantic_ai import (
    Conversation,
    ToolAnswers,
    ToolRequest,
    conversation_workflow,
    create_pydantic_agent,
)
from agentrt.schema.immutability import is_frozen
from tests.harness.place import ROOT
from tests.harness.wait import PATIENCE, wait_until
from tests.support import still_picture, virtual

models.ALLOW_MODEL_REQUESTS = False  # nothing leaves this machine


class Model:
    """A model that says what it is told to, in order, and knows what it was asked.

    It is async, and so are the tools below: virtual time does not wait for the threads in which anyio runs others.
    """

    def __init__(self, *said):
        self.said = list(said)
        self.asked = []

    async def answer(self, messages, info):
        self.asked.append(messages)
        return ModelResponse(parts=[self.said.pop(0)])

    def agent(self, **options):
        return Agent(FunctionModel(self.answer), name="dice", **options)


def dice_game(*said):
    """The dice game of Pydantic AI's page on tools."""
    model = Model(*(said or (ToolCallPart("roll_die", {}, "call-1"), TextPart("It is a four, Anne."))))
    agent = model.agent(deps_type=str, instructions="You're a dice game.")
    rolled = []

    @agent.tool_plain
    async def roll_die() -> str:
        """Roll a die."""
        rolled.append(4)
        return "4"

    @agent.tool
    async def player(ctx: RunContext[str]) -> str:
        """Get the player's name."""
        return ctx.deps

    return agent, model, rolled


def names(manager, kind):
    return [each.detail["name"] for each in manager.ring.records if each.kind == kind]


def said(conversation):
    return [part["content"] for message in conversation.messages for part in message["parts"] if part.get("content")]


@virtual
async def test_a_conversation_goes_on_from_activity_to_activity(manager):
    model = Model(TextPart("Hello, Ada."), TextPart("You are Ada."))
    runtime = create_pydantic_agent(manager, model.agent())
    assert (runtime.id, runtime.state) == ("dice", Conversation())
    assert await runtime.ask("I am Ada.") == "Hello, Ada."
    assert await runtime.ask("Who am I?") == "You are Ada."
    assert said(runtime.state) == ["I am Ada.", "Hello, Ada.", "Who am I?", "You are Ada."]
    assert len(model.asked[1]) == 3
    assert (runtime.state.output, runtime.state.runs, runtime.state.usage["requests"]) == ("You are Ada.", 2, 2)
    assert is_frozen(runtime.state)


@virtual
async def test_requests_and_tools_are_steps_and_effects(manager):
    agent, _, rolled = dice_game()
    runtime = create_pydantic_agent(manager, agent, deps=lambda ctx: ctx.runtime)
    assert await runtime.ask("My guess is 4") == "It is a four, Anne."
    assert names(manager, "step") == names(manager, "effect") == ["model", "roll_die", "model"]
    assert rolled == [4]


@virtual
async def test_the_dependencies_are_made_from_the_context(manager):
    agent, model, _ = dice_game(ToolCallPart("player", {}, "call-1"), TextPart("Hello."))
    await create_pydantic_agent(manager, agent, id="Anne", deps=lambda ctx: f"{ctx.runtime}!").ask("Who am I?")
    assert model.asked[1][-1].parts[0].content == "Anne!"


def test_it_is_stopped_before_a_tool_seen_and_stepped():
    agent, _, rolled = dice_game(
        ToolCallPart("roll_die", {}, "call-1"), TextPart("It is a four, Anne."), TextPart("Roll it yourself.")
    )
    with RuntimeManager(loop="thread") as manager:
        runtime = create_pydantic_agent(manager, agent)
        runtime.breakpoints.add(step="roll_die")
        receipt = runtime.send_nowait("My guess is 4")
        stop = wait_until(lambda: runtime.breakpoints.stop)
        assert (stop.steps, rolled, runtime.status) == (("roll_die",), [], "paused")
        runtime.resume()
        assert receipt.result(PATIENCE).value == "It is a four, Anne."
        assert rolled == [4]
        runtime.breakpoints.clear()
        runtime.pause()
        waiting, after = runtime.send_nowait("Again"), runtime.send_nowait("And again")
        assert (waiting.value, runtime.depth) == (None, (0, 2))
        assert runtime.step() == 1
        assert waiting.result(PATIENCE).value == "Roll it yourself."
        assert (after.value, runtime.status) == (None, "paused")
        assert "dice game" in still_picture(runtime)


@virtual
async def test_it_is_taken_back_and_what_was_said_since_is_forgotten(manager):
    model = Model(*(TextPart(each) for each in "abc"))
    runtime = create_pydantic_agent(manager, model.agent())
    await runtime.ask("one")
    then = manager.ring.records[-1].sequence
    await runtime.ask("two")
    runtime.pause()
    runtime.edit_state(manager.at(then)["dice"].state)
    runtime.resume()
    assert await runtime.ask("three") == "c"
    assert said(runtime.state) == ["one", "a", "three", "c"]


@virtual
async def test_a_replay_asks_no_model_and_calls_no_tool(manager):
    agent, model, rolled = dice_game()
    runtime = create_pydantic_agent(manager, agent)
    await runtime.ask("My guess is 4")
    assert manager.replay().matches
    assert (len(model.asked), rolled) == (2, [4])
    other = conversation_workflow(Model(TextPart("no")).agent(instructions="Something else."))
    replay = manager.replay({"dice": other})
    assert (replay.divergence.what, replay.divergence.activity.id) == ("effect", 2)


@virtual
async def test_a_run_that_fails_leaves_the_conversation_as_it_was(manager):
    model = Model(TextPart("a"))
    runtime = create_pydantic_agent(manager, model.agent())
    await runtime.ask("one")
    before = runtime.state
    with pytest.raises(ProcessingError, match="pop from empty list"):
        await runtime.ask("two")
    assert runtime.state is before


@virtual
async def test_an_activity_that_is_tried_again_calls_the_tool_again_where_nothing_is_stored(manager):
    agent, model, rolled = dice_game(ToolCallPart("roll_die", {}, "call-1"))
    runtime = create_pydantic_agent(manager, agent, retries=1)
    await runtime.send_nowait("My guess is 4").wait()
    assert (runtime.failed, len(rolled), len(model.asked)) == (1, 1, 3)


def test_in_a_durable_runtime_a_second_try_asks_only_for_what_is_missing(tmp_path):
    agent, model, rolled = dice_game(ToolCallPart("roll_die", {}, "call-1"))
    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        runtime = create_pydantic_agent(manager, agent, retries=1)
        receipt = runtime.send_nowait("My guess is 4")
        wait_until(lambda: len(model.asked) == 2, what="the first try has failed")
        model.said.append(TextPart("Four."))
        assert receipt.result(PATIENCE).value == "Four."
        assert (rolled, len(model.asked)) == ([4], 3), "one roll, and no second request for it"
        assert runtime.state.usage["requests"] == 2


def payment():
    model = Model(ToolCallPart("pay", {"amount": 5}, "call-1"), TextPart("Done."))
    agent = model.agent(output_type=[str, DeferredToolRequests])
    paid = []

    @agent.tool_plain(requires_approval=True)
    async def pay(amount: int) -> str:
        paid.append(amount)
        return f"paid {amount}"

    return agent, model, paid


@virtual
async def test_a_tool_waits_for_its_approval(manager):
    agent, _, paid = payment()
    runtime = create_pydantic_agent(manager, agent)
    waits = await runtime.ask("Pay 5")
    assert waits is runtime.state
    assert (waits.output, waits.waiting) == (None, (ToolRequest("call-1", "pay", {"amount": 5}),))
    with pytest.raises(ProcessingError, match="'pay' waits for ToolAnswers"):
        await runtime.answer("Well?")
    assert runtime.status == "paused"
    assert paid == []
    assert (await runtime.answer(ToolAnswers({"call-1": True}))).value == "Done."
    assert (paid, runtime.state.waiting) == ([5], ())
    with pytest.raises(ProcessingError, match="no tool waits"):
        await runtime.ask(ToolAnswers({"call-1": True}))


@virtual
async def test_a_tool_that_is_refused_is_not_called_and_the_model_is_told_why(manager):
    agent, model, paid = payment()
    runtime = create_pydantic_agent(manager, agent)
    await runtime.ask("Pay 5")
    assert (await runtime.answer(ToolAnswers({"call-1": "too much"}))).value == "Done."
    assert (paid, model.asked[1][-1].parts[0].content) == ([], "too much")


@virtual
async def test_what_is_done_elsewhere_is_given_as_a_result(manager):
    model = Model(ToolCallPart("work", {"on": "x"}, "call-1"), TextPart("Done."))
    agent = model.agent(output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    async def work(on: str) -> str:
        raise CallDeferred

    runtime = create_pydantic_agent(manager, agent)
    assert (await runtime.ask("Work")).waiting == (ToolRequest("call-1", "work", {"on": "x"}, approval=False),)
    assert (await runtime.answer(ToolAnswers(results={"call-1": 42}))).value == "Done."
    assert model.asked[1][-1].parts[0].content == 42


def test_it_waits_for_its_approval_over_a_restart(tmp_path):
    for again in (False, True):
        agent, model, paid = payment()
        with RuntimeManager(journal=tmp_path / "a.db") as manager:
            runtime = create_pydantic_agent(manager, agent, id="payer")
            if not again:
                manager.run(runtime.ask("Pay 5"))
            else:
                assert (runtime.resumed, type(runtime.state.messages[0])) == (True, FrozenDict)
                model.said.pop(0)
                assert runtime.answer(ToolAnswers({"call-1": True})).result(PATIENCE).value == "Done."
                assert paid == [5]


@virtual
async def test_an_output_with_a_type_is_plain_data(manager):
    class City(BaseModel):
        name: str
        country: str

    agent = Agent(TestModel(custom_output_args={"name": "London", "country": "UK"}), output_type=City)
    runtime = create_pydantic_agent(manager, agent)
    assert runtime.id == "pydantic-ai"
    assert await runtime.ask("Where were the olympics in 2012?") == {"name": "London", "country": "UK"}
    assert create_pydantic_agent(manager, agent).id == "pydantic-ai-2"


@virtual
async def test_all_that_a_tool_may_return_or_raise_reaches_the_model(manager):
    model = Model(
        *(ToolCallPart("many", {"n": n}, f"call-{n}") for n in range(3)),
        ToolCallPart("many", {"n": 3}, "call-3"),
        TextPart("ok"),
    )
    agent = model.agent()

    @agent.tool_plain(retries=3)
    async def many(n: int):
        if n == 0:
            raise ModelRetry("again")
        return [ToolReturn("short", content="long", metadata={"a": 1}), {"a": (1, 2)}, None][n - 1]

    await create_pydantic_agent(manager, agent).ask("go")
    answered = [messages[-1].parts for messages in model.asked[1:]]
    assert "again" in str(answered[0][0].content)
    assert [parts[0].content for parts in answered[1:]] == ["short", {"a": [1, 2]}, None]
    assert (answered[1][0].metadata, answered[1][1].content) == ({"a": 1}, "long")


@virtual
async def test_tools_side_by_side_run_side_by_side(manager):
    class Two(Model):
        async def answer(self, messages, info):
            self.asked.append(messages)
            calls = [ToolCallPart("nap", {"seconds": n}, f"call-{n}") for n in (2, 1)]
            return ModelResponse(parts=calls if len(self.asked) == 1 else [TextPart("rested")])

    agent = Two().agent()

    @agent.tool_plain
    async def nap(seconds: int) -> str:
        await asyncio.sleep(seconds)
        return f"after {seconds}"

    runtime = create_pydantic_agent(manager, agent)
    outcome = await runtime.send_nowait("go")
    assert outcome.service == pytest.approx(2)
    assert manager.replay().matches


@virtual
async def test_other_options_are_those_of_each_run(manager):
    agent, _, _ = dice_game()
    runtime = create_pydantic_agent(manager, agent, options={"usage_limits": UsageLimits(request_limit=1)})
    with pytest.raises(ProcessingError, match="request_limit of 1"):
        await runtime.ask("My guess is 4")


def test_without_the_package_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['pydantic_ai'] = None\n"
        "from agentrt.integrations.pydantic_ai import conversation_workflow; conversation_workflow(None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "pip install 'agentrt[pydantic-ai]'" in done.stderr
