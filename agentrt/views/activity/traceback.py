"""An error with the source lines around each frame of its traceback, innermost last. None of that code runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from ...feed.failures import SourcePlace, identity_of, places
from ..html import Markup, div, fragment, p, pre, section, span, strong
from ..text import safe_text

__all__ = ["CSS", "traceback_html"]

CHAIN = 4
CSS = """
.trace section + section { margin-top: var(--s4); } .trace .at { margin-top: var(--s2); }
.trace .at { color: var(--rt-muted); overflow-wrap: anywhere; }
.trace pre { padding: var(--s2); background: var(--rt-fill); border-radius: 6px; overflow-x: auto; margin-top: 4px; }
.trace pre span { display: block; }
.trace .hit { background: color-mix(in srgb, var(--tone) 16%, transparent); font-weight: 600; }
.trace .no { color: var(--rt-muted); user-select: none; }
"""


def causes(error: BaseException, earlier: Container[object] = ()) -> Iterator[tuple[BaseException, str]]:
    """The error and its causes, each with how it is related to the one before.

    `earlier` are the identities of errors to leave out, those of earlier attempts: Python sets them as the context.
    """
    words = ""
    for _ in range(CHAIN):
        yield error, words
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or identity_of(cause) in earlier:
            return
        words = "It was caused by" if error.__cause__ else "While this was handled:"
        error = cause


def traceback_html(error: BaseException, before: Iterable[BaseException] = ()) -> Markup:
    """The error of an activity (of the workflow, where there is one) with its source. `before`: of earlier attempts."""
    earlier = {identity_of(each.__cause__ or each) for each in before}
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
    gutter = span(f"{'►' if hit else ' '} {number:>4}  ", cls="no", style="display:inline")
    return span(gutter, safe_text(text.expandtabs(4), 300), cls="hit" if hit else None)
