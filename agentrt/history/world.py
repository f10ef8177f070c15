"""All runtimes as they stood after one record, read from the records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

from ..activity import Activity
from ..errors import AgentError, ConfigurationError, RuntimeNotFoundError
from ..events import Outcome, Record
from ..limits import Limits
from ..metrics import Fates, LaneMetrics, Metrics, Percentiles
from ..schema.preview import preview
from ..snapshot import Snapshot, Status
from .cause import Write, find_write
from .origin import Origin, Running
from .replica import Replica
from .track import Track

__all__ = ["RuntimeMoment", "World"]


class World:
    """All runtimes as they stood after a record: what a `Moment` and its source are read from.

    Args:
        origin: What has the records.
        sequence: The sequence number of a record; None for the last one.
        time: Seconds on the clock: with a number, some time after that record; without one, after the last record up
            to then.

    Raises:
        ConfigurationError: It is before the first record that is kept.
    """

    def __init__(self, origin: Origin, sequence: int | None = None, time: float | None = None) -> None:
        self.origin = origin
        running = origin.running()  # first: what is over meanwhile is found among the records
        origin.chronicle.pull()
        chronicle = origin.chronicle
        last = chronicle.last
        self.sequence: int = sequence if sequence is not None else last if time is None else chronicle.at(time)
        self.by_time = sequence is None or time is not None  # whether all that begins at its time has begun
        self.time: float = time if time is not None else self._time_of_record(sequence)
        self.is_last: bool = self.sequence >= last
        self._running: dict[str, Running] = running
        self._check()
        self.chronicle = chronicle.around(self.sequence)

    def _time_of_record(self, sequence: int | None) -> float:
        if sequence is None:
            return self.origin.now()
        record = self.origin.chronicle.record(sequence)
        return 0.0 if record is None else record.at

    def _check(self) -> None:
        first = self.origin.chronicle.first
        if self.sequence >= first:
            return
        let_go = self.origin.chronicle.let_go
        why = f"the ring has let go {let_go:,} records. Give the manager a larger one, RuntimeManager(ring=...)"
        raise ConfigurationError(
            f"{self.sequence} is before record {first}, the first that is kept: {why if let_go else 'there was none'}"
        )

    def __repr__(self) -> str:
        kind, at = type(self).__name__, f"{self.wall:%H:%M:%S}"
        return f"<{kind} {self.sequence} of {self.origin.name!r}, {at}, {len(self)} runtimes>"

    # ---- which runtimes there were

    @cached_property
    def _replicas(self) -> dict[str, Replica]:
        chronicle = self.chronicle
        found = (chronicle.replica(id, self.sequence) for id in tuple(chronicle.tracks))
        self._check()
        ordered = sorted((each for each in found if each is not None), key=lambda each: each.born or 0)
        return {each.id: each for each in ordered}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the runtimes, in the order they were made."""
        return tuple(id for id, replica in self._replicas.items() if not replica.closed)

    @cached_property
    def ended(self) -> tuple[str, ...]:
        """The ids of runtimes that had ended, those first that ended first."""
        gone = [each for each in self._replicas.values() if each.closed]
        return tuple(each.id for each in sorted(gone, key=lambda each: each.ended))

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._replicas

    def __getitem__(self, id: str) -> RuntimeMoment:
        found = self.find(id)
        if found is None:
            raise RuntimeNotFoundError(f"there was no runtime {preview(id, 80)} at record {self.sequence}", runtime=id)
        return found

    def find(self, id: str) -> RuntimeMoment | None:
        """One runtime as it stood; None if there was none of this id."""
        replicas = self.__dict__.get("_replicas")
        chronicle = self.chronicle
        if replicas is None:
            self._check()  # it may have been let go since this was made
        replica = chronicle.replica(id, self.sequence) if replicas is None else replicas.get(id)
        return None if replica is None else RuntimeMoment(self, replica)

    # ---- how they stood

    @property
    def wall(self) -> datetime:
        """The date and time."""
        return self.origin.wall(self.time)

    @property
    def record(self) -> Record | None:
        """The record after which this is; None if nothing had happened."""
        return self.chronicle.record(self.sequence)

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot:
        """Return a snapshot of one runtime. Raises `RuntimeNotFoundError`."""
        return self[id].snapshot(metrics)

    def snapshots(self, metrics: bool = False) -> list[Snapshot]:
        """Return a snapshot of every runtime, in the order they were made."""
        return [self[id].snapshot(metrics) for id in self.ids]

    def mailbox_items(self, id: str) -> list[Activity[Any]]:
        """Return what waited in a runtime, in order. Raises `RuntimeNotFoundError`."""
        return self[id].mailbox_items()

    def timers(self) -> list[Activity[Any]]:
        """Return the delayed activities of all runtimes, the next one first."""
        waiting = [each for id in self.ids for each in self._replicas[id].delayed.values()]
        return sorted(waiting, key=lambda each: each.not_before or 0.0)

    def fates(self) -> Fates:
        """Count what became of all activities, those of ended runtimes included."""
        return self.chronicle.fates(self.sequence)

    def running(self, id: str) -> Running | None:
        """What the present says that a runtime processes."""
        return self._running.get(id)


