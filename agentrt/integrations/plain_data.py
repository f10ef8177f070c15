"""Values of other packages as plain data that can't be changed: what an agent's state shows of them."""

from __future__ import annotations

from typing import Any, NoReturn

from ..journal import register
from ..schema.preview import preview

__all__ = ["FrozenDict", "freeze", "freeze_values", "thaw"]

MOST_CHARACTERS = 200  # of what is no plain data


class FrozenDict(dict[str, Any]):
    """A dict that can't be changed, as all that is in a state.

    >>> FrozenDict(a=1)["a"], FrozenDict(a=1) == {"a": 1}
    (1, True)
    >>> FrozenDict(a=1)["a"] = 2
    Traceback (most recent call last):
    ...
    TypeError: this dict is part of a state and can't be changed; make another one: {**old, "key": value}
    """

    __frozen__ = True

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError('this dict is part of a state and can\'t be changed; make another one: {**old, "key": value}')

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: Any) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


register(FrozenDict, encode=dict, decode=FrozenDict)


def freeze(value: Any) -> Any:
    """The same plain data that can't be changed: lists are tuples, dicts are `FrozenDict`.

    >>> freeze({"a": [1, {"b": 2}]})
    {'a': (1, {'b': 2})}
    """
    if isinstance(value, dict):
        return FrozenDict({str(key): freeze(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    return value


def thaw(value: Any) -> Any:
    """The same plain data as lists and dicts, for a package that wants those.

    >>> thaw(freeze({"a": [1, {"b": 2}]}))
    {'a': [1, {'b': 2}]}
    """
    if isinstance(value, dict):
        return {key: thaw(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return list(map(thaw, value))
    return value


def freeze_values(value: Any) -> Any:
    """Any value as plain data that can't be changed: records are dicts, what can't be shown so is a text.

    It needs pydantic, which the packages it is for come with.
    """
    from pydantic_core import to_jsonable_python

    return freeze(to_jsonable_python(value, fallback=_shorten, inf_nan_mode="constants"))


def _shorten(value: Any) -> str:
    return preview(value, MOST_CHARACTERS)
