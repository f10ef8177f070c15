"""What differs between two values: the changed paths, each with its old and its new value. Bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from itertools import islice
from typing import Any, NamedTuple

from .equality import is_same
from .parts import Outline, len_of, parts_of, type_name
from .preview import preview

__all__ = ["MOST", "NOTHING", "WIDEST", "Change", "changes", "has_changed"]

DEEPEST, WIDEST, MOST = 12, 5_000, 200
PLAIN = (str, bytes, int, float, bool, complex, type(None))


class _Nothing:
    """What stands for the value of what is not there."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Any = _Nothing()


class Change(NamedTuple):
    """One path that differs. `old` is NOTHING where it was added, `new` where it was removed."""

    path: str
    old: Any
    new: Any

    @property
    def kind(self) -> str:
        """added, removed or changed."""
        return "added" if self.old is NOTHING else "removed" if self.new is NOTHING else "changed"


def changes(old: Any, new: Any, most: int = MOST) -> list[Change]:
    """The differences, at most `most`. A field, key or position is compared with the same one of the other value.

    >>> changes({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3, 4]})[0]
    Change(path='b[1]', old=2, new=3)
    >>> [change.kind for change in changes({"a": 1}, {"b": 1})]
    ['removed', 'added']
    """
    return list(islice(_walk("", old, new, 0), most))


def _walk(path: str, old: Any, new: Any, depth: int) -> Iterator[Change]:
    if old is new:
        return
    if isinstance(old, Set) and isinstance(new, Set):
        yield from _set_changes(path, old, new)
        return
    parts = _parts_of_both(old, new) if depth < DEEPEST else None
    if parts is None:
        if not _same(old, new):
            yield Change(path, old, new)
        return
    before, after = parts
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key, NOTHING), after.get(key, NOTHING)
        inner = _join_path(path, key, old)
        if one is NOTHING or other is NOTHING:
            yield Change(inner, one, other)
        else:
            yield from _walk(inner, one, other, depth + 1)


def _parts_of_both(old: Any, new: Any) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """The named parts of two values of one type; None if their types differ or have no parts."""
    if type_name(old) != type_name(new) or type(old) is not type(new) or isinstance(old, PLAIN):
        return None
    before, after = parts_of(old, WIDEST), parts_of(new, WIDEST)
    if before is None or after is None or not (before or after):
        return None
    return dict(before), dict(after)


def _set_changes(path: str, old: Set[Any], new: Set[Any]) -> Iterator[Change]:
    yield from (Change(f"{path}{{}}", item, NOTHING) for item in old if item not in new)
    yield from (Change(f"{path}{{}}", NOTHING, item) for item in new if item not in old)


def _same(old: Any, new: Any) -> bool:
    """Compare plain values by value, others by their text: `==` may run any code, or raise."""
    if isinstance(old, PLAIN) and type(old) is type(new):
        return bool(old == new or (old != old and new != new))
    return type(old) is type(new) and type_name(old) == type_name(new) and preview(old, 1000) == preview(new, 1000)


def _join_path(path: str, key: Any, of: Any) -> str:
    if isinstance(of, Mapping) or (isinstance(of, Outline) and of.keyed):
        name = key if isinstance(key, str) else preview(key, 60)
    elif isinstance(key, int):
        return f"{path}[{key}]"
    else:
        name = str(key)
    return f"{path}.{name}" if path else name


def has_changed(old: Any, new: Any) -> bool:
    """Whether two values differ. Objects of a class that does not say what is equal are compared by their text.

    >>> has_changed((1, [2]), (1, [2])), has_changed((1, [2]), (1, [3]))
    (False, True)
    """
    if is_same(old, new):
        return False
    return max(len_of(old), len_of(new)) > WIDEST or bool(changes(old, new, 1))
