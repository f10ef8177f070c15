"""Activities are invisible to the garbage collector: nothing may tie one to what came of it."""

import gc
import weakref

import agentrt


class Load:
    """A payload that can be watched."""


def sent_and_gone(workflow: object) -> list[object]:
    """Send payloads through a workflow; which are still there once the ring has let them go."""
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", (), workflow)
        watched = []
        for _ in range(20):
            load = Load()
            watched.append(weakref.ref(load))
            runtime.send_nowait(load)
            del load
        manager.run(runtime.terminate(drain=True))
        manager.ring.records.clear()
        manager.terminated.clear()
        del runtime
    del manager
    gc.collect()
    return [ref for ref in watched if ref() is not None]


def test_a_failed_activity_goes_with_its_traceback():
    def fails(activity, state):
        raise ValueError(activity.payload)

    # The last error is on the closed manager's entry, which the traceback of the test's own frames may keep.
    assert len(sent_and_gone(fails)) <= 1


def test_an_activity_kept_in_a_state_goes_with_the_state():
    def keeps(activity, state):
        return (*state, activity)

    assert sent_and_gone(keeps) == []
