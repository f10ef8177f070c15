"""Where the labels of edges stand: in the middle of their edges, or above or below where another one stands there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Box", "LabelPlaces"]

CHARACTER, PADDING, HEIGHT = 6.9, 8.0, 23.0  # pixels: a text of 12 pixels in the widest of the page's fonts
STEPS = [step * sign for step in range(9) for sign in (1, -1)][1:]  # down and up, in heights of a label


class Box(NamedTuple):
    """A rectangle in the graph."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """How many square pixels both cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0


class LabelPlaces:
    """Finds room for one label after the other: over no node and over no label before, as far as there is room."""

    def __init__(self, nodes: Iterable[Box]) -> None:
        self.taken = list(nodes)
        self.top = min((box.top for box in self.taken), default=-math.inf)
        self.bottom = max((box.bottom for box in self.taken), default=math.inf)

    def shift(self, x: float, y: float, text: str) -> float | None:
        """How many pixels below the middle of its edge (`x`, `y`) a label stands; above it where negative.

        None where less than half of it could be read: between many nodes, a label would be about none of their edges.
        """
        half = (len(text) * CHARACTER + PADDING) / 2
        boxes = {
            step * HEIGHT: Box(x - half, y + (step - 0.5) * HEIGHT, x + half, y + (step + 0.5) * HEIGHT)
            for step in STEPS
        }
        best = min(boxes, key=lambda shift: (self._overlap(boxes[shift]), abs(shift)))
        if self._overlap(boxes[best]) > half * HEIGHT:
            return None
        self.taken.append(boxes[best])
        return best

    def _overlap(self, box: Box) -> float:
        """The square pixels of it that cannot be read: over another box, or beyond the graph, where nobody looks."""
        beyond = max(0.0, self.top - box.top) + max(0.0, box.bottom - self.bottom)
        return sum(map(box.overlap, self.taken)) + beyond * (box.right - box.left)
