"""A language model that calls tools, in the form of OpenAI's chat: a loop with nothing but a callable for the model.

The callable is given the messages and the tools, and returns the message of the assistant. Which client it uses, and
which server, is its own affair. Tools are functions: what they take is read from their annotations.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Unpack, get_type_hints

import msgspec

from ..activity import Activity
from ..context import Context
from ..errors import ConfigurationError
from ..limits import LimitOptions
from ..manager import RuntimeManager
from ..runtime import Runtime
from ..schema.numbers import count
from ..schema.preview import preview
from .conversation import Conversation, ToolAnswers, ToolRequest, pause_for_answers, read_turn
from .plain_data import FrozenDict, freeze, thaw

__all__ = [
    "Conversation", "Model", "Tool", "ToolAnswers", "ToolRequest", "chat_model", "create_tool_agent", "tool_workflow",
]  # fmt: skip

Model = Callable[[list[dict[str, Any]], list[dict[str, Any]]], Any]
"""From messages and tools to the message of the assistant: a dict, or an object with `model_dump`. It may be async."""

Workflow = Callable[[Activity[Any], Conversation, Context], Awaitable[Conversation]]
MOST_ROUNDS = 20
REFUSED = "The user has refused this call."
CALLABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what a model may call, as OpenAI has it


class Tool:
    """A function that a model may call. A parameter `ctx` is given the context, and not shown to the model.

    Args:
        function: The function, async or not. What it returns is sent to the model as text: JSON unless it is one.

    Raises:
        ConfigurationError: It has no name that a model can use, a parameter can't be given by its name, or there is no
            JSON for what it takes.

    >>> def add(a: int, b: int = 1) -> int:
    ...     '''Add two numbers.'''
    ...     return a + b
    >>> Tool(add).spec["function"]["parameters"]["required"]
    ['a']
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = _callable_name(function)
        parameters = _check_parameters(function)
        self.takes_context = "ctx" in parameters
        hints = get_type_hints(function)
        fields: list[Any] = [
            (name, hints.get(name, Any), *(() if each.default is each.empty else (each.default,)))
            for name, each in parameters.items()
            if name != "ctx"
        ]
        self._arguments = msgspec.defstruct(self.name, fields, kw_only=True, forbid_unknown_fields=True)
        self.spec = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": inspect.getdoc(function) or "",
                "parameters": self._schema(),
            },
        }

    def _schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        try:
            _, parts = msgspec.json.schema_components([self._arguments], ref_template="#/$defs/{name}")
        except TypeError as error:
            raise ConfigurationError(f"a model can't call {self.name!r}: {error}") from error
        found: dict[str, Any] = parts.pop(self.name)
        found.pop("title", None)
        return {**found, "$defs": parts} if parts else found

    async def call(self, arguments: str, ctx: Context) -> Any:
        """Call it with arguments as JSON; what it returns, as text.

        Raises:
            ValueError: The arguments are not what it takes.
        """
        try:
            given = msgspec.json.decode(arguments or "{}", type=self._arguments)
        except msgspec.DecodeError as error:
            raise ValueError(f"the arguments are wrong: {error}") from error
        options = {name: getattr(given, name) for name in self._arguments.__struct_fields__}
        result = self.function(**options, **({"ctx": ctx} if self.takes_context else {}))
        if inspect.isawaitable(result):
            result = await result
        return _as_text(result)


def _callable_name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__name__", "")
    if not CALLABLE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"a model can't call {preview(function, 80)}: give it a function with a name of its own"
        )
    return name


def _check_parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    for each in parameters.values():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise ConfigurationError(f"a model can't call {function.__name__!r}: `{each}` can't be given by its name")
    return parameters


