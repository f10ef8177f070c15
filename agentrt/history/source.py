"""The source of a moment: the views of a manager, drawn as it stood then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..events import Event, Outcome
from ..feed.source import JournalStanding, Page, Settings, Standing
from ..feed.still import MOST_RECORDS, StillSource, StoredIds
from ..metrics import Fates
from ..snapshot import Snapshot
from .world import World

__all__ = ["MomentSource"]


class MomentSource(StillSource):
    """The source of a moment: `moment.source`. See `Source` for what each method does.

    Its clock stands still at the moment, and every command is refused. Where a runtime stood in its code is not
    recorded.
    """

    def __init__(self, moment: World) -> None:
        self.moment = moment
        self.name = moment.origin.name
        chronicle = moment.chronicle
        records = chronicle.until(moment.sequence)
        super().__init__(records[-MOST_RECORDS:], chronicle.let_go + max(0, len(records) - MOST_RECORDS))
        self._records = records
        self.runtimes = StoredIds(moment.ids)
        self.ended = StoredIds(moment.ended)

    def __repr__(self) -> str:
        return f"<MomentSource of {self.moment!r}>"

    def now(self) -> float:
        """The time of the moment."""
        return self.moment.time

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self.moment.origin.wall(at)

    def standing(self) -> Standing:
        """It is of this moment, and stays as it is."""
        moment = self.moment
        at = f"{moment.wall:%Y-%m-%d at %H:%M:%S}"
        return Standing(recorded=f"{moment.origin.describe()} as it stood on {at}, after record {moment.sequence}")

    # ---- how things were

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime stood."""
        found = self.moment.find(id)
        return None if found is None else found.snapshot(metrics)

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""
        return self.snapshots(ids, metrics)

    def settings(self, id: str) -> Settings | None:
        """What was set of a runtime; None once it had ended."""
        found = self.moment.find(id) if id in self.runtimes else None
        return None if found is None else Settings(found.paused, found.limits, found.breakpoints, found.initial)

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waited in a runtime, in order."""
        found = self.moment.find(id)
        if found is None:
            return Page()
        items = found.mailbox_items() if lane is None else found.lane_items(lane)
        return Page(tuple(items[start : None if count is None else start + count]), len(items))

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        return self.moment.fates()

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters, oldest first, as far as they are among the records."""
        letters = tuple(self._letters.here.values())
        return Page(letters[start : None if count is None else start + count], len(letters))

    @cached_property
    def _letters(self) -> PastLetters:
        letters = PastLetters()
        for record in self._records:
            if isinstance(record, Outcome) and record.kind == "dead":
                letters.add(record, self.moment.chronicle.activity(record.id))
            elif isinstance(record, Event) and record.kind in LETTER_EVENTS:
                letters.change(record.kind, record.detail["activity"])
        return letters

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        letters = self._letters
        return Ledger(self.fates().dead, len(letters.here), letters.resent, letters.discarded)

    def journal(self, id: str = "") -> JournalStanding | None:
        """None: how far a journal was is not recorded."""


LETTER_EVENTS = ("resent", "letter_discarded", "letter_kept")


class PastLetters:
    """The dead letters, as records tell of them."""

    def __init__(self) -> None:
        self.here: dict[int, DeadLetter] = {}
        self.resent = self.discarded = 0
        self._gone: dict[int, DeadLetter] = {}

    def add(self, outcome: Outcome[Any], activity: Activity[Any] | None) -> None:
        """An activity became a dead letter."""
        if activity is None:
            activity = Activity(outcome.id, outcome.runtime, lane=outcome.lane, created=outcome.created)
        self.here[outcome.id] = DeadLetter(activity, "its runtime was terminated", outcome.finished)

    def change(self, kind: str, id: int) -> None:
        """A letter was sent again, discarded, or taken back."""
        if kind == "letter_kept":
            letter = self._gone.pop(id, None)
            if letter is not None:
                self.here[id] = letter
                self.discarded -= 1
        elif id in self.here:
            self._gone[id] = self.here.pop(id)
            self.resent += kind == "resent"
            self.discarded += kind == "letter_discarded"
