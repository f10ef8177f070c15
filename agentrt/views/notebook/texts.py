"""Long texts, modules and styles: a message has their names; a page asks for those it lacks, piece by piece.

So a page never has much on its way: what a server could not write to a page that closes, it logs as an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

__all__ = ["PIECE", "Texts", "text_name", "without_texts"]

LONG = 1_000  # characters from which on a module or a style is sent once a page
PIECE = 256_000  # characters of one message
OLD = 32  # texts that a page was offered before, and may still ask for


class Texts:
    """What one page has of them, and what it may ask for."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.number = 0  # of the last offer
        self.offered: dict[str, tuple[int, str]] = {}

    def offer(self, texts: Mapping[str, str]) -> list[str]:
        """The names of those that the page does not have; it may ask for them until it says that it has them."""
        self.number += 1
        new = {name: (self.number, text) for name, text in texts.items() if name not in self.names}
        old = [(name, each) for name, each in self.offered.items() if name not in new]
        self.offered = {**dict(old[-OLD:]), **new}
        return list(new)

    def receive(self, names: Iterable[str], number: int) -> None:
        """The page has these, of the offer of this number; what was offered again later, it is still to ask for."""
        for name in names:
            self.names.add(name)
            if self.offered.get(name, (number, ""))[0] <= number:
                self.offered.pop(name, None)

    def piece(self, name: str, number: int) -> dict[str, Any]:
        """The answer to a page that asks for one piece. Without a part it is not offered any more."""
        answer = {"text": name, "piece": number}
        if name not in self.offered:
            return answer
        _, text = self.offered[name]
        part = text[number * PIECE : (number + 1) * PIECE]
        return {**answer, "part": part, "last": (number + 1) * PIECE >= len(text)}


def text_name(text: str) -> str:
    """The name of a text: the same for the same text."""
    return sha256(text.encode()).hexdigest()[:16]


def without_texts(value: Any, texts: dict[str, str]) -> Any:
    """The same with the names of long texts in their places; the texts are added to `texts`."""
    # Every component has its whole module with it, 1.5 MB for each button: a card would have 35 MB.
    if isinstance(value, dict):
        return {key: _text_by_name(key, each, texts) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_texts(each, texts) for each in value]
    return value


def _text_by_name(key: Any, value: Any, texts: dict[str, str]) -> Any:
    if key in ("esm", "css") and isinstance(value, str) and len(value) > LONG:
        name = text_name(value)
        texts[name] = value
        return {"text": name}
    return without_texts(value, texts)