def chat_model(
    client: Any, name: str, tools: Iterable[Callable[..., Any] | Tool] = (), **options: Any
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Make a model of a client of OpenAI's form, for `create_tool_agent` or for a loop of your own.

    Args:
        client: `openai.AsyncOpenAI()`, or another that has `client.chat.completions.create`. While one that is not
            async waits for its answer, all agents of the manager wait.
        name: The model to ask, such as "gpt-4.1-mini".
        tools: What it may call in a loop of your own. `create_tool_agent` gives the model its tools.
        **options: More for `create`, such as `temperature=0`.

    Returns:
        What is given messages, and returns the message of the assistant as a dict. It is async.

    Raises:
        ConfigurationError: A tool can't be called by a model.

    >>> class Echo:
    ...     chat = completions = property(lambda self: self)
    ...
    ...     def create(self, *, model, messages):
    ...         return {"role": "assistant", "content": messages[-1]["content"].upper()}
    >>> import asyncio
    >>> asyncio.run(chat_model(Echo(), "echo")([{"role": "user", "content": "hello"}]))["content"]
    'HELLO'
    """
    own = [tool.spec for tool in _make_tools(tools)]

    async def ask_client(messages: Iterable[Any], specs: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
        known = [*own, *specs]
        some = {"tools": known} if known else {}  # an empty list is refused
        answer = client.chat.completions.create(model=name, messages=[*map(thaw, messages)], **some, **options)
        message: dict[str, Any] = thaw(_read_message(await answer if inspect.isawaitable(answer) else answer))
        return message

    return ask_client


def _make_tools(tools: Iterable[Callable[..., Any] | Tool]) -> list[Tool]:
    return [each if isinstance(each, Tool) else Tool(each) for each in tools]


def create_tool_agent(
    manager: RuntimeManager,
    model: Model,
    tools: Iterable[Callable[..., Any] | Tool] = (),
    *,
    id: str = "assistant",
    instructions: str = "",
    approve: Collection[str] = (),
    rounds: int = MOST_ROUNDS,
    **limits: Unpack[LimitOptions],
) -> Runtime[Conversation, Any]:
    """Create a runtime that has a model answer, and calls the tools that it asks for.

    A payload is what the user says, or `ToolAnswers`. `ask` returns what the model says in the end, or the
    `Conversation` while that waits for `ToolAnswers`: the runtime is paused then, and `runtime.answer` goes on. Each
    request to the model and each call of a tool is a step, and a recorded effect. What a tool raises is told to the
    model, and logged.

    Args:
        manager: Where to create it.
        model: Answers messages.
        tools: What it may call.
        id: The id of the runtime.
        instructions: The system message of each request.
        approve: The names of tools that wait for an approval.
        rounds: How often the model is asked for one activity; then that fails.
        **limits: Those of `manager.create`.

    Raises:
        ConfigurationError: A tool can't be called by a model, or `approve` names none.
        RuntimeExistsError: The id is taken.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     echo = lambda messages, tools: {"role": "assistant", "content": messages[-1]["content"].upper()}
    ...     manager.run(create_tool_agent(manager, echo).ask("hello"))
    'HELLO'
    """
    workflow = tool_workflow(model, tools, instructions=instructions, approve=approve, rounds=rounds)
    return manager.create(id, Conversation(), workflow, **limits)


def tool_workflow(
    model: Model,
    tools: Iterable[Callable[..., Any] | Tool] = (),
    *,
    instructions: str = "",
    approve: Collection[str] = (),
    rounds: int = MOST_ROUNDS,
) -> Workflow:
    """Make a workflow of a model and its tools, for `manager.create(id, Conversation(), workflow)` or `runtime.swap`.

    Args:
        model: As in `create_tool_agent`.
        tools: As in `create_tool_agent`.
        instructions: As in `create_tool_agent`.
        approve: As in `create_tool_agent`.
        rounds: As in `create_tool_agent`.

    Raises:
        ConfigurationError: As in `create_tool_agent`.
    """
    known = {tool.name: tool for tool in _make_tools(tools)}
    if unknown := sorted(set(approve) - set(known)):
        raise ConfigurationError(f"approve names {unknown[0]!r}, and there is no such tool")
    most = count("rounds", rounds, least=1)

    async def answer_user(activity: Activity[Any], state: Conversation, ctx: Context) -> Conversation:
        return await _Turn(model, known, instructions, frozenset(approve), state, ctx).take(activity.payload, most)

    return answer_user


class _Turn:
    """The work on one activity."""

    def __init__(
        self,
        model: Model,
        tools: dict[str, Tool],
        instructions: str,
        approve: frozenset[str],
        state: Conversation,
        ctx: Context,
    ) -> None:
        self.model = model
        self.tools = tools
        self.system = [{"role": "system", "content": instructions}] if instructions else []
        self.approve = approve
        self.before = state
        self.ctx = ctx
        self.messages = list(state.messages)
        self.waiting: list[ToolRequest] = []

    def say(self, message: dict[str, Any]) -> None:
        """Add a message."""
        self.messages.append(freeze(message))

    def state_after(self, output: Any = None) -> Conversation:
        """The state at the end of the activity."""
        requests = sum(each["role"] == "assistant" for each in self.messages)
        waiting, runs = tuple(self.waiting), self.before.runs + 1
        return Conversation(tuple(self.messages), output, waiting, runs, FrozenDict(requests=requests))

    async def take(self, payload: Any, most: int) -> Conversation:
        """Ask the model until it has an answer or a call waits, so many times at most."""
        said = read_turn(payload, self.before)
        if isinstance(said, ToolAnswers):
            await self.go_on(said)
        else:
            self.say({"role": "user", "content": said})
        for _ in range(most):
            message = await self.ask_model()
            calls = message.get("tool_calls") or ()
            if not calls:
                self.ctx.reply(message.get("content"))
                return self.state_after(output=message.get("content"))
            await self.call_tools(calls)
            if self.waiting:
                pause_for_answers(self.waiting, self.ctx)
                return self.state_after()
        raise RuntimeError(f"the model has no answer after {most} rounds")

    async def ask_model(self) -> FrozenDict:
        """Ask the model, and add what it says."""

        async def request() -> Any:
            specs = [tool.spec for tool in self.tools.values()]
            answer = self.model([*self.system, *map(thaw, self.messages)], specs)
            return _read_message(await answer if inspect.isawaitable(answer) else answer)

        with self.ctx.step("model"):
            message: FrozenDict = await self.ctx.effect("model", request)
        self.messages.append(message)
        return message

    async def call_tools(self, calls: Iterable[Any]) -> None:
        """Call the tools that need no approval, in order; the others wait."""
        for call in calls:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            if name in self.approve:
                self.waiting.append(ToolRequest(call["id"], name, _read_arguments(arguments)))
            else:
                await self._call(call["id"], name, arguments)

    async def go_on(self, answers: ToolAnswers) -> None:
        """Do what was answered to the calls that wait; one without an answer is refused."""
        for request in self.before.waiting:
            allowed = answers.approvals.get(request.id, False)
            if request.id in answers.results:
                self._tell(request.id, _as_text(answers.results[request.id]))
            elif allowed is True:
                await self._call(request.id, request.tool, msgspec.json.encode(request.arguments).decode())
            else:
                self._tell(request.id, allowed if isinstance(allowed, str) else REFUSED)

    async def _call(self, id: str, name: str, arguments: str) -> None:
        tool = self.tools.get(name)
        if tool is None:
            self._tell(id, f"error: there is no tool {name!r}; there are: {', '.join(self.tools)}")
            return
        try:
            with self.ctx.step(name):
                text: str = await self.ctx.effect(name, lambda: tool.call(arguments, self.ctx))
        except Exception as error:  # a tool is user code, and a model can do better the next time
            self.ctx.log(f"the tool {name} failed: {error!r}")
            text = f"error: {error}"
        self._tell(id, text)

    def _tell(self, id: str, text: str) -> None:
        self.say({"role": "tool", "tool_call_id": id, "content": text})


def _read_message(answer: Any) -> FrozenDict:
    """The message of the assistant, of whichever form it was returned in."""
    if hasattr(answer, "choices"):  # the whole answer of a client
        answer = answer.choices[0].message
    if hasattr(answer, "model_dump"):
        answer = answer.model_dump(mode="json", exclude_none=True)
    if not isinstance(answer, dict) or answer.get("role") != "assistant":
        raise TypeError(f"the model returns a message with the role 'assistant', not {type(answer).__name__}")
    message: FrozenDict = freeze(answer)
    return message


def _read_arguments(arguments: str) -> Any:
    """The arguments as data to look at; what is no JSON is shown as it is."""
    try:
        return msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return arguments


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else msgspec.json.encode(result).decode()
