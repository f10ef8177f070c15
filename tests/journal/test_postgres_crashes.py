"""A journal in PostgreSQL: `kill -9` of the agents and of the server at any moment, and a network that is parted."""

import os
import random
import subprocess
import sys
import threading
from collections import defaultdict

import pytest

from agentrt.journal import PostgresJournal
from tests.harness.place import ROOT
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.wait import PATIENCE, wait_until
from tests.journal.test_crashes import KILLS, check_books, kill_and_check, read_lines

SERVER_KILLS = max(1, KILLS // 2)


class Program:
    """The program under load in another process, and what it has said."""

    def __init__(self, dsn: str, timeout: float = 30.0) -> None:
        self.lines: list[list[str]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.journal.crash_child", dsn],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AGENTRT_TEST_TIMEOUT": str(timeout)},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.lines.append(line.split())

    def wait_for(self, more: int) -> None:
        """Wait until it has said so many lines more."""
        wanted = len(self.lines) + more
        wait_until(lambda: len(self.lines) >= wanted or self.process.poll() is not None, what=f"{more} lines more")
        assert self.process.poll() is None, self.lines[-1:]

    def end(self) -> list[list[str]]:
        """Kill it, and return all that it has said."""
        self.process.kill()
        return self.wait()

    def wait(self) -> list[list[str]]:
        """Wait until it ends by itself, and return all that it has said."""
        self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.lines


def check(dsn: str, lines: list[list[str]]) -> None:
    accepted: set[int] = set()
    done: dict[str, list[int]] = defaultdict(list)
    read_lines(lines, accepted, done)
    assert accepted
    check_books(dsn, accepted, done)


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * KILLS)
def test_nothing_acknowledged_is_lost_or_doubled_whenever_the_agents_are_killed(postgres_server: Postgres) -> None:
    kill_and_check(postgres_server.dsn(postgres_server.new_database()))


@pytest.mark.slow
@pytest.mark.timeout(600 + 60 * SERVER_KILLS)
def test_nothing_acknowledged_is_lost_or_doubled_whenever_the_server_is_killed(own_server: Postgres) -> None:
    """The agents are not started again: they wait, and go on."""
    chance = random.Random(SERVER_KILLS)
    program = Program(own_server.dsn())
    try:
        for _ in range(SERVER_KILLS):
            program.wait_for(chance.randrange(1, 2000))
            own_server.kill()
            own_server.start()
        program.wait_for(2000)
    finally:
        lines = program.end()
    check(own_server.dsn(), lines)


@pytest.mark.slow
@pytest.mark.timeout(10 * PATIENCE)
def test_a_parted_network_under_load_has_one_owner_that_commits(postgres_server: Postgres) -> None:
    """The second owner has all that the first one acknowledged; that one can't commit after the network is whole."""
    database = postgres_server.new_database()
    dsn = postgres_server.dsn(database)
    with Proxy(postgres_server.port) as proxy:
        program = Program(postgres_server.dsn(database, proxy.port), timeout=2.0)
        try:
            program.wait_for(3000)
            proxy.stop()
            with PostgresJournal(dsn, take_over=True) as second:
                last = second._database.meta.last
                proxy.heal()
                lines = program.wait()
                assert lines[-1][:2] == ["taken", "over"]
                second._call(lambda: second._database.store([]))  # still the owner
                assert second._database.meta.last == last
                assert second._call(second._database.measure) == second.size
        finally:
            proxy.heal()
            lines = program.end()
    check(dsn, lines[:-1])
