"""Pickles what is sent to another process: by cloudpickle, and the Structs of a notebook's cells, which it can't take.

Needs the extra `process`. Only what this process sends is pickled; the answer is data (`codec.py`), or a pickle where
the runtime was created with `isolation="process-pickle"`. A class that was sent by value comes back as the class it
was.
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

from ..schema.record_types import is_record_type

__all__ = ["dumps"]

METHODS = (types.FunctionType, property, classmethod, staticmethod)
SETTINGS = (
    *("frozen", "eq", "order", "array_like", "gc", "repr_omit_defaults", "omit_defaults", "forbid_unknown_fields"),
    *("weakref", "dict", "cache_hash", "tag", "tag_field"),
)

# Which class is which, in both processes, as cloudpickle has it for plain classes. A class is one in a process, not
# one of a manager; both tables are weak.
_tokens: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()


def dumps(value: Any, records: dict[type, None] | None = None) -> bytes:
    """Pickle a value; `pickle.loads` reads it where this module can be imported.

    Args:
        value: Anything.
        records: The record types of all that is pickled are put in here.
    """
    with io.BytesIO() as file:
        _Pickler(file, {} if records is None else records).dump(value)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, records: dict[type, None]) -> None:
        super().__init__(file)
        self._records = records

    def reducer_override(self, obj: Any) -> Any:
        kind = obj if isinstance(obj, type) else type(obj)
        if kind not in self._records and is_record_type(kind):
            self._records[kind] = None
        if isinstance(obj, type(msgspec.Struct)) and not _should_pickle_by_reference(obj):
            return _reduce_struct_class(obj)
        return super().reducer_override(obj)


def _reduce_struct_class(cls: Any) -> tuple[Any, ...]:
    token = _tokens.setdefault(cls, uuid.uuid4().hex)
    _classes[token] = cls
    own = inspect.get_annotations(cls)
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    default = dict(zip(names[len(names) - len(defaults) :], map(_default_options, defaults), strict=True))
    fields = [(n, own[n], default.get(n, {})) for n in names if n in own]
    methods = {name: value for name, value in cls.__dict__.items() if isinstance(value, METHODS)}
    settings = {name: getattr(cls.__struct_config__, name) for name in SETTINGS}
    settings["kw_only"] = any(n not in cls.__match_args__ for n in own if n in names)
    settings["rename"] = dict(zip(names, cls.__struct_encode_fields__, strict=True))
    settings["module"] = cls.__module__
    # The one method that is looked for when a class is made; the others may refer to the class, and follow.
    first = {"__post_init__": methods.pop("__post_init__")} if "__post_init__" in methods else {}
    arguments = (token, cls.__name__, fields, cls.__bases__, first, settings)
    return _make_struct_class, arguments, methods, None, None, _add_methods


def _default_options(default: Any) -> dict[str, Any]:
    if default is msgspec.NODEFAULT:
        return {}
    factory = getattr(default, "factory", None)
    return {"default": default} if factory is None else {"default_factory": factory}


def _make_struct_class(token: str, name: str, fields: Any, bases: Any, first: Any, settings: Any) -> type:
    cls = _classes.get(token)
    if cls is None:
        cls = msgspec.defstruct(
            name,
            [(field, hint, msgspec.field(**default)) for field, hint, default in fields],
            bases=bases,
            namespace=first,
            **settings,
        )
        _tokens[cls], _classes[token] = token, cls
    return cls


def _add_methods(cls: type, methods: dict[str, Any]) -> None:
    for name, value in methods.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
