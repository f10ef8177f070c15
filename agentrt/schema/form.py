"""The form of a payload type, and the payload that it makes of what a person typed.

Everything that lets a person write a payload uses the same three functions: `Form.of(type)` says what to ask for,
`form.build(values)` makes the payload or says for each field what is wrong, and `convert.parse_json` does the same for
JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .annotations import annotation_of
from .choices import is_same_choice
from .convert import FormError, convert, is_pydantic
from .fields import Field, field_of
from .records import MISSING, RecordMember, members_of

__all__ = ["Form"]

WHOLE = "payload"  # the name of the only field of a payload that is not a record


class Form(msgspec.Struct, frozen=True):
    """What to ask for to make a payload.

    Args:
        type: The annotation of the payload.
        fields: The fields in their order.
        record: Whether the payload is a record of the fields; else it is the value of the only field.
    """

    type: Any
    fields: tuple[Field, ...]
    record: bool

    @classmethod
    def of(cls, accepts: Any) -> Form:
        """The form of a payload type: a field for each member of a record, else one field for the whole payload.

        Args:
            accepts: An annotation, a tuple of them of which one must fit, or None for any payload. Records are
                dataclasses, Structs, pydantic models, TypedDicts and NamedTuples.
        """
        hint = annotation_of(accepts)
        members = members_of(hint)
        if members is None:
            return cls(hint, (field_of(RecordMember(WHOLE, hint, MISSING, required=True)),), record=False)
        return cls(hint, tuple(map(field_of, members)), record=True)

    def build(self, values: Mapping[str, Any]) -> Any:
        """The payload made of what was typed.

        Args:
            values: The values of the controls by field name. A field that is not there has its default.

        Raises:
            FormError: `problems` has a text for each field that is wrong.

        >>> Form.of(int).build({"payload": "41"})
        41
        """
        found: dict[str, Any] = {}
        problems = dict.fromkeys(values.keys() - {field.name for field in self.fields}, "There is no such field")
        for field in self.fields:
            try:
                value = self._value(field, values.get(field.name, MISSING))
            except (ValueError, TypeError) as problem:
                problems[field.name] = str(problem)
            else:
                if value is not MISSING:
                    found[field.name] = value
        if problems:
            raise FormError(problems)
        return self._payload(found)

    @property
    def _by_pydantic(self) -> bool:
        """Whether pydantic checks the record as a whole: the messages are then those of the model's validators."""
        return self.record and is_pydantic(self.type)

    def _value(self, field: Field, raw: Any) -> Any:
        """The value of one field; MISSING where its default is to be used."""
        is_untouched = raw is MISSING or (not field.required and is_same_choice(raw, field.initial))
        value = MISSING if is_untouched else field.read(raw)
        if value is not MISSING:
            return value if self._by_pydantic else field.convert(value)
        if field.required:
            raise ValueError(f"Required: {field.expects}")
        return MISSING

    def _payload(self, found: dict[str, Any]) -> Any:
        if not self.record:
            return found.get(WHOLE)
        try:
            if self._by_pydantic:
                keys = {field.name: field.key for field in self.fields}
                return convert({keys[name]: value for name, value in found.items()}, self.type)
            return self.type(**found)
        except FormError as problem:
            names = {field.key: field.name for field in self.fields}
            raise FormError({names.get(path, path): text for path, text in problem.problems.items()}) from None
        except Exception as problem:  # a __post_init__ is user code
            raise FormError({"": str(problem) or type(problem).__name__}) from problem
