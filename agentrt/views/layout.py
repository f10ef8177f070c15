"""The layout of every view: a section with a heading, and a line that breaks where it is too long."""

from __future__ import annotations

from typing import Any

import panel as pn

from .html import h3, span
from .live import Live
from .theme import CSS

__all__ = ["WIDE", "beside", "line", "section"]

# As wide as there is room, never wider: a long word must not push a page beyond a narrow screen. As high as it needs to
# be: a page gives its parts the height of the window at the most, and what is higher lies over what follows.
WIDE: dict[str, Any] = {
    "sizing_mode": "stretch_width",
    "margin": 0,
    "styles": {"min-width": "0", "max-width": "100%", "max-height": "none", "box-sizing": "border-box"},
}

BOX = (
    CSS
    + """
:host { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px;
  padding: var(--s3) var(--s4); }
"""
)


NOTE = span.with_(cls="muted", style="font-weight:400;font-size:var(--t0)")


def section(title: str, *objects: Any, note: str = "", grow: int = 1, least: int = 380) -> pn.Column:
    """A box with a heading.

    Args:
        title: The heading; empty for none.
        *objects: What is in the box.
        note: A few words beside the heading.
        grow: Its share of the width of a line.
        least: Pixels; where there is less room it takes a line of its own.
    """
    hint = (" ", NOTE(note)) if note else None
    head = [Live(h3(title, hint), margin=(0, 0, 6, 0))] if title else []
    box = pn.Column(*head, *objects, stylesheets=[BOX], **WIDE)
    box.tags = [{"flex": f"{grow} 1 min({least}px, 100%)", "align-self": "stretch", "height": "auto"}]
    return box


def beside(*sections: Any) -> pn.Row:
    """Sections in a line, of equal height."""
    for box in sections:
        box.styles = {**box.styles, **box.tags[0]}
    return line(*sections, gap=12, align="stretch")


# Not pn.FlexBox: plots in it are drawn without a size.
def line(*objects: Any, gap: int = 8, align: str = "center", **options: Any) -> pn.Row:
    """Objects in a line, which breaks where they don't fit."""
    css = f":host {{ flex-wrap: wrap; gap: {gap}px; align-items: {align}; }}"
    return pn.Row(*objects, stylesheets=[css], **{**WIDE, **options})
