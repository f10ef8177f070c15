"""What the parts of a runtime need of each other, so that none has to import the one above it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

from ..activity import Activity
from ..clock import Clock, Timer
from ..events import Ring
from ..limits import Limits
from ..metrics import Fates
from .workflow import Workflow

__all__ = ["GROUP", "MOVE", "Handle", "Host", "Manager", "Member"]

T = TypeVar("T")

GROUP, MOVE = "group", "move"  # whose decision a runtime may await before it takes more


class Member(Protocol):
    """A runtime entry, as receipts, contexts and waits see it."""

    id: str
    host: Host
    current: Activity[Any] | None
    waits_for: dict[Any, None] | None  # the waits that are open, see `OpenWait`
    breakpoints: Any  # where it stops, see `Breakpoints`; None if it never did
    effects: Any  # what its activities have done outside, see `Effects`; None if that is not stored

    def request_pause(self, id: int, why: str) -> None:
        """An activity asks: the runtime is paused once that one is done. The lock is held."""

    def forget_request(self) -> None:
        """The activity that asks has failed, for now or for good."""

    def register_wait(self) -> AbstractContextManager[None]:
        """Open while somebody waits for it."""

    def add_wait(self, wait: Any) -> None:
        """The current activity waits for something. The lock is held."""

    def remove_wait(self, wait: Any) -> None:
        """It waits for that no longer. The lock is held."""

    def show_steps(self, activity: int, steps: tuple[str, ...]) -> None:
        """These are the steps that the current activity is in."""

    def record_event(self, kind: str, detail: Any = None, who: str | None = None) -> None:
        """Record an event."""


class Host(Protocol):
    """The manager, as its entries see it. `lock` guards what any thread may call; the rest is for the loop's thread."""

    lock: AbstractContextManager[Any]
    loop: asyncio.AbstractEventLoop
    thread: int
    clock: Clock
    ring: Ring
    seed: int
    chance: random.Random
    busy: set[Any]
    asleep: dict[Any, None]  # the drivers of idle entries that keep their task
    inline_budget: Any
    awaits: Any  # the numbers of what workflows await, for those who look
    listeners: dict[Any, Callable[[], None]]
    deadlines: Any
    watchdog: Any
    last_errors: Any
    remembered: Any  # receipts, by key
    readings: Any  # what the clock gave to activities that asked
    branch_point: Any  # a `feed.branch_point.BranchPoint` of a fork, else None
    served_effects: Any  # what gives the results of effects, in place of their functions; None where they are called
    closed: bool
    number: Callable[[], int]
    counter: Iterator[int]  # what `number` draws from
    record: Callable[[Any], None]  # the ring's append

    def wake(self, entry: Any) -> None:
        """See that `entry` processes. Any thread; the lock is held."""

    def check_process(self) -> None:
        """Raise `ManagerClosedError` if the agents run in another process, from which this one was forked."""

    def do(self, call: Callable[[], T]) -> T:
        """Call on the loop's thread and wait for the result. Any thread."""

    def post(self, call: Callable[[], object]) -> None:
        """Call on the loop's thread, at once if this is it. Any thread."""

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call when the clock reads `when`."""

    async def sleep(self, seconds: float) -> None:
        """Sleep on the manager's clock."""

    def notify(self) -> None:
        """There are new records: wake who watches."""

    @property
    def kept_letters(self) -> int:
        """How many dead letters are kept."""

    def dead_letter(self, activity: Activity[Any], reason: str) -> None:
        """Add an undelivered activity to the dead letters."""

    def close_letter(self, activity: Activity[Any]) -> None:
        """Note that a dead letter is not kept: it is not read back."""

    def leave(self, entry: Any) -> None:
        """Close an entry and let it leave the map."""

    def forget(self, entry: Any) -> None:
        """Take a closed entry out of the map; its counts stay."""

    def elsewhere(self, entry: Any) -> Any:
        """What takes a send in place of an entry that was moved to another manager; None of any other."""

    def escalate(self, entry: Any) -> None:
        """Let the entry's group decide about its failures."""

    def note_breakpoints(self, entry: Any) -> None:
        """An entry has other breakpoints now. Any thread."""

    def group_failures(self, id: str) -> dict[str, list[float]]:
        """When children of a runtime's groups have failed, by the name of the group."""

    def entry(self, to: Any) -> Any:
        """The entry of an id or a handle."""

    def recipient(self, to: Any) -> Any:
        """Who takes a send to an id, a handle or a grant."""


class Manager(Host, Protocol):
    """The manager, as the handles on its runtimes and its dead letters see it. All of it may be used on any thread."""

    @property
    def source(self) -> Any:
        """What the views of its runtimes are drawn from: a `Source`, which is declared above this package."""

    @property
    def origin(self) -> Any:
        """What histories are read from: an `Origin`, which is declared above this package."""

    def holds(self, entry: Any) -> bool:
        """Whether an entry is in the map."""

    def close_letter(self, activity: Activity[Any], fate: Literal["", "resent", "discarded"] = "") -> None:
        """A dead letter was sent again or discarded; without a fate, it was let go."""

    def keep_letter(self, activity: Activity[Any], reason: str, at: float) -> None:
        """A dead letter that was closed is one again."""

    def follow(self, handle: Any) -> None:
        """Publish to the watchers of a handle what changes."""

    def prepare(self, function: Callable[..., Any], limits: Limits) -> Workflow:
        """Read a workflow function, and have it called as these limits say: in a process, in a thread, on the loop."""

    def fates(self) -> Fates:
        """The counts of all runtimes, terminated ones included."""


class Handle(Protocol):
    """A runtime, as a grant on it sees it. It has the public methods of `Runtime` as well."""

    @property
    def id(self) -> str:
        """The id of the runtime."""

    @property
    def entry(self) -> Any:
        """The runtime's entry."""

    def has_left(self) -> bool:
        """Whether it has ended and its last record is written."""
