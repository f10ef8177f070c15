"""What a workflow meets when it runs again: its context, with everything served from the record."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Generator, Mapping
from random import Random
from typing import Any, TypeVar

import msgspec

from ..activity import Activity, Lane
from ..context import Context
from ..errors import AgentError
from ..events import Outcome
from ..receipt import Receipt
from ..schema.difference import has_changed
from ..schema.immutability import copy_out_always, is_frozen
from ..schema.numbers import seconds as check_seconds
from .impurity import GivenValue, Unrecorded
from .script import Attempt, CallKind, RecordedCall, Script, content_of, options_of

__all__ = ["Mismatch", "PlaybackContext", "Stage"]

T = TypeVar("T")
NEVER = 1e12  # seconds of the loop: after all that it may wait for meanwhile
LEAP = 1e-9  # real seconds in which a second passes on a clock that leaps: what is due first comes first
NEVER_DECIDED = "what it waits for was never decided, as far as the record goes"


class Mismatch(BaseException):
    """The workflow does something else than the record says. `expected` is None if it should do nothing more."""

    def __init__(self, expected: RecordedCall | None, got: RecordedCall | None) -> None:
        super().__init__(f"{got} and not {expected}")
        self.expected, self.got = expected, got


class Stage:
    """Stands for the entry and for the manager, to a workflow that runs again.

    Args:
        script: What the record says.
        attempt: Which of its attempts this is.
        effects: Functions to call in place of what the record has, by the name of the effect.
        readings: What the clock gives, and what later attempts are given of it; all of it without this.
    """

    breakpoints = effects = None

    def __init__(
        self,
        script: Script,
        attempt: Attempt,
        effects: Mapping[str, Callable[..., Any]] | None = None,
        readings: list[float] | None = None,
    ) -> None:
        self.script = script
        self.id = script.activity.runtime
        self.seed = script.seed or 0
        self.host = self.clock = self
        self.began = attempt.began
        self.time = attempt.began if attempt.began is not None else script.activity.created
        self.pace = (
            LEAP if math.isinf(script.speed) else 1.0 / (script.speed or 1.0)
        )  # real seconds to one of the clock
        self.given: list[GivenValue] = []  # results and answers that can be changed in place
        self.substitutes = effects or {}
        self.met: list[RecordedCall] = []  # what it has done
        self.receipts: dict[tuple[str, Any], PlaybackReceipt] = {}  # of what it sent with a key, by runtime and key
        self.stopped: Mismatch | None = None
        self.times: list[float] = []  # what it was given of the readings
        self.used_time = self.used_chance = self.has_tasks_left = False
        self._left = list(attempt.calls)
        self._late = list(attempt.late)
        self._sent = asyncio.Event()  # set where something was sent
        self._readings = list(script.readings) if readings is None else readings
        while self._readings and self.began is not None and self._readings[0] < self.began:
            self._readings.pop(0)

    # ---- as the entry, the host and the clock

    def now(self) -> float:
        """The time, where no reading is recorded."""
        return self.time

    def read_time(self) -> float:
        """What the clock gave to the activity then."""
        self.used_time = True
        if "now" in self.script.not_recorded:
            raise Unrecorded("it reads the time, and what the clock gave is not stored")
        if self._readings:
            self.time = max(self.time, self._readings[0])
            self.times.append(self._readings[0])
            return self._readings.pop(0)
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let time pass: at once, but what is due before comes before."""
        self.time += seconds
        await asyncio.sleep(seconds * self.pace)

    def _seconds_until(self, at: float | None) -> float:
        """Seconds of the loop until the clock reads this; 0 where that is not known."""
        if at is None or self.began is None:
            return 0.0
        return max(0.0, (at - self.began) * self.pace - asyncio.get_running_loop().time())

    async def wait_until(self, at: float | None) -> None:
        """Go on when the clock reads this, as then: what comes at the same time in other tasks keeps its order."""
        seconds = self._seconds_until(at)
        if seconds > 0:
            await asyncio.sleep(seconds)

    def is_in_time(self, outcome: Outcome[Any] | None) -> bool:
        """Whether what was sent had come to its end when the activity did."""
        return outcome is not None and outcome.sequence <= self.script.outcome.sequence

    def has_come(self, outcome: Outcome[Any] | None) -> bool:
        """Whether what was sent has come to its end by now."""
        return outcome is not None and self.is_in_time(outcome) and self._seconds_until(outcome.finished) <= 0

    async def wait_for(self, outcome: Outcome[Any] | None) -> Outcome[Any]:
        """Wait for the end of what was sent as long as it took then."""
        if outcome is None or not self.is_in_time(outcome):
            await asyncio.sleep(NEVER)  # it may be waited for with a timeout
            raise Unrecorded(NEVER_DECIDED)
        if outcome.sequence != outcome.id + 1:  # else it was processed in the turn of who waits for it
            await self.wait_until(outcome.finished)
        return outcome

    def give(self, what: str, name: str, value: Any) -> Any:
        """What the workflow gets of a value of the record: a copy of one that it could change."""
        if is_frozen(value):
            return value
        copy = copy_out_always(value)
        self.given.append(GivenValue(what, name, value, copy))
        return copy

    def show_steps(self, activity: int, steps: tuple[str, ...]) -> None:
        """Nobody looks."""

    def record_event(self, kind: str, detail: Any = None, who: str | None = None) -> None:
        """A step, a message or a number."""
        name = str(detail.get("name", ""))
        self.meet(RecordedCall(kind, name, detail.get("message", detail.get("value"))))

    # ---- what it does, beside what the record says

    def meet(self, call: RecordedCall) -> RecordedCall:
        """The recorded call that this one is; raises `Mismatch` if it is another one."""
        self.met.append(call)
        if call.kind in self.script.not_recorded:
            return call
        same_kind = [each for each in self._left if each.kind == call.kind]
        late = next((each for each in self._late if _is_same_call(each, call)), None)
        # What it sends has an order. All else may end in any order, in tasks of the workflow's own.
        candidates = same_kind[:1] if call.kind == CallKind.SEND else same_kind
        found = next((each for each in candidates if _is_same_call(each, call)), None)
        if found is None and late is not None:
            self._late = [each for each in self._late if each is not late]
            return late
        if found is None:
            named = next((each for each in candidates if each.name == call.name), None)
            if named is None and call.kind == CallKind.EFFECT and "arguments" in self.script.not_recorded:
                raise Unrecorded(f"the result of its effect {call.name!r} is not stored")
            self.stop(Mismatch(named or next(iter(same_kind), None), call))
        assert found is not None
        self._take(found)
        self._sent.set()
        return found

    def _take(self, call: RecordedCall) -> None:
        self._left = [each for each in self._left if each is not call]  # not by `==`: values may have any

    def take_refusal(self, payload: Any) -> BaseException | None:
        """Why a send was refused; None if the record knows of none."""
        for each in self._left:
            if each.kind == CallKind.REFUSED and not has_changed(each.value, payload):
                self._take(each)
                return each.error
        return None

    def has_send(self, call: RecordedCall) -> bool:
        """Whether the next send on the record is this one."""
        expected = next((each for each in self._left if each.kind == CallKind.SEND), None)
        return expected is not None and _is_same_call(expected, call)

    async def wait_for_turn(self, call: RecordedCall) -> None:
        """Let tasks beside this one send first what they had sent first."""
        while not self.has_send(call) and self._has_later_send(call):
            self._sent.clear()
            try:
                await asyncio.wait_for(self._sent.wait(), NEVER / 2)
            except TimeoutError:  # nobody will
                return

    def _has_later_send(self, call: RecordedCall) -> bool:
        return any(each.kind == CallKind.SEND and _is_same_call(each, call) for each in self._left)

    def has_send_to(self, id: str) -> bool:
        """Whether any send to a runtime is still to come."""
        return any(each.kind == CallKind.SEND and each.name == id for each in self._left)

    def stop(self, why: Mismatch) -> None:
        """Go on no further."""
        self.stopped = self.stopped or why
        raise self.stopped

    def finish(self) -> Mismatch | None:
        """What it should have done and has not; of what tasks do that it leaves behind, nobody can tell."""
        left = [] if self.has_tasks_left else [each for each in self._left if each.kind != CallKind.REFUSED]
        return Mismatch(left[0], None) if left else None


