"""A state as a tree that opens and closes; what the last change touched is highlighted."""

from __future__ import annotations

from typing import Any

from ..html import Content, Markup, details, div, quiet, span, summary
from ..live import Live
from ..text import brief, len_of, parts_of, safe_text, type_name

__all__ = ["State", "tree"]

OPEN, DEEPEST, WIDEST, MOST = 2, 8, 50, 400

CSS = """
.tree { font: var(--t0)/1.7 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.tree details > div { padding-left: var(--s4); border-left: 1px solid var(--rt-line); margin-left: 5px; }
.tree summary { cursor: pointer; }
.tree .name { color: color-mix(in srgb, #0072B2 50%, var(--rt-text)); }
.tree .changed { background: color-mix(in srgb, #E69F00 24%, transparent); border-radius: 3px; padding: 0 3px; }
"""

Seen = dict[str, str]


class _Tree:
    """Builds the HTML of one state. `seen` gets what it shows by path, to compare the next state with."""

    def __init__(self, before: Seen | None) -> None:
        self.before = before
        self.seen: Seen = {}

    def node(self, name: str, value: Any, path: str, depth: int) -> Markup:
        parts = parts_of(value, WIDEST) if depth < DEEPEST and len(self.seen) < MOST else None
        return self._leaf(name, value, path) if parts is None else self._branch(name, value, parts, path, depth)

    def _leaf(self, name: str, value: Any, path: str) -> Markup:
        text = brief(value, 200)
        self.seen[path] = text
        changed = self.before is not None and self.before.get(path) != text
        leaf = span(safe_text(text), cls="changed" if changed else "value")
        return div(_name_label(name), leaf, data_key=safe_text(path, 400))

    def _branch(self, name: str, value: Any, parts: list[tuple[Any, Any]], path: str, depth: int) -> Markup:
        size = len_of(value)
        if not size:
            return self._leaf(name, value, path)
        self.seen[path] = f"{type_name(value)}, {size:,}"
        inside = [self.node(_key_text(key), part, f"{path}/{_key_text(key)}", depth + 1) for key, part in parts]
        more = div(f"… {size - len(parts):,} more", cls="muted") if size > len(parts) else None
        head = summary(_name_label(name), quiet(safe_text(self.seen[path])))
        return details(head, div(inside, more), data_key=safe_text(path, 400), open=depth < OPEN)


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else brief(key, 60)


def _name_label(name: str) -> Content:
    return (span(safe_text(name, 60), cls="name"), ": ") if name else None


def tree(value: Any, before: Seen | None = None) -> tuple[Markup, Seen]:
    """The HTML of a state, and the texts in it by path.

    Args:
        value: The state.
        before: The texts of an earlier state; a leaf that differs from them is highlighted.
    """
    builder = _Tree(before)
    return div(builder.node("", value, "", 0), cls="tree"), builder.seen


class State:
    """The pane. A state is drawn again only when it is another object."""

    def __init__(self, height: int | None = None) -> None:
        box = {"max-height": f"{height}px", "overflow-y": "auto"} if height else {}
        self.panel = Live(css=CSS, styles=box)
        self._state: Any = self
        self._seen: Seen | None = None

    def draw(self, state: Any) -> None:
        """Show this state."""
        if state is self._state:
            return
        html, seen = tree(state, self._seen)
        self._state = state
        if seen == self._seen:
            return  # an equal copy: what is highlighted stays
        self._seen = seen
        self.panel.draw(html)
