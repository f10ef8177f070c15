"""The cells of the tables that a notebook shows: escaped, and short."""

from __future__ import annotations

from html import escape
from typing import Any

from ..schema.preview import preview

__all__ = ["cell", "table"]


def cell(value: Any) -> str:
    """One cell; a text as it is, anything else as its repr."""
    text = "" if value is None else value if isinstance(value, str) else preview(value, 200)
    return f"<td>{escape(text[:500])}</td>"


def table(title: str, head: tuple[str, ...] = (), rows: list[str] | None = None) -> str:
    """A table of rows that are cells already."""
    names = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join(f"<tr>{each}</tr>" for each in rows or ())
    return f"<table><caption>{escape(title)}</caption>{f'<tr>{names}</tr>' if names else ''}{body}</table>"
