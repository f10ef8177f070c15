"""The icons of buttons, as drawings: a notebook has no icon font, and none is fetched."""

from __future__ import annotations

from . import svg
from .html import Markup

__all__ = ["drawing_of", "icon"]

PATHS = {
    "pause": "M6 5h4v14H6zM14 5h4v14h-4z",
    "play": "M7 4l13 8-13 8z",
    "step": "M5 5l9 7-9 7zM16 5h3v14h-3z",
    "stop": "M6 6h12v12H6z",
    "recover": "M12 4a8 8 0 1 1-7.7 5.8l2.3.7A5.6 5.6 0 1 0 12 6.4V10L6.5 5.5 12 1z",
    "undo": "M9 4v4h4a6 6 0 0 1 0 12H6v-2.6h7a3.4 3.4 0 0 0 0-6.8H9v4L3 9.3z",
    "back": "M11 4v5h10v5.5H11v5l-8-7.7z",
    "left": "M15.5 4l2 2-6 6 6 6-2 2-8-8z",
    "right": "M8.5 4l-2 2 6 6-6 6 2 2 8-8z",
    "send": "M3 3l19 9-19 9 3-9zM6 11h8v2H6z",
    "info": "M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm-1 6h2v7h-2zm0-3.5h2v2h-2z",
    "flag": "M5 2h2v1h12l-3 5 3 5H7v9H5z",
    "spotlight": "M4 3h5v2H6v3H4zm11 0h5v5h-2V5h-3zM4 16h2v3h3v2H4zm14 0h2v5h-5v-2h3zM12 8a4 4 0 1 1 0 8 4 4 0 1 1 0-8",
    "bolt": "M13 2L5 14h6l-1 8 9-13h-6z",
}


def icon(name: str) -> str:
    """The drawing of this name, as SVG, for the `icon` of a button."""
    return str(drawing_of(name, xmlns="http://www.w3.org/2000/svg"))


def drawing_of(name: str, **attributes: str) -> Markup:
    """The drawing of this name, as SVG, for a text."""
    return svg.drawing(svg.path(fill_rule="evenodd", d=PATHS[name]), viewBox="0 0 24 24", **attributes)
