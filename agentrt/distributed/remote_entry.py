"""RemoteEntry: what takes a send in place of the entry of a runtime that is on another node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..activity import Activity
from ..engine.admission import Offer as Wanted
from ..engine.deadlock import OpenWait
from ..engine.protocols import Host
from ..errors import MailboxFullError
from ..limits import Limits
from ..receipt import Promise, Receipt
from .packing import is_native

__all__ = ["RemoteEntry", "RemoteReceipt", "Transport"]


class RemoteReceipt(Receipt, weakref=True):
    """The receipt of an activity that went to another node. Once nobody holds it, its outcome is not sent back."""

    def add_callback(self, call: Callable[[], object]) -> None:
        """Call `call()` once it is decided, also if nobody holds it any more."""
        if self._entry is not None:
            self._entry.transport.keep(self)
        super().add_callback(call)


class Transport(Protocol):
    """What carries an activity to the node of its runtime."""

    host: Host

    def offer(self, entry: RemoteEntry, wanted: Wanted, accepted: Promise[Any] | None = None) -> Receipt:
        """Have it delivered.

        Args:
            entry: Whose.
            wanted: The activity.
            accepted: Is decided with True once it is accepted, or with the error that it was refused with.

        Raises:
            MailboxFullError: Too much is on its way to that node.
        """

    def offer_plain(self, entry: RemoteEntry, payload: bytes | float | None, priority: bool) -> Receipt:
        """Do what `offer` does with a payload that is packed, and no options."""

    def keep(self, receipt: Receipt) -> None:
        """Hold a receipt until it is decided."""

    def node_of(self, id: str) -> str:
        """The name of the node of a runtime."""

    async def wait_for_room(self, id: str, wait: float | None) -> bool:
        """Wait until less is on its way to the node of a runtime; False after `wait` real seconds."""


class RemoteEntry:
    """A runtime on another node, as those see it that send to it. Any thread.

    Args:
        transport: What reaches its node.
        id: Its id.
    """

    current: Activity[Any] | None = None  # what it does is known on its node
    waits_for = None
    breakpoints = None
    limits = Limits()  # what finds no room on the way waits

    def __init__(self, transport: Transport, id: str) -> None:
        self.transport = transport
        self.host = transport.host
        self.id = id

    def register_wait(self) -> OpenWait:
        """Open while somebody waits for it."""
        return OpenWait(self)  # type: ignore[arg-type]

    def run_inline(self, promise: Any) -> None:
        """Its turn is not here."""

    def send_nowait(self, payload: Any, priority: bool = False, **options: Any) -> Receipt:
        """Have it delivered. Contract: `Runtime.send_nowait`.

        A full lane does not refuse it: it waits for room on the node of the runtime, and the receipt with it.
        """
        if not options and is_native(payload):
            return self.transport.offer_plain(self, payload, priority)
        return self.transport.offer(self, Wanted.of(payload, priority, **options))

    async def send(
        self, payload: Any, *, wait: float | None = None, check: Callable[[], object] | None = None, **options: Any
    ) -> Receipt:
        """Have it delivered, and wait until it is accepted there. Contract: `Runtime.send`."""
        if check is not None:
            check()
        wanted, accepted = Wanted.of(payload, **options), Promise[Any](self)
        while True:
            try:
                receipt = self.transport.offer(self, wanted, accepted)
                break
            except MailboxFullError:
                if wait == 0 or not await self.transport.wait_for_room(self.id, wait):
                    raise
        await accepted.wait()
        if accepted.value is not True:
            raise accepted.value.copy()  # type: ignore[union-attr]
        return receipt

    async def ask(self, payload: Any, **options: Any) -> Any:
        """Send and wait until it is done. Contract: `Runtime.ask`."""
        with self.register_wait():
            receipt = await self.send(payload, **options)
            await receipt.wait()
        return (await receipt).value
