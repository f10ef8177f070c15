"""A branch: a new manager in which everything stands as it stood at a moment, and goes on from there."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from ..activity import Activity, Lane
from ..clock import Clock
from ..engine.counter import make_counter
from ..engine.deadlock import CURRENT
from ..engine.isolation import user_function
from ..engine.restore import restore_entry
from ..errors import AgentError, ConfigurationError
from ..events import Event, Outcome, Record
from ..feed.branch_point import BranchPoint
from ..receipt import Receipt
from ..schema.difference import has_changed
from ..schema.immutability import copy_out_always
from ..schema.preview import preview
from .live import LiveHistory
from .replica import FATES, Replica
from .script import BEGINS_AGAIN, content_of
from .world import World

__all__ = ["ClockChoice", "EffectChoice", "RecordedEffects", "fork"]

EffectChoice = Literal["recorded", "live", "forbidden"]
ClockChoice = Literal["virtual", "real"]


class RecordedEffects:
    """The results of effects, served instead of calling their functions. The loop's thread of the branch.

    Args:
        records: All records of the manager that was branched off.
        sequence: The moment.
        mode: "recorded" or "forbidden".
        earlier: Of the manager that was branched off, if that is a branch itself: what it has left.
    """

    def __init__(self, records: Iterable[Record], sequence: int, mode: str, earlier: Any = None) -> None:
        self._sequence = sequence
        self._mode = mode
        # Of what had been accepted then, by the activity and the key of the effect: one for each of its attempts.
        self._of: dict[int, dict[str, deque[Event]]] = defaultdict(lambda: defaultdict(deque))
        self._later: dict[tuple[str, str], deque[Event]] = defaultdict(deque)
        for record in records:
            if isinstance(record, Event) and isinstance(record.detail, dict):
                self._add(record)
        if isinstance(earlier, RecordedEffects) and earlier._mode == "recorded":
            self._append(earlier)

    def _add(self, event: Event) -> None:
        detail = event.detail
        if event.kind == "retried" or (event.kind == "retry" and event.sequence <= self._sequence):
            self._of.pop(detail["activity"], None)  # of an attempt that was over then, or was broken off
        elif event.kind == "effect" and not detail.get("recorded"):
            activity, name = detail["activity"], detail["name"]
            if activity <= self._sequence:
                self._of[activity][detail.get("key", name)].append(event)
            else:
                self._later[event.runtime, name].append(event)

    def _append(self, earlier: RecordedEffects) -> None:
        for activity, found in tuple(earlier._of.items()):
            for key, events in tuple(found.items()):
                self._of[activity][key] += events
        for place, events in tuple(earlier._later.items()):
            self._later[place] += events

    def _take(self, activity: Activity[Any], key: str, name: str) -> Event | None:
        """The next one on the record."""
        if self._mode != "recorded":
            return None
        for events in (self._of[activity.id][key], self._later[activity.runtime, name]):
            if events:
                return events.popleft()
        return None

    def find(self, activity: Activity[Any], key: str, name: str) -> Any:
        """The result of an effect; raises what it raised, or `AgentError` if there is none to give."""
        found = self._take(activity, key, name)
        if found is None:
            why = "effects are forbidden here" if self._mode == "forbidden" else "the record has no more of it"
            raise AgentError(
                f"the effect {name!r} of {activity.runtime!r} is not done: {why}; fork(effects='live') does it",
                runtime=activity.runtime,
                activity=activity.id,
            )
        if "raised" in found.detail:
            raise found.detail["raised"]
        return copy_out_always(found.detail["value"])


class RecordedSends:
    """What activities that begin again had sent already: they get its receipt, and it is not sent a second time.

    Args:
        branch: The manager that goes on.
        records: All records of the manager that was branched off, up to the moment.
        earlier: Of that manager, if it is a branch itself.
    """

    def __init__(self, branch: Any, records: Iterable[Record], earlier: RecordedSends | None = None) -> None:
        self._find_recipient = branch.recipient
        self._sent: dict[int, list[Activity[Any]]] = defaultdict(list)  # by the activity whose workflow sent it
        self._outcomes: dict[int, Outcome[Any]] = {}  # of what was sent
        if earlier is not None:
            self._sent |= {id: list(sent) for id, sent in earlier._sent.items()}
            self._outcomes |= earlier._outcomes
        for record in records:
            self._add(record)
        wanted = {each.id for sent in self._sent.values() for each in sent}
        self._outcomes = {id: each for id, each in self._outcomes.items() if id in wanted}
        self._left = {id: list(sent) for id, sent in self._sent.items()}
        self._receipts = {
            each.id: each.receipt
            for entry in branch.entries()
            for lane in entry.mailbox.lists()
            for each in lane
            if each.id in wanted
        }

    def _add(self, record: Record) -> None:
        if isinstance(record, Activity):
            if record.parent is not None and record.source is not None:
                self._sent[record.parent].append(record)
        elif isinstance(record, Outcome):
            self._sent.pop(record.id, None)  # it does not begin again
            self._outcomes[record.id] = record
        elif record.kind in BEGINS_AGAIN:
            self._sent.pop(record.detail["activity"], None)

    def recipient(self, to: Any) -> Any:
        """Who takes a send to an id, a handle or a grant."""
        found, current = self._find_recipient(to), CURRENT.get()
        activity = None if current is None else current.current
        if activity is None or not self._left.get(activity.id):
            return found
        return SentBefore(self, found, getattr(current, "entry", current), activity.id)

    def take(self, by: int, to: str, payload: Any, lane: Lane) -> tuple[Activity[Any], Receipt] | None:
        """What an activity had sent then, and its receipt; None if it had not."""
        sent = self._left[by]
        for place, each in enumerate(sent):
            if (each.runtime, each.lane) == (to, lane) and not has_changed(content_of(each), payload):
                del sent[place]
                outcome = self._outcomes.get(each.id)
                known = None if outcome is None else Receipt(None, outcome, None, each.id)
                receipt = known or self._receipts.get(each.id)
                return None if receipt is None else (each, receipt)
        return None


class SentBefore:
    """Takes the sends of an activity that begins again, in place of the runtime that it sends to.

    Args:
        sends: What was sent then.
        to: Who takes what was not.
        entry: Of the runtime that sends.
        activity: The number of the activity that sends.
    """

    def __init__(self, sends: RecordedSends, to: Any, entry: Any, activity: int) -> None:
        self._sends, self._to, self._entry, self._activity = sends, to, entry, activity

    def _take(self, payload: Any, options: Mapping[str, Any]) -> Receipt | None:
        is_urgent = bool(options.get("priority")) or getattr(payload, "lane", None) is Lane.PRIORITY
        content = content_of(payload) if isinstance(payload, Activity) else payload
        lane = Lane.PRIORITY if is_urgent else Lane.STANDARD
        found = self._sends.take(self._activity, str(getattr(self._to, "id", "")), content, lane)
        if found is None:
            return None
        self._entry.record_event("sent_before", {"activity": self._activity, "sent": found[0]})
        return found[1]

    async def send(self, payload: Any, **options: Any) -> Any:
        """The receipt of then, else that of a new activity."""
        return self._take(payload, options) or await self._to.send(payload, **options)

    async def ask(self, payload: Any, **options: Any) -> Any:
        """The answer to what was sent then, else to a new activity."""
        receipt = self._take(payload, options)
        return await self._to.ask(payload, **options) if receipt is None else (await receipt).value


def fork(
    moment: World,
    effects: EffectChoice = "recorded",
    clock: ClockChoice | Clock = "virtual",
    workflows: Mapping[str, Callable[..., Any]] | None = None,
    paused: bool = False,
) -> Any:
    """Make a manager that goes on from a moment. See `Moment.fork`."""
    if effects not in ("recorded", "live", "forbidden"):
        raise ConfigurationError(f"effects is {preview(effects, 40)}; give 'recorded', 'live' or 'forbidden'")
    replicas = [moment[id].replica for id in moment.ids]
    for id in workflows or {}:
        if id not in moment.ids:
            raise ConfigurationError(f"there was no runtime {preview(id, 80)} then, for which there is a workflow")
    codes = {each.id: _function_of(each, workflows or {}) for each in replicas}
    branch = moment.origin.make_manager(
        name=f"{moment.origin.name}@{moment.sequence}", clock=_clock_for(moment, clock), seed=moment.origin.seed
    )
    moment.origin.chronicle.pull()
    served, sends = moment.origin.of_branch() if isinstance(moment.origin, LiveHistory) else (None, None)
    if effects != "live":
        branch.served_effects = RecordedEffects(moment.origin.chronicle.records, moment.sequence, effects, served)
    with branch.lock:  # nothing is processed before everything stands
        for replica in replicas:
            _restore(branch, replica, codes[replica.id], paused)
        branch.recorded_sends = RecordedSends(branch, moment.origin.chronicle.until(moment.sequence), sends)
        branch.recipient = branch.recorded_sends.recipient
        # What happens next has the numbers that it had then: chance is seeded with them.
        first = max(moment.sequence + 1, branch.number())
        branch.counter = make_counter(first)
        branch.number = branch.counter.__next__
        origin = moment.origin
        branch.branch_point = BranchPoint(origin.name, origin.present, moment.sequence, first - 1, moment.wall)
    return branch


def _restore(branch: Any, replica: Replica, function: Callable[..., Any], paused: bool) -> None:
    entry = branch.create_entry(replica.id, copy_out_always(replica.state), function, replica.limits)
    waiting = [msgspec.structs.replace(each, payload=copy_out_always(each.payload)) for each in replica.waiting()]
    counts = (replica.accepted_priority, replica.accepted_standard, *(replica.counts[fate] for fate in FATES))
    error = None if replica.error is None else (replica.error, replica.error_at or 0.0, replica.in_error)
    restore_entry(entry, replica.initial, waiting, counts, paused or replica.paused, replica.failed, error)


def _function_of(replica: Replica, workflows: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    function = workflows.get(replica.id)
    if function is None and replica.code is not None:
        function = user_function(replica.code.call)
    if function is None:
        raise ConfigurationError(
            f"the record does not have the workflow of {replica.id!r}: fork(workflows={{{replica.id!r}: ...}})",
            runtime=replica.id,
        )
    return function


def _clock_for(moment: World, clock: ClockChoice | Clock) -> Clock:
    """A clock that reads the time of the moment first."""
    if isinstance(clock, Clock):
        return clock
    if clock not in ("virtual", "real"):
        raise ConfigurationError(f"clock is {preview(clock, 40)}; give 'virtual', 'real' or a Clock")
    ahead = moment.time - time.monotonic()
    return Clock(math.inf if clock == "virtual" else 1.0, source=lambda: time.monotonic() + ahead, wall=moment.wall)
