"""Where the labels of edges stand: on their edges or close to them, over no node and over no other label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Box", "LabelPlaces", "Point", "text_width"]

PADDING, HEIGHT = 8.0, 23.0  # pixels
# The width of a character, in pixels, where a text of 12 pixels stands in the widest of the page's fonts.
WIDTHS, CHARACTER = dict.fromkeys("fijlt.,/ ", 4.3) | dict.fromkeys("mw←→", 11.7), 7.7
# Below and above the edge, in heights of a label. One further away would be about another edge.
STEPS = sorted((step / 2 * sign for step, sign in itertools.product(range(1, 5), (1, -1))), key=abs)


class Point(NamedTuple):
    """A point in the graph, in pixels: `y` grows downwards."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in the graph."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether some of both is at the same place."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def text_width(text: str) -> float:
    """How many pixels wide a label of that text is at most.

    >>> round(text_width("0.21/s, 12 failed"))
    104
    """
    return sum(WIDTHS.get(character, CHARACTER) for character in text)


class LabelPlaces:
    """Finds room for one label after the other: over no node and over no label before."""

    def __init__(self, nodes: Iterable[Box]) -> None:
        self.taken = list(nodes)
        self.top = min((box.top for box in self.taken), default=-math.inf)
        self.bottom = max((box.bottom for box in self.taken), default=math.inf)

    def place(self, line: Sequence[Point], text: str) -> Point | None:
        """Where the middle of a label stands whose edge runs through these points, the best one first.

        None where it finds no room: it would be hidden in part, or stand so far away that it would be about another
        edge.
        """
        half = text_width(text) / 2 + PADDING / 2
        for step, (x, y) in itertools.product((0.0, *STEPS), line):
            middle = y + step * HEIGHT
            box = Box(x - half, middle - HEIGHT / 2, x + half, middle + HEIGHT / 2)
            if self._is_free(box):
                self.taken.append(box)
                return Point(x, middle)
        return None

    def _is_free(self, box: Box) -> bool:
        """Whether it can be read there: beyond the graph nobody looks."""
        return self.top <= box.top and box.bottom <= self.bottom and not any(map(box.overlaps, self.taken))
