"""Grants: handles that do only what their holder was given. See `docs/grants.md` for what they do not stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, Unpack, overload
from weakref import WeakSet

from .activity import Activity, SendNowaitOptions, SendOptions
from .engine.mailbox import Place
from .engine.protocols import Handle
from .errors import AccessDeniedError, AgentError, ConfigurationError, RuntimeNotFoundError
from .events import Record
from .frames import StackFrame
from .metrics import Fates, Metrics
from .receipt import Promise, Receipt
from .schema.preview import preview
from .snapshot import Snapshot, Status
from .subscription import Subscription
from .typevars import P, S

if TYPE_CHECKING:
    from .debugger import Whereabouts
    from .engine.entry import RuntimeEntry

__all__ = ["Grant", "Right", "recipient_of"]

T = TypeVar("T")


class Right(StrEnum):
    """What a grant may allow."""

    SEND = "send"
    OBSERVE = "observe"
    CONTROL = "control"


def rights_of(given: Iterable[str] | str) -> frozenset[Right]:
    """Read rights from their names; `ConfigurationError` for an unknown one or none at all."""
    try:
        rights = frozenset(Right(right) for right in ({given} if isinstance(given, str) else given))
    except (ValueError, TypeError):
        rights = frozenset()
    if not rights:
        raise ConfigurationError(
            f"rights are {preview(given, 80)}; give at least one of {', '.join(Right)}, such as {{'send'}}"
        )
    return rights


def _method(name: str, right: Right) -> Callable[..., Any]:
    def call(self: Grant[Any, Any], *args: Any, **options: Any) -> Any:
        return getattr(self._reach(right, name), name)(*args, **options)

    call.__name__, call.__doc__ = name, f"`Runtime.{name}`, with the right to {right.value}."
    return call


class _Readout(Generic[T]):
    """A readout of the runtime, for those who have the right to it."""

    def __init__(self, name: str, right: Right) -> None:
        self.name, self.right = name, right
        self.__doc__ = f"`Runtime.{name}`, with the right to {right.value}."

    @overload
    def __get__(self, grant: None, kind: Any = None) -> Self: ...
    @overload
    def __get__(self, grant: Grant[Any, Any], kind: Any = None) -> T: ...
    def __get__(self, grant: Grant[Any, Any] | None, kind: Any = None) -> Any:
        return self if grant is None else getattr(grant._reach(self.right, self.name), self.name)

    def __set__(self, grant: Grant[Any, Any], value: NoReturn) -> NoReturn:
        raise AttributeError(f"{self.name} of a grant can't be set")


class Grant(Generic[S, P]):
    """A handle on one runtime that allows only its `rights`: "send", "observe", "control". None includes another.

    Made by `runtime.grant(rights)`. It can be passed on, narrowed (`attenuate`), and revoked (`revoke`) together with
    all that was derived from it; there is no way to widen it. What it does not allow raises `AccessDeniedError`.
    `ctx.send` and `ctx.ask` take it in place of an id. Safe from any thread.

    A sender sees the result: the reply, or the new state where the workflow gives no reply.

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

    def __init__(self, target: Handle, rights: Iterable[str] | str, above: Grant[S, P] | None = None) -> None:
        self._target = target
        self._rights = rights_of(rights)
        self._above = above  # kept, so that whoever revokes an ancestor finds this one
        self._derived: WeakSet[Grant[S, P]] = WeakSet()
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
        """Whether it, or one that it was derived from, was revoked."""
        return self._revoked

    def __repr__(self) -> str:
        rights = ", ".join(right.value for right in Right if right in self._rights)
        return f"<Grant {rights} on {self.runtime!r}{' (revoked)' if self.revoked else ''}>"

    def attenuate(self, rights: Iterable[str] | str) -> Grant[S, P]:
        """Make a grant with some of these rights. To revoke this one revokes that as well.

        Raises:
            AccessDeniedError: This grant does not have one of these rights, or was revoked.
            ConfigurationError: There is no such right, or none was given.
        """
        narrower = rights_of(rights)
        for right in sorted(narrower - self._rights):
            self._deny(right, f"it has no right to {right.value} to hand on")
        grant = Grant(self._target, narrower, self)
        self._derived.add(grant)
        if self.revoked:  # looked at last: whoever revokes meanwhile finds it among those that were derived
            self._deny(None, "it was revoked")
        return grant

    def revoke(self) -> None:
        """End it for good, and all that was derived from it.

        A send that waits for room is refused, a subscription ends at once. What was accepted stays accepted.
        """
        todo: list[Grant[S, P]] = [self]
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

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} can't be pickled: a grant is good in its own process only")

    def send_nowait(self, payload: P | Activity[P], **options: Unpack[SendNowaitOptions]) -> Receipt[S]:
        """`Runtime.send_nowait`, with the right to send."""
        return self._entry("send_nowait").send_nowait(payload, **options)

    async def send(self, payload: P | Activity[P], **options: Unpack[SendOptions]) -> Receipt[S]:
        """`Runtime.send`, with the right to send when it is accepted."""
        return await self._entry().send(payload, check=self._entry, **options)

    async def ask(self, payload: P | Activity[P], **options: Unpack[SendOptions]) -> Any:
        """`Runtime.ask`, with the right to send when it is accepted."""
        return await self._entry("ask").ask(payload, check=self._entry, **options)

    def _entry(self, what: str = "send") -> RuntimeEntry[S, P]:
        entry: RuntimeEntry[S, P] = self._reach(Right.SEND, what).entry
        return entry

    validate: Callable[..., None] = _method("validate", Right.SEND)
    accepts: _Readout[Any] = _Readout("accepts", Right.SEND)

    status: _Readout[Status] = _Readout("status", Right.OBSERVE)
    state: _Readout[S] = _Readout("state", Right.OBSERVE)
    error: _Readout[AgentError | None] = _Readout("error", Right.OBSERVE)
    depth: _Readout[tuple[int, int]] = _Readout("depth", Right.OBSERVE)
    metrics: _Readout[Metrics] = _Readout("metrics", Right.OBSERVE)
    fates: Callable[..., Fates] = _method("fates", Right.OBSERVE)
    snapshot: Callable[..., Snapshot] = _method("snapshot", Right.OBSERVE)
    mailbox_items: Callable[..., list[Activity[Any]]] = _method("mailbox_items", Right.OBSERVE)
    where: Callable[..., list[StackFrame]] = _method("where", Right.OBSERVE)
    whereabouts: Callable[..., Whereabouts] = _method("whereabouts", Right.OBSERVE)

    def subscribe(self) -> Subscription:
        """`Runtime.subscribe`, with the right to observe; it ends with `AccessDeniedError` when that is revoked."""
        return GrantedSubscription(self, self._reach(Right.OBSERVE, "subscribe"))

    pause: Callable[..., None] = _method("pause", Right.CONTROL)
    resume: Callable[..., None] = _method("resume", Right.CONTROL)
    step: Callable[..., int] = _method("step", Right.CONTROL)
    recover: Callable[..., None] = _method("recover", Right.CONTROL)
    terminate: Callable[..., Promise[bool]] = _method("terminate", Right.CONTROL)
    drop: Callable[..., Activity[Any]] = _method("drop", Right.CONTROL)
    promote: Callable[..., Place] = _method("promote", Right.CONTROL)
    demote: Callable[..., Place] = _method("demote", Right.CONTROL)
    first: Callable[..., Place] = _method("first", Right.CONTROL)
    put_back: Callable[..., Place] = _method("put_back", Right.CONTROL)
    edit: Callable[..., Any] = _method("edit", Right.CONTROL)
    swap: Callable[..., None] = _method("swap", Right.CONTROL)


class GrantedSubscription(Subscription):
    """A subscription that ends when its grant is revoked."""

    def __init__(self, grant: Grant[Any, Any], runtime: Handle) -> None:
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
    """Return the grant, which takes a send as an entry does. For the modules of this package.

    Raises:
        AccessDeniedError: It does not allow to send.
        RuntimeNotFoundError: This is no grant.
    """
    if isinstance(to, Grant):
        to._reach(Right.SEND, "send")
        return to
    raise RuntimeNotFoundError(f"{preview(to, 80)} is no runtime: give its id, its handle, or a grant")
