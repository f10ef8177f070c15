"""What was said between a user, a model and its tools: the state of agents that talk to a language model."""

from __future__ import annotations

from typing import Any

import msgspec

from .plain_data import FrozenDict, freeze

__all__ = ["Conversation", "ToolAnswers", "ToolRequest", "check_turn"]


class ToolRequest(msgspec.Struct, frozen=True):
    """A call of a tool that waits for somebody.

    Args:
        id: The id of the call, for `ToolAnswers`.
        tool: The name of the tool.
        arguments: What it is called with.
        approval: Whether it waits for an approval; else for its result.
    """

    id: str
    tool: str
    arguments: Any = None
    approval: bool = True

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "arguments", freeze(self.arguments))


class ToolAnswers(msgspec.Struct, frozen=True):
    """A payload that answers the calls of tools that wait, all at once.

    Args:
        approvals: Whether the tool may be called, by the id of the call. A text refuses it, and says why.
        results: What the tool has returned, by the id of the call.
    """

    approvals: dict[str, bool | str] = {}
    results: dict[str, Any] = {}


class Conversation(msgspec.Struct, frozen=True):
    """What was said so far.

    Args:
        messages: All messages as plain data, in the form of the package that the agent is of, without the times and
            ids that differ in each run.
        output: What the last run returned, as plain data; None while it waits.
        waiting: The calls of tools that wait for `ToolAnswers`.
        runs: How many activities have run the agent.
        usage: How many requests to the model that took, and how many tokens where the model says so.
    """

    messages: tuple[FrozenDict, ...] = ()
    output: Any = None
    waiting: tuple[ToolRequest, ...] = ()
    runs: int = 0
    usage: FrozenDict = FrozenDict()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "output", freeze(self.output))


def check_turn(payload: Any, state: Conversation) -> None:
    """Check whose turn it is.

    Raises:
        ValueError: There are answers, and no tool waits for them; or one waits, and something else is said.

    >>> check_turn("hello", Conversation())
    >>> check_turn("hello", Conversation(waiting=(ToolRequest("1", "pay"),)))
    Traceback (most recent call last):
    ...
    ValueError: the tool 'pay' waits for ToolAnswers, and nothing is said before it
    """
    answers = isinstance(payload, ToolAnswers)
    if state.waiting and not answers:
        raise ValueError(f"the tool {state.waiting[0].tool!r} waits for ToolAnswers, and nothing is said before it")
    if answers and not state.waiting:
        raise ValueError("there are ToolAnswers, and no tool waits for them")
