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


def test_receipts_that_a_workflow_keeps_do_not_keep_the_manager():
    def run():
        receipts = []

        async def keeps(activity, state):
            return len(receipts)

        with agentrt.RuntimeManager(loop="thread") as manager:
            runtime = manager.create("r", 0, keeps)
            receipts.extend(runtime.send_nowait(n) for n in range(3))
            receipts[-1].result(10)
            return weakref.ref(manager.ring)

    ring = run()
    gc.collect()
    assert ring() is None


def test_a_receipt_knows_its_runtime_before_and_after():
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("r", 0, lambda activity, state: state)
        runtime.pause()
        receipt = runtime.send_nowait(1)
        before = receipt.runtime
        runtime.resume()
        receipt.result(10)
    assert (before, receipt.runtime, receipt.id) == ("r", "r", receipt.outcome.id)
