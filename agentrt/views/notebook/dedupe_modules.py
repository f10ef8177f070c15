"""Outputs of cells, without saying the same thing twenty times."""

from __future__ import annotations

import re

__all__ = ["slim"]

MODULE = re.compile(r'"esm":("(?:[^"\\]|\\.){20000,}")')
START = "var docs_json = "


def slim(html: str) -> str:
    """The same output with each JavaScript module in it once.

    In a notebook every component brings the whole module it is made of, a megabyte and a half for each button: a card
    of 35 MB. The models are a JavaScript literal, so a module can be a variable that all of them name.
    """
    modules: list[str] = []
    at = 0
    while (found := MODULE.search(html, at)) is not None:
        at = found.start()
        html = html.replace(found.group(), f'"esm":module{len(modules)}')
        modules.append(found.group(1))
    said = "".join(f"var module{n} = {module};\n" for n, module in enumerate(modules))
    return html.replace(START, said + START, 1)
