"""The elements of drawings, made as those of `html` are: functions of their content, whose texts are escaped.

circle(cx=3, cy=4, r=2, fill="red")        # <circle cx="3" cy="4" r="2" fill="red"></circle>
"""

from __future__ import annotations

from .html import Element

__all__ = ["circle", "drawing", "g", "line", "path", "rect", "style", "text", "title"]

circle, g, line, path = map(Element, ("circle", "g", "line", "path"))
rect, style, text, title = map(Element, ("rect", "style", "text", "title"))
drawing = Element("svg")
