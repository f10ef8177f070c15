"""How a workflow function must be called: read from what will really be called, not from what it says it wraps.

`functools.wraps` gives a wrapper the name, the annotations and the signature of another function. All of that is
used only as far as the wrapper's code shows that it passes its own arguments on as they are. What a wrapper over
`*args` passes to a function in another way is decided by the names of its parameters; what can't be decided is refused.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

from ..activity import Activity
from ..errors import ConfigurationError

__all__ = ["Signature", "read_signature", "unwrap_partial"]

Parameter = inspect.Parameter
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
ACTIVITY, CONTEXT = "activity", ("ctx", "context")
USUAL = ["activity", "state"]
WRAPPERS = (functools.partial, MethodType, staticmethod)


class Signature(NamedTuple):
    """How to call a workflow function.

    Args:
        names: Of the two or three parameters that it is called with.
        source: The function whose annotations hold for them; None where no one's do.
        wrapped: Whether another function is called first, which may return something else than that one does.
    """

    names: list[str]
    source: Callable[..., Any] | None
    wrapped: bool


def read_signature(function: Callable[..., Any]) -> Signature:
    """Say how a function must be called.

    Raises:
        ConfigurationError: It can't be called as a workflow, or it can't be decided how; the message says what to do.
    """
    _refuse_class(function)
    call, bound, keywords = unwrap_partial(function)
    hidden, given = getattr(call, "__wrapped__", None), bound
    if _has_method_call(call):
        call, given = type(call).__call__, bound + 1
    inner = _innermost(call)
    if inner is not call:
        hidden = getattr(inner, "__wrapped__", None)
    taken = _parameters(inner)
    if taken is not None:
        taken = _without(taken, given, keywords)
    if hidden is not None and (taken is None or _takes_any_number(taken)):
        return Signature(_names_behind(function, hidden, bound, keywords), None, True)
    source = unwrap_partial(inner)[0] if hidden is None or _has_own_annotations(inner) else None
    names = USUAL if taken is None else _positional(function, taken)  # without: written in C, and it does not say
    return Signature(names, source, hidden is not None or inner is not call)


def unwrap_partial(function: Any) -> tuple[Any, int, set[str]]:
    """The function inside of partials, methods and static methods; how many arguments and which keywords they give."""
    bound = 0
    keywords: set[str] = set()
    while isinstance(function, WRAPPERS):
        if isinstance(function, functools.partial):
            bound += len(function.args)
            keywords |= function.keywords.keys()
            function = function.func
        else:
            bound += isinstance(function, MethodType)
            function = function.__func__
    return function, bound, keywords


def _has_method_call(function: Any) -> bool:
    method = getattr(type(function), "__call__", None)  # noqa: B004 - whether it is written in Python
    return not isinstance(function, FunctionType | type) and isinstance(method, FunctionType)


def _refuse_class(function: Any) -> None:
    if isinstance(function, type) and "__call__" in vars(function):
        raise ConfigurationError(
            f"workflow is the class {function.__name__}, which calling only makes an object of; give that object: "
            f"{function.__name__}(...)"
        )


def _parameters(function: Any) -> list[Parameter] | None:
    try:
        return list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return None


def _without(parameters: list[Parameter], bound: int, keywords: set[str]) -> list[Parameter]:
    """The parameters that are left to be given."""
    left = []
    for parameter in parameters:
        if bound and parameter.kind in BY_POSITION:
            bound -= 1
        elif parameter.name not in keywords or parameter.kind is Parameter.VAR_KEYWORD:
            left.append(parameter)
    return left


def _takes_any_number(parameters: list[Parameter]) -> bool:
    return any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)


def _positional(function: Any, parameters: list[Parameter]) -> list[str]:
    """The names of the parameters to give, by the signature of what is really called."""
    positional = [each for each in parameters if each.kind in BY_POSITION]
    required = [each.name for each in positional if each.default is each.empty]
    must = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    names = [each.name for each in positional]
    _refuse_order(function, positional)
    if _takes_any_number(parameters) and len(required) <= 2 and not must:
        return (names + USUAL[len(names) :])[:2]
    if not must and len(names) >= 2 and len(required) <= 3:
        if len(required) <= 2 and names[2:3] == ["ctx"]:
            return names[:3]
        # Any other third parameter with a default is the function's own business.
        return required if len(required) in (2, 3) else names[:2]
    raise ConfigurationError(
        f"workflow {_callee(function)!r} has the parameters {inspect.Signature(parameters)}; "
        "it must take two, (activity, state), or three, (activity, state, ctx)"
    )


def _refuse_order(function: Any, positional: list[Parameter]) -> None:
    names = [each.name for each in positional]
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    if names[:1] == ["self"] and owner and not owner.endswith("<locals>") and isinstance(function, FunctionType):
        raise ConfigurationError(
            f"workflow {_callee(function)!r} is a method of a class and not of an object; give the method of an object"
        )
    place = _place_of_activity(positional)
    if place:
        raise ConfigurationError(
            f"workflow {_callee(function)!r} has the parameters ({', '.join(names)}), but is called with the activity "
            "first; it must take two, (activity, state), or three, (activity, state, ctx)"
        )


def _place_of_activity(parameters: list[Parameter]) -> int | None:
    """Which parameter takes the activity, by its annotation or by its name; None where none says so."""
    for place, parameter in enumerate(parameters):
        if _is_activity(parameter.annotation):
            return place
    return next((place for place, each in enumerate(parameters) if each.name == ACTIVITY), None)


def _is_activity(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] == Activity.__name__
    kind = getattr(annotation, "__origin__", annotation)
    return isinstance(kind, type) and issubclass(kind, Activity)


def _callee(function: Any) -> str:
    return str(getattr(function, "__name__", function))


# ---- a wrapper over *args


def _names_behind(function: Any, hidden: Any, bound: int, keywords: set[str]) -> list[str]:
    """The names to call a wrapper over `*args` with, by those of the function that it calls in a way of its own."""
    call, more, others = unwrap_partial(inspect.unwrap(hidden))
    parameters = _parameters(call) or []
    parameters = _without(parameters, bound + more, keywords | others)
    given = [each for each in parameters if each.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    place = _place_of_activity(given) or 0
    third = next(iter(given[place + 2 :]), None)
    if third is not None and _is_context(third):
        return [*USUAL, "ctx"]
    has_other = third is not None and third.default is third.empty
    if has_other or any(_is_context(each) for each in given[:place]):
        raise ConfigurationError(
            f"workflow {_callee(function)!r} is called by a decorator that takes `*args` and passes on something else: "
            f"nobody can say which of ({', '.join(each.name for each in given)}) it is given; let the decorator's "
            "function take (activity, state) or (activity, state, ctx), or name the third parameter ctx"
        )
    return USUAL


def _is_context(parameter: Parameter) -> bool:
    annotation = parameter.annotation
    return parameter.name in CONTEXT or getattr(annotation, "__name__", annotation) == "Context"


# ---- what a wrapper passes on, as its code says


def _innermost(function: Any) -> Any:
    """Follow `__wrapped__` as long as the code shows that the arguments are passed on as they are."""
    seen = {id(function)}
    while isinstance(function, FunctionType):
        wrapped = vars(function).get("__wrapped__")
        if wrapped is None or id(wrapped) in seen or not _passes_on(function, wrapped):
            return function
        seen.add(id(wrapped))
        function = wrapped
    return function


def _passes_on(wrapper: FunctionType, wrapped: Any) -> bool:
    """Whether each call that a wrapper's code makes of the wrapped function has exactly the wrapper's own arguments."""
    code = wrapper.__code__
    names = _cells_of(wrapper, wrapped)
    steps = [(each.opname, each.argval) for each in dis.get_instructions(code) if each.opname not in SILENT]
    calls = [
        list(_operations(steps[place + 1 :]))
        for place, (name, value) in enumerate(steps)
        if name == "LOAD_DEREF" and value in names and steps[place + 1][0] not in ("LOAD_ATTR", "LOAD_METHOD")
    ]
    changed = any(name.startswith(("STORE_FAST", "DELETE_FAST")) and _is_own(code, value) for name, value in steps)
    return bool(calls) and not changed and all(each in _own_arguments(code) for each in calls)


SILENT = ("PUSH_NULL", "PRECALL", "EXTENDED_ARG", "CACHE", "NOP", "RESUME")


def _cells_of(wrapper: FunctionType, wrapped: Any) -> set[str]:
    found = set()
    for name, cell in zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=True):
        try:
            if cell.cell_contents is wrapped:
                found.add(name)
        except ValueError:  # the cell is empty yet
            continue
    return found


def _operations(steps: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What follows the function on the stack, up to the call of it."""
    for name, value in steps:
        if name.startswith("LOAD_FAST"):  # in 3.13 one instruction may load two
            yield from (("LOAD", each) for each in (value if isinstance(value, tuple) else (value,)))
        elif name.startswith("CALL"):
            yield name, value if name == "CALL" else None
            return
        else:
            yield name, None if name == "DICT_MERGE" else value


