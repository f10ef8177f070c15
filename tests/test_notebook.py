"""notebook.py: a blocking call in a cell, and no patched event loop before it."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def in_a_process(code):
    """Run in a process of its own: what `nest_asyncio` patches stays patched."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


PRELUDE = """
import asyncio, sys, types
import agentrt
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=object)  # as in a kernel

async def add(activity, state):
    await asyncio.sleep(0)
    return state + activity.payload
"""


def test_a_blocking_call_in_a_cell_that_shares_the_loop():
    printed = in_a_process(
        PRELUDE
        + """
async def cell():
    manager = agentrt.RuntimeManager(loop="current")
    runtime = manager.create("a", 0, add)
    print(manager.run(runtime.ask(2)))
    print(manager.run(runtime.send_nowait(3)).state)
    try:
        manager.run(asyncio.sleep(60), timeout=0.01)
    except TimeoutError:
        print("timeout")
    print(await runtime.ask(4))
    await manager.aclose()

asyncio.run(cell())
"""
    )
    assert printed == ["2", "5", "timeout", "9"]


def test_nothing_is_patched_before_that_call_nor_for_a_manager_on_its_own_thread():
    printed = in_a_process(
        PRELUDE
        + """
async def cell():
    with agentrt.RuntimeManager() as manager:
        print(manager.run(manager.create("a", 0, add).ask(2)))
    async with agentrt.RuntimeManager(loop="current") as manager:
        print(await manager.create("a", 0, add).ask(3))
    print("nest_asyncio" in sys.modules)

asyncio.run(cell())
"""
    )
    assert printed == ["2", "3", "False"]


@pytest.mark.kernel
def test_the_one_cell_promise_in_a_real_kernel(kernel):
    cell = textwrap.dedent("""
        import agentrt
        manager = agentrt.RuntimeManager()
        async def counter(activity, state):
            return state + activity.payload
        runtime = manager.create("counter", 0, counter)
        runtime.send_nowait(1)
        runtime.send_nowait(5, priority=True)
        print(await runtime.ask(10), manager.run(runtime.ask(4)))
    """)
    assert "16 20" in kernel.run(cell).text
    assert "16 20" in kernel.run("print(16, runtime.state)").text
    assert kernel.alive()


@pytest.mark.kernel
def test_a_manager_on_the_kernels_own_loop(kernel):
    cell = textwrap.dedent("""
        import agentrt
        manager = agentrt.RuntimeManager(loop="current")
        runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
        print("first", await runtime.ask(1))
        print("second", manager.run(runtime.ask(1)))
        print("third", await runtime.ask(1))
    """)
    text = kernel.run(cell).text
    assert [word in text for word in ("first 1", "second 2", "third 3")] == [True] * 3
    assert kernel.alive()


def test_only_this_module_knows_of_nest_asyncio():
    found = [path.name for path in (ROOT / "agentrt").rglob("*.py") if "import nest_asyncio" in path.read_text()]
    assert found == ["notebook.py"]
