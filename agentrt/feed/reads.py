"""The reads of a source by name: what is sent for each, and what is made of it where it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..debugger import Whereabouts
from ..errors import AgentError
from ..events import Outcome
from ..limits import Limits
from ..metrics import Fates
from ..schema.choices import Choice, is_same_choice
from ..schema.fields import Field, Kind
from ..schema.outline import OF_STATE, Bounds, clean, outline, restore
from ..snapshot import Snapshot
from .extra_pages import ExtraPage, make_extra_page
from .failures import FailureRecord, error_of, failure_of
from .ids import IdsUpdate
from .nodes import ClusterStanding, HasCluster, Usage
from .source import BurstProgress, Found, JournalStanding, Page, PayloadForm, Rewindable, Settings, Source
from .wire import ActivityRow, OutcomeRow, ProtocolError, encode_frame, record_of, row_of

__all__ = ["NOT_OF_ONE", "READERS", "MomentIds", "make_answer", "read_answer_of"]

MOST_ITEMS = 1_000  # of what waits in one runtime, of dead letters: more are counted and not sent
OF_ITEM = Bounds(most=100, widest=50, deepest=5, longest=2_000)
NOT_OF_ONE = frozenset(
    {
        "ids", "ended", "snapshots", "figures", "active", "find", "fates", "dead_letters", "ledger", "outcomes",
        "burst", "cluster", "extra_page", "journal", "usage",
    }
)  # fmt: skip


class Shot(msgspec.Struct, frozen=True):
    """A snapshot without its activities, its state and its error, and those as they travel."""

    plain: Snapshot
    state: Any
    current: ActivityRow | None
    first: tuple[ActivityRow | None, ActivityRow | None]
    failure: FailureRecord | None


class MomentIds(msgspec.Struct, frozen=True):
    """Which runtimes there were, when, and what it is a record of."""

    live: list[str]
    ended: list[str]
    now: float
    recorded: str


class FigureRow(msgspec.Struct, array_like=True, frozen=True):
    """A snapshot for a table: without its activities and its state."""

    plain: Snapshot
    failure: FailureRecord | None


class PageOf(msgspec.Struct, frozen=True):
    """A page of activities that wait."""

    items: list[ActivityRow]
    total: int


class LetterRow(msgspec.Struct, array_like=True, frozen=True):
    """A dead letter."""

    activity: ActivityRow
    reason: str
    at: float


class PageOfLetters(msgspec.Struct, frozen=True):
    """A page of dead letters."""

    items: list[LetterRow]
    total: int


class SettingsRow(msgspec.Struct, frozen=True):
    """Settings; the limits without the type that is accepted."""

    paused: bool
    limits: Limits
    breakpoints: tuple[str, ...]
    initial: Any


class PlaceRow(msgspec.Struct, frozen=True):
    """Where a runtime is; the activity as it travels."""

    plain: Whereabouts
    activity: ActivityRow | None


class FieldRow(msgspec.Struct, frozen=True):
    """A field of a form with what a control starts with, and the words for what it expects, worked out."""

    name: str
    kind: Kind
    label: str
    doc: str
    required: bool
    optional: bool
    choices: list[str]
    initial: str | bool | int  # of a choice, its place
    expects: str
    key: str


class FormRow(msgspec.Struct, frozen=True):
    """A form."""

    fields: list[FieldRow]
    record: bool
    text: str
    whole: bool


class ShownField(Field, frozen=True):
    """A field of a runtime in another process: what a control shows of it was worked out there."""

    words: str = ""
    start: str | bool = ""

    @property
    def expects(self) -> str:
        """What may be typed here, in words."""
        return self.words

    @property
    def initial(self) -> Any:
        """What a control starts with."""
        return self.start


# ---- where the agents are


def _activity_row(activity: Activity[Any] | None) -> ActivityRow | None:
    return None if activity is None else row_of(activity, bounds=OF_ITEM)  # type: ignore[return-value]


def _shot(shot: Snapshot | None, traced: bool = True) -> Shot | None:
    if shot is None:
        return None
    plain = msgspec.structs.replace(shot, state=None, current=None, first=(None, None), error=None)
    state = outline(shot.state, OF_STATE if traced else OF_ITEM)
    failure = None if shot.error is None else failure_of(shot.error, traced)
    return Shot(
        plain, state, _activity_row(shot.current), (_activity_row(shot.first[0]), _activity_row(shot.first[1])), failure
    )


def _whole_error(shot: Snapshot | None) -> FailureRecord | None:
    return None if shot is None or shot.error is None else failure_of(shot.error, whole=True)


def _figure_row(shot: Snapshot | None) -> FigureRow | None:
    if shot is None:
        return None
    plain = msgspec.structs.replace(shot, state=None, current=None, first=(None, None), error=None)
    return FigureRow(plain, None if shot.error is None else failure_of(shot.error, traced=False))


def _settings(settings: Settings | None) -> SettingsRow | None:
    if settings is None:
        return None
    limits = msgspec.structs.replace(settings.limits, accepts=None)
    return SettingsRow(settings.paused, limits, settings.breakpoints, outline(settings.initial))


def _page_row(page: Page[Activity[Any]]) -> PageOf:
    return PageOf([_activity_row(item) for item in page.items[:MOST_ITEMS]], page.total)  # type: ignore[misc]


def _letters(page: Page[DeadLetter]) -> PageOfLetters:
    items = [LetterRow(row_of(each.activity, bounds=OF_ITEM), each.reason, each.at) for each in page.items[:MOST_ITEMS]]  # type: ignore[arg-type]
    return PageOfLetters(items, page.total)


def _place_row(there: Whereabouts | None) -> PlaceRow | None:
    return (
        None
        if there is None
        else PlaceRow(msgspec.structs.replace(there, activity=None), _activity_row(there.activity))
    )


def _form(form: PayloadForm | None) -> FormRow | None:
    if form is None:
        return None
    return FormRow([_field(each) for each in form.fields], form.record, clean(form.text), form.whole)


def _field(field: Field) -> FieldRow:
    labels, initial = [clean(choice.label) for choice in field.choices], field.initial
    if field.kind == "choice":
        initial = next((n for n, choice in enumerate(field.choices) if is_same_choice(choice.value, initial)), 0)
    return FieldRow(
        field.name, field.kind, field.label, clean(field.doc), field.required, field.optional, labels,
        clean(initial) if isinstance(initial, str) else initial, clean(field.expects), field.key,
    )  # fmt: skip


# ---- where they are looked at


def _read_activity(row: ActivityRow | None) -> Activity[Any] | None:
    return None if row is None else record_of(row)  # type: ignore[return-value]


def _read_shot(row: Shot | None) -> Snapshot | None:
    if row is None:
        return None
    return msgspec.structs.replace(
        row.plain,
        state=restore(row.state),
        current=_read_activity(row.current),
        first=(_read_activity(row.first[0]), _read_activity(row.first[1])),
        error=None if row.failure is None else error_of(row.failure),
    )


def _read_error(failure: FailureRecord | None) -> AgentError | None:
    return None if failure is None else error_of(failure)


def _read_shots(rows: list[Shot]) -> list[Snapshot]:
    return [_read_shot(row) for row in rows]  # type: ignore[misc]


def _read_figure(row: FigureRow | None) -> Snapshot | None:
    if row is None or row.failure is None:
        return None if row is None else row.plain
    return msgspec.structs.replace(row.plain, error=error_of(row.failure))


def _read_figures(rows: list[FigureRow]) -> list[Snapshot]:
    return [_read_figure(row) for row in rows]  # type: ignore[misc]


def _read_settings(row: SettingsRow | None) -> Settings | None:
    return None if row is None else Settings(row.paused, row.limits, row.breakpoints, restore(row.initial))


def _read_page(row: PageOf) -> Page[Any]:
    return Page(tuple(_read_activity(each) for each in row.items), row.total)


def _read_letters(row: PageOfLetters) -> Page[Any]:
    return Page(tuple(DeadLetter(record_of(each.activity), each.reason, each.at) for each in row.items), row.total)  # type: ignore[arg-type]


def _read_place(row: PlaceRow | None) -> Whereabouts | None:
    return None if row is None else msgspec.structs.replace(row.plain, activity=_read_activity(row.activity))


def _read_form(row: FormRow | None) -> PayloadForm | None:
    return None if row is None else PayloadForm(tuple(map(_read_field, row.fields)), row.record, row.text, row.whole)


def _read_field(row: FieldRow) -> Field:
    choices = tuple(Choice(label, label) for label in row.choices)
    start: Any = row.initial
    if row.kind == "choice":
        if not choices:
            raise ValueError("a choice without choices")
        start = choices[start if type(start) is int and 0 <= start < len(choices) else 0].value
    return ShownField(
        row.name, Any, row.kind, row.label, row.doc, required=row.required, optional=row.optional, choices=choices,
        key=row.key, words=row.expects, start=start,
    )  # fmt: skip


def _read_outcomes(rows: dict[int, OutcomeRow]) -> dict[int, Outcome]:
    return {id: record_of(row) for id, row in rows.items()}  # type: ignore[misc]


# ---- by name


class ReadKind(NamedTuple):
    """A read: what is sent for it, the type of that, and what is made of it."""

    ask: Callable[..., Any]
    kind: Any
    make: Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


READERS: dict[str, ReadKind] = {
    "ids": ReadKind(lambda source, since: source.ids_since(since), IdsUpdate, _as_it_is),
    "ended": ReadKind(lambda source: list(source.ended), list[str], tuple),
    "snapshot": ReadKind(lambda source, id, metrics: _shot(source.snapshot(id, metrics)), Shot | None, _read_shot),
    "snapshots": ReadKind(
        lambda source, ids, metrics: [_shot(each, traced=False) for each in source.snapshots(ids, metrics)],
        list[Shot],
        _read_shots,
    ),
    "figure": ReadKind(
        lambda source, id, metrics: next(map(_figure_row, source.figures([id], metrics)), None),
        FigureRow | None,
        _read_figure,
    ),
    "figures": ReadKind(
        lambda source, ids, metrics: list(map(_figure_row, source.figures(ids, metrics))),
        list[FigureRow],
        _read_figures,
    ),
    "active": ReadKind(
        lambda source, recent: list(map(_figure_row, source.active(recent))), list[FigureRow], _read_figures
    ),
    "find": ReadKind(
        lambda source, search, sort, down, start, count: source.find(search, sort, down, start, count),
        Found,
        _as_it_is,
    ),
    "settings": ReadKind(lambda source, id: _settings(source.settings(id)), SettingsRow | None, _read_settings),
    "mailbox": ReadKind(
        lambda source, id, lane, start, count: _page_row(source.mailbox(id, lane, start, count)), PageOf, _read_page
    ),
    "where": ReadKind(lambda source, id: _place_row(source.where(id)), PlaceRow | None, _read_place),
    "form": ReadKind(lambda source, id, activity: _form(source.form(id, activity)), FormRow | None, _read_form),
    "fates": ReadKind(lambda source: source.fates(), Fates, _as_it_is),
    "dead_letters": ReadKind(
        lambda source, start, count: _letters(source.dead_letters(start, count)), PageOfLetters, _read_letters
    ),
    "ledger": ReadKind(lambda source: source.ledger(), Ledger, _as_it_is),
    "journal": ReadKind(lambda source, id: source.journal(id), JournalStanding | None, _as_it_is),
    "cluster": ReadKind(
        lambda source: source.cluster() if isinstance(source, HasCluster) else None, ClusterStanding | None, _as_it_is
    ),
    "extra_page": ReadKind(make_extra_page, ExtraPage | None, _as_it_is),
    "usage": ReadKind(lambda source: source.usage(), Usage, _as_it_is),
    "outcomes": ReadKind(
        lambda source, numbers: {id: row_of(each, True) for id, each in source.outcomes(numbers).items()},
        dict[int, OutcomeRow],
        _read_outcomes,
    ),
    "burst": ReadKind(lambda source, number: source.burst(number), BurstProgress | None, _as_it_is),
    "error": ReadKind(lambda source, id: _whole_error(source.snapshot(id, False)), FailureRecord | None, _read_error),
}


def _of_moment(reader: ReadKind) -> ReadKind:
    """The same read of everything as it was after a record."""

    def ask(source: Source, sequence: int, *arguments: Any) -> Any:
        if not isinstance(source, Rewindable):
            raise TypeError("there is no going back here")
        return reader.ask(source.past(sequence), *arguments)

    return reader._replace(ask=ask)


def _ids_of(source: Source) -> MomentIds:
    return MomentIds(list(source.runtimes), list(source.ended), source.now(), source.standing().recorded)


# Of everything as it was after a record: the same reads, with its sequence number before their arguments.
OF_MOMENT = ("snapshot", "figures", "settings", "mailbox", "fates", "dead_letters", "ledger")
READERS |= {f"moment_{name}": _of_moment(READERS[name]) for name in OF_MOMENT}
READERS["moment_ids"] = _of_moment(ReadKind(_ids_of, MomentIds, _as_it_is))
_decoders = {name: msgspec.msgpack.Decoder(reader.kind) for name, reader in READERS.items()}


def make_answer(source: Source, name: str, arguments: list[Any]) -> bytes:
    """Answer a read. Raises `ProtocolError` if there is no such read or the arguments are not those of it."""
    reader = READERS.get(name)
    if reader is None:
        raise ProtocolError(f"there is no read {name[:50]!r}")
    try:
        found = reader.ask(source, *arguments)
    except TypeError as error:
        raise ProtocolError(f"{name} can't be read so: {str(error)[:200]}") from None
    return encode_frame(found)


def read_answer_of(name: str, data: bytes) -> Any:
    """What a view gets of the answer to a read. Raises `ProtocolError`."""
    try:
        return READERS[name].make(_decoders[name].decode(data))
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"no answer to {name}: {str(error)[:200]}") from None
