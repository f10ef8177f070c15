"""A connection to a manager that is made again when it is lost, and the answers that were got over it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any, Protocol

import msgspec

from ..dead_letters import Ledger
from ..errors import AgentError, ConfigurationError
from ..metrics import Fates
from .connection import ConnectionEnded
from .ids import FollowedIds
from .nodes import Usage
from .reads import read_answer_of
from .source import Page
from .wire import FeedAnswer, Order, ProtocolError, Read, Request, Welcome

__all__ = ["Answering", "Dialer", "Link"]

USED = 10.0  # seconds since a view has read it, for which an answer is kept up to date
MOST = 2_000  # answers that are kept up to date
KEPT = 5_000  # answers that are kept
RETRY = 0.25  # seconds between two attempts to connect
PATIENCE = 5.0  # seconds to the next attempt where the last one took long, and nobody watches
ALWAYS = (("ids",), ("ended",))  # what is kept up to date even if no view reads it
PICTURE = ("snapshots", None, False)
FEW = 100  # runtimes of which all are read so
NOTHING: dict[str, Any] = {
    "ended": {}, "snapshots": [], "figures": [], "active": [], "mailbox": Page(), "fates": Fates(),
    "dead_letters": Page(), "ledger": Ledger(), "outcomes": {}, "usage": Usage(),
}  # fmt: skip

Take = Callable[[FeedAnswer, bool, int | None], None]


class Answering(Protocol):
    """A connection to a manager. Not for several threads at once."""

    welcome: Welcome

    def ask(self, request: Request) -> FeedAnswer:
        """Ask and wait for the answer.

        Raises:
            ConnectionEnded: There is none. Nothing more can be asked.
        """

    def close(self) -> None:
        """End it. Idempotent."""


class Dialer(Protocol):
    """What connects to one manager, wherever it is."""

    name: str

    def connect(self) -> Answering:
        """Connect for the first time.

        Raises:
            ConnectionEnded: It does not answer.
            ConfigurationError: It refuses this reader.
        """

    def reconnect(self, answered: float) -> Answering | None:
        """Connect to the manager as it runs now; None if there is none. Any thread; it may take long.

        Args:
            answered: When there was an answer last, in seconds since 1970.

        Raises:
            ConfigurationError: What is there refuses this reader.
        """


class Kept:
    """An answer that is kept, and when it was right."""

    __slots__ = ("arguments", "at", "known", "name", "number", "update", "used", "value")

    def __init__(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        self.number = number
        self.name = name
        self.arguments = arguments
        self.value: Any = FollowedIds() if name == "ids" else NOTHING.get(name)
        self.known = False
        self.at = self.used = 0.0
        self.update = 0  # the number of the update that it was part of

    def ask_with(self) -> list[Any]:
        """The arguments to ask with: of the ids only what has changed is asked for."""
        return [self.value.number] if self.name == "ids" else list(self.arguments)

    def take(self, data: bytes) -> None:
        """Take a new answer. What is equal to what was there stays the same object: views look at that."""
        new = read_answer_of(self.name, data)
        if self.name == "ids":
            self.value.take(new)
            self.known = True
            return
        if self.name == "ended":
            new = dict.fromkeys(new)
        old = self.value
        if self.name == "snapshot" and old is not None and new is not None and old.state == new.state:
            new = msgspec.structs.replace(new, state=old.state)
        if not (self.known and type(new) is type(old) and new == old):
            self.value = new
        self.known = True


class Link:
    """What a remote source asks through. Its caller holds a lock: one thread at a time.

    Args:
        dialer: Connects to the manager.
        max_age: How old an answer may be while `pulled` is False.
        take: Is given each answer, whether it is of another manager than the one before, and the cursor of the request.
    """

    def __init__(self, dialer: Dialer, max_age: float, take: Take) -> None:
        self.dialer = dialer
        self.max_age = max_age
        self.take = take
        self.pulled = False  # whether somebody calls `update` all the time
        self.lost = ""  # why there is no answer
        self.lost_at = datetime.now().astimezone()
        self.generation = 0
        self.pause = RETRY
        self.answer = FeedAnswer(0.0, self.lost_at, 0.0)
        self.number = count(1).__next__
        self._kept: dict[tuple[Any, ...], Kept] = {}
        self._by_number: dict[int, Kept] = {}
        self._updates = 0
        self._received = time.monotonic()
        self._updated = -math.inf  # when there was an answer with records last: one to a read alone has none
        self._answered = time.time()
        self._again = 0.0  # when to connect again
        self._instance = ""
        self._fresh = False
        self._behind = False  # whether a command was given since the last update
        self._closed = False
        self._connection: Answering | None = None
        try:
            self._use(dialer.connect())
        except ConnectionEnded as error:
            raise ConfigurationError(str(error)) from None

    def close(self) -> None:
        """End it."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ---- the connection

    def _use(self, connection: Answering) -> None:
        self._connection = connection
        welcome = connection.welcome
        self.pid, self.fork = welcome.pid, welcome.fork
        self._fresh = welcome.instance != self._instance
        if self._fresh:
            self._instance = welcome.instance
            self._kept.clear()
            self._by_number.clear()
            self.generation += 1
        self.lost = ""

    def _connect(self) -> Answering | None:
        """The connection; if it is lost and nobody else does it, one to the manager as it runs now."""
        if self._connection is None and not self.pulled and time.monotonic() >= self._again:
            self.use(self.dial())
            self._again = time.monotonic() + (RETRY if self.lost.endswith("ended") else PATIENCE)
        return self._connection

    def dial(self) -> Answering | None:
        """Connect to the manager as it runs now. It may take long, and needs no lock. None: it does not answer."""
        try:
            return self.dialer.reconnect(self._answered)
        except ConfigurationError as error:
            self.lost = str(error)
            return None

    def use(self, connection: Answering | None) -> None:
        """Go on with a new connection, if there is one."""
        if connection is not None and (self._closed or self._connection is not None):
            connection.close()
        elif connection is not None:
            self._use(connection)

    def _lose(self, why: str) -> None:
        if not self.lost:
            self.lost_at = datetime.now().astimezone()
        self.lost, self.pause = why, RETRY
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: Request) -> FeedAnswer | None:
        """Ask. None if there is no answer, and `lost` says why."""
        answer = self._ask_once(request)
        if answer is None and request.order is None and self._connect() is not None:
            return self._ask_once(request)  # it was started again since it was asked last
        return answer

    def _ask_once(self, request: Request) -> FeedAnswer | None:
        connection = self._connect()
        if connection is None:
            return None
        fresh, self._fresh = self._fresh, False
        if fresh:  # what was known is of another manager
            request = msgspec.structs.replace(request, cursor=None if request.cursor is None else 0)
        try:
            answer = connection.ask(request)
        except ConnectionEnded as error:
            self._lose(str(error))
            return None
        self._received, self._answered = time.monotonic(), time.time()
        self.answer, self.pause = answer, min(5.0, max(0.02, answer.pause))
        self.take(answer, fresh, request.cursor)
        return answer

    # ---- reads

    @property
    def is_current(self) -> bool:
        """Whether the last answer with records is new enough."""
        if self._behind or self.pulled:
            return not self._behind
        now = time.monotonic()
        return now - self._received <= RETRY if self.lost else now - self._updated <= self.max_age

    def now(self) -> float:
        """Seconds on the manager's clock, worked out from the last answer; it stands still when that is lost."""
        answer = self.answer
        passed = 0.0 if self.lost else time.monotonic() - self._received
        return answer.at + (passed * answer.speed if answer.speed < float("inf") else 0.0)

    def update(self, cursor: int) -> None:
        """Ask for what is new, and for what was read lately."""
        since = time.monotonic() - USED
        for key in ALWAYS:
            (self._kept.get(key) or self._keep(key)).used = time.monotonic()
        used = [kept for kept in self._kept.values() if kept.used >= since][-MOST:]
        used += self._last_picture()
        before = self.generation
        self._behind = False
        if self._ask(used, cursor) and self.generation == before:
            self._updates += 1
            self._updated = time.monotonic()
            for kept in used:
                kept.update = self._updates
            self._forget(since)

    def _last_picture(self) -> list[Kept]:
        """What is read now and then for when there is no answer any more: a few runtimes, whether seen or not."""
        ids, kept = self._kept[ALWAYS[0]].value.ids, self._kept.get(PICTURE) or self._keep(PICTURE)
        return [kept] if len(ids) <= FEW and time.monotonic() - kept.at >= USED else []

    def _forget(self, since: float) -> None:
        if len(self._kept) > KEPT:
            for key, kept in list(self._kept.items()):
                if kept.used < since:
                    del self._kept[key]
                    self._by_number.pop(kept.number, None)

    def read(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The answer to one read; the last one there was if there is none now."""
        return self.read_several(name, [arguments])[0]

    def read_several(self, name: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        """The answers to several reads of one name."""
        now = time.monotonic()
        keys = [(name, *each) for each in arguments]
        found = [self._kept.get(key) or self._keep(key) for key in keys]
        old = [kept for kept in found if not self._is_current(kept, now)]
        if old:
            generation = self.generation
            self._ask(old, None)
            if self.generation != generation:
                found = [self._kept.get(key) or self._keep(key) for key in keys]
                self._ask(found, None)
        for kept in found:
            kept.used = now
        return [kept.value if kept.known else self._find_last(kept) for kept in found]

    def read_once(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The answer to a read that is not kept; nothing if there is none."""
        kept = Kept(self.number(), name, arguments)
        self._by_number[kept.number] = kept
        try:
            self._ask([kept], None)
        finally:
            self._by_number.pop(kept.number, None)
        return kept.value

    def _find_last(self, kept: Kept) -> Any:
        """What can be said where there is no answer."""
        if kept.name not in ("snapshot", "figure"):
            return kept.value
        every = [each.value for each in self._kept.values() if each.name == "snapshots" and each.known]
        return next((shot for shots in every for shot in shots if shot.id == kept.arguments[0]), None)

    def _keep(self, key: tuple[Any, ...]) -> Kept:
        kept = Kept(self.number(), key[0], key[1:])
        self._kept[key] = self._by_number[kept.number] = kept
        return kept

    def _is_current(self, kept: Kept, now: float) -> bool:
        if not kept.known:
            return False
        return (self.pulled and kept.update == self._updates) or 0 <= now - kept.at <= self.max_age > 0

    def _ask(self, kept: list[Kept], cursor: int | None) -> bool:
        known = cursor is not None  # without records nobody could say what has changed
        reads = [Read(each.number, each.name, each.ask_with(), known and each.known) for each in kept]
        answer = self._exchange(Request(cursor, reads))
        if answer is None:
            return False
        for number, data in answer.reads.items():
            entry = self._by_number.get(number)
            if entry is not None:
                try:
                    entry.take(bytes(data))
                except ProtocolError as error:
                    self._lose(str(error))
                    return False
        for each in kept:
            each.at = self._received
        return True

    def order(self, order: Order) -> FeedAnswer:
        """Give a command. Raises `AgentError` if there is no answer."""
        if self._connect() is None:
            raise AgentError(f"this can't be done now: {self.lost}", runtime=order.id or None)
        try:
            answer = self._exchange(Request(None, [], order))
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(f"this can't be sent to another process: {str(error)[:200]}") from None
        if answer is None:
            raise AgentError(f"it is not known whether this was carried out: {self.lost}", runtime=order.id or None)
        self._behind = True
        for kept in self._kept.values():  # what is read next has to show what was done
            kept.update, kept.at = -1, -1.0
        return answer
