"""A runtime as it stood after some of its records: rebuilt from them, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

import msgspec

from ..activity import Activity, Lane, replace_payload, was_delayed
from ..errors import AgentError
from ..events import Baseline, CodeChange, Event, Fate, Outcome, Record
from ..limits import Limits
from ..metrics import Fates
from ..snapshot import Status
from .shared_items import SharedItems

__all__ = ["FATES", "Replica"]

Items = dict[int, Activity[Any]]
COPIED = (dict, SharedItems)
FEW = 16  # records that are applied one after the other
id_of, kind_of, not_before_of = attrgetter("id"), attrgetter("kind"), attrgetter("not_before")
lane_of, priority_of = attrgetter("lane"), attrgetter("priority")
FATES = tuple(fate.value for fate in Fate)


class Replica:
    """The state, the mailbox, the counts and the flags of one runtime after a record.

    >>> replica = Replica("counter")
    >>> replica.apply(Activity(1, "counter", payload=5))
    >>> replica.depth, replica.fates.pending
    ((0, 1), 1)
    """

    __slots__ = (
        "accepted_priority", "accepted_standard", "born", "breakpoints", "closed", "code", "counts", "delayed", "ended",
        "error", "error_at", "failed", "id", "in_error", "initial", "limits", "past", "paused", "priority", "standard",
        "state", "stopped", "stuck", "undelivered", "workflow",
    )  # fmt: skip

    def __init__(self, id: str, state: Any = None) -> None:
        self.id = id
        self.born: int | None = None  # the number of the record that made it; None: it was not made yet
        self.ended = 0  # the number of the record that ended it
        self.state = self.initial = state
        self.workflow = ""
        self.code: Any = None  # the `Workflow`, where the record has it
        self.limits = Limits()
        self.priority = SharedItems()
        self.standard = SharedItems()
        self.delayed: Items = {}
        self.undelivered: Items = {}  # what waited when it ended, and has no fate yet
        self.counts = dict.fromkeys(FATES, 0)
        self.accepted_priority = self.accepted_standard = 0
        self.past = Fates()  # of runtimes of this id that ended before
        self.breakpoints: tuple[str, ...] = ()
        self.paused = self.failed = self.closed = self.in_error = False
        self.stuck: Activity[Any] | None = None
        self.stopped = 0  # the activity that is stopped inside of its workflow
        self.error: AgentError | None = None
        self.error_at: float | None = None

    def copy(self) -> Replica:
        """Another one that stands where this one does."""
        new = Replica.__new__(Replica)
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(new, name, value.copy() if type(value) in COPIED else value)
        return new

    def compact(self) -> Replica:
        """A copy that shares nothing with others."""
        new = self.copy()
        new.priority, new.standard = self.priority.compact(), self.standard.compact()
        return new

    # ---- to read

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait in each lane, (priority, standard); those not yet due included."""
        urgent = sum(each.lane is Lane.PRIORITY for each in self.delayed.values()) if self.delayed else 0
        return len(self.priority) + urgent, len(self.standard) + len(self.delayed) - urgent

    @property
    def fates(self) -> Fates:
        """What became of its activities."""
        accepted = self.accepted_priority + self.accepted_standard
        return Fates(accepted=accepted, **self.counts, pending=accepted - sum(self.counts.values()))

    def status(self, current: Activity[Any] | None) -> Status:
        """Its status, with this activity running."""
        if self.closed:
            return Status.TERMINATED
        if self.failed:
            return Status.FAILED
        if self.stuck is not None:
            return Status.STUCK
        if current is not None:
            return Status.PAUSED if self.stopped == current.id else Status.PROCESSING
        if self.paused:
            return Status.PAUSED
        return Status.ERROR if self.in_error else Status.IDLE

    def find(self, id: int) -> Activity[Any] | None:
        """An activity that has no fate yet."""
        found = self.delayed.get(id) or self.undelivered.get(id)
        found = found or self.standard.find_in_order(id) or self.priority.find_in_order(id)
        return found or self.standard.find(id) or self.priority.find(id)

    def take(self, id: int, urgent: bool = False) -> Activity[Any] | None:
        """Take an activity out of where it waits; `urgent` if it is likely to be in the priority lane."""
        if self.delayed or self.undelivered:
            found = self.delayed.pop(id, None) or self.undelivered.pop(id, None)
            if found is not None:
                return found
        first, second = (self.priority, self.standard) if urgent else (self.standard, self.priority)
        found = first.remove(id)
        return second.remove(id) if found is None else found

    def lane(self, lane: Lane | str) -> SharedItems:
        """What waits in a lane, in order."""
        return self.priority if lane == Lane.PRIORITY else self.standard

    def waiting(self) -> list[Activity[Any]]:
        """All that waits: the priority lane, the standard lane, then what is not due yet."""
        return [*self.priority, *self.standard, *sorted(self.delayed.values(), key=id_of)]

    # ---- to change

    def apply(self, record: Record) -> None:
        """Go on to what this record says."""
        if isinstance(record, Activity):
            self._accept(record)
        elif isinstance(record, Outcome):
            self._end(record)
        elif isinstance(record, Baseline):
            self._begin(record)
        elif (change := CHANGES.get(record.kind)) is not None:
            change(self, record)

    def apply_all(self, records: Sequence[Record]) -> None:
        """Go on to what the last of these records says: quicker than one after the other, and the same."""
        roles = list(map(ROLES.__getitem__, map(type, records)))
        chosen: list[int] = []
        if EVENT in roles or any(map(not_before_of, _with_role(ACCEPTED, records, roles))):
            chosen = [n for n, role in enumerate(roles) if role != ENDED and not _keeps_places(records[n])]
        start = 0
        for n in (*chosen, len(records)):
            if n - start < FEW or self.delayed or self.undelivered or self.stuck is not None:
                for record in records[start : n + 1]:
                    self.apply(record)
            else:
                self._accept_all(_with_role(ACCEPTED, records[start:n], roles[start:n]))
                self._end_all(_with_role(ENDED, records[start:n], roles[start:n]))
                for record in records[n : n + 1]:
                    self.apply(record)
            start = n + 1

    def _accept_all(self, activities: list[Activity[Any]]) -> None:
        """Go on to after these were accepted, of which none is delayed."""
        if self.born is None and activities:
            self.born = activities[0].id
        if Lane.PRIORITY in map(lane_of, activities):
            urgent = [each for each in activities if each.lane == Lane.PRIORITY]
            activities = [each for each in activities if each.lane != Lane.PRIORITY]
            self.accepted_priority += len(urgent)
            self.priority.extend(urgent)
        self.accepted_standard += len(activities)
        self.standard.extend(activities)

    def _end_all(self, outcomes: list[Outcome[Any]]) -> None:
        """Go on to after these, of activities that are in a lane or nowhere."""
        urgent = set(map(id_of, compress(outcomes, map(priority_of, outcomes))))
        others = set(map(id_of, outcomes)) - urgent
        self.priority.remove_front(urgent)
        self.standard.remove_front(others)
        rest = urgent | others  # what was not the next one in its lane
        if rest:
            self.priority.remove_all(rest)
            self.standard.remove_all(rest)
        kinds = Counter(map(kind_of, outcomes))
        for kind, count in kinds.items():
            self.counts[kind] += count
        done = next((each for each in reversed(outcomes) if each.kind == "done"), None) if kinds["done"] else None
        if done is not None:
            self.state, self.in_error = done.state, False
        if kinds["failed"] or kinds["timed_out"]:
            failed = next(each for each in reversed(outcomes) if each.kind in ("failed", "timed_out"))
            self.error, self.error_at = failed.error, failed.finished
            self.in_error = done is None or outcomes.index(failed) > outcomes.index(done)

    def _accept(self, activity: Activity[Any]) -> None:
        if self.born is None:  # stored for an id that no code has created yet
            self.born = activity.id
        self._count(activity.lane, +1)
        if was_delayed(activity):
            self.delayed[activity.id] = activity
        else:
            self.lane(activity.lane).append(activity)

    def _count(self, lane: Lane | str, n: int) -> None:
        if lane == Lane.PRIORITY:
            self.accepted_priority += n
        else:
            self.accepted_standard += n

    def _end(self, outcome: Outcome[Any]) -> None:
        activity = self.take(outcome.id, outcome.priority)
        self.counts[outcome.kind] += 1
        if outcome.kind == "done":
            self.state = outcome.state
            self.in_error = False
        elif outcome.kind in ("failed", "timed_out"):
            self.error, self.error_at, self.in_error = outcome.error, outcome.finished, True
            if self.stuck is not None and self.stuck.id == outcome.id:
                self.stuck = activity or self.stuck

    def _begin(self, event: Baseline) -> None:
        if event.kind == "created":
            past = self.past + self.fates if self.closed else self.past
            self.__init__(self.id)  # type: ignore[misc]  # another one of the same id
            self.past = past
        if event.kind in ("created", "continued"):
            self.born = event.sequence if self.born is None else self.born
            self.workflow = str(event.detail or "")
        self.code = event.workflow
        self.state, self.initial, self.limits = event.state, event.initial, event.limits or self.limits
        self.paused, self.failed = event.paused, event.failed
        lists = event.waiting or ((), (), ())
        self.priority, self.standard = SharedItems(lists[0]), SharedItems(lists[1])
        self.delayed = {each.id: each for each in lists[2]}
        if event.counts:
            self._use_counts(event.counts)

    def _use_counts(self, counts: Sequence[int]) -> None:
        self.accepted_priority, self.accepted_standard, *fates = counts
        self.counts = dict(zip(FATES, fates, strict=True))

    # ---- what an event changes

    def _terminate(self, event: Event) -> None:
        self.undelivered.update((each.id, each) for each in self.waiting())
        self.priority, self.standard, self.delayed = SharedItems(), SharedItems(), {}
        self.closed, self.ended = True, event.sequence

    def _leave(self, event: Event) -> None:
        for each in self.waiting():  # it is counted where it has gone
            self._count(each.lane, -1)
        self.priority, self.standard, self.delayed = SharedItems(), SharedItems(), {}
        self.closed, self.ended = True, event.sequence

    def _pause(self, event: Event) -> None:
        self.paused = True

    def _stop(self, event: Event) -> None:
        self.paused = True
        self.stopped = event.detail["activity"] if "where" in event.detail else 0

    def _go_on(self, event: Event) -> None:
        self.stopped = 0

    def _resume(self, event: Event) -> None:
        self.paused, self.stopped = False, 0

    def _edit_state(self, event: Event) -> None:
        self.state = event.detail["to"]

    def _fail(self, event: Event) -> None:
        self.failed = True

    def _recover(self, event: Event) -> None:
        self.failed = False

    def _restart(self, event: Event) -> None:
        self.state, self.in_error = self.initial, False

    def _swap(self, event: Event) -> None:
        self.workflow = str(event.detail)
        self.code = event.workflow if isinstance(event, CodeChange) else None

    def _limit(self, event: Event) -> None:
        self.limits = msgspec.structs.replace(self.limits, **{event.detail["name"]: event.detail["to"]})

    def _stick(self, event: Event) -> None:
        self.stuck = self.find(event.detail["activity"]) or Activity(event.detail["activity"], self.id)

    def _unstick(self, event: Event) -> None:
        self.stuck = None

    def _add_breakpoint(self, event: Event) -> None:
        self.breakpoints = (*self.breakpoints, str(event.detail["at"]))

    def _remove_breakpoint(self, event: Event) -> None:
        self.breakpoints = tuple(each for each in self.breakpoints if each != event.detail["at"])

    def _join(self, event: Event) -> None:
        """A delayed activity is due: it joins the end of its lane."""
        activity = self.delayed.pop(event.detail["activity"], None)
        if activity is not None:
            self.lane(activity.lane).append(activity)

    def _place(self, event: Event) -> None:
        """An activity that was accepted, and counted, before what is stored."""
        activity = event.detail["waiting"]
        self.born = self.born or event.sequence
        if event.detail["delayed"]:
            self.delayed[activity.id] = activity
        elif event.detail["before"] is None:
            self.lane(activity.lane).append(activity)
        else:
            self.lane(activity.lane).insert(activity, event.detail["before"])

    def _use_error(self, event: Event) -> None:
        """The last failure before what is read."""
        self.error, self.error_at = event.detail["error"], event.detail["at"]
        self.in_error = event.detail["in_error"]

    def _move(self, event: Event) -> None:
        id, lane = event.detail["activity"], Lane(event.detail["lane"])
        was = self.find(id)
        if was is None:
            return
        self._count(was.lane, -1)
        self._count(lane, +1)
        moved = msgspec.structs.replace(was, lane=lane)
        if id in self.delayed:
            self.delayed[id] = moved
            return
        self.take(id)
        self.lane(lane).insert(moved, event.detail.get("before"))

    def _edit(self, event: Event) -> None:
        id = event.detail["activity"]
        was = self.find(id)
        if was is None:
            return
        edited = replace_payload(was, event.detail.get("to"))
        if id in self.delayed:
            self.delayed[id] = edited
        else:
            self.lane(was.lane).replace(edited)


