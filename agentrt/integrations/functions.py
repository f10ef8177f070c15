"""A plain function or generator as a workflow: one that knows nothing of activities and states."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from ..activity import Activity
from ..context import Context
from ..errors import ConfigurationError
from ..schema.preview import preview

__all__ = ["function_workflow"]


def function_workflow(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a workflow of a function of the payload, or of the payload and the state.

    What it returns is the new state, and the reply. Of a generator each value that it yields is logged, and what leads
    to it is a step, so that it can be stopped in between; the last one is the new state. A function that is not async
    may be created with `blocking=True`.

    Args:
        function: A function or a generator, async or not.

    Raises:
        ConfigurationError: It takes neither one parameter nor two.

    >>> import agentrt
    >>> def count_words(text: str) -> int:
    ...     return len(text.split())
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("words", None, function_workflow(count_words))
    ...     manager.run(runtime.ask("agents you can see"))
    4
    """
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) not in (1, 2):
        raise ConfigurationError(f"{function!r} takes {len(parameters)} parameters: it may take a payload, and a state")
    takes_state = len(parameters) == 2
    workflow = _choose_form(function, takes_state)
    workflow.__name__ = workflow.__qualname__ = getattr(function, "__name__", type(function).__name__)
    payload: Any = get_type_hints(function).get(parameters[0], Any) if inspect.isroutine(function) else Any
    of_payload: Any = Activity[payload]
    workflow.__annotations__ = {"activity": of_payload}  # the payload is checked, and has a form
    return workflow


def _choose_form(function: Callable[..., Any], takes_state: bool) -> Callable[..., Any]:
    """The workflow of each kind of function."""

    def call(activity: Activity[Any], state: Any) -> Any:
        return function(activity.payload, state) if takes_state else function(activity.payload)

    async def run_async(activity: Activity[Any], state: Any, ctx: Context) -> Any:
        return _reply(ctx, await call(activity, state))

    def run(activity: Activity[Any], state: Any, ctx: Context) -> Any:
        return _reply(ctx, call(activity, state))

    async def run_async_generator(activity: Activity[Any], state: Any, ctx: Context) -> Any:
        values = call(activity, state)
        last, part = state, 0
        while True:
            part += 1
            with ctx.step(f"part {part}"):
                try:
                    last = await anext(values)
                except StopAsyncIteration:
                    return _reply(ctx, last)
            ctx.log(preview(last, 200))

    def run_generator(activity: Activity[Any], state: Any, ctx: Context) -> Any:
        values = call(activity, state)
        last, part = state, 0
        while True:
            part += 1
            with ctx.step(f"part {part}"):
                try:
                    last = next(values)
                except StopIteration as end:
                    return _reply(ctx, last if end.value is None else end.value)
            ctx.log(preview(last, 200))

    if inspect.isasyncgenfunction(function):
        return run_async_generator
    if inspect.isgeneratorfunction(function):
        return run_generator
    return run_async if inspect.iscoroutinefunction(function) else run


def _reply(ctx: Context, value: Any) -> Any:
    ctx.reply(value)
    return value
