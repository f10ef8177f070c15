"""Where everything stands in a log: made of its rows in order, at the start and with each that is added."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from .rows import AcceptedRow, CommitRow, EffectRow, FieldsRow, LetterClosedRow, RemovedRow, Row, RuntimeRow
from .split import digest

__all__ = ["Index", "RuntimePlaces", "retired_counts"]

MANY_KEYS = 100


class RuntimePlaces(msgspec.Struct):
    """One runtime: its settings, and the positions of the rows that have the rest."""

    created: float | None = None
    limits: bytes | None = None
    paused: bool = False
    workflow: str = ""
    version: int = 1
    supervision: bytes | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    state: int | None = None  # of the row with the whole state
    head: str = ""  # what the fields are fields of
    fields: dict[bytes, tuple[int, bytes]] = msgspec.field(default_factory=dict)  # with the digest of each
    waiting: dict[int, int] = msgspec.field(default_factory=dict)
    attempts: dict[int, tuple[int, float | None]] = msgspec.field(default_factory=dict)
    letters: dict[int, tuple[int, str, float]] = msgspec.field(default_factory=dict)
    effects: dict[int, dict[str, int]] = msgspec.field(default_factory=dict)
    keys: dict[str, tuple[int, float]] = msgspec.field(default_factory=dict)
    many_keys: int = MANY_KEYS  # of so many it is looked which are over
    last: int | None = None  # the activity that was committed last

    def positions(self) -> Iterator[int]:
        """Of the rows with the state and with what waits."""
        yield from self.waiting.values()
        yield from (position for position, _ in self.fields.values())
        if self.state is not None:
            yield self.state

    def copy(self) -> RuntimePlaces:
        """As it is now: what is added later, or moved, does not change it."""
        return msgspec.structs.replace(
            self,
            counts=dict(self.counts),
            fields=dict(self.fields),
            waiting=dict(self.waiting),
            attempts=dict(self.attempts),
            keys=dict(self.keys),
        )

    def settings(self, runtime: str, state: bytes | None, keys: dict[str, tuple[int, float]]) -> RuntimeRow:
        """A row that stands for all rows before, but for those of activities, fields and other keys."""
        return RuntimeRow(
            runtime,
            self.created,
            self.limits,
            self.paused,
            self.workflow,
            self.version,
            self.supervision,
            state,
            dict(self.counts),
            list(self.fields) if self.fields else None,
            keys=keys,
        )


class Index:
    """The places of all runtimes."""

    def __init__(self) -> None:
        self.runtimes: dict[str, RuntimePlaces] = {}
        self.retired: Counter[str] = Counter()  # the counts of those that were removed, and of closed dead letters
        self.last_activity = 0
        self.now = 0.0  # the latest time that any row has: a clock that is set back changes nothing
        self._apply: dict[type, Any] = {
            RuntimeRow: self._apply_runtime,
            FieldsRow: self._apply_fields,
            AcceptedRow: self._apply_activity,
            CommitRow: self._apply_commit,
            EffectRow: self._apply_effect,
            LetterClosedRow: self._apply_letter,
        }

    def apply(self, position: int, row: Row) -> None:
        """Add the row that stands at a position."""
        if type(row) is RemovedRow:
            self.retired.update(row.counts)
            gone = self.runtimes.pop(row.runtime, None)
            if gone is not None and gone.letters:  # its dead letters stay
                self.runtimes[row.runtime] = RuntimePlaces(letters=gone.letters)
            return
        places = self.runtimes.get(row.runtime)
        if places is None:
            places = self.runtimes[row.runtime] = RuntimePlaces()
        self._apply[type(row)](places, position, row)

    def _apply_runtime(self, places: RuntimePlaces, position: int, row: RuntimeRow) -> None:
        if row.new:  # what was accepted before it was created stays
            places.state, places.fields, places.supervision = None, {}, None
        for name in ("created", "limits", "paused", "workflow", "version", "supervision"):
            value = getattr(row, name)
            if value is not None:
                setattr(places, name, value)
        if row.state is not None:
            places.state, places.fields = position, {}
        if row.counts is not None:
            places.counts = dict(row.counts)
        if row.order is not None:
            places.fields = {name: places.fields[name] for name in row.order if name in places.fields}
        if row.keys is not None:
            places.keys = {**row.keys, **places.keys}
        self.now = max(self.now, row.created or 0.0)

    def _apply_fields(self, places: RuntimePlaces, position: int, row: FieldsRow) -> None:
        if row.whole:
            places.fields, places.state = {}, None
        places.head = row.head
        for name, value in row.values.items():
            places.fields[name] = position, digest(value)
        for name in row.gone:
            places.fields.pop(name, None)

    def _apply_activity(self, places: RuntimePlaces, position: int, row: AcceptedRow) -> None:
        activity = row.activity
        if not row.again and activity not in places.waiting:
            places.counts["accepted"] = places.counts.get("accepted", 0) + 1
        places.waiting[activity] = position
        if row.key is not None and row.key_until is not None:
            self._remember_key(places, row.key, activity, row.key_until)
        self.last_activity = max(self.last_activity, activity, int(row.rank or 0))  # ranks are of the same numbers
        self.now = max(self.now, row.created)

    def _remember_key(self, places: RuntimePlaces, key: str, activity: int, until: float) -> None:
        """Remember a key, the newest last; now and then forget those that are over."""
        places.keys.pop(key, None)
        places.keys[key] = activity, until
        if len(places.keys) > places.many_keys:
            places.keys = {each: place for each, place in places.keys.items() if place[1] > self.now}
            places.many_keys = max(MANY_KEYS, 2 * len(places.keys))

    def _apply_commit(self, places: RuntimePlaces, position: int, row: CommitRow) -> None:
        activity = row.activity
        self.now = max(self.now, row.at)
        if row.fate is not None and not row.again and activity == places.last:
            return  # it was handed over twice, as an exception had interrupted the first time
        if row.state is not None:
            places.state, places.fields = position, {}
        if row.supervision is not None:
            places.supervision = row.supervision
        if row.fate is None:
            before = 0 if row.again else places.attempts.get(activity, (0, None))[0]
            places.attempts[activity] = before + row.attempts, row.not_before
            return
        places.last = activity if activity else None
        if not row.again:
            places.counts[row.fate] = places.counts.get(row.fate, 0) + 1
        stood = places.waiting.pop(activity, None)
        places.attempts.pop(activity, None)
        places.effects.pop(activity, None)
        if row.fate == "dead" and stood is not None:
            places.letters[activity] = stood, row.error, row.at

    def _apply_effect(self, places: RuntimePlaces, position: int, row: EffectRow) -> None:
        places.effects.setdefault(row.activity, {})[row.name] = position

    def _apply_letter(self, places: RuntimePlaces, position: int, row: LetterClosedRow) -> None:
        self.retired.update(_letter_counts(row))
        places.letters.pop(row.activity, None)
        if places.created is None and not places.letters and not places.waiting:  # it was removed
            del self.runtimes[row.runtime]

    # ---- what has to be written again before the oldest rows are let go

    def carry(self, head: list[tuple[int, Row]]) -> list[Row]:
        """The rows that stand for the first ones of the log, once those are gone."""
        found: list[Row] = []
        touched: dict[str, bytes | None] = {}
        keys: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
        for position, row in head:
            places = self.runtimes.get(row.runtime)
            if places is None or type(row) is RemovedRow:
                continue
            touched.setdefault(row.runtime, None)
            if type(row) in (RuntimeRow, CommitRow) and places.state == position:
                touched[row.runtime] = row.state  # type: ignore[union-attr]
            found += _rows_again(places, position, row)
            for key, place in _keys_of(row):
                if place[1] > self.now and places.keys.get(key) == place:
                    keys[row.runtime][key] = place
        settings = [self.runtimes[each].settings(each, state, keys[each]) for each, state in touched.items()]
        return [*found, *settings]


def retired_counts(head: Iterable[tuple[int, Row]]) -> Counter[str]:
    """The counts of the runtimes that these rows of the log remove, and of the dead letters that they close."""
    found: Counter[str] = Counter()
    for _, row in head:
        if type(row) is RemovedRow:
            found.update(row.counts)
        elif type(row) is LetterClosedRow:
            found.update(_letter_counts(row))
    return found


def _letter_counts(row: LetterClosedRow) -> dict[str, int]:
    """What a closed dead letter changes of the counts of all."""
    if not row.fate:
        return {}
    return {"discarded": -1} if row.fate == "kept" else {row.fate: 1}


def _keys_of(row: Row) -> Iterable[tuple[str, tuple[int, float]]]:
    """The remembered keys that a row has."""
    if type(row) is RuntimeRow:
        return (row.keys or {}).items()
    if type(row) is AcceptedRow and row.key is not None and row.key_until is not None:
        return ((row.key, (row.activity, row.key_until)),)
    return ()


def _rows_again(places: RuntimePlaces, position: int, row: Row) -> Iterable[Row]:
    """A row as it must be written again; nothing if it is over."""
    if type(row) is FieldsRow:
        values = {name: value for name, value in row.values.items() if places.fields.get(name, (0,))[0] == position}
        if values:
            yield FieldsRow(row.runtime, row.head, values, [], False)
    elif type(row) is EffectRow:
        if places.effects.get(row.activity, {}).get(row.name) == position:
            yield row
    elif type(row) is AcceptedRow:
        activity = row.activity
        letter = places.letters.get(activity)
        if places.waiting.get(activity) == position:
            yield msgspec.structs.replace(row, again=True)
            if activity in places.attempts:
                times, not_before = places.attempts[activity]
                yield _commit_again(row, fate=None, attempts=times, not_before=not_before)
        elif letter is not None and letter[0] == position:
            yield msgspec.structs.replace(row, again=True)
            yield _commit_again(row, fate="dead", error=letter[1], at=letter[2])


def _commit_again(row: AcceptedRow, fate: str | None, at: float = 0.0, **more: Any) -> CommitRow:
    return CommitRow(row.runtime, row.activity, fate, at, again=True, **more)
