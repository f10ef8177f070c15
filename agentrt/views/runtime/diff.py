"""What differs between two states: changed paths with what was there and what is there now. Bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from itertools import islice
from typing import Any, NamedTuple

from ..text import brief, len_of, parts_of, plain, safe_text

__all__ = ["CSS", "Change", "changes", "diff_html"]

DEEPEST, WIDEST, MOST = 12, 5_000, 200
PLAIN = (str, bytes, int, float, bool, complex, type(None))
NOTHING: Any = object()

CSS = """
.diff { display: grid; grid-template-columns: minmax(90px, auto) 1fr 1fr; gap: 0 var(--s3);
  font: var(--t0)/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.diff > div { display: contents; }
.diff > div > * { padding: 3px 6px; border-bottom: 1px solid var(--rt-line); overflow-wrap: anywhere; min-width: 0; }
.diff .head > * { color: var(--rt-muted); font-family: system-ui, sans-serif; }
.diff .old { background: color-mix(in srgb, #D55E00 12%, transparent); }
.diff .new { background: color-mix(in srgb, #009E73 12%, transparent); }
@media (max-width: 520px) { .diff { grid-template-columns: 1fr 1fr; } .diff .path { grid-column: span 2; } }
"""


class Change(NamedTuple):
    """One path that differs. `old` is NOTHING where it is new, `new` where it is gone."""

    path: str
    old: Any
    new: Any

    @property
    def kind(self) -> str:
        """added, removed or changed."""
        return "added" if self.old is NOTHING else "removed" if self.new is NOTHING else "changed"


def changes(old: Any, new: Any, most: int = MOST) -> list[Change]:
    """What differs, `most` of it: fields, keys and positions are compared each with its like.

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
        yield from _of_sets(path, old, new)
        return
    parts = _both(old, new) if depth < DEEPEST else None
    if parts is None:
        if not _same(old, new):
            yield Change(path, old, new)
        return
    before, after = parts
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key, NOTHING), after.get(key, NOTHING)
        inner = _joined(path, key, old)
        if one is NOTHING or other is NOTHING:
            yield Change(inner, one, other)
        else:
            yield from _walk(inner, one, other, depth + 1)


def _both(old: Any, new: Any) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """The named parts of two values of one kind; None where they are of two, or have none."""
    if type(old) is not type(new) or isinstance(old, PLAIN):
        return None
    before, after = parts_of(old, WIDEST), parts_of(new, WIDEST)
    if before is None or after is None or not (before or after):
        return None
    return dict(before), dict(after)


def _of_sets(path: str, old: Set[Any], new: Set[Any]) -> Iterator[Change]:
    yield from (Change(f"{path}{{}}", item, NOTHING) for item in old if item not in new)
    yield from (Change(f"{path}{{}}", NOTHING, item) for item in new if item not in old)


def _same(old: Any, new: Any) -> bool:
    """Plain values by value, others by what is shown of them: comparing may run anybody's code, or not be possible."""
    if isinstance(old, PLAIN) and type(old) is type(new):
        return bool(old == new)
    return type(old) is type(new) and brief(old, 1000) == brief(new, 1000)


def _joined(path: str, key: Any, of: Any) -> str:
    if isinstance(of, Mapping):
        name = key if isinstance(key, str) else brief(key, 60)
    elif isinstance(key, int):
        return f"{path}[{key}]"
    else:
        name = str(key)
    return f"{path}.{name}" if path else name


def diff_html(old: Any, new: Any) -> str:
    """The changes as a table: path, before, after."""
    found = changes(old, new, MOST + 1)
    if not found:
        return '<p class="muted">Nothing in it changed.</p>'
    rows = "".join(map(_row, found[:MOST]))
    more = '<p class="muted">More differs than is shown.</p>' if len(found) > MOST or _wide(old, new) else ""
    head = '<div class="head"><span class="path">what changed</span><span>before</span><span>after</span></div>'
    return f'<div class="diff">{head}{rows}</div>{more}'


def _wide(old: Any, new: Any) -> bool:
    return max(len_of(old), len_of(new)) > WIDEST


def _row(change: Change) -> str:
    glyph = {"added": "+", "removed": "\u2212", "changed": "→"}[change.kind]
    path = safe_text(plain(change.path, 120) or "all of it", 120)
    old, new = (_side(value, name) for value, name in ((change.old, "old"), (change.new, "new")))
    return f'<div><span class="path">{glyph} {path}</span>{old}{new}</div>'


def _side(value: Any, name: str) -> str:
    if value is NOTHING:
        return '<span class="muted">—</span>'
    return f'<span class="{name}">{safe_text(brief(value, 300), 300)}</span>'
