"""Context: a workflow gets time, chance, replies and side effects only through it, so that it can be replayed."""

from __future__ import annotations

import inspect
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar, Unpack

import msgspec

from .activity import Activity, SendOptions
from .engine.protocols import Member
from .errors import ActivityTimeoutError, AgentError, ProcessingError
from .receipt import Receipt
from .schema.numbers import seconds as check_seconds
from .schema.preview import preview

__all__ = ["Context"]

T = TypeVar("T")
MOST_READINGS = 1_000  # of the time, by one activity, that are kept for a replay

# The steps that the running code is in, outermost first. A new task begins in the steps of the one that made it.
STEPS: ContextVar[tuple[str, ...]] = ContextVar("agentrt_steps", default=())


class Context:
    """The third parameter of a workflow, `ctx`: one for each activity, for use in that workflow only.

    Its time and chance are the manager's: the same workflow runs unchanged on a faster or a virtual clock, or with a
    seed. All of it is for the agents' loop, or the worker thread of a blocking workflow.

    >>> import agentrt
    >>> async def polite(activity, state, ctx):
    ...     await ctx.sleep(0.001)
    ...     ctx.reply(f"hello {activity.payload}")
    ...     return state + 1
    >>> with agentrt.RuntimeManager() as manager:
    ...     manager.run(manager.create("polite", 0, polite).ask("you"))
    'hello you'
    """

    __slots__ = ("_entry", "_names", "_open", "_random", "_readings", "activity", "replied")

    def __init__(self, entry: Member, activity: Activity[Any]) -> None:
        self._entry = entry
        self.activity = activity
        self.replied: Any = msgspec.UNSET
        self._open: dict[object, tuple[str, ...]] | None = None  # steps that are not over, with those around each
        self._random: random.Random | None = None
        self._readings: list[float] | None = None  # what it was given as the time, for a replay
        self._names: Counter[str] | None = None  # how often each effect was asked for

    @property
    def runtime(self) -> str:
        """The id of the runtime this activity runs in."""
        return self._entry.id

    def reply(self, value: Any) -> None:
        """Set what `ask` returns for this activity once it is done; without a reply it is the new state."""
        self.replied = value

    def pause(self, why: str = "") -> None:
        """Pause this runtime once this activity is done; nothing is paused if it fails, or fails for now.

        What waits then waits on. `Runtime.answer` sends what is processed next and ends the pause; so does
        `Runtime.resume`, for whatever is next. A runtime that restarts is not paused any more, and one that ends with
        `terminate(drain=True)` is not paused at all.

        Args:
            why: What it waits for, for those who look: "it asks whether to publish".
        """
        entry, activity = self._entry, self.activity
        with entry.host.lock:
            if entry.current is activity and activity.receipt.value is None:
                entry.request_pause(activity.id, str(why))

    async def send(self, to: Any, payload: Any, **options: Unpack[SendOptions]) -> Receipt:
        """Send to another runtime, with this activity as the parent.

        Args:
            to: The id of the runtime, its handle, or a grant to send.
            payload: What its workflow reads as `activity.payload`.
            **options: Those of `Runtime.send`, which also says what it raises.

        Returns:
            The receipt, once the activity is accepted.
        """
        try:
            receipt: Receipt = await self._entry.host.recipient(to).send(payload, **options)
        except AgentError as error:
            self._record("refused", payload=payload, error=error)
            raise
        return receipt

    async def ask(self, to: Any, payload: Any, **options: Unpack[SendOptions]) -> Any:
        """Send to another runtime and wait until it is done.

        Args:
            to: As in `send`.
            payload: As in `send`.
            **options: As in `send`.

        Returns:
            The reply of its workflow, else its new state.

        Raises:
            DeadlockError: That runtime waits, itself or by way of others, for this one.
            AgentError: What `Runtime.ask` raises.
        """
        try:
            return await self._entry.host.recipient(to).ask(payload, **options)
        except (ProcessingError, ActivityTimeoutError):
            raise
        except AgentError as error:  # it was not sent, or came to another end: a replay asks the record which
            self._record("refused", payload=payload, error=error)
            raise

    def now(self) -> float:
        """Return the time: seconds on the manager's clock."""
        now = self._entry.host.clock.now()
        if self._readings is None:
            self._readings = self._entry.host.readings.of(self.activity.id)
        if len(self._readings) < MOST_READINGS:
            self._readings.append(now)
        return now

    async def sleep(self, seconds: float) -> None:
        """Sleep for seconds on the manager's clock: shorter when it runs faster, for ever while it is stopped.

        Raises:
            ConfigurationError: Less than 0 seconds, or no duration at all.
        """
        await self._entry.host.sleep(check_seconds("seconds", seconds, endless=False))

    @property
    def random(self) -> random.Random:
        """A random generator for this activity alone, seeded by the manager's seed and the activity's id."""
        if self._random is None:
            self._random = random.Random(f"{self._entry.host.seed}:{self.activity.id}")
        return self._random

    async def effect(self, name: str, function: Callable[..., T | Awaitable[T]], *args: Any) -> T:
        """Do something with an effect outside, and record its result.

        In a durable runtime the result is stored: when the activity is interrupted and runs again, it is served from
        the record and the function is not called.

        Args:
            name: What it is called in the record.
            function: Does it; async or not.
            *args: Its arguments.

        Returns:
            Its result.

        Raises:
            JournalError: In a durable runtime, the result can't be stored.
            BaseException: What the function raises. It is recorded as well: the effect may have happened in part.
        """
        effects, key = self._entry.effects, self._effect_key(name)
        if effects is not None:
            await self.activity.receipt.stored()  # what it is for will not be gone after a crash
            found = effects.find(self.activity, key)
            if found is not None:
                earlier: T = found[0]
                self._record("effect", name=name, value=earlier, recorded=True)
                return earlier
        try:
            served = self._entry.host.served_effects
            result = function(*args) if served is None else served.find(self.activity, key, name)
            value: T = await result if inspect.isawaitable(result) else result
        except BaseException as error:
            self._record(
                "effect", name=name, failed=True, error=preview(error, 200), raised=error, **_of_call(name, key, args)
            )
            raise
        if effects is not None:
            await effects.keep(self.activity, key, value)
        self._record("effect", name=name, value=value, **_of_call(name, key, args))
        return value

    def _effect_key(self, name: str) -> str:
        """The name of an effect among those of its activity: the second one of a name is another."""
        self._names = self._names if self._names is not None else Counter()
        self._names[name] += 1
        times = self._names[name]
        return name if times == 1 else f"{name} ({times})"

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Name a part of this activity, for the timeline: `with ctx.step("fetch"): ...`. Steps may be nested.

        Tasks of one activity have steps of their own, in parallel; a snapshot shows the one that began last.
        """
        outer, started = STEPS.get(), self._entry.host.clock.now()
        token, key, failed = STEPS.set((*outer, name)), object(), True
        self._open = self._open if self._open is not None else {}
        self._open[key] = (*outer, name)
        self._show()
        try:
            self._pass_step((*outer, name))
            yield
            self._pass_step((*outer, name), ends=True)
            failed = False
        finally:
            with suppress(ValueError):  # closed in another context, which was never in the step
                STEPS.reset(token)
            (self._open or {}).pop(key, None)  # none, where it runs again
            self._show()
            self._record("step", name=name, depth=len(outer), started=started, failed=failed)

    def _pass_step(self, steps: tuple[str, ...], ends: bool = False) -> None:
        """Stop where a step begins or ends, if a breakpoint says so."""
        points = self._entry.breakpoints
        if points is not None:
            points.pass_step(self.activity.id, steps, ends)

    def _begin_again(self, activity: Activity[Any]) -> None:
        """The activity runs again from its beginning."""
        self.activity = activity
        self.replied = msgspec.UNSET
        with self._entry.host.lock:
            self._entry.forget_request()
        self._open = self._random = self._names = None

    def _show(self) -> None:
        paths = tuple((self._open or {}).values())
        self._entry.show_steps(self.activity.id, paths[-1] if paths else ())

    def metric(self, name: str, value: float) -> None:
        """Record a number under a name."""
        self._record("metric", name=name, value=value)

    def log(self, message: object) -> None:
        """Record a message."""
        self._record("log", message=message)

    def _record(self, kind: str, **detail: Any) -> None:
        self._entry.record_event(kind, {"activity": self.activity.id, **detail})


def _of_call(name: str, key: str, args: tuple[Any, ...]) -> dict[str, Any]:
    """What tells one effect of an activity from another, where its name does not."""
    found: dict[str, Any] = {} if key == name else {"key": key}
    return {**found, "args": args} if args else found
