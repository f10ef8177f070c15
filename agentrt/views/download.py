"""Buttons that download what happened: a trace for Perfetto and a table. A file is made when its button is pressed."""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any

import panel_material_ui as pmui

from ..export import WRITERS
from ..feed.source import Subject
from .layout import line

__all__ = ["downloads"]

KINDS = {".json": "Trace for Perfetto", ".csv": "Activities as CSV"}
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def downloads(of: Subject) -> Any:
    """Buttons for the files of a runtime or of a manager. A viewer may download them too."""
    return line(*(_button(of, suffix, label) for suffix, label in KINDS.items()))


def _button(of: Subject, suffix: str, label: str) -> Any:
    name = UNSAFE.sub("_", of.id or of.source.name)[:60] or "agentrt"
    make = partial(_download_file, of, suffix)
    button = pmui.FileDownload(callback=make, filename=f"{name}{suffix}", label=label, size="small", margin=0)
    button.variant = "text"  # as an argument above it conflicts with a default of the button, which warns
    return button


def _download_file(of: Subject, suffix: str) -> io.BytesIO:
    return io.BytesIO(WRITERS[suffix](of))
