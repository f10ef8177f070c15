"""From a payload type to form fields, and from what a person typed back to a payload.

Every surface that lets a person write a payload uses the same three steps: `fields_of(type)` says what to ask for,
`form.build(values)` makes the payload or says per field what is wrong, and `parse_json` does the same for raw JSON.
Conversion is msgspec's, or pydantic's for pydantic's own types.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import msgspec

from .convert import FormError, annotation_of, builtins, convert, is_pydantic, loads, parse_json, to_json
from .typecheck import describe, hints_of

__all__ = ["MISSING", "Choice", "Field", "Form", "FormError", "Kind", "example", "fields_of", "parse_json"]

Kind = Literal["int", "float", "text", "bool", "choice", "json", "date", "datetime"]

MISSING: Any = msgspec.UNSET
WHOLE = "payload"  # the name of the only field of a payload that is not a record
DEEPEST = 2  # how deep an example fills lists; one of a type that holds itself ends there

_KINDS: dict[Any, Kind] = {int: "int", float: "float", str: "text", dt.date: "date", dt.datetime: "datetime"}
_NOUNS: dict[Any, str] = {
    str: "text",
    dt.date: "a date like 2013-07-22",
    dt.datetime: "a date and time like 2013-07-22T10:30:00",
    dt.time: "a time like 10:30:00",
    dt.timedelta: "a duration like PT1M30S",
    bytes: "bytes in base64",
    Decimal: "a decimal number",
    UUID: "a UUID",
}
_SAMPLES: dict[Any, Any] = {
    int: 0,
    float: 0.0,
    str: "",
    bool: False,
    bytes: b"",
    dict: {},
    dt.date: dt.date(2013, 7, 22),
    dt.datetime: dt.datetime(2013, 7, 22, 10, 30),
    dt.time: dt.time(10, 30),
    dt.timedelta: dt.timedelta(seconds=90),
    Decimal: Decimal(0),
    UUID: UUID(int=0),
}
_BOUNDS = {"gt": "> ", "ge": ">= ", "lt": "< ", "le": "<= ", "multiple_of": "a multiple of "}
_LENGTHS = {"min_length": "length >= ", "max_length": "length <= ", "pattern": "matching "}
_UNIONS = (Union, types.UnionType)


class Choice(NamedTuple):
    """One of the values a field may take, and the word it is shown as."""

    label: str
    value: Any


class Field(msgspec.Struct, frozen=True):
    """One thing to ask for. `kind` says which control suits it, `annotation` is the type it must have in the end."""

    name: str
    annotation: Any = Any
    kind: Kind = "json"
    label: str = ""
    doc: str = ""
    default: Any = MISSING
    required: bool = True
    optional: bool = False
    choices: tuple[Choice, ...] = ()
    constraints: dict[str, Any] = {}
    key: str = ""

    @property
    def expects(self) -> str:
        """What belongs here, in words.

        >>> Field("n", int, "int", constraints={"ge": 0}).expects
        'int >= 0'
        """
        if self.kind == "choice":
            return "one of " + ", ".join(choice.label for choice in self.choices)
        words = [f"{word}{self.constraints[name]}" for name, word in _BOUNDS.items() if name in self.constraints]
        words += [f"{word}{self.constraints[name]}" for name, word in _LENGTHS.items() if name in self.constraints]
        inner, _ = _unwrap_optional(self.annotation)
        return f"{_noun(inner)} {', '.join(words)}".strip() + (" or nothing" if self.optional else "")

    @property
    def initial(self) -> Any:
        """What a control starts with: a bool, one of the choices' values, and text for all the rest."""
        value = None if self.default is MISSING else self.default
        if self.kind == "bool":
            return bool(value)
        if self.kind == "choice":
            return value if any(_same(value, choice.value) for choice in self.choices) else self.choices[0].value
        if value is None and (self.optional or self.kind != "json" or _base(self.annotation) in (Any, object)):
            return ""
        if self.kind == "json":
            return example(self.annotation) if self.default is MISSING else to_json(self.default)
        return value if isinstance(value, str) else str(builtins(value))

    def read(self, raw: Any) -> Any:
        """The typed-in text as plain data, not yet of the field's type; MISSING where it was left empty."""
        if self.kind == "choice":
            return self._pick(raw)
        if not isinstance(raw, str):
            return raw
        if self.optional and not raw.strip():
            return None
        if _base(self.annotation) is str:
            return raw
        return self._parse(raw.strip()) if raw.strip() else MISSING

    def convert(self, value: Any) -> Any:
        """Plain data as the field's type; ValueError with a text for people where it doesn't fit."""
        if self.kind == "choice":
            return value
        if value is None and self.optional:
            return None
        try:
            return convert(value, self.annotation)
        except FormError as problem:
            raise ValueError(self._complaint(problem)) from None

    def _parse(self, text: str) -> Any:
        if self.kind == "json":
            return loads(text)
        readers: dict[str, Callable[[str], Any]] = {
            "int": lambda text: msgspec.convert(text, int, strict=False),
            "float": lambda text: msgspec.convert(text, float, strict=False),
            "date": dt.date.fromisoformat,
            "datetime": dt.datetime.fromisoformat,
        }
        try:
            return readers.get(self.kind, str)(text)
        except ValueError:
            raise ValueError(f"Expected {self.expects}") from None

    def _pick(self, raw: Any) -> Any:
        for choice in self.choices:
            if _same(raw, choice.value):
                return choice.value
        for choice in self.choices:
            if raw in (choice.label, getattr(choice.value, "value", MISSING)):
                return choice.value
        raise ValueError(f"Expected {self.expects}")

    def _complaint(self, problem: FormError) -> str:
        path, text = next(iter(problem.problems.items()))
        if self.kind != "json":
            return f"Expected {self.expects}"
        return f"{text} at {path}" if path else text


