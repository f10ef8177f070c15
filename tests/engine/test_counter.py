"""counter.py: every number once, in order; that of the compiled core where it is built."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import pytest

from agentrt import RuntimeManager
from agentrt.engine.core import PURE
from agentrt.engine.counter import make_counter
from tests.cores import core_is_built

COUNTERS = [PURE["make_counter"]]
if core_is_built():
    from agentrt.engine._core import make_counter as make_compiled_counter  # type: ignore[import-not-found]

    COUNTERS.append(make_compiled_counter)
each_core = pytest.mark.parametrize("make", COUNTERS)


def test_a_manager_has_that_of_the_core_that_runs() -> None:
    with RuntimeManager() as manager:
        assert type(manager.counter) is type(make_counter(1))


@each_core
def test_it_begins_where_it_is_told(make) -> None:
    counter = make(2**40)
    assert (next(counter), counter.__next__(), next(counter)) == (2**40, 2**40 + 1, 2**40 + 2)


@each_core
def test_threads_draw_every_number_once(make) -> None:
    counter = make(1)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: list(islice(counter, 20_000)), range(4)))
    assert sorted(chain(*drawn)) == list(range(1, 80_001))


@each_core
def test_what_is_no_number_is_refused(make) -> None:
    with pytest.raises(TypeError):
        make("1")
