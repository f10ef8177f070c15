"""The commands of a live source: those that a page may give to the runtimes of a manager in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterable
from concurrent.futures import Future
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from ..activity import Activity, Lane
from ..dead_letters import DeadLetter, DeadLetters, send_again
from ..debugger import breakpoints
from ..debugger.recode import make_function
from ..engine import commands
from ..engine.entry import RuntimeEntry
from ..engine.isolation import user_function
from ..engine.mailbox import Place
from ..engine.protocols import Manager
from ..engine.state_edit import edit_state
from ..errors import ActivityValidationError, AgentError, ConfigurationError, ManagerClosedError
from ..limits import Limits
from ..receipt import Receipt
from ..schema.numbers import count as check_count
from ..schema.numbers import number
from ..schema.preview import preview
from .burst import Burst
from .forms import build, rebuild, type_of
from .source import COMMANDS, MOST_IN_BURST, Reply, Typed

__all__ = ["LiveCommands", "SteeredManager"]

T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]
Act = Callable[[], Reply]

KEPT = 1000  # receipts of what was sent here
OFFERED = 200  # undos that can still be asked for
BURSTS = 100
FORKS = 4
LONGEST_VALUE = 4_000  # characters of the value of an expression


class SteeredManager(Manager, Protocol):
    """A manager, as its commands see it."""

    speed: float
    dead_letters: DeadLetters
    first_number: int

    def at(self, sequence: int) -> Any:
        """All runtimes as they stood after a record."""

    def record_test(self, path: Path, ids: Collection[str | int] | None = None) -> Path:
        """Write what is recorded as a pytest file."""

    def __iter__(self) -> Any:
        """The ids of all runtimes."""

    def submit(self, awaitable: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the agents' loop."""


