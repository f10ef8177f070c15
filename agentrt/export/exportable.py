"""What can be exported, and what an export reads of it."""

from __future__ import annotations

from ..events import Record
from ..feed.source import HasRuntime, HasSource, Subject, subject_of
from ..snapshot import Snapshot

__all__ = ["Exportable", "records_of", "snapshots_of"]

# A runtime, a manager for all its runtimes, or a source and an id.
Exportable = HasRuntime | HasSource | Subject


def records_of(target: Exportable) -> list[Record]:
    """The records that are still held, oldest first: all of them, or those of the one runtime."""
    subject = subject_of(target)
    records = subject.source.frame().records
    return records if subject.id is None else [each for each in records if each.runtime == subject.id]


def snapshots_of(target: Exportable, metrics: bool = False) -> list[Snapshot]:
    """The snapshots of all runtimes, or of the one runtime; none of one that is not known any more."""
    subject = subject_of(target)
    return subject.source.snapshots(None if subject.id is None else [subject.id], metrics)
