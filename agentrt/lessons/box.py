"""The frame around what a lesson shows: large type, a line at the side, readable in both themes."""

from __future__ import annotations

from ..views.html import Content, Markup, code, div, fragment

__all__ = ["GOOD", "NEUTRAL_LINE", "OPEN", "frame_box", "show_code"]

NEUTRAL_LINE, GOOD, OPEN = "#0072B2", "#009E73", "#D55E00"
STYLE = "border-left:4px solid {tone};padding:4px 14px;margin:6px 0;font-size:1.15em;line-height:1.5;max-width:52em"


def frame_box(*content: Content, tone: str = NEUTRAL_LINE) -> Markup:
    """The content in a box of the lesson, with a line of that colour at its side."""
    return div(*content, style=STYLE.format(tone=tone))


def show_code(text: str) -> Markup:
    """A text in which what stands between backticks is code.

    >>> show_code("call `f(x)` < twice")
    'call <code>f(x)</code> &lt; twice'
    """
    parts = text.split("`")
    return fragment(*(code(part) if index % 2 else part for index, part in enumerate(parts)))