class Form(msgspec.Struct, frozen=True):
    """What to ask for to make a payload of `type`. `record` is False where the payload is the one field itself."""

    type: Any
    fields: tuple[Field, ...]
    record: bool

    def build(self, values: Mapping[str, Any]) -> Any:
        """The payload made of what was typed, by field name. Raises FormError naming every field that is wrong.

        >>> fields_of(int).build({"payload": "41"})
        41
        """
        found: dict[str, Any] = {}
        problems = dict.fromkeys(values.keys() - {field.name for field in self.fields}, "There is no such field")
        for field in self.fields:
            try:
                self._take(field, values.get(field.name, MISSING), found)
            except (ValueError, TypeError) as problem:
                problems[field.name] = str(problem)
        if problems:
            raise FormError(problems)
        return self._make(found)

    @property
    def _pydantic(self) -> bool:
        """Pydantic checks a record as a whole: its messages come from the model's own validators."""
        return self.record and is_pydantic(self.type)

    def _take(self, field: Field, raw: Any, found: dict[str, Any]) -> None:
        untouched = raw is MISSING or (not field.required and _same(raw, field.initial))
        value = MISSING if untouched else field.read(raw)
        if value is not MISSING:
            found[field.name] = value if self._pydantic else field.convert(value)
        elif field.required:
            raise ValueError(f"Required: {field.expects}")

    def _make(self, found: dict[str, Any]) -> Any:
        if not self.record:
            return found.get(WHOLE)
        try:
            if self._pydantic:
                keys = {field.name: field.key for field in self.fields}
                return convert({keys[name]: value for name, value in found.items()}, self.type)
            return self.type(**found)
        except FormError as problem:
            names = {field.key: field.name for field in self.fields}
            raise FormError({names.get(path, path): text for path, text in problem.problems.items()}) from None
        except Exception as problem:  # what a __post_init__ says is anybody's code
            raise FormError({"": str(problem) or type(problem).__name__}) from problem


