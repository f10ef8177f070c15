"""What goes to another process and back: cloudpickle, and the Structs of a notebook's cells, which it can't take apart.

Needs the extra `process`; only `process.py` imports it, when it has something to send. A class that went there comes
back as the class it was.
"""

from __future__ import annotations

import inspect
import io
import types
import uuid
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import cloudpickle
import msgspec
from cloudpickle.cloudpickle import _should_pickle_by_reference

__all__ = ["dumps"]

METHODS = (types.FunctionType, property, classmethod, staticmethod)
SETTINGS = (
    *("frozen", "eq", "order", "array_like", "gc", "repr_omit_defaults", "omit_defaults", "forbid_unknown_fields"),
    *("weakref", "dict", "cache_hash", "tag", "tag_field"),
)

# Which class is which, here and there, as cloudpickle knows of plain classes. Of the process, not of a manager; weak.
_tokens: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()


def dumps(value: Any) -> bytes:
    """Pickle anything that may travel; `pickle.loads` reads it where this module can be imported."""
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type(msgspec.Struct)) and not _should_pickle_by_reference(obj):
            return _take_apart(obj)
        return super().reducer_override(obj)


def _take_apart(cls: Any) -> tuple[Any, ...]:
    token = _tokens.setdefault(cls, uuid.uuid4().hex)
    _classes[token] = cls
    own = inspect.get_annotations(cls)
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    default = dict(zip(names[len(names) - len(defaults) :], map(_default, defaults), strict=True))
    fields = [(n, own[n], default.get(n, {})) for n in names if n in own]
    methods = {name: value for name, value in cls.__dict__.items() if isinstance(value, METHODS)}
    settings = {name: getattr(cls.__struct_config__, name) for name in SETTINGS}
    settings["kw_only"] = any(n not in cls.__match_args__ for n in own if n in names)
    settings["rename"] = dict(zip(names, cls.__struct_encode_fields__, strict=True))
    settings["module"] = cls.__module__
    # The one method that is looked for when a class is made; the others may refer to the class, and follow.
    first = {"__post_init__": methods.pop("__post_init__")} if "__post_init__" in methods else {}
    return _put_together, (token, cls.__name__, fields, cls.__bases__, first, settings), methods, None, None, _complete


def _default(default: Any) -> dict[str, Any]:
    if default is msgspec.NODEFAULT:
        return {}
    made_by = getattr(default, "factory", None)
    return {"default": default} if made_by is None else {"default_factory": made_by}


def _put_together(token: str, name: str, fields: Any, bases: Any, first: Any, settings: Any) -> type:
    known = _classes.get(token)
    if known is not None:
        return known
    made = msgspec.defstruct(
        name,
        [(field, hint, msgspec.field(**default)) for field, hint, default in fields],
        bases=bases,
        namespace=first,
        **settings,
    )
    _tokens[made], _classes[token] = token, made
    return made


def _complete(cls: type, methods: dict[str, Any]) -> None:
    for name, value in methods.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
