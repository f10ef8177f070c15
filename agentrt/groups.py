"""Supervision groups: which runtimes restart together. `supervision.respond` decides, this module carries it out.

What happens to mailbox and receipts:

| | restart | stop |
|---|---|---|
| mailbox | kept; it goes on with it | kept until `recover()`; sends are refused |
| the current activity | cancelled: FAILED, a `ProcessingError` | the same |
| state | the initial one | what it was |
| status | goes on, even if it was FAILED; a pause stays | FAILED |

The receipts of what waits stay open in both cases. The activity whose failure was the cause has its own fate already.
First all of these runtimes are interrupted, in the reverse of the order in which they joined; then they restart in
that order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, Unpack, overload

from .activity import Activity
from .engine import commands
from .engine.durability import Upgrade
from .engine.entry import RuntimeEntry
from .engine.failure import interrupt, restart, stop
from .engine.protocols import Host
from .errors import AgentError, ConfigurationError, ProcessingError
from .events import Event
from .limits import LimitOptions
from .runtime import Runtime
from .schema.numbers import refuse
from .supervision import Policy, Response, Rule, Supervision, respond
from .typevars import S
from .workflow_types import S0, A, AsyncWorkflow, Payload, PlainWorkflow

__all__ = ["CreateOptions", "Group", "Groups"]

Entry = RuntimeEntry[Any, Any]


class Creator(Host, Protocol):
    """The manager, as its groups see it."""

    def create(
        self, id: str, state: Any, workflow: Callable[..., Any], *, group: Group, **limits: Unpack[LimitOptions]
    ) -> Runtime[Any, Any]:
        """Make a runtime."""


class Group:
    """Runtimes, and other groups, that are supervised together. Made by `manager.group(...)`; safe from any thread.

    A runtime joins with `manager.create(..., group=group)` or `group.create(...)`. Each of its failures escalates to
    the group, unless the runtime is given a `supervision` of its own; then that decides what escalates.

    With more than `intensity` failures in `period` seconds (manager's clock) the group gives up: its parent decides
    about the whole group as about one child, and without a parent all children are stopped. `recover()` goes on.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     pair = manager.group("pair", "one_for_all")
    ...     left = pair.create("left", 0, lambda activity, state: state + activity.payload)
    ...     right = pair.create("right", 0, lambda activity, state: state + 1 // activity.payload)
    ...     _ = left.send_nowait(5).result(5), right.send_nowait(1).result(5)
    ...     try:
    ...         right.send_nowait(0).result(5)
    ...     except agentrt.ProcessingError:
    ...         left.state, right.state
    (0, 0)
    """

    def __init__(self, host: Creator, name: str, rule: Rule, parent: Group | None) -> None:
        self.name = name
        self.parent = parent
        self._host = host
        self._rule = rule
        self._failures: deque[float] = deque(maxlen=rule.intensity + 1)
        self._children: dict[str, Group | Entry] = {}

    @property
    def rule(self) -> Rule:
        """How it responds to a failure; can be set."""
        return self._rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self._rule = rule
        self._failures = deque(self._failures, maxlen=rule.intensity + 1)

    @property
    def children(self) -> tuple[str, ...]:
        """The ids of its runtimes and the names of its groups, in the order in which they joined."""
        return tuple(self._children)

    def __repr__(self) -> str:
        above = "" if self.parent is None else f" under {self.parent.name!r}"
        return (
            f"<Group {self.name!r}{above} {self.rule.strategy.value}: {', '.join(self._children) or 'no children yet'}>"
        )

    @overload
    def create(
        self, id: str, state: S0, workflow: AsyncWorkflow[Activity[Payload], S0, S], **limits: Unpack[LimitOptions]
    ) -> Runtime[S, Payload]: ...
    @overload
    def create(
        self, id: str, state: S0, workflow: PlainWorkflow[Activity[Payload], S0, S], **limits: Unpack[LimitOptions]
    ) -> Runtime[S, Payload]: ...
    @overload
    def create(
        self,
        id: str,
        state: S0,
        workflow: AsyncWorkflow[A, S0, S] | PlainWorkflow[A, S0, S],
        **limits: Unpack[LimitOptions],
    ) -> Runtime[S, Any]: ...
    def create(
        self, id: str, state: Any, workflow: Callable[..., Any], **limits: Unpack[LimitOptions]
    ) -> Runtime[Any, Any]:
        """`RuntimeManager.create` with this group."""
        return self._host.create(id, state, workflow, group=self, **limits)

    def recover(self) -> None:
        """Let all its runtimes that were stopped continue, those of its groups as well; forget the failures."""
        self._failures.clear()
        for child in tuple(self._children.values()):
            if isinstance(child, Group):
                child.recover()
            else:
                commands.recover(child)
        with self._host.lock:
            for entry in self._runtimes(self.children):
                entry.store_supervision()

    def count_failure(self) -> None:
        """Count a failure that is answered already. For the modules of this package, on the loop's thread."""
        self._failures.append(self._host.clock.now())

    def restore_failures(self, times: Iterable[float]) -> None:
        """Have these been its failures, in seconds on the manager's clock. For the modules of this package."""
        self._failures = deque(times, maxlen=self.rule.intensity + 1)

    def _add_failures(self, times: Iterable[float]) -> None:
        """Add what was stored with a child. Each has what all had stored by then."""
        both = Counter(self._failures) | Counter(times)
        self.restore_failures(sorted(both.elements()))

    def _handle_failure(self, child: str, cause: AgentError) -> None:
        """Respond to the failure of a child. The loop's thread only."""
        now = self._host.clock.now()
        self._failures.append(now)
        answer = respond(self.rule, self.children, child, self._failures, now)
        self._record(child, answer)
        if answer.escalate and self.parent is not None:
            self.parent._handle_failure(self.name, cause)
        elif answer.escalate:
            self._stop(self.children, cause)
        else:
            self._stop(answer.stop, cause)
            self._restart(answer.restart, cause)

    def _record(self, child: str, answer: Response) -> None:
        runtime = "" if isinstance(self._children[child], Group) else child
        detail = {
            "group": self.name,
            "child": child,
            "restart": answer.restart,
            "stop": answer.stop,
            "escalate": answer.escalate,
        }
        self._note_response(runtime, detail)

    def _note_response(self, runtime: str, detail: dict[str, Any]) -> None:
        self._host.ring.append(Event(self._host.number(), runtime, self._host.clock.now(), "escalated", None, detail))

    def _with_parents(self) -> Iterator[Group]:
        group: Group | None = self
        while group is not None:
            yield group
            group = group.parent

    def _runtimes(self, children: tuple[str, ...]) -> list[Entry]:
        found: list[Entry] = []
        for name in children:
            child = self._children[name]
            found += child._runtimes(child.children) if isinstance(child, Group) else [child]
        return found

    def _restart(self, children: tuple[str, ...], cause: AgentError) -> None:
        affected = self._runtimes(children)
        interrupt_members(affected, self.name, "restarted", cause)
        self._forget_failures_of(children)
        restart_members(affected, cause)

    def _forget_failures_of(self, children: tuple[str, ...]) -> None:
        for name in children:
            child = self._children[name]
            if isinstance(child, Group):
                child._forget_failures()

    def _forget_failures(self) -> None:
        self._failures.clear()
        self._forget_failures_of(self.children)

    def _stop(self, children: tuple[str, ...], cause: AgentError) -> None:
        stop_members(self._runtimes(children), self.name, cause)


def interrupt_members(entries: Sequence[Entry], group: str, what: str, cause: AgentError) -> None:
    """End what runtimes run, the last one first.

    Args:
        entries: In the order in which they joined.
        group: The name of the group that has decided it.
        what: What becomes of them: "restarted", "stopped".
        cause: The failure that it answers.
    """
    for entry in reversed(entries):
        interrupt(entry, _describe_response(entry, group, what, cause))


def restart_members(entries: Iterable[Entry], cause: AgentError) -> None:
    """Have runtimes begin again from their initial states, in this order."""
    for entry in entries:
        commands.recover(entry)
        restart(entry, cause)


def stop_members(entries: Sequence[Entry], group: str, cause: AgentError) -> None:
    """Stop runtimes, the last one first. Arguments: those of `interrupt_members`."""
    for entry in reversed(entries):
        why = _describe_response(entry, group, "stopped", cause)
        interrupt(entry, why)
        if not entry.failed:
            if cause.runtime != entry.id:
                entry.record_error(why)
            stop(entry)


def _describe_response(entry: Entry, group: str, what: str, cause: AgentError) -> ProcessingError:
    activity = None if entry.current is None else entry.current.id
    error = ProcessingError(
        f"{entry.id!r} was {what} by its group {group!r}, after: {cause}", runtime=entry.id, activity=activity
    )
    error.__cause__ = cause
    return error


class CreateOptions(LimitOptions, total=False):
    """The keyword options of `RuntimeManager.create`: the limits, the group that it joins, and what is stored."""

    group: Group | str | None
    durable: bool
    resume: bool
    state_version: int
    upgrade: Upgrade | None


class Groups:
    """The groups of one manager, and who is in which."""

    kind: type[Group] = Group

    def __init__(self, host: Creator) -> None:
        self._host = host
        self._groups: dict[str, Group] = {}
        self._of: dict[str, Group] = {}

    def group(self, name: str, rule: Rule, parent: Group | str | None) -> Group:
        """Make a group, or give the one of that name another rule, so that a cell may run again."""
        if not isinstance(name, str) or not name:
            raise refuse("name", name, "a string that is not empty")
        name = str.__str__(name)  # of a subclass, the plain text: it is compared while the lock is held
        with self._host.lock:
            above = None if parent is None else self.find(parent)
            group = self._groups.get(name)
            if group is not None:
                if group.parent is not above:
                    raise ConfigurationError(f"group {name!r} exists with another parent: {group!r}")
                group.rule = rule
                return group
            group = self.kind(self._host, name, rule, above)
            if above is not None:
                _check_free(above, name)
                above._children[name] = group
            self._groups[name] = group
            return group

    def find(self, group: Group | str) -> Group:
        """Return the group of a name, or the group itself if it is of this manager; else `ConfigurationError`."""
        found = self._groups.get(group.name if isinstance(group, Group) else group)
        if found is None or (isinstance(group, Group) and found is not group):
            there = ", ".join(self._groups) or "none yet"
            raise ConfigurationError(
                f"{group!r} is no group of this manager, manager.group(...) makes one; there are: {there}"
            )
        return found

    def limits(self, id: str, group: Group | str | None, limits: LimitOptions) -> LimitOptions:
        """Return the limits of a runtime that is to join: in a group each failure escalates unless they say more."""
        if group is None:
            return limits
        _check_free(self.find(group), id)
        own: LimitOptions = {"supervision": Supervision(Policy.ESCALATE, intensity=1)}
        return {**own, **limits}

    def join(self, entry: Entry, group: Group | str | None) -> None:
        """Make a runtime the last child of a group. The lock is held."""
        if group is not None:
            joined = self.find(group)
            _check_free(joined, entry.id)
            joined._children[entry.id] = entry
            self._of[entry.id] = joined
            for each in joined._with_parents():
                each._add_failures(entry.group_failures.get(each.name, ()))

    def of(self, id: str) -> Group | None:
        """Return the group of a runtime; None if it is in none."""
        return self._of.get(id)

    def list_failures(self) -> dict[str, list[float]]:
        """When children of each group have failed, by its name."""
        return {name: list(group._failures) for name, group in self._groups.items()}

    def failures(self, id: str) -> dict[str, list[float]]:
        """When children of a runtime's groups have failed, by the name of the group; none where none has."""
        group = self._of.get(id)
        above = () if group is None else group._with_parents()
        return {each.name: list(each._failures) for each in above if each._failures}

    def leave(self, entry: Entry) -> None:
        """Forget a runtime that ended."""
        group = self._of.pop(entry.id, None)
        if group is not None:
            del group._children[entry.id]

    def escalate(self, entry: Entry) -> None:
        """Let the runtime's group decide; without one the runtime is stopped."""
        group = self._of.get(entry.id)
        if group is None or entry.error is None:
            stop(entry)
        else:
            group._handle_failure(entry.id, entry.error)


def _check_free(group: Group, name: str) -> None:
    if name in group.children:
        raise ConfigurationError(f"group {group.name!r} has a child {name!r} already")
