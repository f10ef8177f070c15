"""What differs between two states, as a table."""

from __future__ import annotations

from typing import Any

from ...schema.difference import MOST, NOTHING, WIDEST, Change, changes
from ..html import Markup, div, fragment, p, quiet, span
from ..text import brief, len_of, plain, safe_text

__all__ = ["CSS", "diff_html"]

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


def diff_html(old: Any, new: Any) -> Markup:
    """The changes as a table: path, before, after."""
    found = changes(old, new, MOST + 1)
    if not found:
        return p("Nothing in it changed.", cls="muted")
    wide = max(len_of(old), len_of(new)) > WIDEST
    more = p("More differs than is shown.", cls="muted") if len(found) > MOST or wide else None
    head = div(span("what changed", cls="path"), span("before"), span("after"), cls="head")
    return fragment(div(head, map(_change_row, found[:MOST]), cls="diff"), more)


def _change_row(change: Change) -> Markup:
    glyph = {"added": "+", "removed": "\u2212", "changed": "→"}[change.kind]
    path = safe_text(plain(change.path, 120) or "all of it", 120)
    return div(span(glyph, " ", path, cls="path"), _value(change.old, "old"), _value(change.new, "new"))


def _value(value: Any, name: str) -> Markup:
    return quiet("—") if value is NOTHING else span(safe_text(brief(value, 300), 300), cls=name)
