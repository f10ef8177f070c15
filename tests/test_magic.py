"""magic.py: `%agentrt debug JFK`, in a real kernel too."""

import textwrap
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page

import agentrt
from agentrt.magic import USAGE, add_magic, load_ipython_extension
from tests.harness.kernel import Kernel
from tests.harness.screenshot import shoot
from tests.support import add


def shell_with(**names: Any) -> Any:
    magics: dict[str, Any] = {}

    def register(function: Any, magic_kind: str, magic_name: str) -> None:
        magics[f"{magic_kind} {magic_name}"] = function

    shell = SimpleNamespace(user_ns=names, register_magic_function=register, magics=magics)
    load_ipython_extension(shell)  # type: ignore[arg-type]
    add_magic(shell)  # type: ignore[arg-type]  # twice is fine
    return shell


def test_it_opens_the_debugger_of_the_runtime_of_that_id() -> None:
    with agentrt.RuntimeManager(name="one") as one, agentrt.RuntimeManager(name="two") as two:
        one.create("JFK", 0, add)
        runtime = two.create("La Guardia", 0, add)
        for names in ({"a": one, "b": two}, {"a": one, "flight": runtime}):
            magic = shell_with(**names, other=3).magics["line agentrt"]
            assert repr(magic("debug JFK")) == "<where of 'JFK' of 'one'>"
            assert repr(magic(' debug  "La Guardia" ')) == "<where of 'La Guardia' of 'two'>"
        assert magic.__doc__ == USAGE


@pytest.mark.parametrize("text", ["", "debug", "open JFK"])
def test_another_command_is_refused_with_the_one_there_is(text: str) -> None:
    with pytest.raises(agentrt.ConfigurationError, match="debug ID"):
        shell_with().magics["line agentrt"](text)


def test_an_unknown_id_is_refused_with_those_there_are() -> None:
    with pytest.raises(agentrt.RuntimeNotFoundError, match="no variable of the notebook"):
        shell_with().magics["line agentrt"]("debug JFK")
    with agentrt.RuntimeManager() as manager:
        manager.create("LGA", 0, add)
        with pytest.raises(agentrt.RuntimeNotFoundError, match="there are LGA"):
            shell_with(m=manager).magics["line agentrt"]("debug JFK")


@pytest.mark.kernel
def test_in_a_kernel_a_stopped_runtime_is_opened_and_goes_on(kernel: Kernel) -> None:
    began = kernel.run(
        textwrap.dedent(
            """
            import agentrt, time
            manager = agentrt.RuntimeManager()

            async def land(activity, state, ctx):
                with ctx.step("park"):
                    return state + activity.payload

            runtime = manager.create("JFK", 0, land)
            runtime.breakpoints.add(step="park")
            receipt = runtime.send_nowait(7)
            while runtime.breakpoints.stop is None:
                time.sleep(0.01)
            print(runtime.status, runtime.breakpoints.evaluate("activity.payload"))
            """
        )
    )
    assert (began.error, began.text) == (None, "paused 7\n")
    opened = kernel.run("%agentrt debug JFK")
    assert opened.error is None, opened.traceback
    assert "<where of 'JFK'" in opened.text
    assert any("text/html" in output["data"] or len(output["data"]) > 1 for output in opened.outputs)
    refused = kernel.run("%agentrt debug LGA")
    assert "there are JFK" in (refused.error or "")
    went_on = kernel.run("runtime.resume(); print(receipt.result(60).state, 1 + 1)")
    assert (went_on.error, went_on.text) == (None, "7 2\n")
    shared = kernel.run(
        textwrap.dedent(
            """
            import asyncio
            other = agentrt.RuntimeManager(loop="current")
            stopped = other.create("LGA", 0, land)
            stopped.breakpoints.add(step="park")
            receipt = stopped.send_nowait(5)
            while stopped.breakpoints.stop is None:
                await asyncio.sleep(0.01)
            stopped.breakpoints.step_over()
            while stopped.breakpoints.stop is None or stopped.breakpoints.stop.kind != "done":
                await asyncio.sleep(0.01)
            stopped.resume()
            print((await receipt).state)
            """
        )
    )
    assert (shared.error, shared.text) == (None, "5\n")
    loaded = kernel.run("%load_ext agentrt\nprint('loaded')")
    assert (loaded.error, loaded.text) == (None, "loaded\n")


LAB = [
    """
import agentrt, time
manager = agentrt.RuntimeManager(name="tower")

async def land(activity, state, ctx):
    with ctx.step("park"):
        return state + activity.payload

runtime = manager.create("JFK", 0, land)
runtime.send_nowait(1).result(60)
runtime.send_nowait(10).result(60)
runtime.breakpoints.add(step="park")
""",
    "%agentrt debug JFK",
    "receipt = runtime.send_nowait(100)",
    "receipt.result(60).state",
    "print(runtime.paused, [record.who for record in manager.source.frame().records if record.kind == 'resumed'])",
]


@pytest.mark.lab
def test_in_a_cell_a_person_continues_and_goes_back(jupyterlab: Any, page: Page) -> None:
    notebook = jupyterlab.open(page, LAB, name="debug.ipynb")
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_output(1, "Stop inside")
    notebook.run(2)
    notebook.wait_for_output(1, "begins: nothing of it has run")
    shoot(page, "debug-in-a-cell")
    cell = notebook.cell(1)
    cell.get_by_role("button", name="Event before").click()
    notebook.wait_for_output(1, "As it was at")
    shoot(page, "past-in-a-cell")
    cell.get_by_role("button", name="Back to live").click()
    notebook.wait_for_output(1, "begins: nothing of it has run")
    cell.get_by_role("button", name="Continue").click()
    assert notebook.run(3) == "111"
    assert "False ['notebook']" in notebook.run(4)