def _is_same_call(recorded: RecordedCall, call: RecordedCall) -> bool:
    if recorded.name != call.name or recorded.lane != call.lane:
        return False
    if call.kind == CallKind.SEND and not _has_same_options(recorded.options, call.options):
        return False
    if recorded.value is msgspec.UNSET:
        return True
    if call.kind == CallKind.EFFECT and not (is_frozen(recorded.value) and is_frozen(call.value)):
        return len(recorded.value) == len(call.value)  # what could be changed in place may have been
    return call.kind == CallKind.STEP or not has_changed(recorded.value, call.value)


def _has_same_options(recorded: dict[str, Any] | None, given: dict[str, Any] | None) -> bool:
    if recorded is None or given is None:  # of a file
        return True
    if recorded.keys() != given.keys():
        return False
    delays = (recorded.get("delay", 0.0), given.get("delay", 0.0))
    others = [name for name in given if name != "delay"]
    is_delay = math.isclose(*delays, rel_tol=1e-9, abs_tol=1e-5)  # the record has when it was due
    return is_delay and all(recorded[name] == given[name] for name in others)


class PlaybackContext(Context):
    """The `ctx` of a workflow that runs again: time, chance, effects and answers are those of the record."""

    __slots__ = ("_stage",)

    def __init__(self, stage: Stage, activity: Activity[Any]) -> None:
        super().__init__(stage, activity)  # type: ignore[arg-type]  # what a context asks of an entry, and no more
        self._stage = stage

    def now(self) -> float:
        """The time that it was given then."""
        return self._stage.read_time()

    @property
    def random(self) -> Random:
        """The chance that it had then."""
        self._stage.used_chance = True
        if self._stage.script.seed is None:
            raise Unrecorded("it uses chance, and the seed is not stored")
        return super().random

    def pause(self, why: str = "") -> None:
        """Nothing comes after it."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await self._stage.sleep(check_seconds("seconds", seconds, endless=False))

    async def effect(self, name: str, function: Callable[..., T | Awaitable[T]], *args: Any) -> T:
        """The recorded result; the function is not called."""
        found = self._stage.meet(RecordedCall(CallKind.EFFECT, self._effect_key(name), args))
        substitute = self._stage.substitutes.get(name)
        if substitute is not None:
            result = substitute(*args)
            value: T = await result if inspect.isawaitable(result) else result
            return value
        await self._stage.wait_until(found.at)
        if found.error is not None:
            raise found.error
        recorded: T = self._stage.give("the result of an effect", name, found.result)
        return recorded

    async def send(self, to: Any, payload: Any, **options: Any) -> PlaybackReceipt:
        """A receipt that is decided as it was then."""
        return await self._send(to, payload, options)

    async def ask(self, to: Any, payload: Any, **options: Any) -> Any:
        """The answer that it got then."""
        receipt = await self._send(to, payload, options)
        outcome: Outcome[Any] = await receipt
        return self._stage.give("an answer", outcome.runtime, outcome.value)

    async def _send(self, to: Any, payload: Any, options: Mapping[str, Any]) -> PlaybackReceipt:
        id = to if isinstance(to, str) else str(getattr(to, "id", to))
        lane = Lane.PRIORITY if options.get("priority") else Lane.STANDARD
        names = ("delay", "timeout", "key")
        given: dict[str, Any] | None = {name: options[name] for name in names if options.get(name) is not None}
        if isinstance(payload, Activity):
            # A time at which it is due is no delay: when it was sent is not the same again.
            given = None if payload.not_before is not None else {**options_of(payload), **(given or {})}
            lane = max(lane, payload.lane, key=lambda each: each is Lane.PRIORITY)
            payload = content_of(payload)
        call = RecordedCall(CallKind.SEND, id, payload, lane=lane.value, options=given)
        stage, key = self._stage, options.get("key")
        if (id, key) in stage.receipts:  # nothing was sent a second time
            return stage.receipts[id, key]
        await stage.wait_for_turn(call)
        if not stage.has_send(call):
            error = stage.take_refusal(payload)
            if error is not None:
                raise error
            if key is not None and not stage.has_send_to(id):
                raise Unrecorded(f"it sends with the key {key!r}, which an earlier activity had: see that one")
        found = stage.meet(call)
        outcome: Outcome[Any] | None = None if found.result is msgspec.UNSET else found.result
        receipt = PlaybackReceipt(None, id=found.activity, stage=stage, recorded=outcome, to=id)
        if key is not None:
            stage.receipts[id, key] = receipt
        return receipt


class PlaybackReceipt(Receipt):
    """The receipt of what was sent then. `recorded` is the outcome; None if the record has none."""

    stage: Any = None
    recorded: Any = None
    to: str = ""

    @property
    def outcome(self) -> Outcome[Any] | None:
        """The outcome, or None while it is pending."""
        if self.value is None and self.stage.has_come(self.recorded):
            self.value = self.recorded
        return self.value

    @property
    def runtime(self) -> str:
        """The id of the runtime it was sent to."""
        return self.to

    async def wait(self) -> None:
        """Wait until it is decided."""
        if self.value is None:
            self.value = await self.stage.wait_for(self.recorded)

    def __await__(self) -> Generator[Any, None, Outcome[Any]]:
        yield from self.wait().__await__()
        error: Any = self.recorded.error  # of a case, any exception
        if error is not None:
            raise error.copy() if isinstance(error, AgentError) else error
        outcome: Outcome[Any] = self.recorded
        return outcome
