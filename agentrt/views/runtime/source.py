"""Lines of code for people: a function with one line marked, a frame's variables, and whose code a frame is."""

from __future__ import annotations

import inspect
import linecache
import sysconfig
import tokenize
from functools import lru_cache
from html import escape
from pathlib import Path

from ...frames import StackFrame
from ..text import plain, safe_text

__all__ = ["CSS", "is_own", "listing_html", "locals_html", "place_of", "title_of"]

AROUND = 8  # lines shown on each side of the one that is marked; as many as fit
MOST = 400  # lines of one function that are looked at
PACKAGE = Path(inspect.getfile(StackFrame)).parent
DEMO = str(PACKAGE / "demo")
LIBRARIES = (str(PACKAGE), *{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})

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
    """Whether it is a person's code, and not of this package, of Python or of an installed one."""
    return frame.file.startswith(DEMO) or not frame.file.startswith((*LIBRARIES, "<frozen"))


def title_of(frame: StackFrame) -> str:
    """The function's name, safe for HTML."""
    return safe_text(frame.function.replace("<locals>.", ""), 80)


def place_of(frame: StackFrame) -> str:
    """File and line in short, safe for HTML.

    >>> place_of(StackFrame("/tmp/ipykernel_12/345.py", 3, "f", "")), place_of(StackFrame("/a/b.py", 7, "f", ""))
    ('a cell, line 3', 'b.py, line 7')
    """
    in_cell = "ipykernel_" in frame.file or frame.file.startswith("<ipython")
    name = "a cell" if in_cell else plain(Path(frame.file).name, 60)
    return f"{escape(name)}, line {frame.line}"


def listing_html(frame: StackFrame, tone: str, *, marked: bool = True) -> str:
    """The function of a frame with its line marked; of a long one what is around the line."""
    head = f'<strong>{title_of(frame)}</strong><span class="muted" title="{safe_text(frame.file, 300)}">'
    lines = _function(frame.file, frame.first, frame.line) or {frame.line: frame.source}
    rows = "".join(_rows(lines, frame.line, marked))
    about = f"source, line {frame.line} is marked" if marked else "source of the workflow"
    return f"""<div class="code" style="--tone:{tone}"><div>{head}{place_of(frame)}</span></div>
      <pre tabindex="0" aria-label="{about}">{rows}</pre></div>"""


def _rows(lines: dict[int, str], here: int, marked: bool) -> list[str]:
    low = max(min(lines), min(here - AROUND, max(lines) - 2 * AROUND))
    rows, before = [], min(lines) - 1
    for n in [n for n in lines if low <= n <= low + 2 * AROUND or n == min(lines)]:
        if n != before + 1:
            rows.append(f'<span class="gap"><i>⋮</i>{n - before - 1} lines</span>')
        mark, kind = ("▶ ", ' class="here"') if marked and n == here else ("", "")
        rows.append(f"<span{kind}><i>{mark}{n}</i>{safe_text(lines[n].expandtabs(4).rstrip(), 300) or ' '}</span>")
        before = n
    left = max(lines) - before
    return [*rows, f'<span class="gap"><i>⋮</i>{left} lines</span>'] if left else rows


@lru_cache(maxsize=64)
def _function(file: str, first: int, line: int) -> dict[int, str]:
    """The lines of a function by number; those around the line where the function can't be told from the rest."""
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


def locals_html(frame: StackFrame) -> str:
    """A frame's variables: name, type, and what they hold in short."""
    if not frame.locals:
        return '<p class="muted">No local variables.</p>'
    rows = "".join(_row(name, frame.types.get(name, ""), value) for name, value in frame.locals.items())
    head = '<th scope="col" style="width:32%">name, type</th><th scope="col">value</th>'
    return f'<table class="vars"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(name: str, kind: str, value: str) -> str:
    key = safe_text(name, 60)
    head = f'<th scope="row">{key}<div class="muted">{safe_text(kind, 40)}</div></th>'
    return f'<tr data-key="{key}">{head}<td><code>{safe_text(value, 160)}</code></td></tr>'
