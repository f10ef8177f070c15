"""An Agent of Pydantic AI as an agent here: its conversation is the state of a runtime.

Each request to the model and each call of a tool is a step, and an effect: in a durable runtime an activity that was
interrupted asks the model only for what it has not asked yet, and a replay asks nothing. Tools that need an approval
end the activity and pause the runtime; the state then has what is asked for, and `runtime.answer` goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

from ..activity import Activity
from ..context import Context
from ..limits import LimitOptions
from ..manager import RuntimeManager
from ..optional import explain_missing
from ..runtime import Runtime
from .conversation import Conversation, ToolAnswers, ToolRequest, pause_for_answers, read_turn
from .plain_data import FrozenDict, freeze, freeze_values, thaw

if TYPE_CHECKING:
    from pydantic_ai import Agent

__all__ = ["Conversation", "ToolAnswers", "ToolRequest", "conversation_workflow", "create_pydantic_agent"]

WHAT, EXTRA = "an Agent of Pydantic AI needs", "pydantic-ai"
# Of a message: they differ in each run. When it was said is known from the activity.
VOLATILE = frozenset({"conversation_id", "model_id", "run_id", "timestamp"})


Workflow = Callable[[Activity[Any], Conversation, Context], Awaitable[Conversation]]


def create_pydantic_agent(
    manager: RuntimeManager,
    agent: Agent[Any, Any],
    *,
    id: str | None = None,
    deps: Callable[[Context], Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **limits: Unpack[LimitOptions],
) -> Runtime[Conversation, Any]:
    """Create a runtime that runs an Agent of Pydantic AI, and keeps its conversation.

    A payload is what the user says, or `ToolAnswers`. `ask` returns the output of the agent as plain data, or the
    `Conversation` while that waits for `ToolAnswers`: the runtime is paused then, and `runtime.answer` goes on.

    Args:
        manager: Where to create it.
        agent: The agent.
        id: The id of the runtime; the name of the agent without it, with a number if that is taken.
        deps: Makes the dependencies of a run from the context of its activity.
        options: Further arguments of `agent.run`, such as `{"usage_limits": UsageLimits(...)}`.
        **limits: Those of `manager.create`.

    Raises:
        MissingPackageError: Pydantic AI is not installed.
        RuntimeExistsError: The id is taken.

    >>> import agentrt
    >>> from pydantic_ai import Agent
    >>> from pydantic_ai.models.test import TestModel
    >>> agent = Agent(TestModel(custom_output_text="Paris"), name="teacher")
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = create_pydantic_agent(manager, agent)
    ...     manager.run(runtime.ask("The capital of France?")), len(runtime.state.messages)
    ('Paris', 2)
    """
    workflow = conversation_workflow(agent, deps, options)
    first = agent.name or "pydantic-ai"
    names = (first if number == 1 else f"{first}-{number}" for number in count(1))
    name = id if id is not None else next(each for each in names if each not in manager)
    return manager.create(name, Conversation(), workflow, **limits)


def conversation_workflow(
    agent: Agent[Any, Any],
    deps: Callable[[Context], Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Workflow:
    """Make a workflow of an Agent of Pydantic AI, for `manager.create(id, Conversation(), workflow)` or `runtime.swap`.

    Args:
        agent: The agent.
        deps: As in `create_pydantic_agent`.
        options: As in `create_pydantic_agent`.

    Raises:
        MissingPackageError: Pydantic AI is not installed.
    """
    recorder = _recorder_class()
    given = dict(options or {})
    capabilities = given.pop("capabilities", ())

    async def converse(activity: Activity[Any], state: Conversation, ctx: Context) -> Conversation:
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        history = ModelMessagesTypeAdapter.validate_python(thaw(state.messages))
        result = await agent.run(
            message_history=history,
            deps=None if deps is None else deps(ctx),
            capabilities=[recorder(ctx), *capabilities],
            infer_name=False,  # of a variable here
            **_run_arguments(activity.payload, state),
            **given,
        )
        messages = ModelMessagesTypeAdapter.dump_python(result.all_messages(), mode="json")
        waiting = _waiting_of(result.output)
        output = None if waiting else freeze_values(result.output)
        if waiting:
            pause_for_answers(waiting, ctx)
        else:
            ctx.reply(output)
        return Conversation(tuple(map(_keep_stable, messages)), output, waiting, state.runs + 1, _usage_of(messages))

    converse.__name__ = converse.__qualname__ = agent.name or "converse"
    return converse


# ---- what goes into a run, and what comes out of it


def _run_arguments(payload: Any, state: Conversation) -> dict[str, Any]:
    """The arguments of a run that are in the payload."""
    said = read_turn(payload, state)
    if not isinstance(said, ToolAnswers):
        return {"user_prompt": said}
    from pydantic_ai import DeferredToolResults, ToolDenied

    approvals: Any = {id: ToolDenied(each) if isinstance(each, str) else each for id, each in said.approvals.items()}
    return {"deferred_tool_results": DeferredToolResults(calls=dict(said.results), approvals=approvals)}


def _waiting_of(output: Any) -> tuple[ToolRequest, ...]:
    """The calls of tools that a run has ended with."""
    from pydantic_ai import DeferredToolRequests

    if not isinstance(output, DeferredToolRequests):
        return ()
    calls = [(call, True) for call in output.approvals] + [(call, False) for call in output.calls]
    return tuple(ToolRequest(call.tool_call_id, call.tool_name, call.args_as_dict(), ask) for call, ask in calls)


def _keep_stable(message: Mapping[str, Any]) -> FrozenDict:
    """A message without what differs in each run."""
    stable = {name: value for name, value in message.items() if name not in VOLATILE}
    parts = [{name: value for name, value in part.items() if name != "timestamp"} for part in message["parts"]]
    found: FrozenDict = freeze({**stable, "parts": parts})
    return found


def _usage_of(messages: list[Any]) -> FrozenDict:
    """What the model has used. A run does not count what is served from the record."""
    responses = [each["usage"] for each in messages if each["kind"] == "response"]
    tokens = {name: sum(each[name] for each in responses) for name in ("input_tokens", "output_tokens")}
    return FrozenDict(requests=len(responses), **tokens)


# ---- steps


def _recorder_class() -> Any:
    """The class of the capability that makes steps and effects. It is made when there is what it is derived from."""
    with explain_missing(WHAT, EXTRA):
        from pydantic import TypeAdapter
        from pydantic_ai import ToolReturn
        from pydantic_ai.capabilities import AbstractCapability
        from pydantic_ai.messages import ModelResponse
    responses, returns = TypeAdapter(ModelResponse), TypeAdapter(ToolReturn)

    class Recorder(AbstractCapability[Any]):
        """Makes a step and an effect of each request to the model and of each call of a tool."""

        def __init__(self, ctx: Context) -> None:
            self.ctx = ctx

        async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> Any:
            async def request() -> Any:
                return freeze(responses.dump_python(await handler(request_context), mode="json"))

            with self.ctx.step("model"):
                return responses.validate_python(thaw(await self.ctx.effect("model", request)))

        async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
            async def execute() -> Any:
                result = await handler(args)
                if isinstance(result, ToolReturn):
                    return freeze({"whole": returns.dump_python(result, mode="json")})
                return FrozenDict(value=freeze_values(result))

            with self.ctx.step(call.tool_name):
                found = thaw(await self.ctx.effect(call.tool_name, execute))
            return returns.validate_python(found["whole"]) if "whole" in found else found["value"]

    return Recorder
