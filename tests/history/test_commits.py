"""commits.py: the states of a runtime, one after the other."""

from dataclasses import dataclass
from typing import Any

import pytest

from agentrt import RuntimeManager
from tests.support import add


@dataclass(frozen=True)
class Account:
    owner: str = "me"
    balance: int = 0


def book(activity: Any, account: Account) -> Account:
    if activity.payload == 0:
        raise ValueError("nothing to book")
    return Account(account.owner, account.balance + activity.payload)


def test_it_is_a_sequence_of_commits():
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add)
        ids = [runtime.send_nowait(n).result(60).id for n in (1, 2, 3)]
        history = runtime.history
        assert [each.state for each in history] == [0, 1, 3, 6]
        assert [each.activity.id for each in history[1:]] == ids
        assert (len(history), history[0].kind, history[-1].kind, history[0].activity) == (4, "created", "done", None)
        assert [each.state for each in history[1:3]] == [1, 3]
        with pytest.raises(IndexError):
            history[9]
        manager.run(runtime.ask(4))
        assert history[-1].state == 10, "it is always current"
        assert history.place(history[2].sequence) == 2


def test_a_restart_and_an_edit_are_commits_too():
    def broken(activity: Any, state: int) -> int:
        if activity.payload < 0:
            raise ValueError
        return state + activity.payload

    with RuntimeManager() as manager:
        runtime = manager.create("a", 7, broken, supervision="restart")
        runtime.send_nowait(1).result(60)
        for _ in range(5):
            runtime.send_nowait(-1)
        manager.run(runtime.ask(2))
        assert [(each.kind, each.state) for each in runtime.history] == [
            ("created", 7), ("done", 8), ("restarted", 7), ("done", 9),
        ]  # fmt: skip


def test_two_moments_are_compared():
    with RuntimeManager() as manager:
        account = manager.create("account", Account(), book)
        first = account.send_nowait(5).result(60).sequence
        second = account.send_nowait(6).result(60).sequence
        [change] = account.history.diff(first, second)
        assert (change.path, change.old, change.new) == ("balance", 5, 11)
        assert account.history.at(first).state.balance == 5


def test_the_first_state_of_a_kind_is_searched():
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add, standard_capacity=2_000)
        for _ in range(1_000):
            runtime.send_nowait(1)
        manager.run(runtime.ask(1))
        history, calls = runtime.history, []

        def large(state: int) -> bool:
            calls.append(state)
            return state >= 700

        assert history.search(large).state == 700
        linear = len(calls)
        calls.clear()
        assert history.search(large, monotone=True).state == 700
        assert len(calls) <= 11 < linear
        assert history.search(lambda state: state < 0) is None
        assert history.search(lambda state: state > 9_999, monotone=True) is None


def test_it_says_what_was_let_go():
    with RuntimeManager(ring=1_000) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=9_000)
        for _ in range(3_000):
            runtime.send_nowait(1)
        manager.run(runtime.ask(0))
        assert runtime.history.let_go > 1_000
        assert "were let go" in repr(runtime.history)
        assert runtime.history[-1].state == 3_000


def test_it_is_a_table():
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add)
        runtime.send_nowait(1, priority=True).result(60)
        frame = runtime.history.frame()
        assert list(frame["state"]) == [0, 1]
        assert frame["lane"][1] == "priority"
        assert "<td>priority</td>" in runtime.history._repr_html_()
