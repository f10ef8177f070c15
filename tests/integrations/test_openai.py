"""tools.py with the package of OpenAI: what it is given, and its answers. Nothing is sent."""

import json

import httpx
import openai
import pydantic
import pytest

from agentrt.integrations.tools import Tool, chat_model, create_tool_agent
from tests.support import virtual


def weather(city: str, days: list[int] | None = None) -> int:
    """Get the weather of a city."""
    return 21


def completion(**message):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "annotations": [], **message}}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice]}
    return openai.types.chat.ChatCompletion.model_validate(answer).model_dump(mode="json")


CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@virtual
async def test_a_client_of_openai_is_a_model(manager):
    """Its own client, its own answers; only the network is another."""
    said = [completion(content=None, tool_calls=[CALL]), completion(content="21 degrees.")]
    bodies = []

    def answer(request):
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json=said.pop(0))

    web = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    client = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=web)
    runtime = create_tool_agent(manager, chat_model(client, "small"), [weather], instructions="Be brief.")
    assert await runtime.ask("How warm is it in Paris?") == "21 degrees."
    assert [each["role"] for each in bodies[1]["messages"]] == ["system", "user", "assistant", "tool"]
    assert bodies[1]["messages"][2]["tool_calls"] == [CALL]
    assert bodies[0]["tools"] == bodies[1]["tools"] == [Tool(weather).spec]
    await client.close()
    check_request(bodies[1])


def check_request(body):
    """Against the types of `chat.completions.create`; an iterable is read only when it is gone through."""
    parameters = openai.types.chat.completion_create_params.CompletionCreateParamsNonStreaming
    found = pydantic.TypeAdapter(parameters).validate_python(body)
    assert [each["role"] for each in found["messages"]] == [each["role"] for each in body["messages"]]
    assert [each["function"]["name"] for each in found["tools"]] == ["weather"]


def test_what_is_no_request_of_openai_is_found():
    tool = {"type": "function", "function": {"parameters": {}}}
    with pytest.raises(ValueError, match="name"):
        check_request({"model": "small", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]})
    with pytest.raises(ValueError, match="role"):
        check_request({"model": "small", "messages": [{"role": "nobody"}], "tools": [Tool(weather).spec]})
