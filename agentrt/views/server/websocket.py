"""The WebSocket of a page, with limits. The gate has checked where it comes from and whose it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from traceback import format_exception
from typing import Any

from bokeh.protocol.exceptions import ProtocolError
from bokeh.server.protocol_handler import ProtocolHandler
from panel.io.server import WSHandler

from .rate import Rate

__all__ = ["MOST_BYTES", "PageSocket"]

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 1024 * 1024  # of a message that a page sends; one that is longer ends the connection
MOST_FRAMES = 1000  # a second; a slider that is dragged sends 180
LONGEST_REASON = 100  # characters; a close frame has room for 123 bytes
LONGEST_TRACE = 4000  # characters of an error in the log; its message may quote what was sent


class Messages(ProtocolHandler):
    """Bokeh's messages. What went wrong is logged without the message."""

    async def handle(self, message: Any, connection: Any) -> Any:
        """Carry a message out; what goes wrong is the answer to it."""
        act = self._handlers.get(message.msgtype)
        if act is None:
            raise ProtocolError(f"{message.msgtype} is not expected here")
        try:
            return await act(message, connection)
        except Exception as error:
            trace = "".join(format_exception(error))[-LONGEST_TRACE:]
            log.error("%s could not be carried out: %s", message.msgtype, trace)
            return connection.error(message, repr(error)[:LONGEST_TRACE])


class Unsent:
    """A message that is sent when it is awaited.

    Bokeh collects those of one change, and sends them in turn. When that ends early, as the server does, Python would
    report each coroutine of the rest as never awaited.
    """

    def __init__(self, send: Callable[[], Awaitable[None]]) -> None:
        self._send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self._send().__await__()


class PageSocket(WSHandler):
    """Bokeh's WebSocket. A frame that can't be read ends the connection with one short line in the log."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Tornado calls it for each connection."""
        super().initialize(*args, **kwargs)
        self.frames = Rate(MOST_FRAMES)
        self.unread = 0  # bytes of a message that is not complete

    def check_origin(self, origin: str) -> bool:
        """The gate has checked it."""
        return True

    def get_websocket_protocol(self) -> Any:
        """What reads and writes the frames of this connection; a page that went away while it writes is no error."""
        protocol: Any = super().get_websocket_protocol()
        if protocol is not None:
            write = protocol.write_message
            protocol.write_message = lambda *args, **options: _ignore_error(write(*args, **options))
        return protocol

    async def _async_open(self, token: str) -> None:
        if self.ws_connection is not None:  # else it was closed from here before it was open
            await super()._async_open(token)
            self.handler: Any = Messages()

    async def on_message(self, fragment: str | bytes) -> None:
        """Take a frame, unless it comes too early or there are too many."""
        if self.ws_connection is None:  # closed from here; what was under way is not read
            return
        if self.connection is None:
            self._protocol_error("a frame before the connection was acknowledged")
        elif not self.frames.allow(None):
            self._protocol_error("too many frames a second")
        else:
            with suppress(asyncio.CancelledError):  # the server ends
                await super().on_message(fragment)

    def send_message(self, message: Any) -> Awaitable[None]:  # type: ignore[override]  # Bokeh only awaits it
        """What sends this message once it is awaited; it may also not be."""
        return Unsent(partial(super().send_message, message))

    async def _receive(self, fragment: str | bytes) -> Any:
        self.unread += len(fragment)
        if self.unread > MOST_BYTES:
            self._protocol_error("a message that is too long")
            return None
        try:
            message = await super()._receive(fragment)
        except Exception as error:  # Bokeh would write the whole frame to the log
            self._protocol_error(f"a frame that can't be read, {type(error).__name__}")
            return None
        if message is not None:
            self.unread = 0
        return message

    def _protocol_error(self, message: str) -> None:
        super()._protocol_error(message[:LONGEST_REASON])

    def _internal_error(self, message: str) -> None:
        super()._internal_error(message[:LONGEST_REASON])


def _ignore_error(written: asyncio.Future[None]) -> asyncio.Future[None]:
    # Panel awaits it, unless the session has ended with its page: then asyncio would log that nobody has looked at it.
    written.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return written
