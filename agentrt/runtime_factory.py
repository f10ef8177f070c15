"""RuntimeFactory: how a manager makes its runtimes and their groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack, overload

from .activity import Activity
from .engine import commands
from .engine.baseline import record_baseline
from .engine.durability import Durability, Upgrade
from .engine.entry import RuntimeEntry
from .engine.isolation import Workers, isolate
from .engine.workflow import Workflow
from .errors import ConfigurationError, ManagerClosedError, RuntimeExistsError
from .groups import CreateOptions, Group, Groups
from .limits import LimitOptions, Limits
from .runtime import Runtime
from .runtime_map import RuntimeMap
from .schema.immutability import is_frozen, warn_mutable
from .schema.numbers import refuse
from .supervision import Policy, PolicyName, Rule, Strategy, StrategyName
from .typevars import S
from .workflow_types import S0, A, AgentDecorator, AsyncWorkflow, Payload, PlainWorkflow

__all__ = ["RuntimeFactory"]

Entry = RuntimeEntry[Any, Any]
Handle = Runtime[Any, Any]

_REQUIRED: Any = object()
DURABLE_LIMITS: LimitOptions = {"retries": 3}  # what has failed for a reason that goes away


class RuntimeFactory(RuntimeMap):
    """A map of runtimes that makes them: what a manager needs for it are its groups and its workers. Any thread."""

    closed: bool
    groups: Groups
    workers: Workers
    _read: Workflow | None = None  # the workflow that was read last

    def _make_entry(self, id: str, state: Any, workflow: Workflow, limits: Limits, wanted: Durability | None) -> Entry:
        raise NotImplementedError

    @overload
    def create(
        self, id: str, state: S0, workflow: AsyncWorkflow[Activity[Payload], S0, S], **options: Unpack[CreateOptions]
    ) -> Runtime[S, Payload]: ...
    @overload
    def create(
        self, id: str, state: S0, workflow: PlainWorkflow[Activity[Payload], S0, S], **options: Unpack[CreateOptions]
    ) -> Runtime[S, Payload]: ...
    @overload
    def create(
        self,
        id: str,
        state: S0,
        workflow: AsyncWorkflow[A, S0, S] | PlainWorkflow[A, S0, S],
        **options: Unpack[CreateOptions],
    ) -> Runtime[S, Any]: ...
    def create(
        self,
        id: str,
        state: Any,
        workflow: Callable[..., Any],
        *,
        group: Group | str | None = None,
        durable: bool = True,
        resume: bool = True,
        state_version: int = 1,
        upgrade: Upgrade | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Handle:
        """Make a runtime, or go on with one that the manager's journal holds. Any thread.

        Args:
            id: What it is called; not empty.
            state: The initial state. With immutable states history costs a pointer an activity.
            workflow: Makes the next state: a function `(activity, state)` or `(activity, state, ctx)`, async or not.
            group: The supervision group, or its name, that it joins.
            durable: Whether it is stored, where the manager has a journal. A durable runtime has three retries unless
                the limits say otherwise.
            resume: Whether to go on with what the journal holds of this id: its state (then `state` is what a restart
                begins with again), its mailbox, its counts. `runtime.resumed` says so.
            state_version: The version of what the state looks like; a whole number of at least 1.
            upgrade: Makes a state of now from a stored one of an older version: `upgrade(plain, from_version)`, with
                dicts for records; or a function of `plain` for each version on the way, by the version it starts from.
            **limits: What it may hold and how long it may take, see `Limits`.

        Returns:
            The handle. It is the same object as `manager[id]`.

        Raises:
            RuntimeExistsError: The id is taken, or the journal holds it and `resume` is False.
            JournalError: What is stored does not fit this code and was left as it is; or nothing can be stored now.
            ConfigurationError: Something given can't work; the message says what would do.
            ManagerClosedError: The manager is closed.
        """
        wanted = self._durability(durable, resume, state_version, upgrade)
        if wanted is not None:
            limits = {**DURABLE_LIMITS, **limits}
        checked = Limits.of(self.groups.limits(id, group, limits))
        if not is_frozen(state):
            warn_mutable(id, state)  # first of all: where warnings are errors, nothing was made
        return self._handle(self.create_entry(id, state, workflow, checked, group, wanted))

    def _durability(self, durable: bool, *options: Any) -> Durability | None:
        """What is to be stored of a new runtime; None for nothing."""
        return None

    def create_entry(
        self,
        id: str,
        state: Any,
        workflow: Callable[..., Any],
        limits: Limits,
        group: Group | str | None = None,
        wanted: Durability | None = None,
    ) -> Entry:
        """`create` without the handle: what a hundred thousand runtimes cost."""
        if not isinstance(id, str) or not id:
            raise refuse("id", id, "a string that is not empty")
        id = str.__str__(id)  # of a subclass, the plain text: it is compared while the lock is held
        prepared = self.prepare(workflow, limits)
        entry = self._make_entry(id, state, prepared, limits, wanted)
        with self.lock:
            if self.closed:
                raise ManagerClosedError(f"can't create {id!r}: the manager is closed; make a new one", runtime=id)
            if id in self._entries:
                raise RuntimeExistsError(
                    f"{id!r} exists; take it with manager[{id!r}], end it with manager.terminate({id!r}), "
                    f'or use @manager.agent("{id}", state=...), which a cell may run again',
                    runtime=id,
                )
            if wanted is not None:
                self._begin_in_journal(entry, wanted)
            # Under one lock: in between another thread could end it, or let it fail without its group.
            self.groups.join(entry, group)
            self._add(entry)
            record_baseline(entry, "created", prepared.name, commands.ACTOR.get())
            if wanted is not None and len(entry.mailbox):
                entry.wake()
        return entry

    def _begin_in_journal(self, entry: Entry, wanted: Durability) -> None:
        """Have a new entry go on from what the journal holds, or store that it begins. The lock is held."""
        raise NotImplementedError

    def prepare(self, function: Callable[..., Any], limits: Limits) -> Workflow:
        """Read a workflow function, and have it called as these limits say: in a process, in a thread, on the loop."""
        workflow = self._read
        if workflow is None or workflow.call is not function:  # many runtimes of one workflow are made in a row
            workflow = self._read = Workflow.of(function)
        return isolate(workflow, limits, self.workers)

    @overload
    def agent(self, id: str, **options: Unpack[CreateOptions]) -> AgentDecorator[Any]: ...
    @overload
    def agent(self, id: str, state: S0, **options: Unpack[CreateOptions]) -> AgentDecorator[S0]: ...
    def agent(
        self,
        id: str,
        state: Any = _REQUIRED,
        *,
        group: Group | str | None = None,
        durable: bool = True,
        resume: bool = True,
        state_version: int = 1,
        upgrade: Upgrade | None = None,
        **limits: Unpack[LimitOptions],
    ) -> Any:
        """Make a runtime of the decorated workflow; in a notebook the cell may run again.

        The first run creates the runtime. A later run swaps the workflow and sets these limits, from the next activity
        on; state, mailbox and group stay. If it raises, nothing has changed.

        Args:
            id: As in `create`; so are the limits.
            state: The initial state; may be left out once the runtime exists.
            group: As in `create`.
            durable: As in `create`; so are the next three.
            resume: Whether to go on with what the journal holds.
            state_version: The version of what the state looks like.
            upgrade: Makes a state of now from a stored one.

        Returns:
            A decorator, which returns the handle.

        Raises:
            ConfigurationError: The runtime is new and there is no state, or what `create` raises.
        """
        stored: Any = {"durable": durable, "resume": resume, "state_version": state_version, "upgrade": upgrade}

        def decorate(workflow: Callable[..., Any]) -> Handle:
            runtime = self.get(id)
            if runtime is None:
                if state is _REQUIRED:
                    raise ConfigurationError(
                        f"{id!r} is new: give its initial state, @manager.agent({id!r}, state=...)"
                    )
                return self.create(id, state, workflow, group=group, **stored, **limits)
            Limits.of(limits)
            prepared = self.prepare(workflow, commands.change_limits(runtime.entry, dict(limits)))
            commands.replace(runtime.entry, dict(limits), prepared)
            return runtime

        return decorate

    def group(
        self,
        name: str,
        strategy: Strategy | StrategyName = Strategy.ONE_FOR_ONE,
        *,
        parent: Group | str | None = None,
        policy: Policy | PolicyName = Policy.RESTART,
        intensity: int = 5,
        period: float = 60.0,
    ) -> Group:
        """Make a supervision group, or give the one of that name another rule. Any thread.

        Args:
            name: What it is called; not empty.
            strategy: Whom the failure of a child concerns: that child, all of them, or it and those that joined later.
            parent: The group, or its name, whose child it is.
            policy: What happens to those that are concerned.
            intensity: How many restarts are made within `period`; the next failure escalates.
            period: Seconds on the manager's clock.

        Raises:
            ConfigurationError: A value can't work, or the group exists with another parent.
        """
        return self.groups.group(name, Rule(strategy, policy, intensity, period), parent)
