"""HTML in Python: an element is a function of its content, and every text in it is escaped.

    p("from ", strong(name), cls="muted")        # <p class="muted">from <strong>...</strong></p>

This is the only file of the views that writes tags, so it is the only one that has to escape. What an element returns
is `Markup`; any other string is text, whatever it holds. So a forgotten `safe_text` shows odd characters, and never
runs a script.

Plain functions, and not Jinja2 templates: mypy checks the names and the types, a part of a page is an ordinary function
with arguments, and nothing has to be looked up while a frame is drawn. A class of our own, and not `markupsafe.Markup`:
that takes four times as long to make, and a table row makes thirty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from html import escape as escape_all
from typing import TypeAlias

from .theme import Look

__all__ = [
    "NOT_IN_FILE",
    "Content",
    "Element",
    "Markup",
    "a",
    "action",
    "b",
    "bar",
    "br",
    "bullets",
    "button",
    "chip",
    "code",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "empty",
    "escape",
    "fragment",
    "glyph",
    "h2",
    "h3",
    "h4",
    "header",
    "i",
    "img",
    "join",
    "li",
    "link",
    "mark",
    "nav",
    "ol",
    "p",
    "pre",
    "quiet",
    "row",
    "script",
    "section",
    "small",
    "span",
    "strong",
    "stylesheet",
    "summary",
    "symbol",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
    "with_glyph",
]


class Markup(str):
    """HTML that is ready: it is not escaped again. Only this file and `svg.py` make it of a text."""

    __slots__ = ()

    def __html__(self) -> str:
        """The same; Panel and IPython ask for it."""
        return self

    def __add__(self, other: Content) -> Markup:
        """Both, one after the other."""
        return fragment(self, other)

    def __radd__(self, other: Content) -> Markup:
        """Both, one after the other."""
        return fragment(other, self)


# What an element may hold. None is nothing; numbers are written as they are.
Content: TypeAlias = "str | int | float | Iterable[Content] | None"
Value: TypeAlias = str | int | float | bool | None


def escape(content: Content) -> Markup:
    """The content as HTML: markup as it is, any other text escaped, the parts of an iterable one after the other.

    >>> escape("a < b"), escape(["1", Markup("<b>2</b>"), None])
    ('a &lt; b', '1<b>2</b>')
    """
    if isinstance(content, str):
        return content if type(content) is Markup else Markup(_escape_value(content))
    return Markup(_to_html(content))


def _to_html(content: Content) -> str:
    if type(content) is Markup:
        return content
    if isinstance(content, str):
        # Most texts have nothing to escape: looking takes a third of the time of replacing.
        special = "<" in content or "&" in content or ">" in content
        return escape_all(content, quote=False) if special else content
    if content is None:
        return ""
    return str(content) if isinstance(content, int | float) else "".join(map(_to_html, content))


def _escape_value(text: str) -> str:
    special = "<" in text or "&" in text or ">" in text or '"' in text or "'" in text
    return escape_all(text) if special else text


def fragment(*content: Content) -> Markup:
    """Several contents, one after the other, with no element around them."""
    return escape(content)


def script(code: str) -> Markup:
    """Code of our own, for a cell whose output is trusted. `Live` removes it: no page has it."""
    return Markup(f"<script>{code}</script>")


def stylesheet(rules: str) -> Markup:
    """Rules of our own, for a cell whose output is trusted."""
    return Markup(f"<style>{rules}</style>")


def join(separator: str, parts: Iterable[Content]) -> Markup:
    """The parts, with the separator between each two."""
    return Markup(escape(separator).join(map(escape, parts)))


class Element:
    """One kind of element. Call it with its content and its attributes; `with_` gives one whose attributes are set.

    `cls` is written `class`, and an underscore a hyphen: `data_do="go"`, `aria_label="lanes"`. True is an attribute
    without a value, False and None are left out; `aria_*` says "true" or "false".

    >>> div("a & b", strong(3), cls="row", hidden=True)
    '<div class="row" hidden>a &amp; b<strong>3</strong></div>'
    >>> button("on", aria_pressed=False, disabled=False)
    '<button aria-pressed="false">on</button>'
    """

    __slots__ = ("_close", "_open", "_start", "name")

    def __init__(self, name: str, start: str = "", *, void: bool = False) -> None:
        self.name = name
        self._start = start or f"<{name}"
        self._open = f"{self._start}>"
        self._close = "" if void else f"</{name}>"

    def __call__(self, *content: Content, **attributes: Value) -> Markup:
        """The element as HTML."""
        opening = f"{self._start}{_attributes(attributes)}>" if attributes else self._open
        if len(content) == 1:  # as most have, so it is worth a line of its own
            return Markup(f"{opening}{_to_html(content[0])}{self._close}")
        return Markup(f"{opening}{''.join(map(_to_html, content))}{self._close}")

    def with_(self, **attributes: Value) -> Element:
        """The same kind of element with these attributes: they are written once, however often it is called."""
        return Element(self.name, self._start + _attributes(attributes), void=not self._close)


def _attributes(attributes: dict[str, Value]) -> str:
    text = ""
    for name, value in attributes.items():
        if type(value) is str:
            text += f'{NAMES[name]}="{_escape_value(value)}"'
        elif value is not None:
            text += _attribute(name, value)
    return text


def _attribute(name: str, value: Value) -> str:
    if isinstance(value, bool):
        if name.startswith("aria_"):
            return f'{NAMES[name]}="{str(value).lower()}"'
        return NAMES[name] if value else ""
    # The entities of markup stay; a quote in it would end the attribute.
    return f'{NAMES[name]}="{str(value).replace(chr(34), "&quot;")}"'


class _Names(dict[str, str]):
    """How each attribute is written, by its name in Python: as many as the code has."""

    def __missing__(self, name: str) -> str:
        self[name] = f" {name.rstrip('_').replace('_', '-')}"
        return self[name]


NAMES = _Names(cls=" class")

a, b, code, em, i = map(Element, ("a", "b", "code", "em", "i"))
mark, small, span, strong = map(Element, ("mark", "small", "span", "strong"))
div, h2, h3, h4, header, nav = map(Element, ("div", "h2", "h3", "h4", "header", "nav"))
p, pre, section = map(Element, ("p", "pre", "section"))
dd, dl, dt, li, ol, ul = map(Element, ("dd", "dl", "dt", "li", "ol", "ul"))
table, tbody, td, th, thead, tr = map(Element, ("table", "tbody", "td", "th", "thead", "tr"))
button, details, summary = map(Element, ("button", "details", "summary"))
br, img = (Element(name, void=True) for name in ("br", "img"))

quiet = span.with_(cls="muted")
row = div.with_(cls="row")
empty = div.with_(cls="empty")
NOT_IN_FILE = empty("Nothing of this is in the file.")
DRAWING = Element("svg").with_(
    viewBox="0 0 12 12", width=".8em", height=".8em", fill="currentColor", aria_hidden="true"
)
DRAWN_PATH = Element("path").with_(fill_rule="evenodd")
BAR_FILL: Callable[[float], str] = "width:{:.0f}%".format


def link(address: object, *words: Content) -> Markup:
    """A button that looks like a link and opens another page of the dashboard.

    >>> link("flow", "who sends to whom")
    '<button class="link" data-do="go" data-with="flow">who sends to whom</button>'
    """
    return LINK(*words, data_with=str(address))


LINK = button.with_(cls="link", data_do="go")


def action(name: str, *words: Content, value: Value = None, **attributes: Value) -> Markup:
    """A button that calls the action of this name of its view, with `value`.

    >>> action("close", "Close", value=3, cls="link")
    '<button data-do="close" data-with="3" class="link">Close</button>'
    """
    return button(*words, data_do=name, data_with=value, **attributes)


def bar(percent: float, tone: str | None = None, **attributes: Value) -> Markup:
    """A meter that is so full, 0 to 100, in a tone; without one, in the tone of what is around it."""
    style = None if tone is None else f"--tone:{tone}"
    return span(b(style=BAR_FILL(percent)), cls="bar", style=style, **attributes)


def bullets(items: Iterable[Content], **attributes: Value) -> Markup:
    """A list, an item each."""
    return ul(map(li, items), **attributes)


def chip(look: Look, text: Content = None) -> Markup:
    """A status as a small label: its glyph and its word (or another text) on its tone."""
    return span(i(symbol(look)), text or look.word, cls="chip", style=f"--tone:{look.tone}")


@lru_cache(maxsize=64)
def symbol(look: Look) -> Markup:
    """The glyph of a look, drawn: it needs no font. A screen reader leaves it out."""
    return DRAWING(DRAWN_PATH(d=look.drawing))


def glyph(look: Look) -> Markup:
    """The glyph of a look in its tone. A screen reader leaves it out."""
    return span(symbol(look), cls="tone", style=f"--tone:{look.tone}")


def with_glyph(look: Look, text: Content = None) -> Markup:
    """The glyph of a look and its word (or another text) in its tone, with nothing around it."""
    words = look.word if text is None else text
    return span(symbol(look), " ", words, cls="tone", style=f"--tone:{look.tone}")