class RuntimeMoment:
    """One runtime as it stood at a moment."""

    def __init__(self, moment: World, replica: Replica) -> None:
        self.moment = moment
        self.replica = replica

    def __repr__(self) -> str:
        return (
            f"<{self.id!r} at {self.moment.sequence}: {self.status.value}, waiting {self.depth[0]} priority "
            f"{self.depth[1]} standard, state {preview(self.state, 120)}>"
        )

    @property
    def id(self) -> str:
        """Its id."""
        return self.replica.id

    @property
    def state(self) -> Any:
        """Its state."""
        return self.replica.state

    @property
    def initial(self) -> Any:
        """The state that a restart went back to."""
        return self.replica.initial

    @property
    def limits(self) -> Limits:
        """Its limits."""
        return self.replica.limits

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
        return self.replica.workflow

    @property
    def paused(self) -> bool:
        """Whether it was paused."""
        return self.replica.paused

    @property
    def breakpoints(self) -> tuple[str, ...]:
        """The names of its breakpoints."""
        return self.replica.breakpoints

    @property
    def status(self) -> Status:
        """What it was doing."""
        return self.replica.status(self.current)

    @property
    def error(self) -> AgentError | None:
        """Its last error."""
        return self.replica.error

    @property
    def current(self) -> Activity[Any] | None:
        """The activity that was processed."""
        running = self.running
        return None if running is None else running.activity

    @property
    def depth(self) -> tuple[int, int]:
        """How many activities waited in each lane: (priority, standard)."""
        priority, standard = self.replica.depth
        current = self.current
        if current is None or self.replica.closed or self.replica.find(current.id) is None:
            return priority, standard
        urgent = current.lane == "priority"
        return priority - urgent, standard - (not urgent)

    def last_write(self, field: str = "") -> Write | None:
        """Return what last wrote a field of its state, see `History.last_write`."""
        return find_write(self.moment.chronicle, self.id, field, self.moment.sequence)

    def fates(self) -> Fates:
        """Count what had become of its activities."""
        return self.replica.fates

    def mailbox_items(self) -> list[Activity[Any]]:
        """Return what waited, in order: the priority lane, the standard lane, then what was not yet due."""
        replica, current = self.replica, self.current
        return [each for each in replica.waiting() if current is None or each.id != current.id]

    def lane_items(self, lane: str) -> list[Activity[Any]]:
        """Return what waited in one lane; of "delayed", the next one first."""
        delayed = self.replica.delayed
        if lane == "delayed":
            return sorted(delayed.values(), key=lambda each: each.not_before or 0.0)
        return [each for each in self.mailbox_items() if each.lane == lane and each.id not in delayed]

    @cached_property
    def running(self) -> Running | None:
        """What it was processing, since when, and in which steps."""
        return None if self.replica.closed else find_running(self.moment, self.replica)

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Return everything about it as one immutable record, as a live one is."""
        replica, running = self.replica, self.running
        current = None if running is None else running.activity.id
        capacity = (replica.limits.priority_capacity, replica.limits.standard_capacity)
        return Snapshot(
            id=replica.id,
            at=self.moment.time,
            status=self.status,
            state=replica.state,
            workflow=replica.workflow,
            depth=self.depth,
            capacity=capacity,
            current=self.current,
            started=None if running is None else running.started,
            spans=() if running is None else running.spans,
            error=replica.error,
            error_at=replica.error_at,
            fates=replica.fates,
            metrics=self._metrics(capacity) if metrics else None,
            first=(replica.priority.front(current), replica.standard.front(current)),
        )

    def _metrics(self, capacity: tuple[int, int]) -> Metrics:
        """Figures without times."""
        replica = self.replica
        accepted = (replica.accepted_priority, replica.accepted_standard)
        lanes = [
            LaneMetrics(*lane, Percentiles(), Percentiles())
            for lane in zip(self.depth, capacity, accepted, strict=True)
        ]
        failed = replica.counts["failed"] + replica.counts["timed_out"]
        return Metrics(replica.counts["done"] + failed, failed, *lanes)


def find_running(moment: World, replica: Replica) -> Running | None:
    """What a runtime processed at a moment: found by when it began, as nothing is recorded then."""
    track = moment.chronicle.tracks[replica.id]
    if replica.stuck is not None:
        live = moment.running(replica.id)
        return Running(replica.stuck, moment.time if live is None else live.started)
    outcome = track.next_outcome(moment.sequence)
    if outcome is None:
        return _find_live(moment, replica, track)
    activity = replica.find(outcome.id)
    if activity is None or outcome.started is None or not _has_begun(moment, replica, track, activity, outcome.started):
        return None
    return Running(activity, outcome.started, track.spans(activity.id, moment.sequence, moment.time))


def _find_live(moment: World, replica: Replica, track: Track) -> Running | None:
    live = moment.running(replica.id)
    if live is None or replica.find(live.activity.id) is None:
        return None
    if not moment.is_last and not _has_begun(moment, replica, track, live.activity, live.started):
        return None
    return live


def _has_begun(moment: World, replica: Replica, track: Track, activity: Activity[Any], started: float) -> bool:
    """Whether it had begun. At the very time of the moment: if it came right after another, or has done anything."""
    if started != moment.time:
        return started < moment.time
    if moment.by_time:
        return not (replica.paused or replica.failed)
    before: Outcome[Any] | None = track.last_outcome(moment.sequence)
    if before is not None and before.finished == started and before.sequence > activity.id and _may_suspend(replica):
        return True
    return track.has_begun(activity, moment.sequence)


def _may_suspend(replica: Replica) -> bool:
    """Whether others get a turn while it processes: of a plain function on the loop nobody sees the middle."""
    code, limits = replica.code, replica.limits
    return code is None or code.is_async or limits.blocking or limits.isolation is not None
