"""What a notebook can do to its kernel through agents, on a real ipykernel: afterwards it still answers 1+1.

Each case runs with the agents on a thread of their own and on the kernel's own loop, where that can make a difference.
"""

import os
import signal
import textwrap

import pytest

from tests.harness.kernel import Answer, Kernel

pytestmark = pytest.mark.kernel

LOOPS = pytest.mark.parametrize("loop", ["thread", "current"])
PRELUDE = """
    import asyncio, gc, threading
    import agentrt

    async def add(activity, state):
        return state + activity.payload

    async def forever(activity, state):
        await asyncio.Event().wait()

    class Started:
        "A workflow that says when it has begun, and then does what it was given to do."

        def __init__(self, work):
            self.work, self.begun = work, threading.Event()

        async def __call__(self, activity, state):
            self.begun.set()
            return await self.work(activity, state)

    async def begun(workflow):
        while not workflow.begun.is_set():
            await asyncio.sleep(0)
"""


def cell(kernel: Kernel, code: str, timeout: float = 60.0) -> Answer:
    """Run a cell that must not fail."""
    answer = kernel.run(textwrap.dedent(code), timeout)
    assert answer.error is None, answer.traceback
    return answer


def begin(kernel: Kernel, loop: str) -> None:
    cell(kernel, PRELUDE)
    cell(kernel, f"manager = agentrt.RuntimeManager(loop={loop!r}, name='first')")


def stop_while(kernel: Kernel, code: str, shown: str = "working") -> Answer:
    """Run a cell until it has shown something, then press the stop button."""
    answer = kernel.start(textwrap.dedent(code))
    kernel.until(answer, shown)
    kernel.interrupt()
    return kernel.finish(answer)


def still_works(kernel: Kernel) -> bool:
    """The kernel answers, and so does a new runtime of the same manager."""
    agents = cell(kernel, "print(await manager.create(f'new {len(manager)}', 0, add).ask(2))").text
    return kernel.alive() and agents == "2\n"


# --- what a workflow raises


RAISED = [
    "KeyboardInterrupt",
    "SystemExit",
    "GeneratorExit",
    "asyncio.CancelledError",
    "StopIteration",
    "RecursionError",
]


