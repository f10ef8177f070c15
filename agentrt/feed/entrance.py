"""The one entrance of commands: it checks the role of who gives one, and records who it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol

from ..errors import AccessDeniedError
from .source import ACTOR, COMMANDS, EVALUATING, Source, Standing

__all__ = ["Role", "check_role", "entrance", "explain_refusal"]

LONGEST_WHO = 200  # characters


class Role(StrEnum):
    """What somebody may do: look, or look and steer."""

    OPERATOR = "operator"
    VIEWER = "viewer"


class HasStanding(Protocol):
    """What says of itself what it is."""

    def standing(self) -> Standing:
        """What it is."""


def check_role(role: Role, source: Source, what: str) -> None:
    """Check whether a command may be given.

    Args:
        role: Of who gives it.
        source: What it is given to.
        what: What it does, as in "pause JFK".

    Raises:
        AccessDeniedError: The role is for looking only, or nothing there can be steered.
    """
    if role is not Role.OPERATOR:
        raise AccessDeniedError(f"This link is for looking only: to {what}, open the operator's link.")
    if not COMMANDS & source.capabilities:
        raise explain_refusal(source, what)


def explain_refusal(source: HasStanding, what: str) -> AccessDeniedError:
    """The error for a command to what can't be steered, which says why."""
    recorded = source.standing().recorded
    if not recorded:
        return AccessDeniedError(f"This can only be looked at: nothing here can {what}.")
    return AccessDeniedError(f"This is {recorded}: nobody runs it, and nothing here can {what}.")


@contextmanager
def entrance(source: Source, role: Role, who: str | None, name: str, may_evaluate: bool = False) -> Iterator[None]:
    """Every command of a page or of another process is given inside of this. Raises what `check_role` does.

    Commands that run code that a person has typed are refused without `may_evaluate`.
    """
    check_role(role, source, name.replace("_", " "))
    if name in EVALUATING and not may_evaluate:
        raise AccessDeniedError("Expressions are off here; whoever serves this page can allow them: evaluator=True.")
    token = ACTOR.set(who and who[:LONGEST_WHO])
    try:
        yield
    finally:
        ACTOR.reset(token)
