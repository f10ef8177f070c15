"""What was said between a user, a model and its tools: the state of agents that talk to a language model."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ..context import Context
from .plain_data import FrozenDict, freeze

__all__ = ["Conversation", "ToolAnswers", "ToolRequest", "pause_for_answers", "read_turn"]


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


class ToolAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload that answers the calls of tools that wait, all at once.

    Where a payload is typed as JSON, as on a page, `{"approvals": {"call-1": true}}` is the same.

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


def read_turn(payload: Any, state: Conversation) -> Any:
    """What is said with a payload: `ToolAnswers`, or else what the user says.

    Raises:
        ValueError: There are answers, and no tool waits for them; or one waits, and something else is said.

    >>> waits = Conversation(waiting=(ToolRequest("1", "pay"),))
    >>> read_turn({"approvals": {"1": True}}, waits)
    ToolAnswers(approvals={'1': True}, results={})
    >>> read_turn("hello", waits)
    Traceback (most recent call last):
    ...
    ValueError: the tool 'pay' waits for ToolAnswers, and nothing is said before it
    """
    if state.waiting and isinstance(payload, dict) and payload:  # as it is typed on a page
        with suppress(msgspec.ValidationError):
            payload = msgspec.convert(payload, ToolAnswers)
    answers = isinstance(payload, ToolAnswers)
    if state.waiting and not answers:
        raise ValueError(f"the tool {state.waiting[0].tool!r} waits for ToolAnswers, and nothing is said before it")
    if answers and not state.waiting:
        raise ValueError("there are ToolAnswers, and no tool waits for them")
    return payload


def pause_for_answers(waiting: Iterable[ToolRequest], ctx: Context) -> None:
    """Pause the runtime until somebody answers the calls that wait."""
    ctx.pause(f"waits for ToolAnswers to the calls of {', '.join(each.tool for each in waiting)}")
