"""A manager's feed, offered to other processes of the same user: `agentrt watch` finds it and draws it.

One thread waits for readers; until the first one comes it does nothing and has loaded nothing. It shares no lock with
the agents' loop, and each reader has one request and one answer at a time, so one that is slow or gone costs nothing.
"""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import discovery
from ..discovery import ManagerRecord
from ..errors import ConfigurationError
from ..frames import hide_from_debuggers

if TYPE_CHECKING:
    from .answers import Answers
    from .greeting import OfferedManager

__all__ = ["FeedOffer", "offer", "peer_uid"]

log = logging.getLogger(__name__)

MOST_READERS = 16
CHUNK = 1 << 16  # bytes
IDLE = 10.0  # seconds without a request, after which a reader makes room for another
LONGEST_PATH = 100  # bytes of a Unix socket's path: the system allows 108, some 104
_number = count(1).__next__


class FeedOffer:
    """Offers the feed of a manager from when it is made until `close`.

    Args:
        manager: Whose feed it is.
        tcp: Whether to use loopback TCP with a token also where there are Unix sockets.
    """

    def __init__(self, manager: OfferedManager, tcp: bool = False) -> None:
        self._manager = weakref.ref(manager, self._end)  # who forgets to close a manager still gets rid of it
        self.name = manager.name
        self.instance = secrets.token_hex(8)
        self.readers: list[Reader] = []
        self.evaluator = False
        self._tcp = tcp
        self._ended = False
        self._listener, self.record = self._listen()
        self._path: Path | None = None
        try:
            self._path = discovery.add_manager(self.record)
        except BaseException:
            self._listener.close()
            raise
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"{self.name}-offer", daemon=True)
        hide_from_debuggers(self._thread)
        self._thread.start()

    def _listen(self) -> tuple[socket.socket, ManagerRecord]:
        number, started = _number(), time.time()
        record = ManagerRecord(os.getpid(), self.name, number, 0, "", started)
        path = discovery.socket_path(record)
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= LONGEST_PATH and not self._tcp:
            return _listen_at(path), record
        listener = socket.create_server(("127.0.0.1", 0), backlog=MOST_READERS)
        port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
        return listener, ManagerRecord(os.getpid(), self.name, number, port, token, started)

    def close(self) -> None:
        """FeedOffer it no longer; whoever reads it is told that the connection has ended. Idempotent. Any thread."""
        self._end()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def _end(self, manager: Any = None) -> None:
        if self._ended:
            return
        self._ended = True
        if self._path is not None:
            with suppress(OSError):
                discovery.remove_manager(self._path)
        with suppress(OSError):
            self._wake.send(b"x")

    def close_after_fork(self) -> None:
        """Let go of the sockets in a process that was forked from the one that offers it."""
        self._ended = True
        for each in (self._listener, self._wake, self._woken, *(reader.connection for reader in self.readers)):
            each.close()

    @property
    def manager(self) -> OfferedManager:
        """The manager. Raises `ConnectionResetError` if there is none any more."""
        manager = self._manager()
        if manager is None:
            raise ConnectionResetError
        return manager

    # ---- on its thread

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            self._selector = selector
            selector.register(self._listener, selectors.EVENT_READ, self._accept)
            selector.register(self._woken, selectors.EVENT_READ, _wake_up)
            while not self._ended:
                for key, events in selector.select():
                    self._attend(key.data, events)
            for reader in tuple(self.readers):
                self.drop(reader, None)
        for each in (self._listener, self._wake, self._woken):
            each.close()

    def _attend(self, call: Callable[[int], None], events: int) -> None:
        if self._ended:
            return
        try:
            call(events)
        except Exception:  # it must go on for the other readers
            log.exception("the feed of %s could not be offered", self.name)

    def _accept(self, events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it went away before
            return
        uid = peer_uid(connection)
        if uid is not None and uid != os.getuid():
            log.warning("refused a reader of another user, uid %s", uid)
            connection.close()
            return
        if len(self.readers) >= MOST_READERS and not self._make_room():
            log.warning("refused a reader: the feed of %s has %s already", self.name, MOST_READERS)
            connection.close()
            return
        connection.setblocking(False)
        reader = Reader(self, connection)
        self.readers.append(reader)
        self._selector.register(connection, selectors.EVENT_READ, reader.attend)

    def _make_room(self) -> bool:
        longest = min(self.readers, key=lambda each: each.active)
        if time.monotonic() - longest.active < IDLE:
            return False
        self.drop(longest, "it has asked for nothing")
        return True

    def watch(self, reader: Reader, events: int) -> None:
        """Have a reader attended to when it may read, or write."""
        self._selector.modify(reader.connection, events, reader.attend)

    def drop(self, reader: Reader, why: str | None) -> None:
        """End a connection, and say why in one line of the log if that is not how one ends."""
        if reader in self.readers:
            self.readers.remove(reader)
            self._selector.unregister(reader.connection)
            reader.connection.close()
            if why is not None:
                log.warning("the feed of %s: closed the connection of a reader: %s", self.name, why)


def _wake_up(events: int) -> None:
    """Somebody has woken the thread: that is all."""


def _listen_at(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(MOST_READERS)
    except BaseException:
        listener.close()
        raise
    return listener


def peer_uid(connection: socket.socket) -> int | None:
    """The user of the process at the other end; None where that can't be known."""
    if connection.family != getattr(socket, "AF_UNIX", None) or sys.platform != "linux":
        return None
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(found[4:8], sys.byteorder)


class Reader:
    """One connection: bytes become requests, answers become bytes; never more than one of each."""

    def __init__(self, offer: FeedOffer, connection: socket.socket) -> None:
        from . import greeting

        self.offer = offer
        self.connection = connection
        self.active = time.monotonic()
        self._greet = greeting.greet
        self._answers: Answers | None = None
        self._came = bytearray()
        self._goes = memoryview(b"")
        self._last = False  # whether the connection ends once all is sent
        self._writes = False  # whether it waits to write

    def attend(self, events: int) -> None:
        """Read or write what is possible without waiting."""
        from .wire import ProtocolError

        try:
            if events & selectors.EVENT_WRITE:
                self._write()
            else:
                self._read()
            while not self._goes and not self._last and (frame := self._next_frame()) is not None:
                self._send(self._handle(frame))
        except BlockingIOError:
            return
        except OSError:  # it is gone
            self.offer.drop(self, None)
        except ProtocolError as error:
            self.offer.drop(self, str(error))
        except Exception as error:  # whatever it is, it concerns this reader only
            self.offer.drop(self, f"its request could not be answered: {type(error).__name__}: {str(error)[:200]}")

    def _read(self) -> None:
        data = self.connection.recv(CHUNK)
        if not data:
            raise ConnectionResetError
        self._came += data

    def _next_frame(self) -> bytes | None:
        """The next request, once all of it has come."""
        from .wire import LENGTH, LONGEST_HELLO, LONGEST_REQUEST, ProtocolError

        if len(self._came) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._came)
        most = LONGEST_HELLO if self._answers is None else LONGEST_REQUEST
        if length > most:
            raise ProtocolError(f"a frame of {length:,} bytes, where {most:,} are allowed")
        if len(self._came) < LENGTH.size + length:
            return None
        frame = bytes(self._came[LENGTH.size : LENGTH.size + length])
        del self._came[: LENGTH.size + length]
        self.active = time.monotonic()
        return frame

    def _handle(self, frame: bytes) -> bytes:
        if self._answers is not None:
            return self._answers.answer(frame)
        self._answers, answer = self._greet(self.offer, frame)
        self._last = self._answers is None
        return answer

    def _send(self, answer: bytes) -> None:
        from .wire import LENGTH, LONGEST_ANSWER, ProtocolError

        if len(answer) > LONGEST_ANSWER:
            raise ProtocolError(f"it asked for {len(answer):,} bytes at once, where {LONGEST_ANSWER:,} are allowed")
        self._goes = memoryview(LENGTH.pack(len(answer)) + answer)
        self._write()

    def _write(self) -> None:
        while self._goes:
            try:
                self._goes = self._goes[self.connection.send(self._goes) :]
            except BlockingIOError:  # a slow reader: nothing more is read from it until it has taken this
                self._wait_to_write(True)
                return
        if self._last:
            self.offer.drop(self, None)
        else:
            self._wait_to_write(False)

    def _wait_to_write(self, writes: bool) -> None:
        if writes is not self._writes:  # each call lets go of the interpreter, and waits for it again
            self._writes = writes
            self.offer.watch(self, selectors.EVENT_WRITE if writes else selectors.EVENT_READ)


def offer(manager: OfferedManager) -> FeedOffer | None:
    """Offer the feed of a manager; None, and a line in the log, where that can't be."""
    try:
        return FeedOffer(manager)
    except (ConfigurationError, OSError) as error:
        log.info("the feed of %s is not offered: %s", manager.name, error)
        return None
