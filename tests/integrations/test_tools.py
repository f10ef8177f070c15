"""tools.py: a model that calls functions, as in OpenAI's pages: seen, stopped, approved, taken back and stored."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from agentrt import ConfigurationError, ProcessingError, RuntimeManager
from agentrt.integrations.tools import (
    Conversation,
    Tool,
    ToolAnswers,
    ToolRequest,
    chat_model,
    create_tool_agent,
    tool_workflow,
)
from tests.harness.wait import PATIENCE, wait_until
from tests.support import add, still_picture, virtual


def call(tool, arguments, id="call-1"):
    return {"id": id, "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}


def says(text="", *calls):
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


class Model:
    """A model that says what it is told to, in order, and knows what it was asked."""

    def __init__(self, *said):
        self.said = list(said)
        self.asked = []
        self.tools = None

    async def __call__(self, messages, tools):
        self.asked.append(messages)
        self.tools = tools
        return self.said.pop(0)


def weather(city: str, unit: str = "celsius") -> dict:
    """Get the weather of a city."""
    return {"city": city, "degrees": 21, "unit": unit}


async def pay(amount: int) -> str:
    return f"paid {amount}"


def names(manager, kind):
    return [each.detail["name"] for each in manager.ring.records if each.kind == kind]


def contents(state):
    return [(each["role"], each["content"]) for each in state.messages]


@virtual
async def test_a_model_calls_a_tool_and_answers(manager):
    model = Model(says("", call("weather", {"city": "Paris"})), says("21 degrees in Paris."))
    runtime = create_tool_agent(manager, model, [weather], instructions="Be brief.")
    assert runtime.state == Conversation()
    assert await runtime.ask("How warm is it in Paris?") == "21 degrees in Paris."
    assert model.tools == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Get the weather of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "default": "celsius"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            },
        }
    ]
    assert [each["role"] for each in model.asked[1]] == ["system", "user", "assistant", "tool"]
    assert (model.asked[1][0]["content"], model.asked[1][3]["tool_call_id"]) == ("Be brief.", "call-1")
    assert json.loads(model.asked[1][3]["content"]) == {"city": "Paris", "degrees": 21, "unit": "celsius"}
    assert names(manager, "step") == names(manager, "effect") == ["model", "weather", "model"]
    assert (runtime.state.output, runtime.state.runs, runtime.state.usage) == (
        "21 degrees in Paris.",
        1,
        {"requests": 2},
    )
    assert "system" not in [role for role, _ in contents(runtime.state)]


@virtual
async def test_a_conversation_goes_on_and_is_taken_back(manager):
    model = Model(*(says(each) for each in "abc"))
    runtime = create_tool_agent(manager, model)
    await runtime.ask("one")
    then = manager.ring.records[-1].sequence
    await runtime.ask("two")
    runtime.pause()
    runtime.edit_state(manager.at(then)["assistant"].state)
    runtime.resume()
    assert await runtime.ask("three") == "c"
    assert contents(runtime.state) == [("user", "one"), ("assistant", "a"), ("user", "three"), ("assistant", "c")]
    assert manager.replay().matches
    assert len(model.asked) == 3


def test_it_is_stopped_before_a_tool_and_stepped():
    model = Model(says("", call("weather", {"city": "Paris"})), says("warm"), says("still warm"))
    with RuntimeManager(loop="thread") as manager:
        runtime = create_tool_agent(manager, model, [weather])
        runtime.breakpoints.add(step="weather")
        receipt = runtime.send_nowait("How warm?")
        stop = wait_until(lambda: runtime.breakpoints.stop)
        assert (stop.steps, runtime.status, runtime.state.messages) == (("weather",), "paused", ())
        runtime.resume()
        assert receipt.result(PATIENCE).value == "warm"
        runtime.breakpoints.clear()
        runtime.pause()
        waiting, after = runtime.send_nowait("And now?"), runtime.send_nowait("And then?")
        assert (waiting.value, runtime.depth) == (None, (0, 2))
        assert runtime.step() == 1
        assert waiting.result(PATIENCE).value == "still warm"
        assert (after.value, runtime.status) == (None, "paused")
        assert "still warm" in still_picture(runtime)


@virtual
async def test_tools_that_need_an_approval_wait_and_the_others_do_not(manager):
    model = Model(says("", call("weather", {"city": "Paris"}, "a"), call("pay", {"amount": 5}, "b")), says("done"))
    runtime = create_tool_agent(manager, model, [weather, pay], approve=["pay"])
    waits = await runtime.ask("Pay")
    assert (waits.waiting, waits.output) == ((ToolRequest("b", "pay", {"amount": 5}),), None)
    assert names(manager, "effect") == ["model", "weather"]
    assert runtime.status == "paused"
    with pytest.raises(ProcessingError, match="'pay' waits"):
        await runtime.answer("Well?")
    assert runtime.status == "paused"
    assert (await runtime.answer({"approvals": {"b": True}})).value == "done"
    assert contents(runtime.state)[-2:] == [("tool", "paid 5"), ("assistant", "done")]
    with pytest.raises(ProcessingError, match="no tool waits"):
        await runtime.ask(ToolAnswers())


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (ToolAnswers({"b": "too much"}), "too much"),
        (ToolAnswers({"b": False}), "The user has refused this call."),
        (ToolAnswers(), "The user has refused this call."),
        (ToolAnswers(results={"b": {"paid": 5}}), '{"paid":5}'),
    ],
)
def test_what_is_told_to_the_model_of_a_call_that_waited(answers, told):
    model = Model(says("", call("pay", {"amount": 5}, "b")), says("I see"))
    with RuntimeManager(loop="thread") as manager:
        runtime = create_tool_agent(manager, model, [pay], approve=["pay"])
        manager.run(runtime.ask("Pay"))
        assert runtime.answer(answers).result(PATIENCE).value == "I see"
        assert "pay" not in names(manager, "effect")
    assert model.asked[1][-1] == {"role": "tool", "tool_call_id": "b", "content": told}


@virtual
async def test_what_goes_wrong_with_a_tool_is_told_to_the_model_and_logged(manager):
    def broken() -> str:
        raise OSError("no network")

    calls = (call("broken", {}), call("nosuch", {}), call("weather", {"town": "x"}), call("weather", {"city": 5}))
    model = Model(*(says("", each) for each in calls), says("sorry"))
    runtime = create_tool_agent(manager, model, [weather, broken])
    assert await runtime.ask("go") == "sorry"
    told = [content for role, content in contents(runtime.state) if role == "tool"]
    assert told[0] == "error: no network"
    assert told[1] == "error: there is no tool 'nosuch'; there are: weather, broken"
    assert "unknown field `town`" in told[2]
    assert "Expected `str`, got `int`" in told[3]
    logs = [each.detail["message"] for each in manager.ring.records if each.kind == "log"]
    assert logs[0] == "the tool broken failed: OSError('no network')"
    assert len(logs) == 3


@virtual
async def test_a_tool_may_ask_another_agent(manager):
    async def total(n: int, ctx) -> int:
        return await ctx.ask("sum", n)

    manager.create("sum", 1, add)
    model = Model(says("", call("total", {"n": 2})), says("three"))
    assert await create_tool_agent(manager, model, [total]).ask("1 + 2?") == "three"
    assert (model.asked[1][-1]["content"], manager["sum"].state) == ("3", 3)
    assert "ctx" not in model.tools[0]["function"]["parameters"]["properties"]


@virtual
async def test_a_model_without_an_end_is_stopped(manager):
    model = Model(*(says("", call("weather", {"city": "x"})) for _ in range(9)))
    runtime = create_tool_agent(manager, model, [weather], rounds=3)
    with pytest.raises(ProcessingError, match="no answer after 3 rounds"):
        await runtime.ask("go")
    assert (len(model.asked), runtime.state) == (3, Conversation())


def test_in_a_durable_runtime_a_second_try_asks_only_for_what_is_missing(tmp_path):
    rolled = []

    def roll() -> int:
        rolled.append(1)
        return 4

    model = Model(says("", call("roll", {})))
    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        runtime = create_tool_agent(manager, model, [roll], retries=1)
        receipt = runtime.send_nowait("go")
        wait_until(lambda: len(model.asked) == 2, what="the first try has failed")
        model.said.append(says("four"))
        assert receipt.result(PATIENCE).value == "four"
        assert (len(rolled), len(model.asked), runtime.state.usage) == (1, 3, {"requests": 2})
    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        runtime = create_tool_agent(manager, model, [roll])
        assert (runtime.resumed, runtime.state.output) == (True, "four")


@pytest.mark.parametrize("form", ["choices", "message"])
def test_the_answer_of_a_client_is_read(form):
    message = SimpleNamespace(model_dump=lambda **options: says("hello"))
    answer = SimpleNamespace(choices=[SimpleNamespace(message=message)]) if form == "choices" else message
    with RuntimeManager(loop="thread") as manager:
        assert manager.run(create_tool_agent(manager, lambda messages, tools: answer).ask("hi")) == "hello"


@virtual
async def test_what_is_no_message_of_an_assistant_is_refused(manager):
    runtime = create_tool_agent(manager, lambda messages, tools: {"role": "user", "content": "x"})
    with pytest.raises(ProcessingError, match="role 'assistant'"):
        await runtime.ask("hi")


def test_arguments_may_have_types_of_ones_own():
    @dataclass
    class Place:
        x: float
        y: float

    def go(to: Place, then: list[Place]) -> str:
        return f"{to.x} {len(then)}"

    go.__annotations__ = {"to": Place, "then": list[Place]}
    tool = Tool(go)
    assert set(tool.spec["function"]["parameters"]["$defs"]) == {"Place"}
    with RuntimeManager(loop="thread") as manager:
        place = {"x": 1.5, "y": 0}
        model = Model(says("", call("go", {"to": place, "then": [place]})), says("there"))
        manager.run(create_tool_agent(manager, model, [tool]).ask("go"))
    assert model.asked[1][-1]["content"] == "1.5 1"


def test_what_can_not_work_is_refused_when_it_is_made():
    def odd(value: object()) -> None: ...

    with pytest.raises(ConfigurationError, match="can't call 'odd'"):
        Tool(odd)
    for function in (lambda: 1, Model()):
        with pytest.raises(ConfigurationError, match="a function with a name of its own"):
            Tool(function)
    for function in (lambda *a: 1, lambda **b: 1, lambda c, /: 1):
        function.__name__ = "odd"
        with pytest.raises(ConfigurationError, match=r"'odd': `\*{0,2}[abc]` can't be given by its name"):
            Tool(function)
    with pytest.raises(ConfigurationError, match="approve names 'buy'"):
        tool_workflow(Model(), [pay], approve=["buy"])
    with pytest.raises(ConfigurationError, match="rounds"):
        tool_workflow(Model(), rounds=0)


class Client:
    """Has the form of a client of OpenAI's package, async or not, and keeps what it was asked with."""

    def __init__(self, answer, *, is_async):
        self.chat = self.completions = self
        self.answer = answer
        self.is_async = is_async
        self.asked = []

    def create(self, **options):
        self.asked.append(options)
        return self._later() if self.is_async else self.answer

    async def _later(self):
        return self.answer


@pytest.mark.parametrize("is_async", [True, False])
@virtual
async def test_a_model_is_made_of_a_client(manager, is_async):
    client = Client(says("warm"), is_async=is_async)
    runtime = create_tool_agent(manager, chat_model(client, "small", temperature=0), [weather])
    assert await runtime.ask("How warm?") == "warm"
    assert client.asked == [
        {
            "model": "small",
            "messages": [{"role": "user", "content": "How warm?"}],
            "tools": [Tool(weather).spec],
            "temperature": 0,
        }
    ]


@virtual
async def test_a_model_of_a_client_has_tools_of_its_own_in_a_loop_of_ones_own(manager):
    client = Client(says("warm"), is_async=True)
    assert await chat_model(client, "small", [weather])(({"role": "user", "content": "How warm?"},)) == says("warm")
    assert client.asked[0]["tools"] == [Tool(weather).spec]
    await chat_model(client, "small")([])
    assert "tools" not in client.asked[1], "OpenAI refuses an empty list"
    with pytest.raises(ConfigurationError, match="can't call"):
        chat_model(client, "small", [lambda city: 21])