def fields_of(type: Any) -> Form:
    """The form of a payload type: a field for each field of a record, else one field for the whole payload.

    Records are dataclasses, Structs, pydantic models, TypedDicts and NamedTuples. `None` stands for any payload.
    """
    hint = annotation_of(type)
    try:
        fields = _record_fields(hint)
    except NameError:  # annotations that name something unknown here: the type can be shown, not taken apart
        fields = None
    if fields is None:
        return Form(hint, (_field(WHOLE, hint),), record=False)
    return Form(hint, tuple(fields), record=True)


def example(type: Any) -> str:
    """A JSON text of a payload of this type, to start editing from.

    >>> example(list[int])
    '[0]'
    """
    return to_json(_sample(annotation_of(type)))


# -- what a type asks for


def _record_fields(tp: Any) -> list[Field] | None:
    if not isinstance(tp, type):
        return None
    if is_pydantic(tp) and hasattr(tp, "model_fields") and not getattr(tp, "__pydantic_root_model__", False):
        return [_pydantic_field(name, info) for name, info in tp.model_fields.items()]
    if dataclasses.is_dataclass(tp):
        return list(_dataclass_fields(tp))
    if issubclass(tp, msgspec.Struct):
        return list(_struct_fields(tp))
    if typing.is_typeddict(tp):
        required: frozenset[str] = getattr(tp, "__required_keys__", frozenset())
        return [_field(name, hint, required=name in required) for name, hint in hints_of(tp).items()]
    if issubclass(tp, tuple) and hasattr(tp, "_field_defaults"):
        defaults = tp._field_defaults
        return [_field(name, hint, defaults.get(name, MISSING)) for name, hint in hints_of(tp).items()]
    return None


def _dataclass_fields(tp: Any) -> Iterator[Field]:
    hints = hints_of(tp)
    for each in dataclasses.fields(tp):
        if each.init:
            default = _default(each.default, each.default_factory, dataclasses.MISSING)
            doc = each.metadata.get("doc") or each.metadata.get("description") or ""
            yield _field(each.name, hints[each.name], default, doc=str(doc))


def _struct_fields(tp: type[msgspec.Struct]) -> Iterator[Field]:
    hints = hints_of(tp)
    for each in msgspec.structs.fields(tp):
        default = _default(each.default, each.default_factory, msgspec.NODEFAULT)
        yield _field(each.name, hints[each.name], default, key=each.encode_name)


def _default(value: Any, factory: Any, nothing: Any) -> Any:
    if factory is not nothing:
        return factory()
    return MISSING if value is nothing else value


def _pydantic_field(name: str, info: Any) -> Field:
    hint = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    default = MISSING if info.is_required() else info.get_default(call_default_factory=True)
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return _field(name, hint, default, doc=info.description or "", label=info.title or "", key=alias or name)


def _field(
    name: str,
    hint: Any,
    default: Any = MISSING,
    *,
    required: bool | None = None,
    doc: str = "",
    label: str = "",
    key: str = "",
) -> Field:
    inner, optional = _unwrap_optional(hint)
    metas = [meta for each in (hint, inner) for meta in _metas(each)]
    choices = _choices(inner, optional)
    return Field(
        name=name,
        annotation=hint,
        kind="choice" if choices else "bool" if _base(inner) is bool else _kind(inner),
        label=label or next((str(m.title) for m in metas if getattr(m, "title", None)), name.replace("_", " ")),
        doc=doc or next((str(m.description) for m in metas if getattr(m, "description", None)), ""),
        default=default,
        required=default is MISSING if required is None else required,
        optional=optional,
        choices=choices,
        constraints=_constraints(metas),
        key=key or name,
    )


def _kind(hint: Any) -> Kind:
    base = _base(hint)
    return _KINDS.get(base, "text" if base in _NOUNS else "json")