ACCEPTED, ENDED, EVENT = 0, 1, 2


class Roles(dict[type, int]):
    """What a record of each class is: to ask with `isinstance` takes four times as long."""

    def __missing__(self, kind: type) -> int:
        role = ACCEPTED if issubclass(kind, Activity) else ENDED if issubclass(kind, Outcome) else EVENT
        self[kind] = role
        return role


ROLES = Roles()
IS_ROLE = ((True, False, False), (False, True, False))


def _with_role(role: int, records: Sequence[Record], roles: Sequence[int]) -> list[Any]:
    return list(compress(records, map(IS_ROLE[role].__getitem__, roles)))


def _keeps_places(record: Record) -> bool:
    """Whether it changes nothing but what waits at the end of a lane, the state, the counts and the last error."""
    if isinstance(record, Activity):
        return record.not_before is None
    return isinstance(record, Outcome) or (record.kind not in CHANGES and not isinstance(record, Baseline))


CHANGES: dict[str, Callable[[Replica, Event], None]] = {
    "terminated": Replica._terminate,
    "moved_away": Replica._leave,
    "paused": Replica._pause,
    "breakpoint": Replica._stop,
    "stepped": Replica._go_on,
    "step_over": Replica._go_on,
    "step_into": Replica._go_on,
    "step_out": Replica._go_on,
    "retried": Replica._go_on,
    "state_edited": Replica._edit_state,
    "resumed": Replica._resume,
    "failed": Replica._fail,
    "recovered": Replica._recover,
    "restarted": Replica._restart,
    "swapped": Replica._swap,
    "limit": Replica._limit,
    "stuck": Replica._stick,
    "unstuck": Replica._unstick,
    "breakpoint_added": Replica._add_breakpoint,
    "breakpoint_removed": Replica._remove_breakpoint,
    "due": Replica._join,
    "moved": Replica._move,
    "counts_stored": lambda replica, event: replica._use_counts(event.detail["counts"]),
    "placed": Replica._place,
    "error_stored": Replica._use_error,
    "state_stored": Replica._edit_state,
    "edited": Replica._edit,
}
