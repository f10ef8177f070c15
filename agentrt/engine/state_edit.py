"""Another state by a command: recorded, and checked as one that a workflow returns."""

from __future__ import annotations

from typing import Any

from ..errors import AgentError
from ..schema.immutability import copy_in
from .commands import ACTOR
from .entry_state import EntryState
from .failure import refusal
from .state_check import check_made_state

__all__ = ["edit_state"]

Entry = EntryState[Any, Any]


def edit_state(entry: Entry, state: Any) -> Any:
    """Give a runtime another state, between two activities or while one is stopped inside. Returns the one it had.

    Raises:
        AgentError: An activity runs, which would overwrite it; the state does not fit the workflow; or it has ended.
    """
    who = ACTOR.get()

    def act() -> Any:
        with entry.host.lock:
            _check_idle(entry)
            old, new = entry.state, copy_in(_check(entry, state), entry.limits.copy_state)
            entry.replace_state(new)
            entry.record_event("state_edited", {"from": old, "to": new}, who)
        return old

    return entry.host.do(act)


def _check_idle(entry: Entry) -> None:
    if entry.closed:
        raise refusal(entry)
    stopped = entry.breakpoints is not None and entry.breakpoints.stop is not None
    if entry.current is not None and not stopped:
        raise AgentError(
            f"activity {entry.current.id} of {entry.id!r} runs, and would overwrite the state; pause it first",
            runtime=entry.id,
        )


def _check(entry: Entry, state: Any) -> Any:
    try:
        return check_made_state(entry, state, entry.workflow)
    except (TypeError, ValueError) as error:
        raise AgentError(f"the state of {entry.id!r} was left as it is: {error}", runtime=entry.id) from None
