"""The source of a workflow, and the function that an edited one makes."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from itertools import count
from types import FunctionType
from typing import Any

from ..errors import ConfigurationError, describe_error

__all__ = ["make_function", "source_of"]

LONGEST = 50_000  # characters
number = count(1).__next__


def source_of(function: Any) -> str:
    """The source of a function that can be edited; empty where there is none."""
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        return ""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # of a function that was made by `exec`
        return ""
    return text if len(text) <= LONGEST else ""


def make_function(function: Any, source: str) -> Callable[..., Any]:
    """Make a function of an edited source, in the module of the one that it was. Decorators are left out.

    Raises:
        ConfigurationError: It is no `def` of that name, or the function uses variables of one around it.
    """
    if not isinstance(function, FunctionType):
        raise ConfigurationError("the workflow is no function written in Python; use `swap`")
    if function.__closure__:
        names = ", ".join(function.__code__.co_freevars)
        raise ConfigurationError(f"the workflow uses {names} of the function around it; edit it there, and use `swap`")
    tree = _parse(source, function.__name__)
    file = f"<edited {function.__name__} {number()}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for where it is, and errors
    found: dict[str, Any] = {}
    try:
        exec(compile(tree, file, "exec"), function.__globals__, found)
    except Exception as error:  # the default of a parameter, an annotation
        raise ConfigurationError(f"the edited code can't be used: {describe_error(error)}") from error
    made: FunctionType = found[function.__name__]
    made.__qualname__ = function.__qualname__
    return made


def _parse(source: str, name: str) -> ast.Module:
    try:
        tree = ast.parse(textwrap.dedent(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"the edited code can't be used: {describe_error(error)}") from None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        raise ConfigurationError(f"write one function: `async def {name}(activity, state, ctx): ...`")
    if tree.body[0].name != name:
        raise ConfigurationError(f"the function has to be called {name}")
    tree.body[0].decorator_list.clear()
    return tree
