"""Runtime: the handle a person holds. Commands, knobs that drive the runtime, readouts that follow it.

Whoever watches a knob or a readout (`runtime.param.watch`, `pn.bind`, `param.depends`) is called at frame rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any, Generic

import param

from .activity import Activity, Lane
from .display import RuntimeDisplay
from .engine import commands
from .engine.answer import await_answer
from .engine.durable_entry import at_once
from .engine.entry import RuntimeEntry
from .engine.mailbox import Place
from .engine.protocols import Manager
from .engine.state_edit import edit_state
from .grants import Grant
from .limits import Overflow
from .metrics import Fates, Metrics
from .optional import explain_missing
from .publisher import Namespace
from .readouts import ChoiceKnob, IntegerKnob, NumberKnob, PausedKnob, Readout
from .receipt import Promise, Receipt
from .schema.numbers import refuse
from .schema.preview import preview
from .snapshot import Snapshot, fates, metrics, read_initial, read_state, snapshot, status
from .subscription import Subscription
from .typevars import P, S

if TYPE_CHECKING:
    from .debugger import Breakpoints, Whereabouts
    from .frames import StackFrame
    from .history.commits import History

__all__ = ["Runtime"]

Entry = RuntimeEntry[Any, Any]


class Runtime(param.Parameterized, RuntimeDisplay, Generic[S, P]):
    """One runtime: send to it, ask it, watch it, steer it. Made by `manager.create`; safe from any thread.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     runtime.send_nowait(1).result(5).state
    ...     runtime.paused = True
    ...     runtime.status
    1
    <Status.PAUSED: 'paused'>
    """

    id = Readout(lambda e: e.id, doc="The id, as given to create.")
    status = Readout(status, doc="What it is doing: idle, processing, paused, error, stuck, failed or terminated.")
    state: Readout[S] = Readout(read_state, doc="The last committed state; a copy of one that can be changed in place.")
    priority_depth = Readout(lambda e: e.mailbox.depth[0], doc="How many activities wait in the priority lane.")
    standard_depth = Readout(lambda e: e.mailbox.depth[1], doc="How many activities wait in the standard lane.")
    processed = Readout(lambda e: e.done + e.failed_count + e.timed_out, doc="Activities run to an end.")
    failed = Readout(lambda e: e.failed_count + e.timed_out, doc="Activities that failed or timed out.")
    error = Readout(lambda e: e.error, doc="The last error, or None.")

    paused = PausedKnob(doc="Take nothing more after the activity that runs now.")
    timeout: NumberKnob[float | None] = NumberKnob(
        "timeout", default=None, allow_None=True, doc="Seconds an activity may take; None: no limit."
    )
    retries: IntegerKnob[int] = IntegerKnob("retries", default=0, doc="How often a failed activity is tried again.")
    priority_capacity: IntegerKnob[int] = IntegerKnob(
        "priority_capacity", default=1000, doc="How many may wait in the priority lane."
    )
    standard_capacity: IntegerKnob[int] = IntegerKnob(
        "standard_capacity", default=1000, doc="How many may wait in the standard lane."
    )
    overflow: ChoiceKnob[Overflow] = ChoiceKnob(
        "overflow", default="wait", objects=list(Overflow), doc="What a full lane does with one more."
    )
    fairness: IntegerKnob[int | None] = IntegerKnob(
        "fairness", default=8, allow_None=True, doc="One standard after so many priority activities."
    )

    def __init__(self, entry: Entry, manager: Manager) -> None:
        super().__init__(name=entry.id)
        self.entry = entry
        self.manager = manager
        # The entry's own methods: a second call and a second coroutine on the way would double the cost of a send.
        self.__dict__.update({name: getattr(entry, name) for name in BOUND})

    def __repr__(self) -> str:
        shot = snapshot(self.entry, with_metrics=False)
        return (
            f"<Runtime {self.entry.id!r} {shot.status.value}, waiting {shot.depth[0]} priority "
            f"{shot.depth[1]} standard, processed {self.processed}, failed {self.failed}, "
            f"state {preview(shot.state, 120)}>"
        )

    __str__ = __repr__

    # ---- activities

    def send_nowait(
        self,
        payload: P | Activity[P],
        *,
        priority: bool = False,
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Receipt[S]:
        """Accept one activity. Any thread; never blocks.

        Args:
            payload: What the workflow reads as `activity.payload`. An `Activity` (of a type of your own) is sent as it
                is: its payload, and its lane, timeout, key and not-before time where the call says nothing else.
            priority: Whether it goes to the priority lane, which overtakes the standard lane.
            timeout: How long its processing may take, instead of the runtime's own; seconds on the manager's clock.
            delay: How long it waits before it joins its lane; seconds on the manager's clock.
            key: A second send with the same key within `key_window` is not accepted; it gets the first's receipt.

        Returns:
            The receipt: await it, or call its `result()` on another thread, for the outcome.

        Raises:
            ActivityValidationError: The workflow does not take this payload.
            MailboxFullError: The lane is full.
            RuntimeTerminatedError: The runtime has ended.
            RuntimeFailedError: The supervisor stopped it; see `recover`.
            ManagerClosedError: The manager is closed.
        """
        return self.entry.send_nowait(payload, priority=priority, timeout=timeout, delay=delay, key=key)

    async def send(
        self,
        payload: P | Activity[P],
        *,
        priority: bool = False,
        wait: float | None = None,
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Receipt[S]:
        """Accept one activity; while its lane is full, wait for room. Any event loop.

        Senders that wait are served in order.

        Args:
            payload: As in `send_nowait`.
            priority: As in `send_nowait`.
            wait: How long to wait for room, in real seconds; None for as long as it takes.
            timeout: As in `send_nowait`: how long its processing may take.
            delay: As in `send_nowait`.
            key: As in `send_nowait`.

        Returns:
            The receipt. It is returned once the activity is accepted, not once it is done.

        Raises:
            MailboxFullError: There was no room within `wait` seconds, or the lane drops instead of waiting.
            AgentError: What else `send_nowait` raises.
        """
        return await self.entry.send(payload, wait=wait, priority=priority, timeout=timeout, delay=delay, key=key)

    async def ask(
        self,
        payload: P | Activity[P],
        *,
        priority: bool = False,
        wait: float | None = None,
        timeout: float | None = None,
        delay: float | None = None,
        key: str | None = None,
    ) -> Any:
        """Send one activity and wait until it is done. Any event loop.

        Args:
            payload: As in `send_nowait`.
            priority: As in `send_nowait`.
            wait: How long to wait for room, as in `send`; not for the answer.
            timeout: As in `send_nowait`: how long its processing may take.
            delay: As in `send_nowait`.
            key: As in `send_nowait`.

        Returns:
            What the workflow replied with `ctx.reply(x)`, else the new state. No annotation of a workflow says the
            type of its replies, so a type checker knows nothing of it.

        Raises:
            ProcessingError: The workflow raised; its exception is the `__cause__`.
            ActivityTimeoutError: It took longer than its timeout.
            DeadlockError: The runtime would wait for itself, also by way of others.
            AgentError: What `send` raises, or another end of the activity.
        """
        return await self.entry.ask(payload, wait=wait, priority=priority, timeout=timeout, delay=delay, key=key)

    def validate(self, payload: Any) -> None:
        """Raise `ActivityValidationError` unless the workflow takes this payload."""
        self.entry.check_payload(payload)

    @property
    def accepts(self) -> Any:
        """The type of payload it takes, None for any."""
        return self.entry.accepts

    # ---- to look at

    @property
    def workflow(self) -> str:
        """The name of its workflow function."""
        return self.entry.workflow.name

    @property
    def resumed(self) -> bool:
        """Whether it went on from a journal when it was created."""
        return bool(self.entry.resumed)

    @property
    def depth(self) -> tuple[int, int]:
        """How many activities wait in each lane: (priority, standard)."""
        return self.entry.mailbox.depth

    @property
    def initial(self) -> S:
        """The state it began with, and that a restart goes back to; a copy of one that can be changed in place."""
        return read_initial(self.entry)

    @property
    def metrics(self) -> Metrics:
        """Counts, and percentiles of waiting and working for both lanes."""
        return metrics(self.entry)

    def fates(self) -> Fates:
        """Count what became of every accepted activity. The counts always add up."""
        return fates(self.entry)

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Return everything about it at one time, as one immutable record."""
        return snapshot(self.entry, metrics)

    @property
    def history(self) -> History[S]:
        """Its states one after the other, as far as they are recorded: `runtime.history[-1].state`, see `History`."""
        from .history.commits import History

        return History(self.manager.origin, self.entry.id)

    def subscribe(self) -> Subscription:
        """Return its records from now on, as an async iterator; bounded, `dropped` says how many were let go."""
        return Subscription(self.manager.ring, self.manager.listeners, self.has_left, self.entry.id)

    def has_left(self) -> bool:
        """Whether it has ended and its last record is written."""
        self.manager.check_process()
        return self.entry.closed and not self.manager.holds(self.entry)

    def mailbox_items(self) -> list[Activity[Any]]:
        """Return what waits, in order: the priority lane, the standard lane, then what is not yet due."""
        return commands.items(self.entry)

    @property
    def breakpoints(self) -> Breakpoints:
        """What it stops at: `runtime.breakpoints.add("priority")`, see `Breakpoints`."""
        from .debugger import breakpoints

        return breakpoints(self.entry)

    def where(self) -> list[StackFrame]:
        """Return the frames of its current activity, outermost first, down to what it awaits; empty when idle."""
        from .debugger import where

        return where(self.entry)

    def whereabouts(self) -> Whereabouts:
        """Return the same, with how it is running, which activity it processes, and which runtimes it waits for."""
        from .debugger import whereabouts

        return whereabouts(self.entry)

    # ---- commands: any thread; each is recorded with who gave it

    def pause(self) -> None:
        """Take nothing more after the activity that runs now."""
        commands.pause(self.entry)

    def resume(self) -> None:
        """Continue after a pause."""
        commands.resume(self.entry)

    def answer(self, payload: P) -> Receipt[S]:
        """Send what a paused runtime waits for. It is processed before all else, and ends the pause once it is done.

        If it fails, or its workflow asks again (`Context.pause`), the runtime stays paused. One that is not paused gets
        it as by `send_nowait` with `priority=True`. An answer that still waits when the process of a durable runtime
        ends, or when it is moved, waits for another one or for `resume`.

        Args:
            payload: The answer.

        Returns:
            Its receipt.

        Raises:
            ConfigurationError: The payload is an activity that is due later (`not_before`).
            AgentError: What `send_nowait` raises. The runtime is then as it was.

        >>> import agentrt
        >>> async def ask_first(activity, state, ctx):
        ...     if not state:
        ...         ctx.pause("it asks for a number")
        ...     return (*state, activity.payload)
        >>> with agentrt.RuntimeManager() as manager:
        ...     runtime = manager.create("asks", (), ask_first)
        ...     receipts = [runtime.send_nowait(each) for each in ("question", "next")]
        ...     _ = receipts[0].result(5), runtime.answer(42)
        ...     receipts[1].result(5).state
        ('question', 42, 'next')
        """
        if isinstance(payload, Activity) and payload.not_before is not None:
            raise refuse("not_before", payload.not_before, "None in an answer, which is processed at once", self.id)
        with at_once():  # a workflow that answers need not be done before
            receipt = self.send_nowait(payload, priority=True)
        await_answer(self.entry, receipt)
        return receipt

    def step(self, n: int = 1) -> int:
        """Pause, and process the next waiting activities one after another.

        Args:
            n: How many; a whole number of at least 1.

        Returns:
            How many there are to process: fewer than `n` if fewer wait.

        Raises:
            RuntimeFailedError: The supervisor stopped the runtime; see `recover`.
        """
        return commands.step(self.entry, n)

    def recover(self) -> None:
        """Continue after the supervisor stopped it, with the state and the mailbox it has."""
        commands.recover(self.entry)

    def swap(self, workflow: Callable[..., Any]) -> None:
        """Use another workflow from the next activity on; state and mailbox are kept.

        Raises:
            ConfigurationError: It can't be called as a workflow.
        """
        commands.swap(self.entry, self.manager.prepare(workflow, self.entry.limits))

    def terminate(self, drain: bool = False) -> Promise[bool]:
        """End it. It begins at once, and accepts nothing more; await the result to wait for the end.

        Every open receipt is decided with `RuntimeTerminatedError`; what was not delivered becomes a dead letter.

        Args:
            drain: Whether to process first what waits, also what is not due yet.
        """
        return commands.terminate(self.entry, drain)

    def drop(self, id: int) -> Activity[Any]:
        """Take a waiting activity out of the mailbox, and return it. Its receipt is decided with `MailboxFullError`.

        Raises:
            AgentError: No activity of this id waits (any more). So do the other commands on one activity.
        """
        return commands.drop(self.entry, id)

    def promote(self, id: int) -> Place:
        """Move a waiting activity to the end of the priority lane; return where it was, for `put_back`."""
        return commands.move(self.entry, id, lane=Lane.PRIORITY)

    def demote(self, id: int) -> Place:
        """Move a waiting activity to the end of the standard lane; return where it was, for `put_back`."""
        return commands.move(self.entry, id, lane=Lane.STANDARD)

    def first(self, id: int) -> Place:
        """Move a waiting activity that is due to the front of its lane; return where it was, for `put_back`."""
        return commands.move(self.entry, id, first=True)

    def put_back(self, id: int, place: Place) -> Place:
        """Undo a move: put a waiting activity where it was, beside the neighbours that still wait.

        >>> import agentrt
        >>> with agentrt.RuntimeManager() as manager:
        ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
        ...     runtime.pause()
        ...     ids = [runtime.send_nowait(n).id for n in (1, 2, 3)]
        ...     place = runtime.promote(ids[1])
        ...     [activity.payload for activity in runtime.mailbox_items()]
        ...     was = runtime.put_back(ids[1], place)
        ...     [activity.payload for activity in runtime.mailbox_items()]
        [2, 1, 3]
        [1, 2, 3]
        """
        return commands.put_back(self.entry, id, place)

    def edit(self, id: int, payload: P) -> Any:
        """Give a waiting activity another payload, and return the one it had.

        Raises:
            ActivityValidationError: The workflow does not take this payload.
        """
        return commands.edit(self.entry, id, payload)

    def edit_state(self, state: S) -> S:
        """Give it another state, between two activities or while one is stopped inside; return the one it had.

        An activity that is stopped began with the old one: `breakpoints.retry()` runs it again with this.

        Raises:
            AgentError: An activity runs, or the workflow can't have such a state.
        """
        old: S = edit_state(self.entry, state)
        return old

    def grant(self, rights: Iterable[str] | str) -> Grant[S, P]:
        """Make a handle that allows only some of what this one does. It can be revoked, and not be widened.

        Args:
            rights: "send", "observe", "control", or several of them; see `Grant`.
        """
        return Grant(self, rights)

    # ---- in a notebook

    def widget(self) -> Any:
        """Show it as plain ipywidgets, for front ends that support nothing else."""
        with explain_missing("a widget needs"):
            from .views.notebook.widget import Widget

        return Widget(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from .notebook import mime_bundle

        return mime_bundle(self, include, exclude)

    def _display_(self) -> Any:  # what marimo asks for
        from .notebook import displayable

        return displayable(self)


type.__setattr__(Runtime, "param", Namespace())

# Who asks a handle for help on one of these is shown its contract, though the method is the entry's.
BOUND = ("send_nowait", "send", "ask")
for _name in BOUND:
    _method: Any = vars(RuntimeEntry)[_name]
    _method.__signature__, _method.__doc__ = signature(vars(Runtime)[_name]), vars(Runtime)[_name].__doc__