def _choices(hint: Any, optional: bool) -> tuple[Choice, ...]:
    base = _base(hint)
    if get_origin(base) is Literal:
        values = list(get_args(base))
        plain = len({str(value) for value in values}) == len(values)
        found = [Choice(str(value) if plain else repr(value), value) for value in values]
    elif isinstance(base, type) and issubclass(base, Enum):
        found = [Choice(name, member) for name, member in base.__members__.items()]
    elif base is bool and optional:
        found = [Choice("true", True), Choice("false", False)]
    else:
        return ()
    return (Choice("none", None), *found) if optional else tuple(found)


def _constraints(metas: list[Any]) -> dict[str, Any]:
    names = (*_BOUNDS, *_LENGTHS)
    return {name: value for meta in metas for name in names if (value := getattr(meta, name, None)) is not None}


def _unwrap_optional(hint: Any) -> tuple[Any, bool]:
    base = _base(hint)
    if get_origin(base) not in _UNIONS or type(None) not in get_args(base):
        return hint, False
    rest = tuple(arg for arg in get_args(base) if arg is not type(None))
    return (_union(rest) if rest else hint), True


def _union(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 else Union.__getitem__(parts)


def _base(hint: Any) -> Any:
    """The type below Annotated, NewType and the like."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        else:
            return hint


def _metas(hint: Any) -> tuple[Any, ...]:
    return tuple(hint.__metadata__) if get_origin(hint) is Annotated else ()


def _noun(hint: Any) -> str:
    base = _base(hint)
    if get_origin(base) in _UNIONS:
        return " or ".join(_noun(arg) for arg in get_args(base))
    if base is Any or base is object:
        return "any JSON value"
    return _NOUNS.get(base) or re.sub(r"(\w+\.)+", "", describe(base))


def _same(left: Any, right: Any) -> bool:
    """Equal and of one type: 1, True and "1" are three choices."""
    return type(left) is type(right) and bool(left == right)


# -- examples


def _sample(hint: Any, depth: int = 0) -> Any:
    """A small value of the type. Not a random one: the same type always starts with the same text."""
    inner, optional = _unwrap_optional(hint)
    base = _base(inner)
    if optional and depth:
        return None
    if choices := _choices(inner, False):
        return choices[0].value
    if base in (int, float):
        return _sample_number(base, _constraints([*_metas(hint), *_metas(inner)]))
    if base in _SAMPLES:
        return _SAMPLES[base]
    if depth > 2 * DEEPEST:
        return None
    if get_origin(base) in _UNIONS:
        return _sample(get_args(base)[0], depth)
    if get_args(base):
        return _sample_container(get_origin(base), get_args(base), depth)
    return _sample_record(base, depth)


def _sample_number(base: Any, bounds: dict[str, Any]) -> Any:
    step = bounds.get("multiple_of", 1)
    low = bounds.get("ge", bounds["gt"] + step if "gt" in bounds else None)
    high = bounds.get("le", bounds["lt"] - step if "lt" in bounds else None)
    value = max(0, low) if low is not None else min(0, high) if high is not None else 0
    return base(-(-value // step) * step) if step else base(value)


def _sample_container(origin: Any, args: tuple[Any, ...], depth: int) -> Any:
    if not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        key = _sample(args[0], depth + 1)
        return {"key" if key == "" else key: _sample(args[1], depth + 1)} if depth < DEEPEST else {}
    if issubclass(origin, tuple) and args[-1] is not ...:
        return [_sample(arg, depth + 1) for arg in args]
    return [_sample(args[0], depth + 1)] if depth < DEEPEST else []


def _sample_record(base: Any, depth: int) -> Any:
    form = fields_of(base)
    if not form.record:
        return [] if isinstance(base, type) and issubclass(base, (list, tuple, set, frozenset)) else None
    values = {
        field.name: _sample(field.annotation, depth + 1) if field.default is MISSING else field.default
        for field in form.fields
        if field.required or field.default is not MISSING
    }
    make = getattr(base, "model_construct", base)
    try:
        return make(**values)
    except (ValueError, TypeError):  # its own check refuses the sample: show the names at least
        return values
