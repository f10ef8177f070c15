"""An error with the source lines around each frame of its traceback, innermost last. None of that code runs."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Container, Iterable, Iterator
from types import CodeType
from typing import NamedTuple

from ...frames import RUNNERS, package_of
from ..html import Markup, div, fragment, p, pre, section, span, strong
from ..text import safe_text

__all__ = ["CSS", "SourcePlace", "places", "traceback_html"]

AROUND, DEEPEST, CHAIN = 2, 8, 4
CSS = """
.trace section + section { margin-top: var(--s4); } .trace .at { margin-top: var(--s2); }
.trace .at { color: var(--rt-muted); overflow-wrap: anywhere; }
.trace pre { padding: var(--s2); background: var(--rt-fill); border-radius: 6px; overflow-x: auto; margin-top: 4px; }
.trace pre span { display: block; }
.trace .hit { background: color-mix(in srgb, var(--tone) 16%, transparent); font-weight: 600; }
.trace .no { color: var(--rt-muted); user-select: none; }
"""


class SourcePlace(NamedTuple):
    """A frame of a traceback: file, line, function, and the lines around it by number."""

    file: str
    line: int
    function: str
    around: tuple[tuple[int, str], ...]


def places(error: BaseException) -> list[SourcePlace]:
    """The frames of an error, outermost first: those of the workflow, without those of this package around them."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    heads = [n for n, (code, _) in enumerate(frames, 1) if (package_of(code.co_filename), code.co_name) in RUNNERS]
    own = frames[heads[-1] if heads else 0 :] or frames
    while len(own) > 1 and _of_package(own[-1][0]):
        own.pop()
    return [_place(code.co_filename, line, code.co_qualname) for code, line in own[-DEEPEST:]]


def _of_package(code: CodeType) -> bool:
    return package_of(code.co_filename) == "agentrt"


def _place(file: str, line: int, function: str) -> SourcePlace:
    numbers = range(max(1, line - AROUND), line + AROUND + 1)
    found = [(number, linecache.getline(file, number).rstrip("\n")) for number in numbers]
    while found and not found[-1][1]:
        found.pop()
    return SourcePlace(file, line, function, tuple(found))


def causes(error: BaseException, earlier: Container[int] = ()) -> Iterator[tuple[BaseException, str]]:
    """The error and its causes, each with how it is related to the one before.

    `earlier` are ids of errors to leave out, those of earlier attempts: Python sets them as the context.
    """
    words = ""
    for _ in range(CHAIN):
        yield error, words
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in earlier:
            return
        words = "It was caused by" if error.__cause__ else "While this was handled:"
        error = cause


def traceback_html(error: BaseException, before: Iterable[BaseException] = ()) -> Markup:
    """The error of an activity (of the workflow, where there is one) with its source. `before`: of earlier attempts."""
    earlier = {id(each.__cause__ or each) for each in before}
    return div([_error_html(each, words) for each, words in causes(error.__cause__ or error, earlier)], cls="trace")


def _error_html(error: BaseException, words: str) -> Markup:
    relation = p(words, cls="muted") if words else None
    name = strong(safe_text(type(error).__name__), ": ", safe_text(_error_text(error), 400))
    found = places(error)
    return section(relation, name, map(_place_html, found), None if found else p("It has no traceback.", cls="muted"))


def _error_text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # a user's class
        return f"(its message can't be shown: {type(fault).__name__})"


def _place_html(place: SourcePlace) -> Markup:
    lines = [_line_html(number, text, hit=number == place.line) for number, text in place.around]
    where = safe_text(place.file, 200), f", line {place.line}, in ", safe_text(place.function, 80)
    source = pre(lines, tabindex=0) if lines else p("Its source is not available.", cls="muted")
    return fragment(p(*where, cls="at"), source)


def _line_html(number: int, text: str, hit: bool) -> Markup:
    gutter = span(f"{'▶' if hit else ' '} {number:>4}  ", cls="no", style="display:inline")
    return span(gutter, safe_text(text.expandtabs(4), 300), cls="hit" if hit else None)
