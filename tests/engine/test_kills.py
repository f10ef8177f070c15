"""`kill -9` at any moment of a durable manager: a hundred senders, a chain of three, retries and delays.

`AGENTRT_KILLS=100` does it as often as the promise was tested.
"""

import itertools
import os
import random
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.engine.kill_child import CHAIN, EVERY, SENDERS
from tests.harness.kill import run_and_kill
from tests.harness.postgres import Postgres
from tests.journal.crash_child import open_journal

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("AGENTRT_KILLS", "10"))


def check_books(place: str, acknowledged: dict[str, list[int]]) -> int:
    """Nothing acknowledged is lost, nothing is committed twice, the order is kept. How many were done."""
    with open_journal(place) as journal:
        found = {each.id: each for each in journal.runtimes()}
        waiting = {name: [each.activity for each in journal.waiting(name)] for name in found}
        states = {name: journal.state(name) for name in (*CHAIN, "late")}
    for name in CHAIN:
        counts, state = found[name].counts, states[name]
        assert state.wrong == ""  # each number once, in the order of its sender
        assert counts.get("done", 0) == state.count == sum(state.last)
        assert counts.get("accepted", 0) == state.count + len(waiting[name])
        assert counts.keys() <= {"accepted", "done"}
    for before, after in itertools.pairwise(CHAIN):
        assert found[after].counts.get("accepted", 0) == states[before].count
    assert sorted([*states["late"], *(each.payload for each in waiting["late"])]) == [
        EVERY * n for n in range(1, states["a"].count // EVERY + 1)
    ]
    stored = list(states["a"].last)
    for activity in waiting["a"]:
        stored[activity.payload[0]] += 1
        assert activity.payload[1] == stored[activity.payload[0]]
    assert all(stored[sender] >= most for sender, most in enumerate(acknowledged["accepted"]))
    assert all(states["a"].last[sender] >= most for sender, most in enumerate(acknowledged["done"]))
    return int(states["a"].count)


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * KILLS)
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(tmp_path: Path) -> None:
    kill_and_check(str(tmp_path / "agents.db"))


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * KILLS)
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice_in_postgres(postgres_server: Postgres) -> None:
    kill_and_check(postgres_server.dsn(postgres_server.new_database()))


def kill_and_check(place: str) -> None:
    """Kill the manager again and again at any moment, and check the books after each time."""
    chance = random.Random(KILLS)
    command = [sys.executable, "-c", "from tests.engine.kill_child import main; main()", place]
    acknowledged: dict[str, list[int]] = defaultdict(lambda: [0] * SENDERS)
    for turn in range(KILLS):
        lines = chance.choice([1, 2, 100, chance.randrange(1, 4000)]) if turn else 1000
        for what, sender, number in run_and_kill(command, lines):
            acknowledged[what][int(sender)] = int(number)
        done = check_books(place, acknowledged)
    assert done > 100
