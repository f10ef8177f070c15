"""One manager in a few figures, for the page of several managers and for programs."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import msgspec

from ...feed.source import Source
from ..fleet.health import Health

__all__ = ["Summary"]

FRESH = 1.0  # seconds for which a summary is not read again
TAGS = re.compile(r"<[^>]*>")


class Summary:
    """The answer of `/summary`. It costs a look at every runtime, at most once a second, and only on a request."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.health = Health(source)  # kept: what it says is judged over a window
        self.read_at = -FRESH
        self.last: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The sentence in plain words, how many runtimes and what waits, and what became of all activities."""
        if time.monotonic() - self.read_at >= FRESH:
            self.last, self.read_at = self._read(), time.monotonic()
        return self.last

    def _read(self) -> dict[str, Any]:
        health = self.health
        health.look_at()
        sentence = health.sentence(self.source.now())
        return {
            "runtimes": len(self.source.runtimes),
            "wrong": len(health.problems),
            "sentence": unescape(TAGS.sub("", sentence)),
            "waiting": list(health.waiting),
            "fates": msgspec.to_builtins(self.source.fates()),
        }
