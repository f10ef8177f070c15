"""ctx: all that reaches a workflow from outside goes through here, so that a run can be replayed."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar, Unpack

import msgspec

from .activity import Activity, SendOptions
from .engine.protocols import Member
from .receipt import Receipt
from .schema.preview import preview

__all__ = ["Context"]

T = TypeVar("T")

# The steps that the running code is in, outermost first. Each task has its own, and begins in those of its maker.
STEPS: ContextVar[tuple[str, ...]] = ContextVar("agentrt_steps", default=())


class Context:
    """What a workflow with a third parameter is given, one for each activity.

    Its time and chance are the manager's: on a faster or a virtual clock, or with a seed, the same workflow runs
    unchanged. Only for use in the workflow it was given to.

    >>> import agentrt
    >>> async def polite(activity, state, ctx):
    ...     await ctx.sleep(0.001)
    ...     ctx.reply(f"hello {activity.payload}")
    ...     return state + 1
    >>> with agentrt.RuntimeManager() as manager:
    ...     manager.run(manager.create("polite", 0, polite).ask("you"))
    'hello you'
    """

    __slots__ = ("_entry", "_open", "_random", "activity", "replied")

    def __init__(self, entry: Member, activity: Activity[Any]) -> None:
        self._entry = entry
        self.activity = activity
        self.replied: Any = msgspec.UNSET
        self._open: dict[object, tuple[str, ...]] | None = None  # steps that are not over, with those around each
        self._random: random.Random | None = None

    @property
    def runtime(self) -> str:
        """The id of the runtime this activity runs in."""
        return self._entry.id

    def reply(self, value: Any) -> None:
        """What `ask` returns for this activity, once it is done; without it, the new state."""
        self.replied = value

    async def send(self, to: Any, payload: Any, **options: Unpack[SendOptions]) -> Receipt:
        """Send to another runtime (its id or handle), with this activity as the parent. Options as `Runtime.send`."""
        receipt: Receipt = await self._entry.host.recipient(to).send(payload, **options)
        return receipt

    async def ask(self, to: Any, payload: Any, **options: Unpack[SendOptions]) -> Any:
        """Send and wait for the reply. A circle of asks raises `DeadlockError` at once."""
        return await self._entry.host.recipient(to).ask(payload, **options)

    def now(self) -> float:
        """Seconds on the manager's clock."""
        return self._entry.host.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the manager's clock: shorter when it runs faster, for ever while it is stopped."""
        await self._entry.host.sleep(seconds)

    @property
    def random(self) -> random.Random:
        """A source of chance of this activity's own: the manager's seed and the activity's id decide all it gives."""
        if self._random is None:
            self._random = random.Random(f"{self._entry.host.seed}:{self.activity.id}")
        return self._random

    async def effect(self, name: str, function: Callable[..., T | Awaitable[T]], *args: Any) -> T:
        """Do something outside (call, write, ask a service), and put what came of it on the record as `name`.

        What it raises is raised here, and on the record as well: it may have been done in part.
        """
        try:
            result = function(*args)
            value: T = await result if inspect.isawaitable(result) else result
        except BaseException as error:
            self._note("effect", name=name, failed=True, error=preview(error, 200))
            raise
        self._note("effect", name=name, value=value)
        return value

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named span of this activity, for the timeline; may be nested.

        `with ctx.step("fetch"): ...`

        Tasks of one activity have steps of their own, side by side; a snapshot shows the one that began last.
        """
        outer, started = STEPS.get(), self.now()
        token, key, failed = STEPS.set((*outer, name)), object(), True
        self._open = self._open if self._open is not None else {}
        self._open[key] = (*outer, name)
        self._show()
        try:
            yield
            failed = False
        finally:
            with suppress(ValueError):  # thrown away by somebody in another context, which was never in the step
                STEPS.reset(token)
            del self._open[key]
            self._show()
            self._note("step", name=name, depth=len(outer), started=started, failed=failed)

    def _show(self) -> None:
        paths = tuple((self._open or {}).values())
        self._entry.show_steps(self.activity.id, paths[-1] if paths else ())

    def metric(self, name: str, value: float) -> None:
        """Put a number on the record under a name."""
        self._note("metric", name=name, value=value)

    def log(self, message: object) -> None:
        """Put a line on the record."""
        self._note("log", message=message)

    def _note(self, kind: str, **detail: Any) -> None:
        self._entry.record_event(kind, {"activity": self.activity.id, **detail})
