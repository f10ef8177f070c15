"""bounded.py: the newest stay, and what is let go is counted."""

import threading

from agentrt.schema.bounded import BoundedDict, WeighedDict


def test_the_oldest_are_let_go_when_there_are_too_many():
    bounded = BoundedDict(3)
    for n in range(5):
        bounded[n] = n
    assert (dict(bounded), bounded.let_go, len(bounded)) == ({2: 2, 3: 3, 4: 4}, 2, 3)


def test_the_oldest_are_let_go_when_they_are_too_large():
    bounded = BoundedDict(100, 1_000_000)
    for n in range(20):
        bounded[n] = [bytes(100_000)]
    assert list(bounded) == list(range(11, 20))
    assert (bounded.let_go, bounded.size < 1_000_000) == (11, True)


def test_the_newest_stays_however_large():
    bounded = BoundedDict(100, 1_000)
    bounded["small"] = 1
    bounded["large"] = bytes(1_000_000)
    assert list(bounded) == ["large"]
    bounded["small"] = 1
    assert list(bounded) == ["small"]


def test_one_that_is_put_in_again_is_the_newest_and_counts_once():
    bounded = BoundedDict(3)
    for key in "abca":
        bounded[key] = bytes(1_000)
    assert list(bounded) == ["b", "c", "a"]
    assert 3_000 < bounded.size < 3_500
    del bounded["b"]
    bounded.pop("c")
    assert 1_000 < bounded.size < 1_100
    bounded.clear()
    assert (bounded.size, bounded.let_go, len(bounded)) == (0, 0, 0)


def test_what_a_value_keeps_alive_can_be_said():
    bounded = BoundedDict(100, 1_000, held=lambda value: [])
    for n in range(5):
        bounded[n] = bytes(1_000)
    assert len(bounded) == 5


def test_another_thread_may_go_through_it():
    bounded, stop = BoundedDict(10), threading.Event()

    def read():
        while not stop.is_set():
            assert len(list(bounded)) <= 11

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(5_000):
        bounded[n] = n
    stop.set()
    thread.join()


def test_values_that_grow_after_they_were_put_in_are_weighed_together():
    class Keys(WeighedDict):
        released = ()

        def release(self, key, value):
            self.released += (key,)

    weighed = Keys(1_000, 1_000_000)
    for n in range(100):
        weighed[n] = []
        weighed.get(n - 1, []).append(bytes(100_000))
        assert sum(len(value) for value in weighed.values()) <= 10 + len(weighed) // 4 + 8
    assert list(weighed) == list(range(100 - len(weighed), 100))
    assert weighed.released == tuple(range(100 - len(weighed)))
    del weighed[99]
    weighed[98] = [1]
    assert list(weighed)[-1] == 98


def test_weighing_many_takes_a_bounded_time():
    weighed = WeighedDict(1_000_000, 10_000)
    for n in range(50_000):
        weighed[n] = bytes(1)
    assert 200 < len(weighed) < 1_000


def test_letting_go_of_one_takes_as_long_whatever_went_before():
    bounded = BoundedDict(10_000)
    for n in range(200_000):
        bounded[n] = n
    assert next(iter(bounded)) == 190_000
    bounded.clear()
    assert (len(bounded), bounded.size) == (0, 0)
