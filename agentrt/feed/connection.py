"""The reader's end: finds the manager of a name on this machine, and asks it; one request, one answer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from .. import discovery
from ..discovery import ManagerRecord
from ..errors import ConfigurationError
from .entrance import Role
from .offer import peer_uid
from .wire import (
    LENGTH,
    LONGEST_ANSWER,
    FeedAnswer,
    ProtocolError,
    Request,
    Welcome,
    encode_frame,
    encode_hello,
    read_answer,
    read_welcome,
)

__all__ = ["Connection", "ConnectionEnded", "LocalDialer", "find_manager"]

TIMEOUT = 4.0  # seconds for an answer


class ConnectionEnded(Exception):
    """There is no answer: the sentence says why."""


def find_manager(name: str = "") -> ManagerRecord:
    """Find a manager on this machine.

    Args:
        name: Its name, or the id of its process; may be left out if there is only one.

    Returns:
        The manager; of several with the name the newest one.

    Raises:
        ConfigurationError: There is none, or several without a name; the message says which there are.
    """
    managers = discovery.list_managers()
    found = [each for each in managers if name in ("", each.name, str(each.pid))]
    if not managers:
        named = f" named {name!r}" if name else ""
        raise ConfigurationError(f"no manager{named} runs on this machine; start a program that makes a RuntimeManager")
    if not found:
        raise ConfigurationError(f"no manager named {name!r} runs on this machine; there are: {_list_names(managers)}")
    if not name and len(found) > 1:
        raise ConfigurationError(f"several managers run on this machine: {_list_names(managers)}; say which one")
    return found[-1]


def _list_names(managers: Sequence[ManagerRecord]) -> str:
    return ", ".join(f"{each.name} (process {each.pid})" for each in managers)


def _dial(path: Path, timeout: float) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.settimeout(timeout)
        found.connect(str(path))
    except BaseException:
        found.close()
        raise
    return found


def owner_of(path: Path) -> int:
    """The user that a file belongs to."""
    return path.lstat().st_uid


class Connection:
    """A connection to a manager. Not for several threads at once.

    Args:
        record: The manager.
        role: What this reader may do.
        timeout: Real seconds for each answer.

    Raises:
        ConnectionEnded: It does not answer.
        ConfigurationError: It is of another user, or speaks another version.
    """

    def __init__(self, record: ManagerRecord, role: Role = Role.OPERATOR, timeout: float = TIMEOUT) -> None:
        self.record = record
        self.timeout = timeout
        self._socket = self._connect()
        try:
            self.welcome = self._greet(role)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> socket.socket:
        record = self.record
        who = f"the manager {record.name!r} (process {record.pid})"
        try:
            if record.port:
                return socket.create_connection(("127.0.0.1", record.port), self.timeout)
            path = discovery.socket_path(record)
            owner = owner_of(path)
            if owner != os.getuid():
                raise ConfigurationError(f"{who} is of another user (uid {owner}); it can be watched by that user only")
            found = _dial(path, self.timeout)
        except TimeoutError:
            raise ConnectionEnded(f"{who} does not answer") from None
        except OSError as error:
            words = "has ended" if isinstance(error, ConnectionRefusedError | FileNotFoundError) else error.strerror
            raise ConnectionEnded(f"{who} {words}: nobody listens at its socket any more") from None
        uid = peer_uid(found)
        if uid is not None and uid != os.getuid():
            found.close()
            raise ConfigurationError(f"{who} is of another user (uid {uid}); it can be watched by that user only")
        return found

    def _greet(self, role: Role) -> Welcome:
        answer = self._exchange(encode_hello(role.value, self.record.token))
        try:
            return read_welcome(answer)
        except ProtocolError:
            raise ConfigurationError(f"what answers for {self.record.name!r} is no manager of agentrt") from None

    def ask(self, request: Request) -> FeedAnswer:
        """Ask and wait for the answer.

        Raises:
            ConnectionEnded: There is none, or it makes no sense. Nothing more can be asked.
        """
        try:
            return read_answer(self._exchange(encode_frame(request)))
        except ProtocolError as error:
            self.close()
            raise ConnectionEnded(f"what {self.record.name!r} answers makes no sense: {error}") from None

    def _exchange(self, data: bytes) -> bytes:
        deadline = time.monotonic() + self.timeout
        try:
            self._socket.settimeout(self.timeout)
            self._socket.sendall(LENGTH.pack(len(data)) + data)
            (length,) = LENGTH.unpack(self._receive(LENGTH.size, deadline))
            if length > LONGEST_ANSWER:
                raise ProtocolError(f"a frame of {length:,} bytes")
            return self._receive(length, deadline)
        except TimeoutError:
            self.close()
            raise ConnectionEnded(f"the manager {self.record.name!r} does not answer") from None
        except OSError:
            self.close()
            raise ConnectionEnded(f"the program of {self.record.name!r} has ended") from None
        except ProtocolError:
            self.close()
            raise ConnectionEnded(f"what {self.record.name!r} answers makes no sense") from None

    def _receive(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(min(size - len(data), 1 << 18))
            if not part:
                raise ConnectionResetError
            data += part
        return bytes(data)

    def close(self) -> None:
        """End it. Idempotent."""
        self._socket.close()


class LocalDialer:
    """Connects to a manager on this machine, and to the one that is started in its place.

    Args:
        manager: See `RemoteSource`.
        role: What this reader may do.

    Raises:
        ConfigurationError: There is no such manager.
    """

    def __init__(self, manager: str | ManagerRecord, role: Role) -> None:
        self.record = find_manager(manager) if isinstance(manager, str) else manager
        self.name = self.record.name
        self._role = role

    def connect(self) -> Connection:
        """Connect for the first time. Contract: `Dialer.connect`."""
        return Connection(self.record, self._role)

    def reconnect(self, answered: float) -> Connection | None:
        """Connect to the manager as it runs now. Contract: `Dialer.reconnect`."""
        refusal: ConfigurationError | None = None
        for record in self.candidates(answered):
            try:
                found = Connection(record, self._role)
            except ConnectionEnded:
                continue
            except ConfigurationError as error:
                refusal = error
                continue
            self.record = record
            return found
        if refusal is not None:
            raise refusal
        return None

    def candidates(self, answered: float) -> list[ManagerRecord]:
        """The manager itself, or those of its name that were started since it was heard of last; the newest first."""
        try:
            found = discovery.list_managers()
        except ConfigurationError:
            return []
        own = (self.record.pid, self.record.number)
        return [
            each
            for each in reversed(found)
            if each.name == self.record.name and ((each.pid, each.number) == own or each.started >= answered)
        ]
