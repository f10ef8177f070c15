"""What `create` and `@manager.agent` take for a workflow, as a type checker sees it.

From a workflow's annotations follow the types of its runtime: `Runtime[State, Payload]`. A wrong initial state is an
error; a workflow without annotations gives `Runtime[Any, Any]`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, overload

from .activity import Activity
from .context import Context
from .runtime import Runtime
from .typevars import S

__all__ = ["S0", "A", "AgentDecorator", "AsyncWorkflow", "Payload", "PlainWorkflow"]

A = TypeVar("A", bound=Activity[Any])  # Activity[Payload], or a type of activity of the user's own
Payload = TypeVar("Payload", bound=Any)  # bound, so that a lambda's `activity.payload` may be used for anything
S0 = TypeVar("S0")  # the state it is given; one of its own, so that `()` may begin a `tuple[str, ...]`
Given = TypeVar("Given", covariant=True)

AsyncWorkflow = Callable[[A, S0], Awaitable[S]] | Callable[[A, S0, Context], Awaitable[S]]
PlainWorkflow = Callable[[A, S0], S] | Callable[[A, S0, Context], S]


class AgentDecorator(Protocol[Given]):
    """What `@manager.agent(id, state)` is applied to: a workflow for that state."""

    @overload
    def __call__(self, workflow: AsyncWorkflow[Activity[Payload], Given, S], /) -> Runtime[S, Payload]: ...
    @overload
    def __call__(self, workflow: PlainWorkflow[Activity[Payload], Given, S], /) -> Runtime[S, Payload]: ...
    @overload
    def __call__(self, workflow: AsyncWorkflow[A, Given, S] | PlainWorkflow[A, Given, S], /) -> Runtime[S, Any]: ...
