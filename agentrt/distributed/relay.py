"""Relay: passes the frames of whoever watches a cluster from another process on to its nodes, and their answers back.

Another process finds the driver as it finds every manager, by its offer, and is told there where the relay is and what
to say to it. Nobody else on the machine knows that. Each connection has a thread of its own, as a node may take long.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec

from ..feed.nodes import ClusterStanding
from ..feed.wire import LENGTH, LONGEST_ANSWER, LONGEST_REQUEST
from ..frames import hide_from_debuggers
from .dialer import ReadFeed
from .link import UnreachableError

__all__ = ["FeedRelay", "RelayReader"]

MOST_CONNECTIONS = 256  # one for each node that a process watches
TIMEOUT = 8.0  # seconds for an answer: longer than the engine waits for one
log = logging.getLogger(__name__)


class RelayedFrame(msgspec.Struct, array_like=True, frozen=True):
    """A frame for a node, see `Engine.read_feed`, and the token of the relay."""

    token: str
    node: str
    reader: str
    data: bytes


class RelayedAnswer(msgspec.Struct, array_like=True, frozen=True):
    """The answer of a node; or why there is none."""

    data: bytes
    why: str = ""


_encode = msgspec.msgpack.encode
_frame = msgspec.msgpack.Decoder(RelayedFrame)
_answer = msgspec.msgpack.Decoder(RelayedAnswer)


def _send(connection: socket.socket, record: msgspec.Struct) -> None:
    data = _encode(record)
    connection.sendall(LENGTH.pack(len(data)) + data)


def _receive(connection: socket.socket, longest: int) -> bytes:
    (length,) = LENGTH.unpack(_receive_exactly(connection, LENGTH.size))
    if length > longest:
        raise ConnectionResetError
    return _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 1 << 18))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)


class FeedRelay:
    """The end at the driver. It listens from the first time that somebody asks where it is. Any thread.

    Args:
        name: The name of the cluster.
        read_feed: Has a node answer a frame.
    """

    def __init__(self, name: str, read_feed: ReadFeed) -> None:
        self._name = name
        self._read_feed = read_feed
        self._token = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._is_closed = False

    def describe(self, nodes: tuple[str, ...], link: str) -> ClusterStanding:
        """What another process needs, to watch these nodes."""
        with self._lock:
            if self._listener is None and not self._is_closed:
                self._listener = socket.create_server(("127.0.0.1", 0), backlog=MOST_CONNECTIONS)
                self._start(self._listen, self._listener)
            port = 0 if self._listener is None else self._listener.getsockname()[1]
        return ClusterStanding(list(nodes), link, port, self._token)

    def _start(self, run: Callable[[socket.socket], None], end: socket.socket) -> None:
        thread = threading.Thread(target=run, args=(end,), name=f"{self._name}-relay", daemon=True)
        hide_from_debuggers(thread)
        thread.start()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it is closed
                return
            with self._lock:
                is_refused = self._is_closed or len(self._connections) >= MOST_CONNECTIONS
                if not is_refused:
                    self._connections.add(connection)
            if is_refused:
                log.warning("refused a reader: %s nodes of %s are watched already", MOST_CONNECTIONS, self._name)
                connection.close()
            else:
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            while True:
                frame = _frame.decode(_receive(connection, 2 * LONGEST_REQUEST))
                if not hmac.compare_digest(frame.token.encode(), self._token.encode()):
                    return
                _send(connection, self._ask(frame))
        except (OSError, msgspec.DecodeError):  # it is gone, or speaks something else
            return
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _ask(self, frame: RelayedFrame) -> RelayedAnswer:
        try:
            return RelayedAnswer(self._read_feed(frame.node, frame.reader, frame.data))
        except (UnreachableError, LookupError) as error:  # or there is no such node any more
            return RelayedAnswer(b"", str(error) or "it does not answer")

    def close(self) -> None:
        """Pass on nothing more. Idempotent."""
        with self._lock:
            self._is_closed = True
            ends = [*self._connections, *([] if self._listener is None else [self._listener])]
            self._listener = None
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits there
            each.close()


class RelayReader:
    """The end at who watches: a connection to the relay for each node. Any thread.

    Args:
        find: Says where the relay is now; it is elsewhere when the driver was started again.
    """

    def __init__(self, find: Callable[[], ClusterStanding]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._of: dict[str, tuple[threading.Lock, list[socket.socket]]] = {}

    def read_feed(self, node: str, reader: str, data: bytes) -> bytes:
        """Have a node answer a frame. Contract: `Engine.read_feed`."""
        with self._lock:
            lock, connections = self._of.setdefault(node, (threading.Lock(), []))
        with lock:
            try:
                return self._exchange(connections, node, reader, data)
            except OSError as error:  # the driver has ended, or takes too long
                self._hang_up(connections)
                words = "does not answer" if isinstance(error, TimeoutError) else "has ended"
                raise UnreachableError(f"the program of the cluster {words}") from None

    def _exchange(self, connections: list[socket.socket], node: str, reader: str, data: bytes) -> bytes:
        standing = self._find()
        if not connections:
            connections.append(socket.create_connection(("127.0.0.1", standing.port), TIMEOUT))
        _send(connections[0], RelayedFrame(standing.token, node, reader, data))
        answer = _answer.decode(_receive(connections[0], 2 * LONGEST_ANSWER))
        if answer.why:
            raise UnreachableError(answer.why)
        return answer.data

    def _hang_up(self, connections: list[socket.socket]) -> None:
        for each in connections:
            each.close()
        connections.clear()

    def close(self) -> None:
        """End all connections. Idempotent."""
        for lock, connections in tuple(self._of.values()):
            for each in connections:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            with lock:
                self._hang_up(connections)
