"""The file of a journal: who holds it, and whether it may lie where it lies."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import JournalError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["SERVER", "Location", "Owner"]

# By their names in /proc/self/mountinfo: their locks do not hold between machines, or not always.
NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
}  # fmt: skip
SERVER = ("postgresql://", "postgres://")  # how an address begins
MARK = struct.Struct("!QQ")
MARK_AT = 512  # bytes of the file beside the journal, before it
SQLITE_LOCK = (510, 0x4000_0002)  # the bytes that SQLite locks, as many as so many from there on
MOUNTS = Path("/proc/self/mountinfo")


class Owner(msgspec.Struct):
    """Who holds a journal, as a file beside it says."""

    pid: int
    host: str
    since: float
    file: int = 0  # the inode: a copy of the files is held by nobody


class Location:
    """The path of a journal and what lies beside it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if str(path).startswith(SERVER):
            raise JournalError(
                "a journal in PostgreSQL is no file: open it with PostgresJournal, or write a file of it with "
                "`agentrt journal copy ADDRESS copy.db` and give that one"
            )
        self.path = Path(path).absolute()
        self.wal = self.path.with_name(self.path.name + "-wal")
        self._owner = self.path.with_name(self.path.name + "-owner")
        self._mark: int | None = None  # the open file of the owner
        self._files: dict[Path, tuple[int, int]] = {}

    def check(self, allow_network: bool) -> None:
        """Raise `JournalError` where no journal can be kept."""
        if self.path.name == ":memory:":
            raise JournalError("':memory:' would be a file of this name: give the path of one, or a MemoryJournal()")
        if not self.path.parent.is_dir():
            raise JournalError(f"there is no folder {self.path.parent} for the journal {self.path.name}")
        if self.path.is_dir():
            raise JournalError(f"{self.path} is a folder: give the name of a file")
        for each in (self.path.parent, self.path):
            if each.exists() and not os.access(each, os.W_OK):
                raise JournalError(f"the journal {self.path} can't be written: {each} is read-only for this user")
        kind = None if allow_network else file_system(self.path.parent)
        if kind in NETWORK:
            raise JournalError(
                f"{self.path} is on a network file system ({kind}), where locks may not hold and a journal can be "
                "damaged: put it on a local disk, or insist with allow_network=True"
            )

    def claim(self) -> None:
        """Say that this process holds it; the lock of the file itself is what keeps others out."""
        with suppress(OSError):
            owner = Owner(os.getpid(), socket.gethostname(), time.time(), self.path.stat().st_ino)
            self._owner.write_bytes(msgspec.json.encode(owner).ljust(MARK_AT + MARK.size + 4))
            self._mark = os.open(self._owner, os.O_WRONLY)

    def release(self) -> None:
        """Say that nobody holds it."""
        with suppress(OSError):
            self._owner.unlink()
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def find_owner(self) -> Owner | None:
        """Who holds it, or held it when it crashed."""
        try:
            return msgspec.json.decode(self._owner.read_bytes()[:MARK_AT], type=Owner)
        except (OSError, msgspec.MsgspecError):
            return None

    def describe_owner(self) -> str:
        """Who holds it, in words."""
        owner = self.find_owner()
        if owner is None:
            return "another process"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
        mine = " (this one: close its manager or journal first)" if owner.pid == os.getpid() else ""
        return f"process {owner.pid} on {owner.host}{mine}, since {since}"

    def is_held(self) -> bool:
        """Whether a process holds it now."""
        owner = self.find_owner()
        if owner is None or not self.path.exists():
            return False
        if owner.pid == os.getpid():  # a lock is not tried: to close the file would drop our own
            return owner.file == self.path.stat().st_ino
        if fcntl is None:
            return False
        with open(self.path, "rb") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, *SQLITE_LOCK)
            except OSError:
                return True
        return False

    def write_mark(self, opened: int, last: int) -> None:
        """Note what was acknowledged, so that it shows when it is no longer there after a crash.

        It is written after the rows are durable, and not synced: what it says is never too much.
        """
        if self._mark is not None:
            data = MARK.pack(opened, last)
            with suppress(OSError):
                os.pwrite(self._mark, data + zlib.crc32(data).to_bytes(4, "big"), MARK_AT)

    def read_mark(self) -> tuple[int, int]:
        """What `write_mark` noted before a crash: how often the file was opened, and its last row."""
        with suppress(OSError):
            data = self._owner.read_bytes()[MARK_AT:]
            if len(data) == MARK.size + 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big"):
                opened, last = MARK.unpack(data[: MARK.size])
                return opened, last
        return 0, 0

    def size(self) -> int:
        """The bytes of the file; 0 if there is none."""
        with suppress(OSError):
            return self.path.stat().st_size
        return 0

    def wal_size(self) -> int:
        """The bytes of the write-ahead log beside it."""
        with suppress(OSError):
            return self.wal.stat().st_size
        return 0

    def files(self) -> list[Path]:
        """All that belongs to it."""
        return [self.path, self.wal, self._owner]

    def copy_to(self, folder: Path, advice: str) -> Path:
        """Copy the files: to open the ones themselves would change them.

        Args:
            folder: Where the copies go.
            advice: What to do where a process holds the journal.

        Returns:
            The copy.

        Raises:
            JournalError: There is no such file, it can't be read, or a process holds it.
        """
        if not self.path.is_file():
            raise JournalError(f"there is no file {self.path}")
        copy = folder / "copy.db"
        try:
            before = self._times()
            self._check_free(advice)
            for source in self.files():
                with suppress(FileNotFoundError):
                    shutil.copyfile(source, copy.with_name(source.name.replace(self.path.name, copy.name, 1)))
            self._check_free(advice)
        except OSError as error:
            raise JournalError(f"the journal {self.path} can't be read: {error.strerror or error}") from error
        if self._times() != before:  # by who held it in between
            raise JournalError(f"the journal {self.path} was written meanwhile: {advice}")
        return copy

    def _check_free(self, advice: str) -> None:
        if self.is_held():
            raise JournalError(f"the journal {self.path} is held by {self.describe_owner()}: {advice}")

    def _times(self) -> list[tuple[int, int]]:
        found = [path.stat() for path in (self.path, self.wal) if path.exists()]
        return [(each.st_mtime_ns, each.st_size) for each in found]

    def time_of_last_write(self) -> float:
        """When the files were last written, in seconds since 1970."""
        return max((time for time, _ in self._times()), default=0) / 1e9

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
    found = os.stat(path)  # `path.stat()` takes twice as long
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
