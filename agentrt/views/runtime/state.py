"""A state as a tree that opens and closes, with what the last change touched marked."""

from __future__ import annotations

from typing import Any

from ..live import Live
from ..text import brief, len_of, parts_of, safe_text

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
    """Builds the HTML of one state; `seen` has the text of every leaf by path, to mark what differs next time."""

    def __init__(self, before: Seen | None) -> None:
        self.before = before
        self.seen: Seen = {}

    def node(self, name: str, value: Any, path: str, depth: int) -> str:
        parts = parts_of(value, WIDEST) if depth < DEEPEST and len(self.seen) < MOST else None
        return self._leaf(name, value, path) if parts is None else self._branch(name, value, parts, path, depth)

    def _leaf(self, name: str, value: Any, path: str) -> str:
        text = brief(value, 200)
        self.seen[path] = text
        changed = self.before is not None and self.before.get(path) != text
        shown = f'<span class="{"changed" if changed else "value"}">{safe_text(text)}</span>'
        return f'<div data-key="{safe_text(path, 400)}">{_name(name)}{shown}</div>'

    def _branch(self, name: str, value: Any, parts: list[tuple[Any, Any]], path: str, depth: int) -> str:
        size = len_of(value)
        if not size:
            return self._leaf(name, value, path)
        inside = "".join(self.node(_key(key), part, f"{path}/{_key(key)}", depth + 1) for key, part in parts)
        more = f'<div class="muted">… {size - len(parts):,} more</div>' if size > len(parts) else ""
        kind = f'<span class="muted">{safe_text(type(value).__name__)}, {size:,}</span>'
        opened = " open" if depth < OPEN else ""
        key = safe_text(path, 400)
        head = f"<summary>{_name(name)}{kind}</summary>"
        return f'<details data-key="{key}"{opened}>{head}<div>{inside}{more}</div></details>'


def _key(key: Any) -> str:
    return key if isinstance(key, str) else brief(key, 60)


def _name(name: str) -> str:
    return f'<span class="name">{safe_text(name, 60)}</span>: ' if name else ""


def tree(value: Any, before: Seen | None = None) -> tuple[str, Seen]:
    """The HTML of a state, and the text of its leaves by path. With those of an earlier one, what differs is marked."""
    builder = _Tree(before)
    return f'<div class="tree">{builder.node("", value, "", 0)}</div>', builder.seen


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
            return  # a copy of what is shown: its marks stay
        self._seen = seen
        self.panel.draw(html)
