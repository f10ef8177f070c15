"""An error with the lines of source around each place it came through, innermost last. Nothing of the code runs."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Container, Iterable, Iterator
from types import CodeType
from typing import NamedTuple

from ...frames import RUNNERS, package_of
from ..text import safe_text

__all__ = ["CSS", "Place", "places", "trace_html"]

AROUND, DEEPEST, CHAIN = 2, 8, 4
CSS = """
.trace section + section { margin-top: var(--s4); } .trace .at { margin-top: var(--s2); }
.trace .at { color: var(--rt-muted); overflow-wrap: anywhere; }
.trace pre { padding: var(--s2); background: var(--rt-fill); border-radius: 6px; overflow-x: auto; margin-top: 4px; }
.trace pre span { display: block; }
.trace .hit { background: color-mix(in srgb, var(--tone) 16%, transparent); font-weight: 600; }
.trace .no { color: var(--rt-muted); user-select: none; }
"""


class Place(NamedTuple):
    """Where an error came through: file, line, function, and the lines around it by number."""

    file: str
    line: int
    function: str
    around: tuple[tuple[int, str], ...]


def places(error: BaseException) -> list[Place]:
    """Where an error came through, outermost first: the workflow's frames, without this package's around them."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    heads = [n for n, (code, _) in enumerate(frames, 1) if (package_of(code.co_filename), code.co_name) in RUNNERS]
    kept = frames[heads[-1] if heads else 0 :] or frames
    while len(kept) > 1 and _ours(kept[-1][0]):
        kept.pop()
    return [_place(code.co_filename, line, code.co_qualname) for code, line in kept[-DEEPEST:]]


def _ours(code: CodeType) -> bool:
    return package_of(code.co_filename) == "agentrt"


def _place(file: str, line: int, function: str) -> Place:
    numbers = range(max(1, line - AROUND), line + AROUND + 1)
    found = [(number, linecache.getline(file, number).rstrip("\n")) for number in numbers]
    while found and not found[-1][1]:
        found.pop()
    return Place(file, line, function, tuple(found))


def chain(error: BaseException, earlier: Container[int] = ()) -> Iterator[tuple[BaseException, str]]:
    """The error and what was behind it, each with how it came of the one before. `earlier`: ids of errors to leave out,
    those of attempts before: Python takes them for its context."""
    words = ""
    for _ in range(CHAIN):
        yield error, words
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in earlier:
            return
        words = "It was caused by" if error.__cause__ else "While this was handled:"
        error = cause


def trace_html(error: BaseException, before: Iterable[BaseException] = ()) -> str:
    """The error of an activity (the workflow's own, where there is one) with its source; `before`: of its attempts."""
    earlier = {id(each.__cause__ or each) for each in before}
    parts = [_error_html(each, words) for each, words in chain(error.__cause__ or error, earlier)]
    return f'<div class="trace">{"".join(parts)}</div>'


def _error_html(error: BaseException, words: str) -> str:
    said = f'<p class="muted">{words}</p>' if words else ""
    name = f"<strong>{safe_text(type(error).__name__)}: {safe_text(_message(error), 400)}</strong>"
    found = places(error)
    none = "" if found else '<p class="muted">It has no traceback.</p>'
    return f"<section>{said}{name}{''.join(map(_place_html, found))}{none}</section>"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # anybody's class
        return f"(its message can't be shown: {type(fault).__name__})"


def _place_html(place: Place) -> str:
    rows = "".join(_line_html(number, text, hit=number == place.line) for number, text in place.around)
    where = f"{safe_text(place.file, 200)}, line {place.line}, in {safe_text(place.function, 80)}"
    source = f'<pre tabindex="0">{rows}</pre>' if rows else '<p class="muted">Its source is not at hand.</p>'
    return f'<p class="at">{where}</p>{source}'


def _line_html(number: int, text: str, hit: bool) -> str:
    mark = "▶" if hit else " "
    gutter = f'<span class="no" style="display:inline">{mark} {number:>4}  </span>'
    return f"<span{' class=hit' if hit else ''}>{gutter}{safe_text(text.expandtabs(4), 300)}</span>"
