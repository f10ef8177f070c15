"""Extra pages: what a program serves beside its dashboard, for a dashboard that is in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

__all__ = ["ExtraPage", "ExtraPages", "HasExtraPages", "ReadsExtraPages", "make_extra_page"]

ExtraPages = Mapping[str, Callable[[str], tuple[str, bytes]]]  # by path; from an Accept header to type and content


class ExtraPage(msgspec.Struct, frozen=True):
    """What such a page says: its type, and its content."""

    kind: str
    content: bytes


@runtime_checkable
class HasExtraPages(Protocol):
    """The source of a manager whose program serves some."""

    extra_pages: ExtraPages


@runtime_checkable
class ReadsExtraPages(Protocol):
    """The source of a manager in another process."""

    def extra_page(self, path: str, accept: str) -> ExtraPage | None:
        """What the program of the manager says; None if it does not answer, or has no such page."""


def make_extra_page(source: Any, path: str, accept: str) -> ExtraPage | None:
    """What the program of this source says at a path; None if it has no such page."""
    page = source.extra_pages.get(path) if isinstance(source, HasExtraPages) else None
    return None if page is None else ExtraPage(*page(accept))
