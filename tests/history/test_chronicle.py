"""chronicle.py: the records in order, as many as the ring has."""

from agentrt import Activity, RuntimeManager
from agentrt.events import Event, Ring
from agentrt.history.chronicle import Chronicle, Cut
from agentrt.metrics import Fates
from tests.support import add


def never() -> Cut:
    raise AssertionError("nothing was let go")


def test_numbers_that_were_taken_on_two_threads_come_in_order():
    ring = Ring()
    chronicle = Chronicle(ring, never)
    for numbers in ((1, 3, 2), (6, 4), (5,)):
        for number in numbers:
            ring.append(Activity(number, "a", created=float(number)))
        chronicle.pull()
    assert chronicle.sequences == [1, 2, 3, 4, 5, 6]
    assert chronicle.tracks["a"].sequences == [1, 2, 3, 4, 5, 6]
    assert [each.id for each in chronicle.replica("a", 4).standard] == [1, 2, 3, 4]


def test_a_time_is_that_of_the_last_record_before_it():
    ring = Ring()
    for number, at in enumerate((0.5, 1.0, 1.0, 2.0), 1):
        ring.append(Event(number, "a", at, "log"))
    chronicle = Chronicle(ring, never)
    chronicle.pull()
    assert [chronicle.at(time) for time in (0.0, 0.7, 1.0, 1.5, 9.0)] == [0, 1, 3, 3, 4]


def test_what_was_let_go_unread_begins_with_a_cut():
    ring = Ring(limit=10)
    chronicle = Chronicle(ring, lambda: Cut(*ring.since(0), [], Fates(accepted=40, pending=40)))
    for number in range(1, 41):
        ring.append(Activity(number, "a"))
        ring.trim()
    chronicle.pull()
    assert chronicle.first == chronicle.sequences[0] > 1
    assert chronicle.fates(chronicle.last).accepted == 40


def test_it_keeps_no_more_than_the_ring():
    with RuntimeManager(ring=2_000) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=10_000)
        for _ in range(20):
            for _ in range(500):
                runtime.send_nowait(1)
            manager.run(runtime.ask(0))
            assert manager.at()["a"].state == runtime.state
        chronicle = manager.origin.chronicle
        assert len(chronicle.records) < 6_000
        assert manager.at().fates() == manager.fates()
