"""hub.py: frames for whoever watches, at most ten a second, and silence while nothing happens."""

import asyncio
import logging
import queue
import threading

import pytest

from agentrt import Clock, Event, RuntimeManager
from agentrt.engine.hub import LONGEST_PAUSE, Hub
from agentrt.events import Ring
from tests.support import add

TIMEOUT = 60


@pytest.fixture
def ring():
    return Ring(limit=1_000)


@pytest.fixture
def hub(ring):
    hub = Hub(ring, Clock(), interval=0.005)
    yield hub
    hub.close()


def event(n, runtime="a"):
    return Event(n, runtime, 0.0, "log", detail=n)


class Frames:
    """A client that keeps its frames."""

    def __init__(self, hub):
        self.queue = queue.Queue()
        self.detach = hub.attach(self.queue.put)

    def next(self):
        return self.queue.get(timeout=TIMEOUT)


def ended():
    """Wait until no hub runs."""
    for thread in threading.enumerate():
        if thread.name == "agentrt-hub":
            thread.join(TIMEOUT)


def test_the_first_frame_comes_at_once_even_with_no_news(hub):
    frame = Frames(hub).next()
    assert (frame.first, frame.records, frame.changed, frame.missed) == (True, [], set(), 0)


def test_a_frame_holds_what_is_new_and_whose(hub, ring):
    frames = Frames(hub)
    frames.next()
    ring.append(event(1, "a"))
    ring.append(event(2, "b"))
    ring.append(event(3, ""))
    records, changed = [], set()
    while len(records) < 3:
        frame = frames.next()
        records += frame.records
        changed |= frame.changed
        assert not frame.first
    assert [record.sequence for record in records] == [1, 2, 3]
    assert changed == {"a", "b"}


def test_clients_that_keep_up_share_a_frame_and_each_gets_every_record_once(ring):
    hub = Hub(ring, Clock(), interval=1000)
    draws, seen, begun = [], ([], [], []), threading.Event()
    hub.attach(lambda frame: begun.set())
    assert begun.wait(TIMEOUT)  # the hub's thread has had its turn, and sleeps
    for mine in seen:
        hub.attach(mine.append, schedule=draws.append)
    for number in range(1, 10):
        ring.append(event(number))
        hub._offer()
        if number % 3 == 0:
            draws.insert(0, draws.pop())  # whoever is first
        while draws:
            draws.pop(0)()
            ring.append(event(number + 100))  # while the others still have to draw
    hub.close()
    while draws:
        draws.pop(0)()
    ours = [[record.sequence for frame in mine for record in frame.records] for mine in seen]
    assert ours[0] == ours[1] == ours[2] == [record.sequence for record in ring.since(0)[0]]
    middle = [[id(frame) for frame in mine if frame.records and not frame.first][:-1] for mine in seen]
    assert middle[0] == middle[1] == middle[2]
    assert len(set(middle[0])) >= 7


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_a_client_that_wants_to_end_the_program_ends_nobody_else(hub, ring, error):
    def exits(frame):
        raise error

    hub.attach(exits)
    frames = Frames(hub)
    frames.next()
    ring.append(event(1))
    assert frames.next().records == ring.records


def test_it_is_silent_while_nothing_happens(hub):
    frames, other = Frames(hub), Frames(hub)
    frames.next()
    other.next()
    # Ten rounds of the hub, counted by a clock of its own: a client that always has news.
    rounds = threading.Semaphore(0)
    hub.attach(lambda frame: (rounds.release(), hub.clients[-1].__setattr__("first", True)))
    for _ in range(10):
        assert rounds.acquire(timeout=TIMEOUT)
    assert frames.queue.empty()
    assert other.queue.empty()


def test_it_runs_only_while_somebody_is_attached(hub):
    assert not hub.running
    frames = Frames(hub)
    frames.next()
    assert hub.running
    frames.detach()
    frames.detach()
    assert not hub.running
    ended()
    assert "agentrt-hub" not in [thread.name for thread in threading.enumerate()]
    Frames(hub).next()


def test_nothing_comes_after_detaching(hub, ring):
    frames = Frames(hub)
    frames.next()
    frames.detach()
    ring.append(event(1))
    Frames(hub).next()
    assert frames.queue.empty()


