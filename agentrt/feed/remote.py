"""The remote source: a manager in another process on this machine, read and steered through its offer.

All views of a process share one connection. While somebody watches, one thread asks for what is new and for the reads
that the views have used lately, in one request; the views are answered from that. So the agents' process makes one
answer at a time, however many pages are open. When the manager is gone, the last answers stay.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..debugger import Whereabouts
from ..discovery import ManagerRecord
from ..engine.hub import Frame, Hub
from ..errors import AgentError
from ..events import Outcome, Record
from ..interruptible import InterruptibleEvent, InterruptibleFuture
from ..metrics import Fates
from ..snapshot import Snapshot
from .branch_point import BranchPoint
from .connection import LocalDialer
from .entrance import Role
from .extra_pages import ExtraPage
from .failures import error_of
from .find import find_ids
from .ids import RemoteIds
from .link import Dialer, Link
from .mirror import Mirror
from .nodes import ClusterStanding, Usage
from .remote_moment import RemoteMoment
from .source import (
    ACTOR,
    COMMANDS,
    READS,
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
)
from .wire import FeedAnswer, Order, ProtocolError, record_of

__all__ = ["RemoteSource", "WatchedSource"]

BLOCKED = 1.0  # seconds after which a page says that the agents' loop is blocked
SEVERAL = 100  # snapshots that are asked for one by one, each kept up to date; more are asked for once, together


class WatchedSource(Source, Protocol):
    """What runs in another process: one manager, or a cluster."""

    hub: Hub

    def close(self) -> None:
        """Ask no more. Idempotent."""


class RemoteSource:
    """The source of a manager in another process. See `Source` for what each method does.

    Args:
        manager: Its name, the id of its process, or its record; the only one on this machine if left out. Or what
            connects to it, as one with that role.
        role: What may be done here: a viewer can give no command, and the other process checks it too.
        max_age: How old an answer may be, in seconds, while nobody is attached; 0 asks each time.

    Raises:
        ConfigurationError: There is no such manager, it is of another user, or speaks another version.
    """

    def __init__(
        self, manager: str | ManagerRecord | Dialer = "", *, role: Role = Role.OPERATOR, max_age: float = 0.1
    ) -> None:
        self.role = role
        self.capabilities = COMMANDS | READS if role is Role.OPERATOR else READS
        self._mirror = Mirror()
        self._lock = threading.RLock()
        dialer = LocalDialer(manager, role) if isinstance(manager, str | ManagerRecord) else manager
        self._link = Link(dialer, max_age, self._take)
        self.name = dialer.name
        self.hub = Hub(self._mirror, self)  # type: ignore[arg-type]  # of the clock it reads the time only
        self._thread: threading.Thread | None = None
        self._wake = InterruptibleEvent()
        self._closed = False
        self._futures: dict[int, Future[Reply]] = {}
        self._ended: dict[int, Callable[[], Any]] = {}  # by burst: what to call when it is over
        self._cursor = 0
        self.runtimes = RemoteIds(lambda: self._read("ids").ids)
        self.ended = RemoteIds(partial(self._read, "ended"))
        with self._lock:
            self._link.update(0)

    def __repr__(self) -> str:
        return f"<RemoteSource of {self.name!r}, process {self._link.pid}>"

    def __enter__(self) -> RemoteSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ask no more. Idempotent."""
        self._closed = True
        self.hub.close()
        self._wake.set()
        with self._lock:
            self._link.close()

    # ---- the other process

    def _take(self, answer: FeedAnswer, fresh: bool, cursor: int | None) -> None:
        """Take what has come besides the reads. `fresh`: it is another manager than before."""
        if fresh:
            self._mirror.forget()
            self._cursor = 0
            self._fail("it was started again in between")
        if cursor is not None:
            try:
                records = [record_of(row) for row in answer.rows]
            except ProtocolError:
                records = []
            self._mirror.add(records, answer.missed + len(answer.rows) - len(records))
            self._cursor = answer.cursor
        for each in answer.settled:
            future = self._futures.pop(each.ticket, None)
            if future is None:
                continue
            if each.failure is not None:
                future.set_exception(error_of(each.failure))
            else:
                future.set_result(each.reply or Reply())

    def _fail(self, why: str) -> None:
        futures, self._futures = self._futures, {}
        for future in futures.values():
            future.set_exception(AgentError(f"it is not known whether this was carried out: {why}"))

    def _read(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            return self._link.read(name, arguments)

    def _catch_up(self) -> None:
        with self._lock:
            if not self._link.is_current:
                self._link.update(self._cursor)

    def _follow(self) -> None:
        """See that the thread runs which asks for what is new."""
        with self._lock:
            if self._thread is None and not self._closed:
                self._link.pulled = True
                self._thread = threading.Thread(target=self._run, name=f"{self.name}-feed", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            new = self._link.dial() if self._link.lost else None
            with self._lock:
                self._link.use(new)
                if self._closed or not (self.hub.running or self._futures or self._ended):
                    self._link.pulled, self._thread = False, None
                    return
                self._link.update(self._cursor)
                if self._link.lost:
                    self._fail(self._link.lost)
                pause = self._link.pause
            self._end_bursts()
            self._wake.wait(pause)
            self._wake.clear()

    def _end_bursts(self) -> None:
        for number in tuple(self._ended):
            progress = self.burst(number)
            if progress is None or not progress.running or self._link.lost:
                self._ended.pop(number)()

    # ---- time

    def now(self) -> float:
        """Seconds on the manager's clock."""
        self._catch_up()
        return self._link.now()

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        answer = self._link.answer
        try:
            return answer.wall + timedelta(seconds=at - answer.at)
        except OverflowError:
            return answer.wall

    @property
    def speed(self) -> float:
        """Seconds on the clock for a real one."""
        self._catch_up()
        return self._link.answer.speed

    def standing(self) -> Standing:
        """Whether the manager answers."""
        self._catch_up()
        link = self._link
        if link.lost:
            words = (
                f"Since {link.lost_at:%H:%M:%S} there is no answer: {link.lost}. What is shown is how it was then. "
                "This page goes on by itself once the manager runs again."
            )
            return Standing(words, link.generation, True)
        blocked = link.answer.blocked
        words = (
            f"The agents' loop has been blocked for {blocked:.0f} s: nothing is processed until it goes on."
            if blocked >= BLOCKED
            else ""
        )
        return Standing(words, link.generation, True)

    # ---- what happened

    def frame(self, cursor: int = 0) -> Frame:
        """All that happened since a cursor."""
        self._catch_up()
        return self._mirror.frame(self._link.now(), cursor)

    def attach(
        self, flush: Callable[[Frame], object], schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> Callable[[], None]:
        """Have `flush(frame)` called whenever something happened."""
        self._catch_up()
        detach = self.hub.attach(flush, schedule)
        self._follow()
        return detach

    def watching(self) -> Watching:
        """What it costs this process to watch."""
        return Watching(self.hub.cost, self.hub.pause, self.hub.pause > 2 * self.hub.interval)

    def charge(self, seconds: float) -> None:
        """Add processor seconds that were spent on drawing."""
        self.hub.charge(seconds)

    # ---- how things are

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime is, or how it was when it ended."""
        found: Snapshot | None = self._read("snapshot", id, metrics)
        return found

    def error(self, id: str) -> AgentError | None:
        """The last error of a runtime, with all that it says."""
        with self._lock:
            found: AgentError | None = self._link.read_once("error", (id,))
        return found

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """How several runtimes are."""
        wanted = None if ids is None else tuple(ids)
        if wanted is None:
            found: list[Snapshot] = self._read("snapshots", wanted, metrics)
            return list(found)
        with self._lock:
            if len(wanted) > SEVERAL:
                several: list[Snapshot] = self._link.read_once("snapshots", (wanted, metrics))
                return several
            shots = self._link.read_several("snapshot", [(id, metrics) for id in wanted])
        return [shot for shot in shots if shot is not None]

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""
        wanted = tuple(ids)
        with self._lock:
            if len(wanted) > SEVERAL:
                several: list[Snapshot] = self._link.read_once("figures", (wanted, metrics))
                return several
            shots = self._link.read_several("figure", [(id, metrics) for id in wanted])
        return [shot for shot in shots if shot is not None]

    def active(self, recent: float = 0.0) -> list[Snapshot]:
        """Snapshots of those runtimes of which there is something to say."""
        with self._lock:
            found: list[Snapshot] = self._link.read_once("active", (recent,))
        return found

    def find(
        self, search: str = "", sort: str = "", down: bool = False, start: int = 0, count: int | None = None
    ) -> Found:
        """The ids of a part of the runtimes: searched here, sorted where the runtimes are."""
        found: Found | None = None
        if sort:
            with self._lock:
                found = self._link.read_once("find", (search, sort, down, start, count))
        return find_ids(self.runtimes, self.ended, search, start, count) if found is None else found

    def settings(self, id: str) -> Settings | None:
        """What can be set of a runtime."""
        found: Settings | None = self._read("settings", id)
        return found

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waits in a runtime, in order; a thousand at most."""
        found: Page[Activity[Any]] = self._read("mailbox", id, lane, start, count)
        return found

    def where(self, id: str) -> Whereabouts | None:
        """The line that a runtime is at."""
        found: Whereabouts | None = self._read("where", id)
        return found

    def form(self, id: str, activity: int | None = None) -> PayloadForm | None:
        """What to ask for to make a payload."""
        found: PayloadForm | None = self._read("form", id, activity)
        return found

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        found: Fates = self._read("fates")
        return found

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters, oldest first; a thousand at most."""
        found: Page[DeadLetter] = self._read("dead_letters", start, count)
        return found

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        found: Ledger = self._read("ledger")
        return found

    def events(self) -> list[tuple[int, Record]]:
        """What is recorded of what happened, each with its sequence number."""
        return [(record.sequence, record) for record in self.frame().records]

    def past(self, moment: int) -> RemoteMoment:
        """Everything there as it was after a record."""

        def ask(name: str, *arguments: Any) -> Any:
            with self._lock:
                return self._link.read_once(name, (moment, *arguments))

        records = [record for record in self.frame().records if record.sequence <= moment]
        found = RemoteMoment(self.name, ask, records, self.wall)
        found.pace = self.speed
        return found

    def branch_point(self) -> BranchPoint | None:
        """Where it was branched off; None if it is no fork, or of a version that does not say it."""
        fork = self._link.fork
        return None if fork is None else BranchPoint(fork.name, None, fork.sequence, fork.start, fork.wall)

    def journal(self, id: str = "") -> JournalStanding | None:
        """How far the journal is."""
        found: JournalStanding | None = self._read("journal", id)
        return found

    def usage(self) -> Usage:
        """What the manager has to do, and what its process uses."""
        found: Usage = self._read("usage")
        return found

    def cluster(self) -> ClusterStanding | None:
        """What the nodes are reached by, if it is the driver of a cluster."""
        found: ClusterStanding | None = self._read("cluster")
        return found

    def extra_page(self, path: str, accept: str) -> ExtraPage | None:
        """What its program serves beside the dashboard; None if it does not answer, or has no such page."""
        with self._lock:
            found: ExtraPage | None = self._link.read_once("extra_page", (path, accept))
        return found

    def outcomes(self, activities: Iterable[int]) -> dict[int, Outcome]:
        """The outcomes of activities that were sent by a command."""
        wanted = tuple(activities)
        found: dict[int, Outcome] = self._read("outcomes", wanted) if wanted else {}
        return found

    def burst(self, number: int) -> BurstProgress | None:
        """How far a burst is."""
        found: BurstProgress | None = self._read("burst", number)
        return found

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Carry out a command."""
        ended = arguments.pop("ended", None)
        reply = self._order(Order(name, id, ACTOR.get(), _plain(arguments)))
        if ended is not None and reply.burst is not None:
            self._ended[reply.burst] = ended
            self._follow()
        return reply

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> Future[Reply]:
        """Carry out a command on the agents' loop, between two activities."""
        future = InterruptibleFuture[Reply]()
        with self._lock:
            ticket = self._link.number()
            self._futures[ticket] = future
            try:
                self._order(Order(name, id, ACTOR.get(), _plain(arguments), ticket))
            except BaseException:
                self._futures.pop(ticket, None)
                raise
        self._follow()
        return future

    def _order(self, order: Order) -> Reply:
        with self._lock:
            answer = self._link.order(order)
        if answer.failure is not None:
            raise error_of(answer.failure)
        return answer.reply or Reply()


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as they travel."""
    found = {name: dict(value) if hasattr(value, "keys") else value for name, value in arguments.items()}
    return {name: list(value) if isinstance(value, set | frozenset) else value for name, value in found.items()}