def _own_arguments(code: CodeType) -> list[list[tuple[str, Any]]]:
    """The ways to write a call with exactly the arguments of this code."""
    count = code.co_argcount
    names, args, kwargs = list(code.co_varnames[:count]), *_var_names(code)
    if args is None:
        return [[*(("LOAD", name) for name in names), ("CALL", count)]] if not code.co_kwonlyargcount else []
    if names or code.co_kwonlyargcount:
        return []
    plain = [("LOAD", args), ("CALL_FUNCTION_EX", None)]
    merged = [("LOAD", args), ("BUILD_MAP", 0), ("LOAD", kwargs), ("DICT_MERGE", None), ("CALL_FUNCTION_EX", None)]
    return [plain, merged]


def _var_names(code: CodeType) -> tuple[str | None, str | None]:
    """The names of `*args` and `**kwargs`."""
    place = code.co_argcount + code.co_kwonlyargcount
    has_args, has_kwargs = bool(code.co_flags & inspect.CO_VARARGS), bool(code.co_flags & inspect.CO_VARKEYWORDS)
    args = code.co_varnames[place] if has_args else None
    return args, code.co_varnames[place + has_args] if has_kwargs else None


def _is_own(code: CodeType, name: Any) -> bool:
    count = code.co_argcount + code.co_kwonlyargcount
    own = {*code.co_varnames[:count], *_var_names(code)}
    return bool(own & set(name if isinstance(name, tuple) else (name,)))


def _has_own_annotations(function: Any) -> bool:
    """Whether the annotations are the wrapper's own: `functools.wraps` puts those of the wrapped one in their place."""
    wrapped = getattr(function, "__wrapped__", None)
    return getattr(function, "__annotations__", None) != getattr(wrapped, "__annotations__", None)
