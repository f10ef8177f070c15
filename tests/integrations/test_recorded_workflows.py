"""A recorded test of a workflow that an integration has made: it imports the name that this module gives to it."""

import importlib.util
import sys

import pytest

from agentrt import ConfigurationError, RuntimeManager
from agentrt.integrations.conversation import Conversation
from agentrt.integrations.functions import function_workflow
from agentrt.integrations.tools import create_tool_agent, tool_workflow

CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
reports = []  # of the real tool and the real model


async def model(messages, tools):
    reports.append("model")
    if messages[-1]["role"] == "tool":
        return {"role": "assistant", "content": f"It is {messages[-1]['content']} degrees."}
    return {"role": "assistant", "content": None, "tool_calls": [CALL]}


def weather(city: str) -> int:
    """Get the weather of a city."""
    reports.append("weather")
    return 21


def primes(most: int):
    found = []
    for n in range(2, most):
        if all(n % each for each in found):
            found.append(n)
            yield tuple(found)


function = function_workflow(lambda text: len(text.split()))
generator = function_workflow(primes)
tools = tool_workflow(model, [weather])
STATES = {"function": None, "generator": (), "tools": Conversation()}
PAYLOADS = {"function": ["a b", "c"], "generator": [12], "tools": ["How warm is it?", "And now?"]}

if importlib.util.find_spec("langgraph"):
    from langgraph.graph import START, StateGraph

    from agentrt.integrations.langgraph import GraphState, graph_workflow

    graph = StateGraph(dict).add_node("double", lambda state: {"n": state["n"] * 2}).add_edge(START, "double")
    langgraph = graph_workflow(graph.compile())
    STATES["langgraph"] = GraphState()
    PAYLOADS["langgraph"] = [{"n": 21}, {"n": 4}]

if importlib.util.find_spec("pydantic_ai"):
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    from agentrt.integrations.pydantic_ai import conversation_workflow

    pydantic_ai = conversation_workflow(Agent(TestModel(custom_output_text="Paris"), name="teacher"))
    STATES["pydantic_ai"] = Conversation()
    PAYLOADS["pydantic_ai"] = ["The capital of France?", "Are you sure?"]


def run_recorded_test(file, name):
    namespace = {}
    exec(file.read_text(), namespace)
    namespace[f"test_{name}"]()


@pytest.fixture(params=sorted(STATES))
def recorded(request, tmp_path):
    """The name of a workflow, and the file of a recorded test of it."""
    name = request.param
    with RuntimeManager() as manager:
        runtime = manager.create(name, STATES[name], getattr(sys.modules[__name__], name))
        for payload in PAYLOADS[name]:
            runtime.send_nowait(payload).result(60)
        return name, manager.record_test(tmp_path / "test_it.py")


def test_it_passes_and_calls_nothing_that_is_recorded(recorded):
    name, file = recorded
    assert f"from {__name__} import {name}" in file.read_text()
    assert "Left out" not in file.read_text()
    reports.clear()
    run_recorded_test(file, name)
    assert reports == []


def test_it_fails_once_the_workflow_is_another(recorded, monkeypatch):
    name, file = recorded
    monkeypatch.setattr(sys.modules[__name__], name, lambda activity, state: "something else")
    with pytest.raises(AssertionError):
        run_recorded_test(file, name)


def test_one_without_a_name_is_refused_with_the_fix(tmp_path):
    with RuntimeManager() as manager:
        create_tool_agent(manager, model, [weather]).send_nowait("How warm is it?").result(60)
        with pytest.raises(ConfigurationError, match=r"`workflow = tool_workflow\(\.\.\.\)`.*manager\.create"):
            manager.record_test(tmp_path / "test_it.py")
