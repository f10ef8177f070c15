"""What a manager answers to one reader in another process: frames, reads and commands, within a budget.

It runs on the thread of the offer, never on the agents' loop, and answers while that loop is blocked. To answer may
take `SHARE` of what the agents use: the reader is told when it may ask again, and gets only so many records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from ..errors import AgentError, ConfigurationError
from ..events import Ring
from .entrance import Role, entrance
from .failures import failure_of
from .reads import NOT_OF_ONE, make_answer
from .source import Reply, Source
from .wire import (
    LONGEST_ANSWER,
    FeedAnswer,
    Order,
    ProtocolError,
    Read,
    Row,
    Settled,
    encode_frame,
    read_request,
    rows_of,
)

__all__ = ["Answers"]

SHARE = 0.006
LARGE_SHARE = 0.1  # of a core, for a read that takes long: of ten thousand runtimes
LEAST_CORE = 0.2  # of a core: whoever uses less can spare it
LEAST_PAUSE, LONGEST_PAUSE = 0.1, 0.45  # seconds between two requests
FRAME_BUDGET, FIRST_BUDGET = 0.0008, 0.04  # processor seconds for the records of an answer, and of the first one
FEWEST = 50  # records that are sent if there are so many
UNRECORDED = frozenset({"cluster", "extra_page", "journal", "usage"})  # no record says that they have changed
MOST_READS = 5_000
MOST_SECONDS = 2.0  # processor seconds of an answer
MOST_TICKETS = 200


class Budget:
    """When the reader may ask again, so that answers take no more than their share of what the agents use."""

    def __init__(self) -> None:
        self.pause = LEAST_PAUSE
        self._spent = 0.0  # processor seconds of an answer
        self._at = time.monotonic(), time.process_time()

    def spend(self, seconds: float) -> None:
        """Count an answer to a reader that follows."""
        last, used = self._at
        now, total = self._at = time.monotonic(), time.process_time()
        self._spent = min(seconds, 0.01) if not self._spent else self._spent + (seconds - self._spent) / 4
        # On a machine that has little time for it, this process gets less than a core; the share is of that.
        core = min(1.0, max(LEAST_CORE, (total - used - seconds) / max(now - last, 0.001)))
        target = min(LONGEST_PAUSE, max(LEAST_PAUSE, self._spent / SHARE / core))
        self.pause += (target - self.pause) / 2


class Answers:
    """The answers to one reader.

    Args:
        source: What is read and steered.
        ring: Its records.
        role: What the reader may do.
        blocked: Seconds for which the agents' loop has been blocked.
        may_evaluate: Whether expressions may be worked out for the reader.
    """

    def __init__(
        self,
        source: Source,
        ring: Ring,
        role: Role,
        blocked: Callable[[], float],
        may_evaluate: Callable[[], bool] = lambda: False,
    ) -> None:
        self.source = source
        self.ring = ring
        self.role = role
        self.blocked = blocked
        self.may_evaluate = may_evaluate
        self._budget = Budget()
        self._each = 1e-6  # of a record
        self._tickets: dict[int, Future[Reply]] = {}
        self._was: dict[str, Any] = {}  # how a runtime was at the last answer
        self._sent: dict[int, int] = {}  # of the reads that name no runtime: the hash of the last answer
        self._due: dict[str, float] = {}  # when a read that takes long may be answered again

    def answer(self, data: bytes) -> bytes:
        """Answer a request. Raises `ProtocolError` if it is none."""
        started = time.thread_time()
        request = read_request(data)
        if len(request.reads) > MOST_READS:
            raise ProtocolError(f"{len(request.reads):,} reads at once")
        settled = self._settle()  # first: what is read after it shows what was done
        reply, failure = self._carry_out(request.order)
        cursor, missed, rows, changed = self._records(request.cursor)
        at = self.source.now()
        answer = FeedAnswer(
            at=at,
            wall=self.source.wall(at),
            speed=self.source.speed,
            blocked=self.blocked(),
            pause=self._budget.pause,
            cursor=cursor,
            missed=missed,
            rows=rows,
            reads=self._read(request.reads, changed, bool(missed)),
            reply=reply,
            failure=failure,
            settled=settled,
        )
        encoded = encode_frame(answer)
        if request.cursor is not None:
            self._budget.spend(time.thread_time() - started)
        return encoded

    # ---- records

    def _records(self, cursor: int | None) -> tuple[int, int, list[Row], set[str]]:
        """The next cursor, how many were missed, the rows, and the ids that they are about."""
        if cursor is None:
            return 0, 0, [], set()
        started = time.thread_time()
        most = max(FEWEST, int((FRAME_BUDGET if cursor else FIRST_BUDGET) / self._each))
        start = max(cursor, self.ring.cursor - most)
        records, end, let_go = self.ring.since(start)
        rows = rows_of(records)
        if len(rows) >= FEWEST:
            self._each += ((time.thread_time() - started) / len(rows) - self._each) / 2
        return end, let_go + start - cursor, rows, {record.runtime for record in records}

    # ---- reads

    def _read(self, reads: list[Read], changed: set[str], missed: bool) -> dict[int, msgspec.Raw]:
        fresh: dict[str, Any] = {}
        found: dict[int, msgspec.Raw] = {}
        until, left = time.thread_time() + MOST_SECONDS, LONGEST_ANSWER
        for read in reads:
            if left < 0 or time.thread_time() > until:
                raise ProtocolError(f"it asked for too much at once: {len(reads):,} reads")
            if read.name.startswith("moment_"):  # the past stays as it is
                answer = None if read.seen else self._read_moment(read)
            elif read.name in NOT_OF_ONE:
                answer = self._read_of_all(read, bool(changed) or missed or read.name in UNRECORDED)
            elif not read.seen or missed or self._may_differ(read, changed, fresh):
                answer = make_answer(self.source, read.name, read.arguments)
            else:
                answer = None
            if answer is not None:
                found[read.number] = msgspec.Raw(answer)
                left -= len(answer)
        self._was |= fresh
        if len(self._was) > MOST_READS:
            self._was.clear()
        return found

    def _read_moment(self, read: Read) -> bytes | None:
        """None, and nothing is sent, if it is no longer recorded."""
        try:
            return make_answer(self.source, read.name, read.arguments)
        except AgentError:
            return None

    def _may_differ(self, read: Read, changed: set[str], fresh: dict[str, Any]) -> bool:
        """Whether a runtime may be another than at the last answer: most of what it does is recorded, but not all."""
        id = read.arguments[0] if read.arguments else None
        if not isinstance(id, str):
            raise ProtocolError(f"{read.name[:50]!r} of no runtime")
        if id not in fresh:
            shot = self.source.snapshot(id, metrics=False)
            fresh[id] = shot and (shot.status, shot.depth, shot.current and shot.current.id)
        if id in changed or fresh[id] != self._was.get(id, ...):
            return True
        return read.name == "where" and fresh[id] is not None and fresh[id][2] is not None

    def _read_of_all(self, read: Read, changed: bool) -> bytes | None:
        now = time.monotonic()
        if read.seen and (now < self._due.get(read.name, 0.0) or not (changed or self._due.get(read.name))):
            return None
        started = time.thread_time()
        answer = make_answer(self.source, read.name, read.arguments)
        took = time.thread_time() - started
        # One that takes long comes less often. It is due even if nothing happens until then.
        if took > LARGE_SHARE * LEAST_PAUSE and changed:
            self._due[read.name] = now + took / LARGE_SHARE
        else:
            self._due.pop(read.name, None)
        if read.seen and self._sent.get(read.number) == hash(answer):
            return None
        self._sent[read.number] = hash(answer)
        if len(self._sent) > MOST_TICKETS:
            del self._sent[next(iter(self._sent))]
        return answer

    # ---- commands

    def _carry_out(self, order: Order | None) -> tuple[Reply | None, Any]:
        if order is None:
            return None, None
        arguments = {name: value for name, value in order.arguments.items() if name != "ended"}
        try:
            with entrance(self.source, self.role, order.who, order.name, self.may_evaluate()):
                if order.ticket is None:
                    return self.source.command(order.name, order.id, **arguments), None
                self._wait(order.ticket, self.source.submit(order.name, order.id, **arguments))
                return None, None
        except AgentError as error:
            return None, failure_of(error, traced=False)
        except Exception as error:  # arguments that the command does not take
            text = f"{order.name[:50]!r} can't be carried out so: {str(error)[:200]}"
            return None, failure_of(ConfigurationError(text), traced=False)

    def _wait(self, ticket: int, future: Future[Reply]) -> None:
        self._tickets[ticket] = future
        if len(self._tickets) > MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]

    def _settle(self) -> list[Settled]:
        done = [ticket for ticket, future in self._tickets.items() if future.done()]
        return [_settlement(ticket, self._tickets.pop(ticket)) for ticket in done]


def _settlement(ticket: int, future: Future[Reply]) -> Settled:
    try:
        return Settled(ticket, future.result())
    except AgentError as error:
        return Settled(ticket, None, failure_of(error, traced=False))
    except BaseException as error:  # the manager was closed in between, or the arguments are wrong
        text = f"it was not carried out: {type(error).__name__}: {str(error)[:200]}"
        return Settled(ticket, None, failure_of(AgentError(text), traced=False))
