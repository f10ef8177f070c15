"""A replay: what was recorded, run again against the same code or another, up to the first thing that differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from ..activity import Activity
from ..engine.isolation import user_function
from ..errors import ConfigurationError, MissingPackageError
from ..events import Event, Outcome, Record
from ..journal.protocol import Unreadable
from ..optional import explain_missing
from ..schema.difference import Change, changes, has_changed
from ..schema.preview import preview
from .cause import trace_back
from .cells import cell, table
from .chronicle import Chronicle
from .impurity import Impurity
from .live import LiveHistory
from .moment import Moment
from .origin import Origin
from .playback import Performance, perform
from .playback_loop import run_apart
from .replica import Replica
from .script import RecordedCall, RecordIndex, Script, is_ended_from_outside
from .stage import Stage

if TYPE_CHECKING:
    from ..views.notebook.replay_display import ReplayDisplay

__all__ = ["Divergence", "Replay", "Skipped", "compare", "find_scripts", "functions_of", "replay_records"]

Effects = Mapping[str, Callable[..., Any]]


class Divergence(msgspec.Struct, frozen=True):
    """The first thing that differs.

    Args:
        activity: The activity that did otherwise than the record says.
        what: What differs: "send", "effect", "step", "log", "metric", "fate", "error", "reply" or "state".
        expected: What the record says; None if nothing.
        got: What it did; None if nothing.
        chain: The activities that led to it, the first cause first; the last one is `activity`.
    """

    activity: Activity[Any]
    what: str
    expected: Any
    got: Any
    chain: tuple[Activity[Any], ...] = ()

    @property
    def runtime(self) -> str:
        """The id of the runtime."""
        return self.activity.runtime

    @property
    def changes(self) -> list[Change]:
        """What differs between the two, path by path: 200 at most."""
        one, other = (each.value if isinstance(each, RecordedCall) else each for each in (self.expected, self.got))
        found = changes(one, other)
        if found or not (isinstance(self.expected, RecordedCall) and isinstance(self.got, RecordedCall)):
            return found
        return changes(self.expected.options or {}, self.got.options or {})

    def __repr__(self) -> str:
        return (
            f"<Divergence in the {self.what} of activity {self.activity.id} of {self.runtime!r}: "
            f"expected {preview(self.expected, 200)}, got {preview(self.got, 200)}>"
        )


class Skipped(msgspec.Struct, frozen=True):
    """An activity that was not run again, and why."""

    activity: int
    runtime: str
    why: str


class Replay(msgspec.Struct, frozen=True):
    """What came of a replay.

    Args:
        count: How many activities were run again.
        divergence: The first thing that differs; None if nothing does.
        skipped: Which activities could not be run again, and why.
        dishonest: What makes an activity depend on more than its record, the first one first.
        runs: How many activities of each runtime did again what the record says.
        moment: Everything as the record has it when the last of them had ended: the one that differs, if one does.
    """

    count: int = 0
    divergence: Divergence | None = None
    skipped: tuple[Skipped, ...] = ()
    dishonest: tuple[Impurity, ...] = ()
    runs: dict[str, int] = {}
    moment: Moment | None = None

    @property
    def matches(self) -> bool:
        """Whether everything that was run again did what the record says."""
        return self.divergence is None

    def __repr__(self) -> str:
        found = "matches" if self.divergence is None else repr(self.divergence)[1:-1]
        notes = f", {len(self.skipped)} skipped" if self.skipped else ""
        notes += f", {len(self.dishonest)} not honest" if self.dishonest else ""
        return f"<Replay of {self.count:,} activities{notes}: {found}>"

    def beside(self) -> ReplayDisplay:
        """Show the record and the replay side by side: what first differs, and what led there."""
        if self.moment is None:
            raise ConfigurationError("nothing was run again, so there is nothing to show side by side")
        with explain_missing("a view needs"):
            from ..views.notebook.replay_display import ReplayDisplay
        return ReplayDisplay(self, self.moment.source)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        try:
            bundle, metadata = self.beside()._repr_mimebundle_(include, exclude)
        except (ConfigurationError, MissingPackageError):
            bundle, metadata = {}, {}
        still = {"text/plain": repr(self), "text/html": self._repr_html_()}
        return {**still, **bundle, "text/plain": repr(self)} if metadata else still, metadata

    def _display_(self) -> Any:  # what marimo asks for
        try:
            return self.beside()._display_()
        except (ConfigurationError, MissingPackageError):
            return SimpleNamespace(_repr_html_=self._repr_html_)

    def _repr_html_(self) -> str:
        found, title = self.divergence, repr(self)[1:-1]
        if found is None:
            return table(title)
        rows = ["".join(map(cell, (each.path or "all of it", each.old, each.new))) for each in found.changes]
        rows = rows or ["".join(map(cell, (found.what, found.expected, found.got)))]
        return table(title, ("what differs", "recorded", "replayed"), rows)


def replay_records(
    origin: Origin,
    workflows: Mapping[str, Callable[..., Any]] | None = None,
    since: int | None = None,
    until: int | None = None,
    effects: Effects | None = None,
) -> Replay:
    """Run again what was recorded, in its recorded order. See `RuntimeManager.replay`."""
    workflows = workflows or {}
    _check_names(origin, workflows, effects or {})

    def run() -> Replay:
        skipped, dishonest, runs = [], [], Counter[str]()
        divergence, last = None, None
        for script in find_scripts(origin, since, until):
            functions = functions_of(script, workflows.get(script.activity.runtime))
            divergence, found, why = run_script(functions, script, effects)
            dishonest += found
            if why:
                skipped.append(Skipped(script.activity.id, script.activity.runtime, why))
                continue
            last = script.outcome.sequence
            if divergence is not None:
                chain = trace_back(origin.chronicle, script.outcome)
                divergence = msgspec.structs.replace(divergence, chain=chain)
                break
            runs[script.activity.runtime] += 1
        count = runs.total() + (divergence is not None)
        moment = Moment(origin, last) if last is not None else None
        return Replay(count, divergence, tuple(skipped), tuple(dishonest), dict(runs), moment)

    return run_apart(run)


def _check_names(origin: Origin, workflows: Collection[str], effects: Collection[str]) -> None:
    """Refuse the names of what is not recorded: with a name that is misspelt everything would match."""
    origin.chronicle.pull()
    chronicle = origin.chronicle.whole()
    for id in workflows:
        if id not in chronicle.tracks:
            raise ConfigurationError(
                f"nothing is recorded of the runtime {preview(id, 80)}, for which there is a workflow"
            )
    if effects:
        recorded = {
            each.detail["name"] for each in chronicle.records if isinstance(each, Event) and each.kind == "effect"
        }
        for name in effects:
            if name not in recorded:
                raise ConfigurationError(f"no effect {preview(name, 80)} is recorded; there are {sorted(recorded)}")


class ReplicaSet:
    """How the runtimes stand, record after record, and which workflows they had before."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._replicas = {id: track.base.copy() for id, track in chronicle.tracks.items()}
        self._replaced: dict[str, list[tuple[float, Any]]] = defaultdict(list)  # when, and what was there before

    def replica(self, id: str) -> Replica:
        """How a runtime stands."""
        return self._replicas.setdefault(id, Replica(id))

    def apply(self, record: Record) -> None:
        """Go on to what a record says."""
        replica = self.replica(record.runtime)
        code = replica.code
        replica.apply(record)
        if replica.code is not code:
            self._replaced[record.runtime].append((record.at, code))

    def workflow_at(self, id: str, began: float | None) -> Any:
        """The workflow of what had begun at a time, and ends now; None if the record does not have it."""
        later = (code for at, code in self._replaced[id] if began is not None and at > began)
        return next(later, self.replica(id).code)


