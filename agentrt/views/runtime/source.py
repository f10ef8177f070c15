"""Source code on a page: a function with one line marked, the variables of a frame, and whose code it is."""

from __future__ import annotations

import inspect
import linecache
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from ...frames import StackFrame, is_users_file
from ..html import Markup, code, div, escape, i, p, pre, span, strong, table, tbody, td, th, thead, tr
from ..text import plain, safe_text

__all__ = ["CSS", "is_own", "listing_html", "locals_html", "place_of", "title_of"]

AROUND = 8  # lines shown on each side of the one that is marked; as many as fit
MOST = 400  # lines of one function that are read

CSS = """
.code { border: 1px solid var(--rt-line); border-radius: 8px; overflow: hidden; background: var(--rt-fill);
  display: flex; flex-direction: column; }
.code > div { display: flex; gap: var(--s2); justify-content: space-between; padding: 5px var(--s3);
  border-bottom: 1px solid var(--rt-line); font-size: var(--t0); overflow-wrap: anywhere; }
.code pre { overflow: auto; flex: 1; padding: var(--s1) 0; }
.code pre span { display: block; min-width: max-content; padding: 0 var(--s3) 0 0; }
.code pre i { display: inline-block; width: 64px; padding-right: var(--s3); text-align: right; font-style: normal;
  color: var(--rt-muted); user-select: none; }
.code pre .here { background: color-mix(in srgb, var(--tone) 22%, transparent);
  box-shadow: inset 4px 0 0 var(--tone); font-weight: 600; }
.code pre .here i { color: var(--rt-text); }
.code pre .gap { color: var(--rt-muted); }
.vars { width: 100%; border-collapse: collapse; font-size: var(--t0); table-layout: fixed; }
.vars th, .vars td { text-align: left; vertical-align: top; padding: 3px var(--s2) 3px 0; font-weight: 400;
  border-bottom: 1px solid var(--rt-line); overflow-wrap: anywhere; }
.vars thead th { color: var(--rt-muted); }
.vars code { color: var(--rt-text); }
.vars tbody th div { font-weight: 400; }
.vars tbody th { font: 600 var(--t0)/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
"""


def is_own(frame: StackFrame) -> bool:
    """Whether it is the user's code: not of this package, of Python or of an installed package."""
    return is_users_file(frame.file)


def title_of(frame: StackFrame) -> Markup:
    """The name of the function."""
    return safe_text(frame.function.replace("<locals>.", ""), 80)


def place_of(frame: StackFrame) -> Markup:
    """File and line in short.

    >>> place_of(StackFrame("/tmp/ipykernel_12/345.py", 3, "f", "")), place_of(StackFrame("/a/b.py", 7, "f", ""))
    ('a cell, line 3', 'b.py, line 7')
    """
    in_cell = "ipykernel_" in frame.file or frame.file.startswith("<ipython")
    name = "a cell" if in_cell else plain(Path(frame.file).name, 60)
    return escape(f"{name}, line {frame.line}")


def listing_html(frame: StackFrame, tone: str, *, marked: bool = True) -> Markup:
    """The function of a frame with its line marked; of a long function, the lines around it."""
    lines = _function_lines(frame.file, frame.first, frame.line) or {frame.line: frame.source}
    about = f"source, line {frame.line} is marked" if marked else "source of the workflow"
    return div(
        div(strong(title_of(frame)), span(place_of(frame), cls="muted", title=safe_text(frame.file, 300))),
        pre(_line_spans(lines, frame.line, marked), tabindex=0, aria_label=about),
        cls="code",
        style=f"--tone:{tone}",
    )


def _line_spans(lines: dict[int, str], here: int, marked: bool) -> Iterator[Markup]:
    low = max(min(lines), min(here - AROUND, max(lines) - 2 * AROUND))
    before = min(lines) - 1
    for n in [n for n in lines if low <= n <= low + 2 * AROUND or n == min(lines)]:
        if n != before + 1:
            yield _gap(n - before - 1)
        at = marked and n == here
        text = safe_text(lines[n].expandtabs(4).rstrip(), 300) or " "
        yield span(i(f"{'► ' if at else ''}{n}"), text, cls="here" if at else None)
        before = n
    if max(lines) > before:
        yield _gap(max(lines) - before)


def _gap(lines: int) -> Markup:
    return span(i("…"), f"{lines} lines", cls="gap")


@lru_cache(maxsize=64)
def _function_lines(file: str, first: int, line: int) -> dict[int, str]:
    """The lines of a function by number; those around `line` where the end of the function can't be found."""
    lines = linecache.getlines(file)
    if not 0 < line <= len(lines):
        return {}
    try:
        block = inspect.getblock(lines[first - 1 : first - 1 + MOST])
    except (SyntaxError, tokenize.TokenError):
        block = []
    if not first <= line < first + len(block):
        first, block = max(1, line - AROUND), lines[max(0, line - AROUND - 1) : line + AROUND]
    return {first + i: text for i, text in enumerate(block)}


def locals_html(frame: StackFrame) -> Markup:
    """The variables of a frame: name, type, and value in short."""
    if not frame.locals:
        return p("No local variables.", cls="muted")
    rows = [_variable_row(name, frame.types.get(name, ""), value) for name, value in frame.locals.items()]
    head = th("name, type", scope="col", style="width:32%"), th("value", scope="col")
    return table(thead(tr(head)), tbody(rows), cls="vars")


def _variable_row(name: str, kind: str, value: str) -> Markup:
    key = safe_text(name, 60)
    head = th(key, div(safe_text(kind, 40), cls="muted"), scope="row")
    return tr(head, td(code(safe_text(value, 160))), data_key=key)
