"""retention.py: what is kept of the past of many runtimes is bounded in bytes, all runtimes together."""

import gc

import pytest

from agentrt import ProcessingError
from agentrt.schema.bounded import MOST_BYTES
from tests.support import virtual

LARGE = 5_000_000
FITTING = MOST_BYTES // LARGE


async def fail_large(activity, state):
    large = bytes(LARGE)
    raise ValueError(f"no {activity.payload}, {len(large)}")


async def replace(activity, state):
    return bytes(activity.payload)


@virtual
async def test_the_last_errors_of_many_runtimes_keep_a_bounded_number_of_frames(manager):
    runtimes = [manager.create(f"r{n}", 0, fail_large) for n in range(60)]
    for n, runtime in enumerate(runtimes):
        with pytest.raises(ProcessingError):
            await runtime.ask(n)
    with_frames = [runtime for runtime in runtimes if runtime.error.__cause__ is not None]
    assert 1 <= len(with_frames) <= 2 * FITTING
    assert with_frames[-1] is runtimes[-1]
    assert "ValueError: no 0, 5000000" in str(runtimes[0].error)
    assert (type(runtimes[0].error), runtimes[0].error.runtime) == (ProcessingError, "r0")
    assert "let go" in runtimes[0].error.__notes__[0]


@virtual
async def test_the_keys_of_many_runtimes_keep_a_bounded_number_of_outcomes(manager):
    for n in range(60):
        runtime = manager.create(f"r{n}", b"", replace)
        await runtime.ask(LARGE, key="k")
        await runtime.ask(0)
    kept = [n for n in range(60) if manager["r" + str(n)].entry.keys]
    assert 1 <= len(kept) <= 2 * FITTING
    assert kept[-1] == 59
    assert len(manager.remembered) == len(kept)
    first = manager["r59"].send_nowait(LARGE, key="k")
    assert manager["r59"].send_nowait(LARGE, key="k") is first


@virtual
async def test_small_outcomes_are_remembered_all(manager):
    runtime = manager.create("a", b"", replace)
    receipts = {str(n): runtime.send_nowait(n % 10, key=str(n)) for n in range(900)}
    for receipt in receipts.values():
        await receipt
    assert all(runtime.send_nowait(0, key=key) is receipt for key, receipt in receipts.items())
    assert len(manager.remembered) == 900


# It collects what other tests have left as well.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@virtual
async def test_nothing_is_kept_of_runtimes_that_left(manager):
    for n in range(5):
        runtime = manager.create(f"r{n}", b"", fail_large)
        receipt = runtime.send_nowait(n, key="k")
        await receipt.wait()
        await runtime.terminate()
    gc.collect()
    assert (len(manager.last_errors), len(manager.remembered)) == (0, 0)


@virtual
async def test_a_runtime_that_ended_still_gives_the_receipt_of_a_key(manager):
    runtime = manager.create("a", b"", replace)
    receipt = runtime.send_nowait(1, key="k")
    await receipt
    await runtime.terminate()
    assert runtime.send_nowait(1, key="k") is receipt
