"""How a runtime must have stood before the records that are kept, from how it stands after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..engine.entry import RuntimeEntry
from ..events import Baseline, Event, Outcome, Record
from ..journal.protocol import Unreadable
from .replica import FATES, Replica
from .shared_items import SharedItems

__all__ = ["BEFORE", "replica_of", "rewind"]

Entry = RuntimeEntry[Any, Any]
BEFORE = Unreadable("a state from before the records that are kept")
PAYLOAD = Unreadable("a payload from before the records that are kept")


def replica_of(entry: Entry) -> Replica:
    """How a runtime stands now. The loop's thread, or where nothing else changes it."""
    replica = Replica(entry.id, entry.state)
    replica.born, replica.initial = 0, entry.initial
    replica.workflow, replica.code, replica.limits = entry.workflow.name, entry.workflow, entry.limits
    lists = entry.mailbox.lists()
    replica.priority, replica.standard = SharedItems(lists[0]), SharedItems(lists[1])
    replica.delayed = {each.id: each for each in lists[2]}
    current = entry.current
    if current is not None:  # as a record has it: it waits until it is over
        items = replica.lane(current.lane)
        items.insert(current, next((each.id for each in items), None))
    replica.accepted_priority, replica.accepted_standard, *counts = entry.read_counts()
    replica.counts = dict(zip(FATES, counts, strict=True))
    replica.paused, replica.failed, replica.in_error = entry.paused, entry.failed, entry.in_error
    replica.stuck = current if entry.stuck else None
    replica.error, replica.error_at = entry.error, entry.error_at
    replica.breakpoints = () if entry.breakpoints is None else entry.breakpoints.names
    return replica


def rewind(replica: Replica, records: Sequence[Record]) -> None:
    """Change it to how it stood before these records, its last ones. What is not known is marked as such."""
    if not records:
        return
    outcomes = [each for each in records if isinstance(each, Outcome)]
    events = [each for each in records if isinstance(each, Event)]
    _rewind_mailbox(replica, records, outcomes)
    _rewind_state(replica, outcomes, events)
    _rewind_events(replica, events)


def _rewind_state(replica: Replica, outcomes: Sequence[Outcome[Any]], events: Sequence[Event]) -> None:
    changes = [each for each in events if isinstance(each, Baseline) or each.kind in ("restarted", "state_edited")]
    if outcomes and outcomes[0].kind != "done" and not any(each.sequence < outcomes[0].sequence for each in changes):
        replica.state = outcomes[0].state
    elif changes or any(each.kind == "done" for each in outcomes):
        replica.state = BEFORE
    if outcomes:
        replica.in_error, replica.error, replica.error_at = False, None, None
    replica.stuck = None
    ends = Counter(each.kind for each in outcomes)
    replica.counts = {fate: count - ends[fate] for fate, count in replica.counts.items()}


def _rewind_mailbox(replica: Replica, records: Iterable[Record], outcomes: Iterable[Outcome[Any]]) -> None:
    new = {each.id for each in records if isinstance(each, Activity)}
    accepted = Counter(each.lane for each in records if isinstance(each, Activity))
    replica.accepted_priority -= accepted[Lane.PRIORITY]
    replica.accepted_standard -= accepted[Lane.STANDARD]
    gone = [_placeholder(each) for each in outcomes if each.id not in new]
    lanes = {lane: [each for each in gone if each.lane is lane] for lane in Lane}
    for lane, waited in lanes.items():
        waited += [each for each in replica.lane(lane) if each.id not in new]
    replica.priority, replica.standard = SharedItems(lanes[Lane.PRIORITY]), SharedItems(lanes[Lane.STANDARD])
    replica.delayed = {id: each for id, each in replica.delayed.items() if id not in new}


def _placeholder(outcome: Outcome[Any]) -> Activity[Any]:
    """An activity that was accepted before the records that are kept, as far as its outcome says what it was."""
    return Activity(outcome.id, outcome.runtime, PAYLOAD, outcome.lane, outcome.created)


def _rewind_events(replica: Replica, events: Sequence[Event]) -> None:
    limits: dict[str, Any] = {}
    flags: dict[str, bool] = {}
    for event in events:
        if event.kind == "limit":
            limits.setdefault(event.detail["name"], event.detail["from"])
        elif event.kind in ("paused", "resumed", "breakpoint"):
            flags.setdefault("paused", event.kind == "resumed")
        elif event.kind in ("failed", "recovered"):
            flags.setdefault("failed", event.kind == "recovered")
    if any(event.kind == "swapped" for event in events):
        replica.code = None
    replica.limits = msgspec.structs.replace(replica.limits, **limits)
    for name, value in flags.items():
        setattr(replica, name, value)
