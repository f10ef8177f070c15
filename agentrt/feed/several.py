"""Several sources as one: managers side by side, each with its name before the ids of its runtimes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..debugger import Whereabouts
from ..engine.hub import Frame, Hub
from ..errors import AgentError, ConfigurationError, RuntimeNotFoundError
from ..events import Outcome
from ..interruptible import InterruptibleFuture
from ..metrics import Fates
from ..snapshot import Snapshot
from .find import cut, find_ids, merge_parts
from .mirror import Mirror
from .shift import STRIDE, Shift
from .source import (
    BurstProgress,
    Found,
    JournalStanding,
    Page,
    PayloadForm,
    Reply,
    Settings,
    Source,
    Standing,
    Watching,
    whole_error,
)

__all__ = ["Part", "SeveralSource"]

SAME_DATE = 60.0  # seconds by which two clocks may be apart that tell the same date
UNDOS = 200  # of commands that went to more than one
OF_ALL = frozenset({"pause_all", "resume_all", "set_speed"})


class Part:
    """One of the sources, with what makes its ids, numbers and times its own."""

    def __init__(self, source: Source, shift: Shift) -> None:
        self.source = source
        self.shift = shift
        self.cursor = 0

    def find(self, search: str, sort: str, down: bool) -> Found:
        """What is found here, with the ids that they have together."""
        found = self.source.find("", sort, down)
        ids = list(map(self.shift.id, found.ids))
        wanted = search.casefold()
        chosen = [n for n, id in enumerate(ids) if wanted in id.casefold()]
        keys = tuple(found.keys[n] for n in chosen if n < found.live)
        return Found(tuple(ids[n] for n in chosen), keys, len(keys), len(chosen), found.total)


class SeveralIds(Collection[str]):
    """The ids of all, those of the first source first."""

    def __init__(self, parts: Sequence[Part], name: str) -> None:
        self._parts = parts
        self._name = name

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and any(
            id.startswith(part.shift.prefix) and id[len(part.shift.prefix) :] in getattr(part.source, self._name)
            for part in self._parts
        )

    def __len__(self) -> int:
        return sum(len(getattr(part.source, self._name)) for part in self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter([part.shift.id(id) for part in self._parts for id in getattr(part.source, self._name)])


class SeveralSource:
    """Several sources as one. See `Source` for what each method does.

    A runtime `JFK` of the source `towers` is `towers/JFK`. Numbers are made different. Times are those of the first
    source's clock: by the date, or where the dates differ as the clocks stood in the beginning; clocks of other speeds
    drift apart.

    Args:
        sources: The sources, one at least.
        name: What they are called together.
        prefixes: What stands before the ids of each; its name and a slash if left out.

    Raises:
        ConfigurationError: There is no source, or two have the same prefix.
    """

    def __init__(self, sources: Sequence[Source], name: str = "", prefixes: Sequence[str] | None = None) -> None:
        if not sources:
            raise ConfigurationError("there is no source; give one at least")
        found = _distinct_prefixes(sources) if prefixes is None else list(prefixes)
        if len(set(found)) < len(sources) or len(found) != len(sources):
            raise ConfigurationError(f"prefixes are {found!r}; give each source another one")
        parts = {
            index: Part(source, Shift(prefix, index, _seconds_between(sources[0], source) if index else 0.0))
            for index, (source, prefix) in enumerate(zip(sources, found, strict=True))
        }
        self._begin(name or " + ".join(source.name for source in sources), parts)

    def _begin(self, name: str, parts: dict[int, Part]) -> None:
        """Begin with these parts, each under what its numbers are divided by `STRIDE`."""
        self.name = name
        self._by_number = parts
        self._parts = list(parts.values())
        # The longest prefix first: an id of one manager may begin with the prefix of another.
        self._by_prefix = sorted(self._parts, key=lambda part: -len(part.shift.prefix))
        self.capabilities = frozenset.intersection(*(part.source.capabilities for part in self._parts))
        self.runtimes = SeveralIds(self._parts, "runtimes")
        self.ended = SeveralIds(self._parts, "ended")
        self._mirror = Mirror()
        self.hub = Hub(self._mirror, self)  # type: ignore[arg-type]  # of the clock it reads the time only
        self._lock = threading.RLock()
        self._detach: list[Callable[[], None]] = []
        self._undos: OrderedDict[int, list[tuple[Part, int]]] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """What each of them is called."""
        return [part.source.name for part in self._parts]

    def __repr__(self) -> str:
        return f"<SeveralSource of {self.name!r}>"

    # ---- which one

    def _part_of(self, id: str) -> tuple[Part, str] | None:
        found = [(part, id[len(part.shift.prefix) :]) for part in self._by_prefix if id.startswith(part.shift.prefix)]
        live = next((each for each in found if each[1] in each[0].source.runtimes), None)
        return live or next((each for each in found if each[1] in each[0].source.ended), None)

    def _part_of_number(self, number: Any) -> tuple[Part, int]:
        part = self._by_number.get(number // STRIDE) if isinstance(number, int) else None
        if part is None:
            return self._parts[0], number
        return part, number - part.shift.first

    def _by_source(self, numbers: Iterable[int]) -> dict[Part, list[int]]:
        found: dict[Part, list[int]] = defaultdict(list)
        for number in numbers:
            part, own = self._part_of_number(number)
            found[part].append(own)
        return found

    # ---- time

    def now(self) -> float:
        """Seconds on the clock of the first."""
        return self._parts[0].source.now()

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._parts[0].source.wall(at)

    @property
    def speed(self) -> float:
        """The speed of the first."""
        return self._parts[0].source.speed

    def standing(self) -> Standing:
        """What is wrong with any of them."""
        found = [(part.source.name, part.source.standing()) for part in self._parts]
        words = " ".join(f"{name}: {each.words}" for name, each in found if each.words)
        recorded = " and ".join(each.recorded for _, each in found if each.recorded)
        generation = sum(each.generation for _, each in found)
        return Standing(words, generation, any(each.silent for _, each in found), recorded)

    # ---- what happened

    def _pull(self, frame: Frame | None = None) -> None:
        """Take what is new of all, in one order. What comes of one while another is read follows in the next."""
        with self._lock:
            found: list[list[Any]] = []
            missed = 0
            for part in self._parts:
                new = part.source.frame(part.cursor)
                part.cursor = new.cursor
                missed += new.missed
                found.append(list(map(part.shift.record, new.records)))
            self._mirror.add(found[0] if len(found) == 1 else self._merge(found), missed)

    def _merge(self, found: list[list[Any]]) -> list[Any]:
        """The records of all parts in one order."""
        return sorted(chain.from_iterable(found), key=attrgetter("at"))

    def frame(self, cursor: int = 0) -> Frame:
        """All that happened since a cursor."""
        self._pull()
        return self._mirror.frame(self.now(), cursor)

    def attach(
        self, flush: Callable[[Frame], object], schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> Callable[[], None]:
        """Have `flush(frame)` called whenever something happened in any of them."""
        self._pull()
        detach = self.hub.attach(flush, schedule)
        with self._lock:
            if not self._detach:
                self._detach = [part.source.attach(self._pull) for part in self._parts]

        def end() -> None:
            detach()
            with self._lock:
                ends, self._detach = ([], self._detach) if self.hub.running else (self._detach, [])
            for each in ends:
                each()

        return end

    def watching(self) -> Watching:
        """What it costs to watch."""
        return Watching(self.hub.cost, self.hub.pause, self.hub.pause > 2 * self.hub.interval)

    def charge(self, seconds: float) -> None:
        """Add processor seconds that were spent on drawing."""
        self.hub.charge(seconds)

    # ---- how things are

    def _of(self, name: str, id: str, *arguments: Any) -> tuple[Shift, Any]:
        """A read of one runtime; what makes the answer one of all."""
        found = self._part_of(id)
        if found is None:
            return self._parts[0].shift, None
        part, own = found
        return part.shift, getattr(part.source, name)(own, *arguments)

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime is, or how it was when it ended."""
        shift, shot = self._of("snapshot", id, metrics)
        return shift.snapshot(shot)

    def error(self, id: str) -> AgentError | None:
        """The last error of a runtime, with all that it says."""
        found = self._part_of(id)
        return None if found is None else found[0].shift.error(whole_error(found[0].source, found[1]))

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """How several runtimes are."""
        if ids is not None:
            return [shot for id in ids if (shot := self.snapshot(id, metrics)) is not None]
        found = [part.shift.snapshot(shot) for part in self._parts for shot in part.source.snapshots(None, metrics)]
        return [shot for shot in found if shot is not None]

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""
        by_part: dict[Part, list[str]] = defaultdict(list)
        for id in ids:
            found = self._part_of(id)
            if found is not None:
                by_part[found[0]].append(found[1])
        return _shift_all((part, part.source.figures(own, metrics)) for part, own in by_part.items())

    def active(self, recent: float = 0.0) -> list[Snapshot]:
        """Snapshots of those runtimes of which there is something to say."""
        return _shift_all((part, part.source.active(recent)) for part in self._parts)

    def find(
        self, search: str = "", sort: str = "", down: bool = False, start: int = 0, count: int | None = None
    ) -> Found:
        """The ids of a part of the runtimes, searched and sorted."""
        if not sort:
            return find_ids(self.runtimes, self.ended, search, start, count)
        parts = [part.find(search, sort, down) for part in self._parts]
        return cut(merge_parts(parts, down), start, count)

    def settings(self, id: str) -> Settings | None:
        """What can be set of a runtime."""
        found: Settings | None = self._of("settings", id)[1]
        return found

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waits in a runtime, in order."""
        shift, page = self._of("mailbox", id, lane, start, count)
        return Page() if page is None else Page(tuple(map(shift.activity, page.items)), page.total)

    def where(self, id: str) -> Whereabouts | None:
        """The line that a runtime is at."""
        shift, there = self._of("where", id)
        return shift.whereabouts(there)

    def form(self, id: str, activity: int | None = None) -> PayloadForm | None:
        """What to ask for to make a payload."""
        own = None if activity is None else self._part_of_number(activity)[1]
        found: PayloadForm | None = self._of("form", id, own)[1]
        return found

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        return sum((part.source.fates() for part in self._parts), Fates())

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters of all, oldest first."""
        if count == 0:
            return Page((), sum(part.source.dead_letters(0, 0).total for part in self._parts))
        pages = [(part.shift, part.source.dead_letters()) for part in self._parts]
        letters = sorted((shift.letter(each) for shift, page in pages for each in page.items), key=attrgetter("at"))
        chosen = letters[start : None if count is None else start + count]
        return Page(tuple(chosen), sum(page.total for _, page in pages))

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        found = [part.source.ledger() for part in self._parts]
        return Ledger(*(sum(getattr(each, name) for each in found) for name in Ledger.__struct_fields__))

    def journal(self, id: str = "") -> JournalStanding | None:
        """How far the journal of that runtime is; without an id those of all together."""
        if id:
            found: JournalStanding | None = self._of("journal", id)[1]
            return found
        every = [each for part in self._parts if (each := part.source.journal()) is not None]
        if len(every) < 2:
            return every[0] if every else None
        names = ", ".join(each.name for each in every if each.name)
        size, pending = sum(each.size for each in every), sum(each.pending for each in every)
        errors = " ".join(each.error for each in every if each.error)
        return JournalStanding(names, size, pending, max(each.lag for each in every), errors)

    def outcomes(self, activities: Iterable[int]) -> dict[int, Outcome]:
        """The outcomes of activities that were sent from here."""
        return {
            part.shift.number(id): part.shift.outcome(outcome)
            for part, numbers in self._by_source(activities).items()
            for id, outcome in part.source.outcomes(numbers).items()
        }

    def burst(self, number: int) -> BurstProgress | None:
        """How far a burst is."""
        part, own = self._part_of_number(number)
        return part.source.burst(own)

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command: of the manager of that runtime, activity, undo or burst; of all where it is for all."""
        if name in OF_ALL:
            replies = [part.source.command(name, id, **arguments) for part in self._parts]
            return replies[0]
        if name in ("resend", "discard"):
            return self._to_letters(name, arguments)
        if name == "undo" and arguments.get("number") in self._undos:
            undone = self._undos.pop(arguments["number"])
            return Reply(count=sum(part.source.command("undo", number=number).count for part, number in undone))
        part, own, rest = self._address(id, arguments)
        return part.shift.reply(part.source.command(name, own, **rest))

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> Future[Reply]:
        """Carry out a command on the loop of the agents that it is about."""
        part, own, rest = self._address(id, arguments)
        future = InterruptibleFuture[Reply]()

        def settle(done: Future[Reply]) -> None:
            error = done.exception()
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(part.shift.reply(done.result()))

        part.source.submit(name, own, **rest).add_done_callback(settle)
        return future

    def _address(self, id: str, arguments: dict[str, Any]) -> tuple[Part, str, dict[str, Any]]:
        """Which source a command is for, and its id and arguments there."""
        rest = dict(arguments)
        part, own = self._parts[0], ""
        if id:
            found = self._part_of(id)
            if found is None:
                raise RuntimeNotFoundError(f"no runtime has the id {id!r}", runtime=id)
            part, own = found
        for key in ("activity", "number"):
            if rest.get(key) is not None:
                of, rest[key] = self._part_of_number(rest[key])
                part = part if id else of
        return part, own, rest

    def _to_letters(self, name: str, arguments: dict[str, Any]) -> Reply:
        to = arguments.get("to")
        target = None if to is None else self._part_of(to)
        if to is not None and target is None:
            raise RuntimeNotFoundError(f"no runtime has the id {to!r}", runtime=to)
        replies: list[tuple[Part, Reply]] = []
        for part, numbers in self._by_source(arguments["activities"]).items():
            if target is not None and target[0] is not part:
                raise ConfigurationError(f"{to!r} belongs to another manager than the dead letter")
            rest = {} if target is None else {"to": target[1]}
            replies.append((part, part.source.command(name, activities=numbers, **rest)))
        if len(replies) == 1:
            return replies[0][0].shift.reply(replies[0][1])
        undos = [(part, reply.undo) for part, reply in replies if reply.undo is not None]
        refusal = next((reply.refusal for _, reply in replies if reply.refusal), "")
        return Reply(count=sum(reply.count for _, reply in replies), refusal=refusal, undo=self._keep(undos))

    def _keep(self, undos: list[tuple[Part, int]]) -> int | None:
        if not undos:
            return None
        number = (max(self._by_number) + 1) * STRIDE + time.monotonic_ns() % STRIDE
        self._undos[number] = undos
        while len(self._undos) > UNDOS:
            self._undos.popitem(last=False)
        return number


def _seconds_between(first: Source, source: Source) -> float:
    """What is added to a reading of a source's clock to make it one of the first's."""
    now, own = first.now(), source.now()
    try:
        apart = (source.wall(own) - first.wall(now)).total_seconds()
    except TypeError:  # only one of them knows its time zone
        apart = SAME_DATE
    return now - own + (apart if abs(apart) < SAME_DATE else 0.0)


def _shift_all(found: Iterable[tuple[Part, list[Snapshot]]]) -> list[Snapshot]:
    shots = (part.shift.snapshot(shot) for part, several in found for shot in several)
    return [shot for shot in shots if shot is not None]


def _distinct_prefixes(sources: Sequence[Source]) -> list[str]:
    """The name of each source and a slash; of those with the same name with a number."""
    found: list[str] = []
    for source in sources:
        name, n = source.name, 1
        while f"{name}/" in found:
            n += 1
            name = f"{source.name} {n}"
        found.append(f"{name}/")
    return found