class LiveCommands:
    """Carries out `COMMANDS` on a manager. Keeps, bounded, what later commands and reads name by number."""

    def __init__(self, manager: SteeredManager) -> None:
        self.manager = manager
        self.receipts: OrderedDict[int, Receipt] = OrderedDict()
        self.bursts: OrderedDict[int, Burst] = OrderedDict()
        self._undos: OrderedDict[int, Act] = OrderedDict()
        self._forks: list[Any] = []  # managers; they end with this one, or when there are too many
        self._number = count(manager.first_number).__next__

    def carry_out(self, name: str, id: str, arguments: dict[str, Any]) -> Reply:
        """Carry out one command."""
        if name not in COMMANDS:
            raise ConfigurationError(f"there is no command {name!r}; there are {', '.join(sorted(COMMANDS))}")
        method: Callable[..., Reply | None] = getattr(self, f"_{name}")
        return (method(self._entry(id), **arguments) if id else method(**arguments)) or Reply()

    def _entry(self, id: str) -> Entry:
        if self.manager.closed:
            raise ManagerClosedError("the manager is closed; make a new one", runtime=id)
        entry: Entry = self.manager.entry(id)
        return entry

    def _keep(self, kept: OrderedDict[int, T], value: T, most: int) -> int:
        number = self._number()
        kept[number] = value
        _forget(kept, most)
        return number

    def _offer(self, undo: Act) -> Reply:
        return Reply(undo=self._keep(self._undos, undo, OFFERED))

    # ---- of all runtimes

    def _pause_all(self) -> None:
        for entry in self._live_entries():
            commands.pause(entry)

    def _resume_all(self) -> None:
        for entry in self._live_entries():
            commands.resume(entry)

    def _live_entries(self) -> list[Entry]:
        entries = [self.manager.entry(id) for id in self.manager]
        return [entry for entry in entries if not (entry.closed or entry.failed)]

    def _fork(self, sequence: int) -> Reply:
        """Paused, so that a person sees it before it goes on; on a clock that passes as a real one does."""
        fork = self.manager.at(sequence).fork(clock="real", paused=True)
        self._forks.append(fork)
        if len(self._forks) > FORKS:
            self._forks.pop(0).close()
        url = urlsplit(fork.serve().url)
        return Reply(text=url._replace(path="/beside").geturl())

    def _record_test(self, activity: int) -> Reply:
        with TemporaryDirectory() as folder:
            file = self.manager.record_test(Path(folder) / "test.py", ids=[activity])
            return Reply(text=file.read_text("utf-8"))

    def _set_speed(self, speed: float) -> None:
        self.manager.speed = speed

    # ---- of one runtime

    def _pause(self, entry: Entry) -> None:
        commands.pause(entry)

    def _resume(self, entry: Entry) -> None:
        commands.resume(entry)

    def _step(self, entry: Entry) -> Reply:
        return Reply(count=commands.step(entry))

    def _recover(self, entry: Entry) -> None:
        commands.recover(entry)

    def _terminate(self, entry: Entry) -> None:
        commands.terminate(entry)

    def _set(self, entry: Entry, name: str, value: Any) -> None:
        if name == "paused":
            (commands.pause if value else commands.resume)(entry)
        elif name in Limits.__struct_fields__:
            commands.set_limit(entry, name, value)
        else:
            raise ConfigurationError(f"{name!r} is no limit", runtime=entry.id)

    def _edit_state(self, entry: Entry, typed: str) -> None:
        hint = entry.workflow.state
        edit_state(entry, build(typed, type_of(hint, entry.state)))

    def _edit_code(self, entry: Entry, typed: str) -> None:
        function = make_function(user_function(entry.workflow.call), typed)
        commands.swap(entry, self.manager.prepare(function, entry.limits))

    def _add_breakpoint(
        self, entry: Entry, at: str | None = None, step: str | None = None, error: bool = False, hits: int = 1
    ) -> None:
        breakpoints(entry).add(at, step=step, error=error, hits=hits)

    def _add_condition(self, entry: Entry, step: str, when: str, hits: int = 1) -> None:
        breakpoints(entry).add(step=step, when=when, hits=hits)

    def _remove_breakpoint(self, entry: Entry, place: int) -> None:
        points = breakpoints(entry)
        for point in islice(points, place, place + 1):
            points.remove(point)

    # ---- of an activity that is stopped

    def _step_over(self, entry: Entry) -> None:
        breakpoints(entry).step_over()

    def _step_into(self, entry: Entry) -> None:
        breakpoints(entry).step_into()

    def _step_out(self, entry: Entry) -> None:
        breakpoints(entry).step_out()

    def _retry(self, entry: Entry, typed: Typed | None = None) -> None:
        current = entry.current
        if typed is None or current is None:
            breakpoints(entry).retry()
        else:
            breakpoints(entry).retry(self._payload(entry, typed, current.id))

    def _evaluate(self, entry: Entry, expression: str, frame: int | None = None) -> Reply:
        return Reply(text=breakpoints(entry).evaluate(expression, frame, lambda value: preview(value, LONGEST_VALUE)))

    # ---- payloads

    def _payload(self, entry: Entry, typed: Typed, activity: int | None = None) -> Any:
        accepts = entry.accepts
        payload = (
            build(typed, accepts) if activity is None else rebuild(typed, accepts, waiting(entry, activity).payload)
        )
        entry.check_payload(payload)
        return payload

    def _check(self, entry: Entry, typed: Typed, activity: int | None = None) -> None:
        self._payload(entry, typed, activity)

    def _send(self, entry: Entry, typed: Typed, lane: str, delay: float | None = None) -> Reply:
        payload = self._payload(entry, typed)
        urgent = lane == Lane.PRIORITY
        depth = entry.mailbox.depth
        receipt = entry.send_nowait(payload, priority=urgent, delay=delay or None)
        self.receipts[receipt.id] = receipt
        _forget(self.receipts, KEPT)
        return Reply(receipt.id, entry.id, depth[0] if urgent else sum(depth))

    def _burst(
        self,
        entry: Entry,
        typed: Typed,
        lane: str,
        count: int,
        rate: float,
        delay: float | None = None,
        ended: Callable[[], Any] | None = None,
    ) -> Reply:
        count = check_count("count", count, least=1, most=MOST_IN_BURST, runtime=entry.id)
        rate = number("rate", rate, "activities per second above 0", above=True, runtime=entry.id)
        self._payload(entry, typed)

        def send() -> Coroutine[Any, Any, Receipt]:
            # A payload for each: a workflow may change the one that it gets.
            return entry.send(self._payload(entry, typed), priority=lane == Lane.PRIORITY, delay=delay or None)

        burst = Burst(send, count, rate, ended or (lambda: None)).start(self.manager.submit)
        return Reply(runtime=entry.id, burst=self._keep(self.bursts, burst, BURSTS))

    def _stop_burst(self, entry: Entry | None = None, *, number: int) -> None:
        burst = self.bursts.get(number)
        if burst is not None:
            burst.stop()

    # ---- what waits

    def _first(self, entry: Entry, activity: int) -> Reply:
        return self._reply_to_move(entry, activity, commands.move(entry, activity, first=True))

    def _promote(self, entry: Entry, activity: int) -> Reply:
        return self._reply_to_move(entry, activity, commands.move(entry, activity, lane=Lane.PRIORITY))

    def _demote(self, entry: Entry, activity: int) -> Reply:
        return self._reply_to_move(entry, activity, commands.move(entry, activity, lane=Lane.STANDARD))

    def _reply_to_move(self, entry: Entry, activity: int, was: Place) -> Reply:
        def undo() -> Reply:
            commands.put_back(entry, activity, was)
            return Reply()

        return self._offer(undo)

    def _edit(self, entry: Entry, activity: int, typed: Typed) -> Reply:
        old = commands.edit(entry, activity, self._payload(entry, typed, activity))

        def undo() -> Reply:
            commands.edit(entry, activity, old)
            return Reply()

        return self._offer(undo)

    def _drop(self, entry: Entry, activity: int) -> Reply:
        dropped = commands.drop(entry, activity)

        def undo() -> Reply:
            receipt = send_again(self.manager, dropped)
            return Reply(receipt.id, receipt.runtime)

        return self._offer(undo)

    # ---- dead letters

    def _resend(self, activities: Iterable[int], to: str | None = None) -> Reply:
        wanted = set(activities)
        if len(wanted) == 1:
            receipt = self.manager.dead_letters.resend(wanted.pop(), to)
            return Reply(receipt.id, receipt.runtime, count=1)
        return self._resend_all(wanted, to)

    def _resend_all(self, wanted: set[int], to: str | None) -> Reply:
        sent, refusal = 0, ""
        refused: set[tuple[str, Lane]] = set()  # runtimes that are gone, lanes that are full
        for activity in [each.activity for each in self.manager.dead_letters if each.activity.id in wanted]:
            lane = to or activity.runtime, activity.lane
            if lane in refused:
                continue
            try:
                self.manager.dead_letters.resend(activity.id, to)
                sent += 1
            except AgentError as error:
                refusal = refusal or str(error)
                if not isinstance(error, ActivityValidationError):
                    refused.add(lane)
        return Reply(count=sent, refusal=refusal)

    def _discard(self, activities: Iterable[int]) -> Reply:
        gone: list[DeadLetter] = []
        wanted = list(activities)
        for activity in wanted:
            try:
                gone.append(self.manager.dead_letters.discard(activity))
            except AgentError:  # another command has taken it
                if len(wanted) == 1:
                    raise

        def undo() -> Reply:
            self.manager.dead_letters.put_back(*gone)
            return Reply(count=len(gone))

        return Reply(count=len(gone), undo=self._offer(undo).undo)

    # ---- an undo

    def _undo(self, entry: Entry | None = None, *, number: int) -> Reply:
        undo = self._undos.pop(number, None)
        if undo is None:
            raise AgentError("that can't be undone any more")
        return undo()


def waiting(entry: Entry, number: int) -> Activity[Any]:
    """The activity that waits, or is stopped, under a number. Raises `AgentError`."""
    current = entry.current
    stopped = [current] if current is not None and entry.breakpoints is not None and entry.breakpoints.stop else []
    for activity in (*stopped, *commands.items(entry)):
        if activity.id == number:
            return activity
    raise AgentError(f"activity {number} does not wait in {entry.id!r} (any more)", runtime=entry.id, activity=number)


def _forget(kept: OrderedDict[int, Any], most: int) -> None:
    """Remove the oldest."""
    while len(kept) > most:
        kept.popitem(last=False)
