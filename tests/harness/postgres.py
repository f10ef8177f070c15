"""A real PostgreSQL in a folder of its own, on a Unix socket and on loopback, with fsync on.

`python -m tests.harness.postgres --install` gets one from the system's packages where there is none.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.browser import apt_install
from tests.harness.place import free_port
from tests.harness.wait import PATIENCE, wait_until

MISSING = "there is no PostgreSQL on this machine; `python -m tests.harness.postgres --install` tries to get one"
USERS = ("postgres", "nobody")  # it refuses to run as root
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 30
shared_buffers = 32MB
fsync = on
synchronous_commit = on
"""
ACCESS = """
local all all trust
host passworded all 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def find() -> Path | None:
    """The folder of the programs, if there is one; Debian has them where no PATH leads."""
    found = [shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    places = [Path(each).resolve().parent for each in found if each]
    return next((each for each in places if (each / "postgres").exists()), None)


class Postgres:
    """A server of its own, with a database for whoever asks."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.programs = find() or Path()
        self._user = _user()
        self._databases = 0
        self.data = folder / "data"
        if self._user is not None:
            folder.chmod(0o755)
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(self.data), "-U", "agents", "-A", "trust", "-E", "UTF8", "--no-locale")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {self.port}\nunix_socket_directories = '{folder}'\n")
        (self.data / "pg_hba.conf").write_text(ACCESS)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("a") as log:
            command = [str(self.programs / "postgres"), "-D", str(self.data)]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self._user, cwd=self.folder
            )
        wait_until(self._answers, what="PostgreSQL answers")

    def _answers(self) -> bool:
        import psycopg

        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            psycopg.connect(self.dsn()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it, without waiting for whoever is connected."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it in the middle of its work. Its other processes notice within moments, and end as well."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        wait_until(lambda: not _processes_in(self.data), what="all processes of PostgreSQL have ended")

    def dsn(self, database: str = "postgres", port: int = 0) -> str:
        """The connection string of a database, on loopback."""
        return f"postgresql://agents@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The name of a database that is empty."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, user=self._user, cwd=self.folder, timeout=2 * PATIENCE
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def _user() -> str | None:
    """As whom it runs; None for whoever runs the tests."""
    if os.geteuid():
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return next(each for each in USERS if each in names)


def _processes_in(data: Path) -> list[int]:
    """The processes that work in a folder of data."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if (each / "cwd").resolve() == data.resolve():
                found.append(int(each.name))
        except OSError:
            continue
    return found


@contextmanager
def running() -> Iterator[Postgres]:
    """A server, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="agentrt-postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.kill()  # a clean end takes some seconds, for a folder that is removed


if __name__ == "__main__":
    if find() is None and "--install" in sys.argv:
        apt_install("postgresql")
    print(find() or MISSING)
