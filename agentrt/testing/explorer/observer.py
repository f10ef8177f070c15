"""What the parts of a run tell it: what the step of now touches, and what it comes from."""

from __future__ import annotations

from typing import Any, Protocol

from ...activity import Activity
from ...events import Outcome
from .footprint import Keys
from .processes import Process

__all__ = ["Observer"]


class Observer(Protocol):
    """A run, as its tasks, its runtimes and its judge see it."""

    keys: Keys
    loop: Any
    manager: Any
    main: Any  # the task of the scenario
    main_pid: int
    ground: Any
    index: int  # of the step of now
    pid: int  # of the process that takes it
    has_acted: bool
    waiting: dict[int, Any]
    decided: dict[int, int]
    opened: set[int]
    abandoned: list[Any]
    outcomes: list[Outcome]
    errors: list[tuple[str, BaseException | None]]
    processes: dict[int, Process]
    processing: dict[Any, Any]

    @property
    def base(self) -> int:
        """What the process of this step reads in all its steps."""

    def read(self, keys: int) -> None:
        """This step reads these."""

    def write(self, keys: int) -> None:
        """This step writes these."""

    def follows(self, step: int) -> bool:
        """Whether this step is that one, or was caused by it."""

    def follow(self, step: int) -> None:
        """This step could not be taken before that one."""

    def arrive(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity joins a mailbox."""

    def take(self, entry: Any, activity: Activity[Any], is_chosen: bool) -> None:
        """A runtime takes an activity, which was `chosen` from two: it would have taken something without it."""

    def decide(self, outcome: Outcome) -> None:
        """An activity has its fate."""

    def touch_clock(self) -> None:
        """A timer is set."""

    def cancel_timer(self, handle: Any) -> None:
        """A timer is cancelled."""

    def next_number(self) -> int:
        """The next id that the process of this step draws."""

    def number_of_entry(self, id: str) -> int:
        """The number of the process that a runtime is."""

    def reach(self, workflow: Any, state: Any, id: str) -> None:
        """A runtime is made of this function and this state."""

    def share(self, name: str, value: Any, pid: int) -> None:
        """The process of this step and another one have this value."""

    def delay(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity is accepted that is not due yet."""

    def may_duplicate(self, entry: Any, activity: Activity[Any]) -> None:
        """An activity is in its lane."""

    def append_to_journal(self) -> None:
        """Something is to be stored."""