@LOOPS
def test_whatever_a_workflow_raises_is_its_failure(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    for raised in RAISED:
        answer = cell(
            kernel,
            f"""
            async def awaited(activity, state):
                await asyncio.sleep(0)
                raise {raised}("no")

            async def at_once(activity, state):
                raise {raised}("no")

            def plain(activity, state):
                raise {raised}("no")

            for workflow in (awaited, at_once, plain, "blocking"):
                blocking, id = workflow == "blocking", f"{raised} {{workflow}}"
                runtime = manager.create(id, 0, plain if blocking else workflow, blocking=blocking)
                try:
                    await runtime.ask(1)
                except agentrt.ProcessingError as error:
                    print(runtime.status.value, runtime.fates().failed, runtime.state)
            """,
        )
        assert answer.text == "error 1 0\n" * 4, raised
        assert kernel.alive()
    assert still_works(kernel)


@LOOPS
def test_an_exit_that_nobody_waits_for(kernel: Kernel, loop: str) -> None:
    """No cell awaits it: the failure is found on the runtime."""
    begin(kernel, loop)
    cell(
        kernel,
        """
        async def leave(activity, state):
            await asyncio.sleep(0)
            raise SystemExit(3)

        leaving = manager.create("leave", 0, leave)
        receipts = [leaving.send_nowait(None) for _ in range(3)]
        """,
    )
    assert kernel.alive()
    shown = cell(
        kernel,
        """
        for receipt in receipts:
            try:
                await receipt
            except agentrt.ProcessingError as error:
                print(type(error.__cause__).__name__)
        print(repr(leaving.error.__cause__))
        """,
    ).text
    assert shown == "SystemExit\n" * 3 + "SystemExit(3)\n"
    assert still_works(kernel)


# --- the stop button


@LOOPS
def test_stop_while_a_cell_awaits(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    cell(kernel, "waiting = Started(forever); patient = manager.create('patient', 0, waiting)")
    answer = stop_while(
        kernel,
        """
        receipt = patient.send_nowait(1)
        await begun(waiting)
        print("working")
        await receipt
        """,
    )
    assert answer.error is not None
    assert answer.error.split(":")[0] in ("KeyboardInterrupt", "CancelledError")
    # The cell was stopped, not the agent.
    assert cell(kernel, "print(patient.status.value, receipt.outcome)").text == "processing None\n"
    assert still_works(kernel)


@LOOPS
def test_stop_while_a_cell_blocks(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    cell(kernel, "waiting = Started(forever); patient = manager.create('patient', 0, waiting)")
    answer = stop_while(
        kernel,
        """
        receipt = patient.send_nowait(1)
        manager.run(begun(waiting))
        print("working")
        manager.run(receipt)
        """,
    )
    assert answer.error is not None
    assert answer.error.startswith("KeyboardInterrupt")
    assert still_works(kernel)


@LOOPS
def test_stop_while_idle(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    cell(
        kernel,
        """
        waiting = Started(forever)
        patient = manager.create("patient", 0, waiting)
        receipt = patient.send_nowait(1)
        await begun(waiting)
        """,
    )
    kernel.interrupt()
    assert kernel.alive()
    assert cell(kernel, "print(patient.status.value, receipt.outcome)").text == "processing None\n"
    assert still_works(kernel)


# --- workflows that will not stop


@LOOPS
def test_a_workflow_that_eats_its_cancellation(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    shown = cell(
        kernel,
        """
        async def stubborn(activity, state):
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass

        runtime = manager.create("stubborn", 0, stubborn, timeout=0.05, grace=0.05)
        try:
            await runtime.ask(1)
        except agentrt.ActivityTimeoutError:
            print(runtime.status.value)
        """,
    ).text
    assert shown == "stuck\n"
    assert still_works(kernel)
    cell(kernel, "manager.close(timeout=0.1)", timeout=20)
    assert kernel.alive()


def test_a_workflow_that_blocks_its_loop(kernel: Kernel) -> None:
    """On a thread of their own it is the other agents that it blocks; the kernel goes on, and sees who it is."""
    begin(kernel, "thread")
    cell(
        kernel,
        """
        inside, release = threading.Event(), threading.Event()

        def block(activity, state):
            inside.set()
            release.wait()
            return "released"

        blocker = manager.create("blocker", "", block)
        seen = manager.subscribe()
        receipt = blocker.send_nowait(1)
        """,
    )
    assert cell(kernel, "print(inside.wait(60), blocker.status.value)").text == "True processing\n"
    assert kernel.alive()
    told = """
        async for record in seen:
            if record.kind == "blocked":
                print(record.runtime, record.detail["stack"][0].function)
                break
    """
    assert cell(kernel, told).text == "blocker block\n"
    assert cell(kernel, "release.set(); print((await receipt).state)").text == "released\n"
    assert still_works(kernel)


def test_stop_a_workflow_that_blocks_the_kernels_own_loop(kernel: Kernel) -> None:
    """There the stop button ends the workflow, and that is its failure.

    In a cell that awaits ipykernel can't: it leaves word of the signal for the loop, which is blocked. That such a cell
    freezes the kernel is why agents have a thread of their own unless told otherwise.
    """
    begin(kernel, "current")
    answer = stop_while(
        kernel,
        """
        def block(activity, state):
            print("working", flush=True)
            threading.Event().wait()

        try:
            manager.run(manager.create("blocker", 0, block).ask(1))
        except agentrt.ProcessingError as error:
            print(repr(error.__cause__))
        """,
    )
    assert (answer.text, answer.error) == ("working\nKeyboardInterrupt()\n", None)
    assert still_works(kernel)


# --- tasks that a workflow starts


@LOOPS
def test_a_failure_in_the_background_is_seen(kernel: Kernel, loop: str) -> None:
    """At once, although somebody keeps the task and nothing is collected."""
    begin(kernel, loop)
    answer = cell(
        kernel,
        """
        gc.disable()
        kept = []

        async def boom():
            raise LookupError("gone")

        async def careless(activity, state):
            kept.append(asyncio.create_task(boom(), name="careless"))
            return state

        seen = manager.subscribe()
        manager.create("starter", 0, careless).send_nowait(1)
        async for record in seen:
            if record.kind == "background":
                print(record.runtime, record.detail["task"], repr(record.detail["error"]))
                break
        """,
    )
    assert "starter careless LookupError('gone')\n" in answer.text
    kernel.until(answer, "task 'careless', started by 'starter', failed and nobody awaits it")
    assert still_works(kernel)


# --- cells


@LOOPS
def test_a_cell_is_run_again(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    agent = """
        @manager.agent("counter", state=0)
        async def counter(activity, state):
            return state + {step}
    """
    cell(kernel, agent.format(step=1))
    assert cell(kernel, "print(await counter.ask(0))").text == "1\n"
    cell(kernel, agent.format(step=10))
    assert cell(kernel, "print(await counter.ask(0))").text == "11\n"
    again = "plain = manager.create('plain', 0, add)"
    cell(kernel, again)
    answer = kernel.run(again)
    assert answer.error is not None
    assert answer.error.startswith("RuntimeExistsError: 'plain' exists; take it with manager['plain']")
    assert still_works(kernel)


@LOOPS
def test_a_manager_is_made_again_and_again(kernel: Kernel, loop: str) -> None:
    begin(kernel, loop)
    again = f"""
        manager = agentrt.RuntimeManager(loop={loop!r})
        counter = manager.create("counter", 0, add)
        print(await counter.ask(1))
    """
    assert [cell(kernel, again).text for _ in range(5)] == ["1\n"] * 5
    assert still_works(kernel)


@LOOPS
def test_nobody_keeps_a_reference(kernel: Kernel, loop: str) -> None:
    """Neither the handle nor the receipt, while the garbage is collected between any two turns."""
    begin(kernel, loop)
    cell(
        kernel,
        """
        seen, all_seen = [], asyncio.Event()

        async def slow(activity, state):
            waiting = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(waiting.set_result, None)
            gc.collect()
            await waiting
            return state + activity.payload

        manager.create("slow", 0, slow)
        for _ in range(10):
            manager["slow"].send_nowait(1)
        gc.collect()
        """,
    )
    assert cell(kernel, "gc.collect(); print(await manager['slow'].ask(1))").text == "11\n"
    unbound = f"""
        await agentrt.RuntimeManager(loop={loop!r}).create("unbound", 0, slow).ask(1)
    """
    assert cell(kernel, unbound).text == "1"
    cell(kernel, "gc.collect()")
    assert still_works(kernel)


@LOOPS
def test_asyncio_run_in_a_cell(kernel: Kernel, loop: str) -> None:
    """It can't work, and says so; nothing is broken by the attempt."""
    begin(kernel, loop)
    cell(kernel, "counter = manager.create('counter', 0, add)")
    answer = kernel.run("asyncio.run(counter.ask(1))")
    assert answer.error == "RuntimeError: asyncio.run() cannot be called from a running event loop"
    assert cell(kernel, "print(manager.run(counter.ask(1)))").text == "1\n"
    assert still_works(kernel)


@LOOPS
def test_a_second_manager(kernel: Kernel, loop: str) -> None:
    """Two managers share a kernel and an id, and one of them ends."""
    begin(kernel, loop)
    cell(kernel, f"second = agentrt.RuntimeManager(loop={loop!r}, name='second')")
    shown = cell(
        kernel,
        """
        mine, other = manager.create("counter", 0, add), second.create("counter", 100, add)
        print(await mine.ask(1), await other.ask(1))
        await second.aclose()
        print(await mine.ask(1), other.status.value)
        """,
    ).text
    assert shown == "1 101\n2 terminated\n"
    assert still_works(kernel)


def test_managers_on_both_loops_talk(kernel: Kernel) -> None:
    begin(kernel, "thread")
    shown = cell(
        kernel,
        """
        here = agentrt.RuntimeManager(loop="current")
        there = manager.create("there", 0, add)

        async def forward(activity, state):
            return await there.ask(activity.payload)

        print(await here.create("here", 0, forward).ask(5))
        """,
    ).text
    assert shown == "5\n"
    assert still_works(kernel)


# --- a journal: the kernel is killed, and the same cells are run again


STORE = "import agentrt; manager = agentrt.RuntimeManager(journal='agents.db', loop={loop!r})"
SHOP = """
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Order:
        cents: int

    @dataclass(frozen=True)
    class Shop:
        orders: tuple = ()
        cents: int = 0

    async def sell(activity: agentrt.Activity[Order], state: Shop) -> Shop:
        cents = activity.payload.cents
        return Shop((*state.orders, cents), state.cents + cents)

    shop = manager.create("shop", Shop(), sell)
    print(shop.resumed, shop.state.orders, shop.depth)
"""
FILL = """
    await shop.ask(Order(1))
    shop.pause()
    for cents in (2, 3, 4):
        receipt = shop.send_nowait(Order(cents))
    urgent = shop.send_nowait(Order(5), priority=True)
    await urgent.stored()
"""
GO_ON = "shop.resume(); print((await shop.ask(Order(6))).orders)"


def cut_off(kernel: Kernel) -> None:
    """Kill the kernel, and start one with an empty memory."""
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.restart()


@LOOPS
def test_a_killed_kernel_goes_on_where_it_stood(kernel: Kernel, loop: str) -> None:
    cells = (STORE.format(loop=loop), SHOP)
    assert [cell(kernel, each).text for each in cells] == ["", "False () (0, 0)\n"]
    cell(kernel, FILL)
    cut_off(kernel)
    assert [cell(kernel, each).text for each in cells] == ["", "True (1,) (1, 3)\n"]
    assert cell(kernel, GO_ON).text == "(1, 5, 2, 3, 4, 6)\n"
    cut_off(kernel)
    cell(kernel, cells[0])
    assert cell(kernel, SHOP).text == "True (1, 5, 2, 3, 4, 6) (0, 0)\n"
    assert kernel.alive()


@LOOPS
@pytest.mark.parametrize("journal", ["'agents.db'", "SQLiteJournal('agents.db')"])
def test_the_cell_that_opens_a_journal_is_run_again(kernel: Kernel, loop: str, journal: str) -> None:
    """The kernel itself holds the file: the earlier manager is closed, and its receipts are decided."""
    store = "from agentrt.journal import SQLiteJournal; " + STORE.format(loop=loop).replace("'agents.db'", journal)
    cells = (store, SHOP)
    cell(kernel, cells[0])
    cell(kernel, SHOP)
    cell(kernel, FILL)
    assert [cell(kernel, each).text for each in cells] == ["", "True (1,) (1, 3)\n"]
    assert cell(kernel, "print(receipt.outcome.kind)").text == "dead\n"
    assert cell(kernel, GO_ON).text == "(1, 5, 2, 3, 4, 6)\n"
    assert kernel.alive()


def test_a_killed_kernel_had_a_dead_letter_of_a_class_of_its_own(kernel: Kernel) -> None:
    """The class is defined in a later cell than the manager: until then the letter can be seen, and not be sent."""
    cells = (STORE.format(loop="thread"), SHOP)
    cell(kernel, cells[0])
    cell(kernel, SHOP)
    cell(kernel, FILL)
    cell(kernel, "await shop.terminate()")
    cut_off(kernel)
    cell(kernel, cells[0])
    letters = "print([letter.activity.payload for letter in manager.dead_letters])"
    assert "Order, which is not here: run the code that defines it first" in cell(kernel, letters).text
    refused = kernel.run("manager.dead_letters.resend(next(iter(manager.dead_letters)).activity.id)").error
    assert refused is not None
    assert refused.startswith("JournalError: ")
    assert refused.endswith("; the letter stays")
    assert cell(kernel, SHOP).text == "False () (0, 0)\n"
    assert cell(kernel, letters).text == "[Order(cents=5), Order(cents=2), Order(cents=3), Order(cents=4)]\n"
    sent = "letters = manager.dead_letters; print((await letters.resend(letters[0].activity.id)).state.cents)"
    assert cell(kernel, sent).text == "5\n"
