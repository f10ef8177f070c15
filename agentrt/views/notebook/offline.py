"""A saved view that needs nothing else: what a browser would fetch for Panel is put into the file, each part once."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import secrets
from pathlib import Path

import panel
import panel_material_ui

__all__ = ["offline"]

FETCHED = re.compile(r"<(?:link|script)\b[^>]*?(?:href|src)=\"(?:https?:|static/)[^>]*>(?:\s*</script>)?")
SHEET = re.compile(r'"(https://cdn\.holoviz\.org/panel[^"]*?\.css)(?:\?[^"]*)?"')
MODULE = re.compile(r'"esm":("(?:[^"\\]|\\.){20000,}")')
READ = re.compile(r"(docs_json = document\.getElementById\('[^']+'\)\.textContent)")
PLACES = {
    "panel": Path(panel.__file__).parent / "dist",
    "panel-material-ui": Path(panel_material_ui.__file__).parent / "dist",
}


class Parts:
    """What a file needs, each once; in the text stands a mark of it."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(8)  # no string of the view reads like a mark
        self.known: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """What to write for a part."""
        return f'"{self.secret}:{self.known.setdefault(text, len(self.known))}"'

    def module(self, found: re.Match[str]) -> str:
        """A module that is written out."""
        return f'"esm":{self.mark(json.loads(found.group(1)))}'

    def sheet(self, found: re.Match[str]) -> str:
        """A style sheet, as the address of its own text."""
        return self.mark(data_url(found.group(1)))

    @property
    def script(self) -> str:
        """What puts the parts in their places, as JavaScript."""
        parts = json.dumps(list(self.known)).replace("</", "<\\/")
        return f'.replace(/"{self.secret}:(\\d+)"/g, (mark, n) => JSON.stringify({parts}[n]))'


def data_url(url: str) -> str:
    """A file of Panel's as an address that holds its text; an empty one for a file that is not there."""
    package, _, path = url.removeprefix("https://cdn.holoviz.org/").partition("/")
    file = PLACES[package] / re.sub(r"^v?[\d.]+[^/]*/(?:dist/)?", "", path)
    text = file.read_bytes() if file.is_file() else b""
    return f"data:{mimetypes.guess_type(file.name)[0]};base64,{base64.b64encode(text).decode()}"


def offline(html: str) -> str:
    """The same page, which asks nobody for anything."""
    parts = Parts()
    html = SHEET.sub(parts.sheet, MODULE.sub(parts.module, html))
    html = FETCHED.sub("", html)
    return READ.sub(lambda found: found.group(1) + parts.script, html)
