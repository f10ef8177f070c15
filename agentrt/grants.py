"""Grants: handles that do only what their holder was given. See `docs/grants.md` for what they do not stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from .engine.protocols import Handle
from .errors import AccessDeniedError, ConfigurationError, RuntimeNotFoundError
from .events import Record
from .receipt import Receipt
from .schema.preview import preview
from .subscription import Subscription

if TYPE_CHECKING:
    from .engine.entry import RuntimeEntry

__all__ = ["Grant", "Right", "recipient_of"]


class Right(StrEnum):
    """What a grant may allow."""

    SEND = "send"
    OBSERVE = "observe"
    CONTROL = "control"


def rights_of(given: Iterable[str] | str) -> frozenset[Right]:
    """Rights from their names; `ConfigurationError` for an unknown one or none at all."""
    try:
        rights = frozenset(Right(right) for right in ({given} if isinstance(given, str) else given))
    except (ValueError, TypeError):
        rights = frozenset()
    if not rights:
        raise ConfigurationError(f"rights are {given!r}; give at least one of {', '.join(Right)}, such as {{'send'}}")
    return rights


def _method(name: str, right: Right) -> Callable[..., Any]:
    def call(self: Grant, *args: Any, **options: Any) -> Any:
        return getattr(self._reach(right, name), name)(*args, **options)

    call.__name__, call.__doc__ = name, f"`Runtime.{name}`, with the right to {right.value}."
    return call


def _readout(name: str, right: Right) -> property:
    return property(
        lambda self: getattr(self._reach(right, name), name), doc=f"`Runtime.{name}`, with the right to {right.value}."
    )


class Grant:
    """A handle on one runtime that allows only its `rights`: "send", "observe", "control". Each stands for itself.

    Made by `runtime.grant(rights)`. It can be handed on as it is or narrowed (`attenuate`), and taken back (`revoke`)
    together with all that was derived from it; there is no way to widen it. What it does not allow raises
    `AccessDeniedError`. In `ctx.send` and `ctx.ask` it stands where an id would. Safe from any thread.

    Who may send learns what came of it: the reply, or the new state where the workflow gives none.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     grant = runtime.grant({"send"})
    ...     grant.send_nowait(2).result(5).value
    ...     try:
    ...         grant.state
    ...     except agentrt.AccessDeniedError as error:
    ...         error.missing
    2
    'observe'
    """

    __slots__ = ("__weakref__", "_above", "_derived", "_revoked", "_rights", "_subscriptions", "_target")
    __frozen__ = True

    def __init__(self, target: Handle, rights: Iterable[str] | str, above: Grant | None = None) -> None:
        self._target = target
        self._rights = rights_of(rights)
        self._above = above  # kept, so that whoever revokes an ancestor finds this one
        self._derived: WeakSet[Grant] = WeakSet()
        self._subscriptions: WeakSet[GrantedSubscription] = WeakSet()
        self._revoked = False

    @property
    def runtime(self) -> str:
        """The id of the runtime."""
        return str(self._target.id)

    @property
    def rights(self) -> frozenset[Right]:
        """What it allows as long as it is not revoked."""
        return self._rights

    @property
    def revoked(self) -> bool:
        """Whether it, or one that it was derived from, was taken back."""
        return self._revoked

    def __repr__(self) -> str:
        rights = ", ".join(right.value for right in Right if right in self._rights)
        return f"<Grant {rights} on {self.runtime!r}{' (revoked)' if self.revoked else ''}>"

    def attenuate(self, rights: Iterable[str] | str) -> Grant:
        """A grant with some of these rights, that ends with this one at the latest."""
        narrower = rights_of(rights)
        for right in sorted(narrower - self._rights):
            self._deny(right, f"it has no right to {right.value} to hand on")
        grant = Grant(self._target, narrower, self)
        self._derived.add(grant)
        if self.revoked:  # looked at last: whoever revokes meanwhile finds it among those that were derived
            self._deny(None, "it was revoked")
        return grant

    def revoke(self) -> None:
        """Take it back, for good; with it goes all that was derived from it.

        A send that waits for room is refused, a subscription ends at once. What was accepted stays accepted.
        """
        todo = [self]
        while todo:
            grant = todo.pop()
            grant._revoked = True
            for subscription in tuple(grant._subscriptions):
                subscription.close()
            todo += tuple(grant._derived)

    def _reach(self, right: Right, what: str) -> Handle:
        if self.revoked:
            self._deny(right, f"{what!r} is not allowed: it was revoked")
        if right not in self._rights:
            self._deny(right, f"{what!r} needs the right to {right.value}")
        return self._target

    def _deny(self, missing: Right | None, why: str) -> NoReturn:
        raise AccessDeniedError(f"{self!r}: {why}", runtime=self.runtime, missing=missing and missing.value)

    def __copy__(self) -> Grant:
        return self

    def __deepcopy__(self, memo: Any) -> Grant:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} can't be pickled: a grant is good in its own process only")

    send_nowait = _method("send_nowait", Right.SEND)

    async def send(self, payload: Any, **options: Any) -> Receipt:
        """`Runtime.send`, with the right to send when it is accepted."""
        return await self._entry().send(payload, check=self._entry, **options)

    async def ask(self, payload: Any, **options: Any) -> Any:
        """`Runtime.ask`, with the right to send when it is accepted."""
        return await self._entry("ask").ask(payload, check=self._entry, **options)

    def _entry(self, what: str = "send") -> RuntimeEntry[Any, Any]:
        entry: RuntimeEntry[Any, Any] = self._reach(Right.SEND, what).entry
        return entry

    validate = _method("validate", Right.SEND)
    accepts = _readout("accepts", Right.SEND)

    status = _readout("status", Right.OBSERVE)
    state = _readout("state", Right.OBSERVE)
    error = _readout("error", Right.OBSERVE)
    depth = _readout("depth", Right.OBSERVE)
    metrics = _readout("metrics", Right.OBSERVE)
    fates = _method("fates", Right.OBSERVE)
    snapshot = _method("snapshot", Right.OBSERVE)
    mailbox_items = _method("mailbox_items", Right.OBSERVE)
    where = _method("where", Right.OBSERVE)
    whereabouts = _method("whereabouts", Right.OBSERVE)

    def subscribe(self) -> Subscription:
        """`Runtime.subscribe`, with the right to observe; it ends with `AccessDeniedError` when that is revoked."""
        runtime = self._reach(Right.OBSERVE, "subscribe")
        return GrantedSubscription(self, runtime)

    pause = _method("pause", Right.CONTROL)
    resume = _method("resume", Right.CONTROL)
    step = _method("step", Right.CONTROL)
    recover = _method("recover", Right.CONTROL)
    terminate = _method("terminate", Right.CONTROL)
    drop = _method("drop", Right.CONTROL)
    promote = _method("promote", Right.CONTROL)
    demote = _method("demote", Right.CONTROL)
    first = _method("first", Right.CONTROL)
    put_back = _method("put_back", Right.CONTROL)
    edit = _method("edit", Right.CONTROL)
    swap = _method("swap", Right.CONTROL)


class GrantedSubscription(Subscription):
    """A subscription that is good as long as its grant."""

    def __init__(self, grant: Grant, runtime: Handle) -> None:
        host = runtime.entry.host
        super().__init__(host.ring, host.listeners, runtime.has_left, runtime.id)
        self._grant = grant
        grant._subscriptions.add(self)

    async def __anext__(self) -> Record:
        try:
            record = await super().__anext__()
        except StopAsyncIteration:
            self._grant._reach(Right.OBSERVE, "subscribe")
            raise
        self._grant._reach(Right.OBSERVE, "subscribe")
        return record


def recipient_of(to: Any) -> Grant:
    """The grant, if it is one and allows to send: it takes a send as an entry does. For the modules of this package."""
    if isinstance(to, Grant):
        to._reach(Right.SEND, "send")
        return to
    raise RuntimeNotFoundError(f"{preview(to, 80)} is no runtime: give its id, its handle, or a grant")