def test_a_slow_client_gets_merged_frames_and_never_two_at_once(hub, ring):
    go, entered, drawn = threading.Semaphore(0), threading.Semaphore(0), threading.Semaphore(0)
    inside, got = [], []

    def flush(frame):
        inside.append("in")
        entered.release()
        assert go.acquire(timeout=TIMEOUT)
        got.append((len(inside), [record.sequence for record in frame.records]))
        inside.pop()
        drawn.release()

    ring.append(event(0))
    hub.attach(flush, schedule=lambda draw: threading.Thread(target=draw).start())
    assert entered.acquire(timeout=TIMEOUT)
    quick = Frames(hub)
    for n in range(1, 6):
        quick.next()  # the hub goes round meanwhile
        ring.append(event(n))
    go.release(2)
    assert drawn.acquire(timeout=TIMEOUT)
    assert drawn.acquire(timeout=TIMEOUT)
    assert got == [(1, [0]), (1, [1, 2, 3, 4, 5])]


def test_who_missed_records_is_told_how_many(hub, ring):
    draws = queue.Queue()
    frames = queue.Queue()
    hub.attach(frames.put, schedule=draws.put)
    draws.get(timeout=TIMEOUT)()
    frames.get(timeout=TIMEOUT)
    for n in range(3_000):
        ring.append(event(n))
        ring.trim()
    draws.get(timeout=TIMEOUT)()
    frame = frames.get(timeout=TIMEOUT)
    assert frame.missed == ring.let_go > 0
    assert len(frame.records) + frame.missed == 3_000


def test_one_that_raises_is_logged_and_detached_and_the_others_go_on(hub, ring, caplog):
    def broken(frame):
        raise RuntimeError("a broken view")

    with caplog.at_level(logging.ERROR, "agentrt.engine.hub"):
        hub.attach(broken)
        frames = Frames(hub)
        frames.next()
        ring.append(event(1))
        frames.next()
    assert [record.exc_info[1].args for record in caplog.records] == [("a broken view",)]
    assert len(hub.clients) == 1


def test_a_client_whose_thread_is_gone_is_detached(hub):
    def gone(draw):
        raise RuntimeError("no document")

    hub.attach(lambda frame: None, schedule=gone)
    ended()
    assert not hub.running


def test_a_frame_that_is_drawn_too_late_is_not_drawn(hub):
    draws, frames = queue.Queue(), queue.Queue()
    detach = hub.attach(frames.put, schedule=draws.put)
    late = draws.get(timeout=TIMEOUT)
    detach()
    late()
    assert frames.empty()


def test_closing_the_manager_ends_it():
    with RuntimeManager(loop="thread") as manager:
        frames = Frames(manager.hub)
        frames.next()
        runtime = manager.create("a", 0, add)
        runtime.send_nowait(1).result(TIMEOUT)
        changed = set()
        while "a" not in changed:
            changed |= frames.next().changed
    ended()
    assert not manager.hub.running


def test_a_new_client_sees_what_the_ring_still_holds(hub, ring):
    for n in range(10):
        ring.append(event(n))
    assert len(Frames(hub).next().records) == 10


def test_watching_that_costs_more_than_its_budget_slows_the_views_down(ring):
    hub = Hub(ring, Clock())
    assert hub.next_pause(share=0.1) == pytest.approx(0.1)
    hub.pause = hub.next_pause(share=0.4)
    assert hub.pause == pytest.approx(0.25)
    hub.budget = 1.0
    assert hub.next_pause(share=0.4) < 0.25
    for _ in range(20):
        hub.pause = hub.next_pause(share=9.0)
    assert hub.pause == pytest.approx(LONGEST_PAUSE, rel=0.01)
    for _ in range(20):
        hub.pause = hub.next_pause(share=0.0)
    assert hub.pause == pytest.approx(hub.interval, rel=0.01)


def test_what_drawing_costs_is_counted_and_stays_counted(hub, ring):
    drawn = threading.Event()

    def dear(frame):
        hub.charge(5.0)
        drawn.set()

    detach = hub.attach(dear)
    assert drawn.wait(TIMEOUT)
    detach()
    assert hub.cost >= 5.0


def test_frames_come_less_often_when_they_are_dear(hub, ring):
    slow = threading.Event()

    def dear(frame):
        hub.charge(1.0)
        ring.append(event(len(ring.records)))
        if hub.pause > 2 * hub.interval:
            slow.set()

    hub.attach(dear)
    assert slow.wait(TIMEOUT)
