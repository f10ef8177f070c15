"""The file of a journal: who holds it, and whether it may lie where it lies."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import JournalError

__all__ = ["Location", "Owner"]

# By their names in /proc/self/mountinfo: their locks do not hold between machines, or not always.
NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
}  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


class Owner(msgspec.Struct):
    """Who holds a journal, as a file beside it says."""

    pid: int
    host: str
    since: float


class Location:
    """The path of a journal and what lies beside it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.wal = self.path.with_name(self.path.name + "-wal")
        self._owner = self.path.with_name(self.path.name + "-owner")
        self._files: dict[Path, tuple[int, int]] = {}

    def check(self, allow_network: bool) -> None:
        """Raise `JournalError` where no journal can be kept."""
        if not self.path.parent.is_dir():
            raise JournalError(f"there is no folder {self.path.parent} for the journal {self.path.name}")
        if self.path.is_dir():
            raise JournalError(f"{self.path} is a folder: give the name of a file")
        kind = None if allow_network else file_system(self.path.parent)
        if kind in NETWORK:
            raise JournalError(
                f"{self.path} is on a network file system ({kind}), where locks may not hold and a journal can be "
                "damaged: put it on a local disk, or insist with allow_network=True"
            )

    def claim(self) -> None:
        """Say that this process holds it; the lock of the file itself is what keeps others out."""
        owner = Owner(os.getpid(), socket.gethostname(), time.time())
        with suppress(OSError):
            self._owner.write_bytes(msgspec.json.encode(owner))

    def release(self) -> None:
        """Say that nobody holds it."""
        with suppress(OSError):
            self._owner.unlink()

    def describe_owner(self) -> str:
        """Who holds it, in words."""
        try:
            owner = msgspec.json.decode(self._owner.read_bytes(), type=Owner)
        except (OSError, msgspec.MsgspecError):
            return "another process"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
        return f"process {owner.pid} on {owner.host}, since {since}"

    def remember_files(self) -> None:
        """Remember which files they are, to notice when one is removed."""
        self._files = {path: _identity(path) for path in (self.path, self.wal) if path.exists()}

    def check_files(self) -> None:
        """Raise `JournalError` if a file was removed or replaced: what is written there would be lost."""
        for path, known in self._files.items():
            try:
                now = _identity(path)
            except OSError as error:
                raise JournalError(f"{path} is gone: {error.strerror}; what is written would be lost") from None
            if now != known:
                raise JournalError(f"{path} was replaced by another file; what is written would be lost")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def file_system(folder: Path) -> str | None:
    """The kind of file system that a folder is on; None where the system does not say."""
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    best: tuple[int, str | None] = (-1, None)
    real = folder.resolve()
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if real.is_relative_to(point):
            best = max(best, (len(point.parts), after.split()[0]), key=lambda each: each[0])
    return best[1]
