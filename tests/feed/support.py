"""A journal file of what a manager has done, as the records tell it."""

from pathlib import Path
from typing import Any

from agentrt import Activity, RuntimeManager
from agentrt.errors import describe_error
from agentrt.events import Outcome
from agentrt.journal import UNCHANGED, Accepted, Changed, Committed, Created, Removed, SQLiteJournal, Write


def record(manager: RuntimeManager, path: Path) -> None:
    """Write everything that the ring of a manager still has into a new file."""
    with SQLiteJournal(path) as journal:
        for each in manager.ring.since(0)[0]:
            if (write := write_of(manager, each)) is not None:
                journal.append(write)


def write_of(manager: RuntimeManager, each: Any) -> Write | None:
    """The write that stores what a record tells; None for what a journal does not store."""
    if isinstance(each, Activity):
        return Accepted(activity=each)
    if isinstance(each, Outcome):
        error = each.error and (each.error.__cause__ or each.error)
        return Committed(
            runtime=each.runtime,
            activity=each.id,
            fate=each.kind,
            at=each.finished,
            state=each.state if each.ok else UNCHANGED,
            reply=each.reply,
            error="" if error is None else describe_error(error),
        )
    if each.kind == "created":
        entry = manager.entry(each.runtime) if each.runtime in manager else None
        initial, limits = (0, UNCHANGED) if entry is None else (entry.initial, {"timeout": entry.limits.timeout})
        return Created(runtime=each.runtime, state=initial, at=each.at, limits=limits, workflow=str(each.detail))
    if each.kind in ("paused", "resumed"):
        return Changed(runtime=each.runtime, paused=each.kind == "paused")
    return Removed(runtime=each.runtime) if each.kind == "terminated" else None