def find_scripts(origin: Origin, since: int | None, until: int | None) -> Iterator[Script]:
    """What was processed, in the order in which it ended."""
    origin.chronicle.pull()
    chronicle = origin.chronicle.whole()
    index = RecordIndex(chronicle.records, "arguments" not in origin.not_recorded)
    replicas = ReplicaSet(chronicle)
    for record in tuple(chronicle.records):
        if _is_wanted(record, since, until) and isinstance(record, Outcome):
            yield _script_of(record, replicas, index, origin)
        replicas.apply(record)


def _is_wanted(record: Record, since: int | None, until: int | None) -> bool:
    if not isinstance(record, Outcome) or not record.was_processed:
        return False
    return (since is None or record.sequence > since) and (until is None or record.sequence <= until)


def _script_of(outcome: Outcome[Any], replicas: ReplicaSet, index: RecordIndex, origin: Origin) -> Script:
    replica = replicas.replica(outcome.runtime)
    activity = replica.find(outcome.id) or index.activities.get(outcome.id)
    if activity is None:
        activity = Activity(outcome.id, outcome.runtime, UNKNOWN, outcome.lane, outcome.created)
    readings = tuple(origin.readings(outcome.id))
    attempts = tuple(
        msgspec.structs.replace(each, workflow=replicas.workflow_at(outcome.runtime, each.began))
        for each in index.attempts(outcome)
    )
    speed = origin.clock.speed if isinstance(origin, LiveHistory) else 1.0
    return Script(activity, replica.state, outcome, attempts, readings, origin.seed, origin.not_recorded, speed)


