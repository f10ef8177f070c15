"""Which managers of this machine are served: one file each, in a directory that only its owner may read.

The same directory keeps the port and the keys of a page, so that a page which is left open, and its link, are good
again after the program was started anew. `AGENTRT_RUNTIME_DIR` names another directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from .errors import ConfigurationError

__all__ = ["Keys", "Served", "enter", "folder", "keep", "keys_of", "leave", "live"]

FORGET = 7 * 86400.0  # seconds after which the keys of a page that nobody served are forgotten


class Served(msgspec.Struct, frozen=True):
    """A manager that is served: its process, its name, its links, and when that began (seconds since 1970)."""

    pid: int
    name: str
    port: int
    url: str
    view_url: str
    started: float

    @property
    def alive(self) -> bool:
        """Whether its process is still there."""
        if os.name == "nt":  # there a signal 0 is no question but Ctrl-C
            return _answers(self.port)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


class Keys(msgspec.Struct, frozen=True):
    """What a page is opened with: its port, the tokens of its two links, and the secret its cookies are signed with."""

    port: int
    operator: str
    viewer: str
    secret: str

    @classmethod
    def new(cls, port: int) -> Keys:
        """Keys that nobody has yet."""
        return cls(port, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_hex(32))


def folder() -> Path:
    """The directory; made if need be, with nobody else allowed in. `ConfigurationError` if it belongs to another."""
    named = os.environ.get("AGENTRT_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    path = Path(named) / "agentrt" if named else Path(tempfile.gettempdir()) / f"agentrt-{user}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if path.is_symlink() or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise ConfigurationError(f"{path} belongs to somebody else; set AGENTRT_RUNTIME_DIR to a directory of your own")
    path.chmod(0o700)
    return path


def _write(path: Path, what: msgspec.Struct) -> None:
    # Never for a moment readable by others, and never half there.
    draft = path.with_suffix(f".{os.getpid()}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(what))
    draft.replace(path)


def enter(served: Served) -> Path:
    """Put a server on the list; returns its file."""
    path = folder() / f"server-{served.pid}-{served.port}.json"
    _write(path, served)
    return path


def leave(path: Path) -> None:
    """Take a server off the list. Idempotent."""
    path.unlink(missing_ok=True)


def live() -> list[Served]:
    """Who is served now, oldest first. Those whose process is gone are taken off the list."""
    found = []
    for path in folder().glob("server-*.json"):
        try:
            served = msgspec.json.decode(path.read_bytes(), type=Served)
        except (OSError, msgspec.DecodeError):
            continue  # gone in between, or not ours
        if served.alive:
            found.append(served)
        else:
            leave(path)
    return sorted(found, key=lambda each: each.started)


def keys_of(name: str) -> tuple[Path, Keys | None]:
    """Where the keys of this name's page are kept for this working directory, and those it had the last time."""
    _forget()
    place = hashlib.sha256(json.dumps([os.getcwd(), name]).encode()).hexdigest()[:20]
    path = folder() / f"page-{place}.json"
    with suppress(OSError, msgspec.DecodeError):
        return path, msgspec.json.decode(path.read_bytes(), type=Keys)
    return path, None


def keep(path: Path, keys: Keys) -> None:
    """Keep the keys of a page for the next time."""
    _write(path, keys)


def _forget() -> None:
    for path in folder().glob("page-*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > FORGET:
                path.unlink()
