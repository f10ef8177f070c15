"""One manager in a few figures, for the page of several managers and for programs."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import msgspec

from ...feed.source import Rewindable, Source
from ..fleet.health import Health
from .common_time import find_moment

__all__ = ["Summary"]

EARLIER = 8  # summaries of earlier times that are kept
FRESH = 1.0  # seconds for which a summary is not read again
TAGS = re.compile(r"<[^>]*>")


class Summary:
    """The answer of `/summary`. It costs a look at every runtime, at most once a second, and only on a request."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.health = Health(source)  # kept: what it says is judged over a window
        self.read_at = -FRESH
        self.last: dict[str, Any] = {}
        self.earlier: dict[float, dict[str, Any]] = {}

    def read(self) -> dict[str, Any]:
        """The sentence in plain words, how many runtimes and what waits, and what became of all activities."""
        if time.monotonic() - self.read_at >= FRESH:
            self.last, self.read_at = self._read(), time.monotonic()
        return self.last

    def read_past(self, at: float) -> dict[str, Any]:
        """The same as it was at a time, in seconds since 1970, and the moment; or why there is none."""
        if at not in self.earlier:
            moment, why = find_moment(self.source, at)
            past: dict[str, Any] = {"absent": why}
            if moment is not None and isinstance(self.source, Rewindable):
                past = {**Summary(self.source.past(moment))._read(), "moment": moment}
            self.earlier[at] = past
            while len(self.earlier) > EARLIER:
                del self.earlier[next(iter(self.earlier))]
        return self.earlier[at]

    def _clock(self) -> dict[str, Any]:
        """What its clock reads, and since when it has a history, in seconds since 1970."""
        source = self.source
        first = next(iter(source.frame().records), None)
        since = None if first is None else source.wall(first.at).timestamp()
        return {"now": source.wall(source.now()).timestamp(), "since": since}

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
            **self._clock(),
        }