UNKNOWN = Unreadable("a payload from before the records that are kept")


def functions_of(script: Script, given: Callable[..., Any] | None = None) -> list[Callable[..., Any]]:
    """The workflow function of each attempt: the one that is given, else what it ran then. Empty if one is missing."""
    if given is not None:
        return [given] * len(script.attempts)
    workflows = [each.workflow for each in script.attempts]
    return [] if None in workflows else [user_function(each.call) for each in workflows]


def reason_to_skip(script: Script, functions: list[Callable[..., Any]]) -> str:
    """Why an activity can't be run again; empty if it can."""
    if isinstance(script.activity.payload, Unreadable):
        return script.activity.payload.reason
    if isinstance(script.state, Unreadable):
        return script.state.reason
    if is_ended_from_outside(script.outcome):
        return f"it was ended from outside: {script.outcome.kind}"
    return "" if functions else "the record does not have its workflow: give it"


def run_script(
    functions: list[Callable[..., Any]], script: Script, effects: Effects | None = None
) -> tuple[Divergence | None, list[Impurity], str]:
    """Run all attempts of an activity: what differs, what is not honest, and why it can't be told."""
    impurities: list[Impurity] = []
    why = reason_to_skip(script, functions)
    if why:
        return None, impurities, why
    readings = list(script.readings)
    for function, attempt in zip(functions, script.attempts, strict=True):
        is_last = attempt is script.attempts[-1]
        found = perform(function, script, Stage(script, attempt, effects, readings))
        impurities += found.impurities
        if found.unrecorded:
            return None, impurities, found.unrecorded
        divergence = compare(script, found) if is_last else _compare_errors(script, attempt.error, found)
        if divergence is not None:
            return divergence, impurities, ""
    return None, impurities, ""


def compare(script: Script, found: Performance) -> Divergence | None:
    """The first thing in which an activity that ran again differs from its record."""
    divergence = _compare_errors(script, script.error, found)
    if divergence is not None or found.error is not None:
        return divergence
    outcome = script.outcome
    if has_changed(outcome.reply, found.reply):
        return Divergence(script.activity, "reply", _unless_unset(outcome.reply), _unless_unset(found.reply))
    if has_changed(outcome.state, found.state):
        return Divergence(script.activity, "state", outcome.state, found.state)
    return None


def _compare_errors(script: Script, expected: BaseException | None, found: Performance) -> Divergence | None:
    """Whether it did what it did then, and whether it failed as it failed then."""
    mismatch = found.mismatch
    if mismatch is not None:
        kind = (mismatch.got or mismatch.expected or RecordedCall("")).kind
        return Divergence(script.activity, kind, mismatch.expected, mismatch.got)
    if (expected is None) != (found.error is None):
        return Divergence(script.activity, "fate", _end_words(expected), _end_words(found.error))
    if expected is not None and found.error is not None and error_words(expected) != error_words(found.error):
        return Divergence(script.activity, "error", error_words(expected), error_words(found.error))
    return None


def _end_words(error: BaseException | None) -> str:
    return "done" if error is None else f"failed: {error_words(error)}"


def error_words(error: BaseException) -> str:
    """An error as text: its class and its message."""
    return f"{type(error).__name__}: {error}"


def _unless_unset(value: Any) -> Any:
    return None if value is msgspec.UNSET else value
