"""Lists of the managers and of the dashboard servers on this machine: one file for each, in a directory of the user.

The same directory stores the port and the keys of each page: when a program starts again, its open pages and their
links work again. The environment variable `AGENTRT_RUNTIME_DIR` names another directory. Any thread may call these
functions; they read and write files.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from .errors import ConfigurationError

__all__ = [
    "ManagerRecord",
    "PageKeys",
    "ServerRecord",
    "add_manager",
    "add_server",
    "directory",
    "find_watcher",
    "list_managers",
    "list_servers",
    "load_keys",
    "remove_manager",
    "remove_server",
    "save_keys",
    "socket_path",
]

ADVICE = "set AGENTRT_RUNTIME_DIR to a directory of your own"
MAX_KEYS_AGE = 7 * 86400.0  # seconds after which unused keys are deleted


class ServerRecord(msgspec.Struct, frozen=True):
    """One dashboard server.

    Args:
        pid: Id of its process.
        name: Name of the manager that it shows.
        port: TCP port on 127.0.0.1.
        url: Link with the operator's token.
        view_url: Link that only allows to look.
        started: When it started, in seconds since 1970.
        watches: Id of the manager's process, if that is another one.
    """

    pid: int
    name: str
    port: int
    url: str
    view_url: str
    started: float
    watches: int | None = None

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return _is_alive(self.pid, self.port)


class ManagerRecord(msgspec.Struct, frozen=True):
    """One manager that offers its feed, see `agentrt.feed.offer`.

    Args:
        pid: Id of its process.
        name: Name of the manager.
        number: Which manager of the process it is.
        port: TCP port on 127.0.0.1; 0 where there is a Unix socket, whose path is `socket_path(record)`.
        token: What a reader must say on TCP.
        started: When it began, in seconds since 1970.
    """

    pid: int
    name: str
    number: int
    port: int
    token: str
    started: float

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return _is_alive(self.pid, self.port)


Record = TypeVar("Record", ServerRecord, ManagerRecord)


def _is_alive(pid: int, port: int) -> bool:
    if os.name == "nt":  # os.kill(pid, 0) only asks on POSIX; on Windows it sends Ctrl-C
        return _accepts_connections(port)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


class PageKeys(msgspec.Struct, frozen=True):
    """The port of a page, the tokens of its two links, and the secret that signs its cookies."""

    port: int
    operator: str
    viewer: str
    secret: str

    @classmethod
    def new(cls, port: int) -> PageKeys:
        """New random keys for a page at this port."""
        return cls(port, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_hex(32))


def directory() -> Path:
    """The directory of the files, created where it is missing, with access for its owner only.

    Raises:
        ConfigurationError: It belongs to another user, is a symbolic link or no directory, or can't be created.
    """
    named = os.environ.get("AGENTRT_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    path = Path(named) / "agentrt" if named else Path(tempfile.gettempdir()) / f"agentrt-{user}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if path.is_symlink() or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
            raise ConfigurationError(f"{path} belongs to somebody else; {ADVICE}")
        path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be used: {error.strerror or error}; {ADVICE}") from error
    if not os.access(path, os.W_OK):
        raise ConfigurationError(f"{path} can't be written to; {ADVICE}")
    return path


def _write(path: Path, record: msgspec.Struct) -> None:
    # Readable by the owner only from the start, and renamed when complete: nobody reads a part of it.
    draft = path.with_suffix(f".{os.getpid()}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(record))
    draft.replace(path)


def add_server(server: ServerRecord) -> Path:
    """Add a server to the list. Returns its file, which `remove_server` takes."""
    path = directory() / f"server-{server.pid}-{server.port}.json"
    _write(path, server)
    return path


def remove_server(path: Path) -> None:
    """Remove a server from the list. Idempotent."""
    path.unlink(missing_ok=True)


def list_servers() -> list[ServerRecord]:
    """The servers that run now, oldest first. Servers whose process has ended are removed from the list."""
    return _list_records("server-*.json", ServerRecord, remove_server)


def socket_path(manager: ManagerRecord) -> Path:
    """The Unix socket of a manager without a port."""
    return directory() / f"manager-{manager.pid}-{manager.number}.sock"


def add_manager(manager: ManagerRecord) -> Path:
    """Add a manager to the list. Returns its file, which `remove_manager` takes."""
    path = directory() / f"manager-{manager.pid}-{manager.number}.json"
    _write(path, manager)
    return path


def remove_manager(path: Path) -> None:
    """Remove a manager from the list, and its socket. Idempotent."""
    path.unlink(missing_ok=True)
    path.with_suffix(".sock").unlink(missing_ok=True)


def list_managers() -> list[ManagerRecord]:
    """The managers that offer their feed now, oldest first. Those whose process has ended are removed from the list."""
    return _list_records("manager-*.json", ManagerRecord, remove_manager)


def _list_records(files: str, kind: type[Record], remove: Callable[[Path], None]) -> list[Record]:
    found = []
    for path in directory().glob(files):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError):
            continue  # removed in between, or written by another version
        if record.alive:
            found.append(record)
        else:
            remove(path)
    return sorted(found, key=lambda each: each.started)


def find_watcher(manager: ManagerRecord) -> ServerRecord | None:
    """The dashboard, in a process of its own, of a manager; or of one of its name that has ended, whose pages wait."""
    running = {each.pid for each in list_managers() if each.name == manager.name} - {manager.pid}
    found = [each for each in list_servers() if each.watches is not None and each.name == manager.name]
    return next((each for each in found if each.watches not in running), None)


def load_keys(name: str) -> tuple[Path, PageKeys | None]:
    """The stored keys of a page, by the manager's name and the working directory of this process.

    Args:
        name: Name of the manager.

    Returns:
        The file for `save_keys`, and the keys in it; None where there are none, or the file can't be read.
    """
    _delete_old_keys()
    place = hashlib.sha256(json.dumps([os.getcwd(), name]).encode()).hexdigest()[:20]
    path = directory() / f"page-{place}.json"
    with suppress(OSError, msgspec.DecodeError):
        return path, msgspec.json.decode(path.read_bytes(), type=PageKeys)
    return path, None


def save_keys(path: Path, keys: PageKeys) -> None:
    """Store the keys of a page for the next start."""
    _write(path, keys)


def _delete_old_keys() -> None:
    for path in directory().glob("page-*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > MAX_KEYS_AGE:
                path.unlink()
