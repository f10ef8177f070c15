"""Views in cells of a real JupyterLab: what they show stays true, and what they leave behind."""

import pytest

from tests.harness.wait import wait_until

# Panel's comm in a notebook loses a message now and then while outputs are being made.
STUMBLE = "_apply_json_patch"
START = (
    "import agentrt, threading\n"
    "from agentrt import Activity\n"
    "manager = agentrt.RuntimeManager()\n"
    "def add(activity: Activity[int], state: int) -> int:\n"
    "    return state + activity.payload\n"
    "runtime = manager.create('sum', 0, add)"
)

OVERLAP = [
    START + "\nruntime",
    "import panel as pn\n"
    "begun, gate = threading.Event(), threading.Event()\n"
    "def callback(event):\n"
    "    if event.obj.name == 'Again':\n"
    "        begun.set()\n"
    "        gate.wait(60)\n"
    "    event.obj.name = 'Again'\n"
    "pn.widgets.Button(name='Callback', on_click=callback)",
    "begun.wait(30)\nprint('meanwhile', begun.is_set())\ngate.set()",
    "print('afterwards')",
]


@pytest.mark.lab
def test_cells_print_while_a_callback_runs(jupyterlab, page):
    notebook = jupyterlab.open(page, OVERLAP, name="overlap.ipynb")
    notebook.run(0)
    notebook.run(1)
    for name in ("Callback", "Again"):  # JupyterLab has a thread for it from the first answer on
        notebook.cell(1).get_by_role("button", name=name).click()
    notebook.run(2)
    notebook.wait_for_output(2, "meanwhile True", timeout=10)
    notebook.run(3)
    notebook.wait_for_output(3, "afterwards", timeout=10)


COUNTS = (
    "import gc\n"
    "import panel as pn\n"
    "from agentrt.views.notebook.card import Card\n"
    "gc.collect()\n"
    "cards = sum(isinstance(each, Card) for each in gc.get_objects())\n"
    "comms = len(get_ipython().kernel.comm_manager.comms)\n"
    "f'{len(manager.hub.clients)} feeds, {cards} cards, {len(pn.state._views)} views, {comms} comms'"
)


@pytest.mark.lab
def test_a_view_ends_when_its_cell_runs_again(jupyterlab, page, guard):
    guard.allow(STUMBLE)
    notebook = jupyterlab.open(
        page, [START, "runtime", COUNTS, "runtime.send_nowait(5).result(10)"], name="again.ipynb"
    )
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_output(1, "0 processed")
    once = notebook.run(2)
    for _ in range(4):
        notebook.run(1)
        notebook.wait_for_output(1, "0 processed")
    wait_until(lambda: notebook.run(2) == once, 20, f"as after the first run: {once}")
    assert once.startswith("'1 feeds, 1 cards")
    notebook.run(3)
    notebook.wait_for_output(1, "1 processed")


@pytest.mark.lab
def test_views_are_there_after_the_first_cell_ran_twice_and_the_page_was_loaded_again(jupyterlab, page, guard):
    guard.allow(STUMBLE)
    notebook = jupyterlab.open(
        page, [START, "runtime", "manager", "runtime.send_nowait(5).result(10)"], name="twice.ipynb"
    )
    for cell in (0, 1, 2, 1, 3):
        notebook.run(cell)
    for view in (1, 2):
        notebook.wait_for_output(view, r"\b1 (processed|done)|\bsum\b")
    notebook.wait_for_output(1, "1 processed")
    notebook.save()
    notebook.reload()
    for view in (1, 2):
        notebook.wait_for_output(view, r"\bsum\b")
    notebook.run(2)
    notebook.wait_for_output(2, r"\bsum\b")


@pytest.mark.lab
def test_a_page_that_is_loaded_again_shows_now(jupyterlab, page, guard):
    guard.allow(STUMBLE)
    sends = "for n in range(7):\n    runtime.send_nowait(n).result(10)"
    notebook = jupyterlab.open(page, [START, "runtime", sends], name="now.ipynb")
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.wait_for_output(1, "7 processed")
    notebook.save()
    notebook.reload()
    notebook.wait_for_output(1, "7 processed")  # nothing has happened since the page was loaded
    notebook.run(2)
    notebook.wait_for_output(1, "14 processed")
