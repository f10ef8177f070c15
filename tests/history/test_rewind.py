"""rewind.py: how a runtime stood before the records that are kept."""

from agentrt import RuntimeManager, Status
from agentrt.history.rewind import BEFORE
from tests.history.support import broken
from tests.support import add


def fill(manager: RuntimeManager, n: int = 3_000) -> None:
    """Records enough for the ring to let go of all that were before."""
    other = manager.create("other", 0, add, standard_capacity=10_000)
    for _ in range(n):
        other.send_nowait(0)
    manager.run(other.ask(0))


def test_a_runtime_that_did_nothing_since_is_as_it_is():
    with RuntimeManager(ring=2_000) as manager:
        a = manager.create("a", 5, add, timeout=3.0)
        manager.run(a.ask(1))
        a.pause()
        a.send_nowait(9)
        fill(manager)
        first = manager.at(manager.at().origin.chronicle.first)
        assert first["a"].snapshot(metrics=False).fates == a.fates()
        assert (first["a"].state, first["a"].status, first["a"].limits.timeout) == (6, Status.PAUSED, 3.0)
        assert [each.payload for each in first["a"].mailbox_items()] == [9]


def test_last_write_since_is_taken_back():
    with RuntimeManager(ring=2_000) as manager:
        a = manager.create("a", 5, add, timeout=3.0)
        a.pause()
        early = a.send_nowait(9).id
        fill(manager)
        a.resume()
        a.timeout = 7.0
        manager.run(a.ask(1))
        moment = manager.at(manager.at().origin.chronicle.first)
        assert (moment["a"].status, moment["a"].limits.timeout) == (Status.PAUSED, 3.0)
        assert [each.id for each in moment["a"].mailbox_items()] == [early]
        assert (moment["a"].fates().accepted, moment["a"].fates().pending) == (1, 1)
        assert moment["a"].state == BEFORE


def test_a_failure_says_what_the_state_was():
    with RuntimeManager(ring=2_000) as manager:
        a = manager.create("a", 5, broken)
        fill(manager)
        a.send_nowait(-1)
        manager.run(a.ask(1))
        assert manager.at(manager.at().origin.chronicle.first)["a"].state == 5
