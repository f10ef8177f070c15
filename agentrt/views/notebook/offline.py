"""A saved view that needs no network: what a browser would fetch for Panel is put into the file, each part once."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import secrets
from pathlib import Path

import panel
import panel_material_ui

__all__ = ["inline_files"]

FETCHED = re.compile(r"<(?:link|script)\b[^>]*?(?:href|src)=\"(?:https?:|static/)[^>]*>(?:\s*</script>)?")
SHEET = re.compile(r'"(https://cdn\.holoviz\.org/panel[^"]*?\.css)(?:\?[^"]*)?"')
MODULE = re.compile(r'"esm":("(?:[^"\\]|\\.){20000,}")')
MODULE_URL = re.compile(r'"esm":"(https://cdn\.holoviz\.org/panel[^"]*?\.js)(?:\?[^"]*)?"')
READ = re.compile(r"(docs_json = document\.getElementById\('[^']+'\)\.textContent)")
# As the browser prefers it, now and when that changes. The components of Panel Material UI watch this attribute.
THEME = """<meta name="color-scheme" content="light dark"><style>
:root[data-theme="light"] { color-scheme: light; --panel-surface-color: #fff; --panel-on-background-color: #1d2127; }
:root[data-theme="dark"] { color-scheme: dark; --panel-surface-color: #1e1e1e; --panel-on-background-color: #fff; }
:root[data-theme="dark"] body { background: #121212; }
</style><script>{
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const set = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light" }
  dark.addEventListener("change", set)
  set()
}</script>"""
PLACES = {
    "panel": Path(panel.__file__).parent / "dist",
    "panel-material-ui": Path(panel_material_ui.__file__).parent / "dist",
}


class SavedParts:
    """The parts of a page, each once; the text has a mark in place of each."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(8)  # so that no string of a view can be a mark
        self.numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The mark of a part."""
        return f'"{self.secret}:{self.numbers.setdefault(text, len(self.numbers))}"'

    def module(self, found: re.Match[str]) -> str:
        """The mark of a module that stands in the text."""
        return f'"esm":{self.mark(json.loads(found.group(1)))}'

    def fetched_module(self, found: re.Match[str]) -> str:
        """The mark of a module that the text has by its address."""
        return f'"esm":{self.mark(read_file(found.group(1)).decode())}'

    def sheet(self, found: re.Match[str]) -> str:
        """The mark of a style sheet, which becomes a data URL."""
        return self.mark(data_url(found.group(1)))

    @property
    def script(self) -> str:
        """JavaScript that puts the parts in the place of their marks."""
        parts = json.dumps(list(self.numbers)).replace("</", "<\\/")
        return f'.replace(/"{self.secret}:(\\d+)"/g, (mark, n) => JSON.stringify({parts}[n]))'


def read_file(url: str) -> bytes:
    """The content of a file of Panel, from where it is installed; nothing for a file that does not exist."""
    package, _, path = url.removeprefix("https://cdn.holoviz.org/").partition("/")
    file = PLACES[package] / re.sub(r"^v?[\d.]+[^/]*/(?:dist/)?", "", path)
    return file.read_bytes() if file.is_file() else b""


def data_url(url: str) -> str:
    """The same as a data URL."""
    return f"data:{mimetypes.guess_type(url)[0]};base64,{base64.b64encode(read_file(url)).decode()}"


def inline_files(html: str) -> str:
    """Return the same page, with every file in it that it would fetch. It is light or dark as the browser prefers."""
    parts = SavedParts()
    html = FETCHED.sub("", html)
    # What Panel writes depends on settings of the whole process, which a page on another thread may change meanwhile:
    # a module, or where a browser would fetch it.
    html = MODULE_URL.sub(parts.fetched_module, MODULE.sub(parts.module, html))
    html = html.replace('"bundle":"url"', '"bundle":"panel-material-ui"')
    html = SHEET.sub(parts.sheet, html)
    html = READ.sub(lambda found: found.group(1) + parts.script, html)
    return html.replace("<head>", f"<head>{THEME}", 1)
