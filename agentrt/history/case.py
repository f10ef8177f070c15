"""A case: a workflow that a recorded test runs on what it was given then. It needs no manager.

>>> async def till(activity, state, ctx):
...     price = await ctx.effect("price", input)
...     await ctx.send("ledger", price)
...     return state + price
>>> case = Case("till", till, 10)
>>> case.run("tea", effects={"price": 3}).state
13
>>> case.sends
[('ledger', 3)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack

import msgspec

from ..activity import Activity, Lane
from ..events import Outcome
from ..schema.difference import has_changed
from .playback import Performance, perform
from .playback_loop import run_apart
from .script import Attempt, CallKind, RecordedCall, Script
from .stage import Stage

__all__ = ["Case", "Returned", "has_changed", "make_error", "send_of"]

E = TypeVar("E", bound=BaseException)

Answer = tuple[str, Any]


class ActivityFields(TypedDict, total=False):
    """What else a workflow may read of its activity, see `Activity`."""

    created: float
    timeout: float | None
    not_before: float | None
    parent: int | None
    correlation: int | None
    key: str | None


class Returned(NamedTuple):
    """An exception that an effect or an answer gives as a value, instead of raising it."""

    value: Any


def make_error(kind: type[E], *args: Any, cause: BaseException | None = None, **attributes: Any) -> E:
    """Make an exception with these arguments and attributes, without its own `__init__`.

    >>> make_error(ValueError, "no such item", item="tea").item
    'tea'
    """
    error = kind.__new__(kind, *args)
    error.args, error.__cause__ = args, cause
    error.__dict__.update(attributes)
    return error


class NoResultError(AssertionError):
    """The workflow does an effect that the case has no result for."""


class CaseStage(Stage):
    """Gives what the case was given, and takes whatever the workflow does: the test says what that should be."""

    def __init__(self, script: Script, at: float, numbers: Iterable[int]) -> None:
        super().__init__(script, script.attempts[0])
        self.time = at
        self._numbers = iter(numbers)

    def meet(self, call: RecordedCall) -> RecordedCall:
        """What there is for a call; an effect for which there is nothing is an `AssertionError`."""
        self.met.append(call)
        found = next((each for each in self._left if (each.kind, each.name) == (call.kind, call.name)), None)
        if found is not None:
            self._take(found)
            call = found
        if call.kind == CallKind.SEND:
            call = msgspec.structs.replace(call, activity=next(self._numbers, 0))
        if found is not None:
            return call
        if call.kind == CallKind.EFFECT:
            raise NoResultError(f"it does {call.name!r}, for which the case has no result; it has {self._names()}")
        return call

    def _names(self) -> str:
        return ", ".join(repr(each.name) for each in self._left if each.kind == CallKind.EFFECT) or "none"

    def has_send(self, call: RecordedCall) -> bool:
        """Whether anything is known of what comes of a send."""
        return any((each.kind, each.name) == (call.kind, call.name) for each in self._left)

    def finish(self) -> None:
        """Nothing is asked of it."""


class Case:
    """One runtime of a recorded test.

    After each `run` the attributes say what came of it: `state`, `reply` (None if nothing), `error` (its class and its
    message as a text; None if it was done), `sends` and `effects`, the names of the effects.

    Args:
        runtime: The id.
        workflow: The function.
        state: The state to begin with.
        seed: Of the manager, for `ctx.random`.
    """

    def __init__(self, runtime: str, workflow: Callable[..., Any], state: Any = None, *, seed: int = 0) -> None:
        self.runtime = runtime
        self.workflow = workflow
        self.state = state
        self.seed = seed
        self.reply: Any = None
        self.error: str | None = None
        self.sends: list[tuple[Any, ...]] = []
        self.effects: list[str] = []
        self.performance = Performance()

    def run(
        self,
        payload: Any,
        *,
        id: int = 1,
        lane: str = "standard",
        at: float = 0.0,
        source: str | None = None,
        times: Sequence[float] = (),
        effects: Mapping[str, Any] | None = None,
        answers: Sequence[Answer] = (),
        refusals: Sequence[tuple[Any, BaseException]] = (),
        numbers: Sequence[int] = (),
        **fields: Unpack[ActivityFields],
    ) -> Case:
        """Run the workflow on one activity.

        Args:
            payload: What it reads as `activity.payload`; or an activity with fields of its own.
            id: The number of the activity; `ctx.random` is seeded with it.
            lane: Where it waited.
            at: When it began; seconds on the clock.
            source: The id of the runtime that sent it.
            times: What `ctx.now()` gives, one after the other.
            effects: What each effect gives, by name; an exception is raised, unless it is `Returned(...)`.
            answers: What comes of its sends, by the id of who gets them, in order; an exception is raised as well.
            refusals: Payloads that are not accepted, and with which error.
            numbers: The numbers of what it sends, in order.
            **fields: What else it reads of its activity; `created` is `at` without one.

        Raises:
            AssertionError: It does an effect or waits for an answer that the case does not have.
        """
        activity = payload if isinstance(payload, Activity) else Activity(payload=payload)
        own: dict[str, Any] = {"created": at, **fields}
        activity = msgspec.structs.replace(activity, id=id, runtime=self.runtime, lane=Lane(lane), source=source, **own)
        calls = [*map(_effect, (effects or {}).items()), *map(_answer, answers)]
        calls += [RecordedCall(CallKind.REFUSED, "", value, error=error) for value, error in refusals]
        ended = Outcome(0, id, self.runtime, lane == "priority", "done", at, at, at, None)
        script = Script(activity, self.state, ended, (Attempt(tuple(calls)),), tuple(times), self.seed)
        stage = CaseStage(script, at, numbers)
        found = run_apart(lambda: perform(self.workflow, script, stage))
        if found.unrecorded:
            raise AssertionError(found.unrecorded)
        if isinstance(found.error, NoResultError):
            raise found.error
        self._take(found)
        return self

    def _take(self, found: Performance) -> None:
        self.performance = found
        self.error = None if found.error is None else f"{type(found.error).__name__}: {found.error}"
        self.reply = None if found.reply is msgspec.UNSET else found.reply
        self.sends = [send_of(each) for each in found.calls if each.kind == CallKind.SEND]
        self.effects = [each.name for each in found.calls if each.kind == CallKind.EFFECT]
        if found.error is None:
            self.state = found.state


def _effect(item: tuple[str, Any]) -> RecordedCall:
    name, value = item
    if isinstance(value, BaseException):
        return RecordedCall(CallKind.EFFECT, name, error=value)
    return RecordedCall(CallKind.EFFECT, name, result=value.value if isinstance(value, Returned) else value)


def _answer(answer: Answer) -> RecordedCall:
    to, value = answer
    error: Any = value if isinstance(value, BaseException) else None
    value = value.value if isinstance(value, Returned) else value
    return RecordedCall(CallKind.SEND, to, result=Outcome(0, 0, to, False, "done", 0.0, 0.0, 0.0, value, error=error))


def send_of(call: RecordedCall) -> tuple[Any, ...]:
    """A send as a test compares it: to whom, what, and "priority" if it is."""
    return (call.name, call.value) if call.lane != Lane.PRIORITY else (call.name, call.value, "priority")
