"""The output of a cell with each JavaScript module in it once, not once for each component."""

from __future__ import annotations

import re

__all__ = ["dedupe_modules"]

MODULE = re.compile(r'"esm":("(?:[^"\\]|\\.){20000,}")')
START = "var docs_json = "


def dedupe_modules(html: str) -> str:
    """Return the same output with each JavaScript module in it once.

    In a notebook every component has its whole module with it, 1.5 MB for each button, so a card would have 35 MB. The
    models are a JavaScript literal: a module can be a variable that all of them refer to.
    """
    modules: list[str] = []
    at = 0
    while (found := MODULE.search(html, at)) is not None:
        at = found.start()
        html = html.replace(found.group(), f'"esm":module{len(modules)}')
        modules.append(found.group(1))
    variables = "".join(f"var module{n} = {module};\n" for n, module in enumerate(modules))
    return html.replace(START, variables + START, 1)
