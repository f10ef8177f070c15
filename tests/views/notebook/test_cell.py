"""Views in cells of a real JupyterLab: what they show stays true, and what they leave behind.

`AGENTRT_LAB_ROUNDS=1000 python -m pytest -s tests/views/notebook/test_cell.py -k stress` is its long form.
"""

import os
import random
import re
import signal

import nbformat
import pytest
from playwright.sync_api import Page

from tests.harness.lab import KERNEL, Lab, Notebook
from tests.harness.screenshot import shoot
from tests.harness.wait import wait_until
from tests.views.notebook.support import START, WIDGETS, live

ROUNDS = int(os.environ.get("AGENTRT_LAB_ROUNDS", "5"))  # of the stress

OVERLAP = [
    START + "\nruntime",
    "import panel as pn\n"
    "pn.extension()\n"
    "begun, gate = threading.Event(), threading.Event()\n"
    "def callback(event):\n"
    "    if event.obj.name == 'Again':\n"
    "        begun.set()\n"
    "        gate.wait(60)\n"
    "    event.obj.name = 'Again'\n"
    "pn.widgets.Button(name='Callback', on_click=callback)",
    "begun.wait(60)\nprint('meanwhile', begun.is_set())\ngate.set()",
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
    notebook.wait_for_output(2, "meanwhile True")
    notebook.run(3)
    notebook.wait_for_output(3, "afterwards")


OTHERS = [
    START + "\nruntime",
    "import panel as pn\npn.widgets.Button(name='Of Panel')",
    "pn.extension()",
    "presses = []\npn.widgets.Button(name='Of Panel', on_click=presses.append)",
    "runtime.send_nowait(5).result(60)",
    "len(presses)",
]


@pytest.mark.lab
def test_another_object_of_panel_says_what_to_call_and_is_live_beside_a_view_then(jupyterlab, page):
    notebook = jupyterlab.open(page, OTHERS, name="others.ipynb")
    notebook.run(0)
    live(notebook, 0)
    assert "Ensure you run pn.extension()" in notebook.run(1)
    for cell in (2, 3):
        notebook.run(cell)
    notebook.cell(3).get_by_role("button", name="Of Panel").click()
    wait_until(lambda: notebook.run(5) == "1", 60, "the press has come")
    notebook.run(4)
    notebook.wait_for_output(0, "1 processed")
    live(notebook, 0)


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
def test_a_view_ends_when_its_cell_runs_again(jupyterlab, page):
    notebook = jupyterlab.open(
        page, [START, "runtime", COUNTS, "runtime.send_nowait(5).result(60)"], name="again.ipynb"
    )
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    once = notebook.run(2)
    for _ in range(4):
        notebook.run(1)
        live(notebook)
    wait_until(lambda: notebook.run(2) == once, 60, f"as after the first run: {once}")
    assert once.startswith("'1 feeds, 1 cards")
    notebook.run(3)
    notebook.wait_for_output(1, "1 processed")


@pytest.mark.lab
def test_views_are_there_after_the_first_cell_ran_twice_and_the_page_was_loaded_again(jupyterlab, page):
    notebook = jupyterlab.open(
        page, [START, "runtime", "manager", "runtime.send_nowait(5).result(60)"], name="twice.ipynb"
    )
    for cell in (0, 1, 2, 1, 3):
        notebook.run(cell)
    notebook.save()
    notebook.reload()
    for view in (1, 2):
        live(notebook, view)
        notebook.wait_for_output(view, r"\b1 processed|The runtime is fine")
    notebook.run(2)
    live(notebook, 2)


@pytest.mark.lab
def test_a_page_that_is_loaded_again_shows_now(jupyterlab, page):
    sends = "for n in range(7):\n    runtime.send_nowait(n).result(60)"
    notebook = jupyterlab.open(page, [START, "runtime", sends], name="now.ipynb")
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.wait_for_output(1, "7 processed")
    notebook.save()
    notebook.reload()
    notebook.wait_for_output(1, "7 processed")  # nothing has happened since the page was loaded
    notebook.run(2)
    notebook.wait_for_output(1, "14 processed")


def notice(notebook: Notebook) -> str:
    """What the view in the second cell says about not being live."""
    note = notebook.cell(1).locator("[data-state] > [role=status]")
    return note.inner_text() if note.is_visible() else ""


@pytest.mark.lab
def test_an_output_of_a_kernel_that_was_restarted_says_so_and_has_no_controls(jupyterlab, page):
    notebook = jupyterlab.open(page, [START, "runtime", "runtime.send_nowait(5).result(60)"], name="ended.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    assert not notice(notebook)
    notebook.run(2)
    notebook.wait_for_output(1, "1 processed")
    notebook.save()
    notebook.restart()
    live(notebook, state="silent")
    assert "the kernel was restarted or has ended" in notice(notebook)
    assert "1 processed" in notebook.output(1), "the last that it showed"
    assert page.evaluate("document.querySelector('[data-state] > [inert]') !== null"), "nothing of it can be pressed"
    shoot(page, "views/cell-restarted")
    notebook.reload()
    live(notebook, state="silent")
    assert "As it was when the cell ran, and not live" in notice(notebook)
    assert notebook.cell(1).get_by_alt_text("0 processed").is_visible()
    assert notebook.cell(1).locator("[data-state]").get_by_role("button").count() == 0
    shoot(page, "views/cell-saved")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    assert not notice(notebook)


@pytest.mark.lab
def test_a_saved_notebook_without_a_kernel_is_a_picture(jupyterlab, page):
    notebook = jupyterlab.open(page, [START, "runtime", "runtime.mailbox()"], name="saved.ipynb")
    for cell in (0, 1, 2):
        notebook.run(cell)
    live(notebook, 2)
    notebook.save()
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    live(notebook, 1, "silent")
    file = jupyterlab.root / "saved.ipynb"
    saved = nbformat.read(file, as_version=4)
    # Now JupyterLab asks for one, as not even the language is named, and does not trust the outputs.
    saved.metadata = nbformat.notebooknode.NotebookNode()
    nbformat.write(saved, file)
    page.reload()
    page.get_by_role("dialog").get_by_role("button", name="No Kernel", exact=True).click()
    for cell in (1, 2):
        notebook.wait_for_output(cell, "not live")
        notebook.cell(cell).get_by_alt_text("0 processed").wait_for()
        assert notebook.cell(cell).locator(".jp-OutputArea").get_by_role("button").count() == 0
    shoot(page, "views/cell-untrusted")


@pytest.mark.lab
def test_a_live_view_never_says_that_it_is_not_while_its_kernel_is_busy(jupyterlab, page):
    busy = "begun.set()\ngate.wait(60)"
    cells = [START + "\nbegun, gate = threading.Event(), threading.Event()", "runtime", busy]
    notebook = jupyterlab.open(page, cells, name="busy.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    page.evaluate(
        """() => {
            window.said = []
            const box = document.querySelector("[data-state]")
            new MutationObserver(() => said.push(box.dataset.state)).observe(box, {attributeFilter: ["data-state"]})
        }"""
    )
    notebook.start(2)
    # Longer than it takes until the notice comes: it was asked three times, and has answered.
    page.wait_for_function(
        """() => new Promise((done) => {
            let ticks = 0
            const timer = setInterval(() => { if (++ticks === 34) { clearInterval(timer); done(true) } }, 500)
        })""",
        timeout=120_000,
    )
    assert set(page.evaluate("said")) <= {"live"}
    notebook.interrupt()
    notebook.finish(2)
    live(notebook)


@pytest.mark.lab
def test_the_notice_goes_away_when_the_kernel_answers(jupyterlab, page):
    cells = [START, "runtime", "import os\nos.getpid()", "runtime.send_nowait(5).result(60)"]
    notebook = jupyterlab.open(page, cells, name="stopped.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    process = int(notebook.run(2))
    os.kill(process, signal.SIGSTOP)
    try:
        live(notebook, state="silent")
        assert "does not answer: it is busy" in notice(notebook)
        shoot(page, "views/cell-silent")
    finally:
        os.kill(process, signal.SIGCONT)
    live(notebook)
    assert not notice(notebook)
    notebook.run(3)
    notebook.wait_for_output(1, "1 processed")


STYLES = """() => {
    const found = []
    const walk = (node) => {
        if (node.nodeName === "BUTTON") {
            const {fontSize, padding, borderRadius, color, display} = getComputedStyle(node)
            found.push([node.innerText, fontSize, padding, borderRadius, color, display].join())
        }
        for (const child of [...(node.shadowRoot?.children ?? []), ...(node.children ?? [])]) walk(child)
    }
    walk(document.querySelector("[data-state]"))
    return found
}"""


# It is drawn: the same for two seconds.
STEADY = f"""() => new Promise((done) => {{
    const look = () => JSON.stringify(({STYLES})())
    let before = look(), same = 0
    const timer = setInterval(() => {{
        const now = look()
        same = now === before ? same + 1 : 0
        before = now
        if (same === 20) {{ clearInterval(timer); done(true) }}
    }}, 100)
}})"""


@pytest.mark.lab
def test_an_output_that_is_hidden_and_shown_again_keeps_its_styles(jupyterlab, page):
    notebook = jupyterlab.open(page, [START, "runtime", "runtime.pause()"], name="hidden.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    page.wait_for_function(f"() => ({STYLES})().length >= 3")
    page.wait_for_function(STEADY)
    before = page.evaluate(STYLES)
    for _ in range(2):
        notebook.command("notebook:hide-cell-outputs", 1)
        page.wait_for_function("document.querySelector('[data-state]') === null")
        notebook.command("notebook:show-cell-outputs", 1)
        live(notebook)
        wait_until(lambda: page.evaluate(STYLES) == before, 60, f"as before it was hidden: {before}")
    notebook.run(2)
    notebook.wait_for_output(1, "Paused")


@pytest.mark.lab
def test_a_new_view_of_an_output_is_live_beside_the_first(jupyterlab, page):
    cells = [START, "runtime", "runtime.send_nowait(5).result(60)"]
    notebook = jupyterlab.open(page, cells, name="new-view.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    home = page.evaluate("jupyterapp.shell.currentWidget.id")
    notebook.command("notebook:create-output-view", 1)
    other = page.locator(".jp-LinkedOutputView")
    other.locator("[data-state=live]").wait_for(state="attached")
    other.get_by_role("button", name=re.compile("pause", re.I)).first.click()
    page.evaluate("id => jupyterapp.shell.activateById(id)", home)
    for view in (other, notebook.cell(1)):
        view.get_by_text("Paused").first.wait_for()
    shoot(page, "views/cell-new-view")
    other.locator("[data-state]").evaluate(
        """(box) => {
            const view = [...jupyterapp.shell.widgets("main")].find((widget) => widget.node.contains(box))
            view.dispose()
        }"""
    )
    notebook.cell(1).get_by_role("button", name=re.compile("resume", re.I)).first.click()
    notebook.run(2)
    notebook.wait_for_output(1, "1 processed")
    live(notebook)


# Jupyter's server logs it when a page was closed before it had read a message, as happens on a busy machine.
UNREAD = "future: <Task finished"
TRAFFIC = (
    "stop = threading.Event()\n"
    "def send():\n"
    "    while not stop.wait(0.02):\n"
    "        runtime.send_nowait(1)\n"
    "threading.Thread(target=send, daemon=True).start()"
)


def nodes(page: Page) -> int:
    """How many nodes there are in the browser, also of what is no longer in the page and kept alive by something."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return int(metrics["Nodes"])


@pytest.mark.lab
def test_a_view_that_is_run_again_leaves_nothing_in_the_page(jupyterlab, page):
    notebook = jupyterlab.open(page, [START, "runtime"], name="nodes.ipynb")
    notebook.run(0)

    def run(times: int) -> None:
        for _ in range(times):
            notebook.run(1)
            live(notebook, 1)

    run(4)
    several = nodes(page)
    run(3)
    one_view = 1_000  # and more
    wait_until(lambda: nodes(page) - several < one_view, 60, "the earlier views are gone")  # the last one takes a while


# To the first view that is drawn it looks as if its output was hidden just then, and was there again right after.
AWAY_ONCE = """
const {get} = Object.getOwnPropertyDescriptor(Node.prototype, "isConnected")
window.wasAway = false
Object.defineProperty(Node.prototype, "isConnected", {configurable: true, get() {
  if (!window.wasAway && this.dataset?.state && /at (async )?show /.test(new Error().stack)) {
    window.wasAway = true
    return false
  }
  return get.call(this)
}})
"""


@pytest.mark.lab
def test_a_view_that_is_hidden_for_a_moment_while_it_is_drawn_is_drawn_then(jupyterlab, page):
    page.add_init_script(AWAY_ONCE)
    notebook = jupyterlab.open(page, [START, "runtime"], name="moment.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook, 1)
    assert page.evaluate("window.wasAway")


# How many parts of views are drawn light, and how many dark.
DRAWN = """() => {
    const count = {light: 0, dark: 0}
    const walk = (node) => {
        for (const theme in count) count[theme] += node.classList?.contains(`mui-${theme}`) ?? false
        for (const child of [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes]) walk(child)
    }
    for (const box of document.querySelectorAll("[data-state]")) walk(box)
    return count
}"""
# A part is told otherwise, as when it has missed a change.
MISSED = """() => {
    const models = Bokeh.documents.flatMap((document) => [...document.all_models])
    window.missed = models.find(({data}) => data?.dark_theme).data
    missed.dark_theme = false
}"""
DARK = "(dark) => { document.body.dataset.jpThemeLight = String(!dark) }"  # as JupyterLab does it
HEARD = (
    "from agentrt.views.notebook.channel import Channel\n"
    "heard, apply = [], Channel._apply\n"
    "def listen(channel, page, patch):\n"
    "    heard.extend(event.get('attr') for event in patch['events'])\n"
    "    apply(channel, page, patch)\n"
    "Channel._apply = listen"
)


def is_drawn(page: Page, theme: str, least: int = 10) -> bool:
    """Whether the views of a page are drawn, all of them in this theme."""
    drawn = page.evaluate(DRAWN)
    return drawn[theme] >= least and sum(drawn.values()) == drawn[theme]


@pytest.mark.lab
def test_two_pages_of_one_view_keep_the_theme_of_each(jupyterlab, page, new_page):
    sent = "[each for each in heard if each and each.endswith(('theme', 'color'))]"
    cells = [WIDGETS + START, HEARD, "runtime", sent]
    notebook = jupyterlab.open(page, cells, name="themes.ipynb")
    for cell in (0, 1, 2):
        notebook.run(cell)
    wait_until(lambda: is_drawn(page, "light"), what="drawn light")
    notebook.save()
    other = new_page()
    other.goto(f"{jupyterlab.url}/lab/tree/themes.ipynb?reset")
    other.wait_for_function(f"{KERNEL}?.status === 'idle'")
    wait_until(lambda: is_drawn(other, "light"), what="drawn light in the other page")
    page.evaluate(DARK, True)
    wait_until(lambda: is_drawn(page, "dark"), what="drawn dark")
    assert Notebook(other).run(3) == "[]", "the theme of a page is its own affair"
    assert is_drawn(page, "dark")
    assert is_drawn(other, "light")
    page.evaluate(MISSED)
    page.wait_for_function("() => missed.dark_theme")
    wait_until(lambda: is_drawn(page, "dark"), what="drawn dark, what has missed it as well")
    notebook.run(2)  # made anew by the kernel, which knows no theme
    wait_until(lambda: is_drawn(page, "dark"), what="drawn dark again")
    shoot(page, "views/cell-two-themes")


@pytest.mark.lab
@pytest.mark.timeout(300 + 30 * ROUNDS)
def test_stress_pages_are_loaded_and_cells_run_while_everything_changes(jupyterlab: Lab, page, guard):
    """After each round both views are live and not behind, and the page has logged nothing."""
    cells = [WIDGETS + START, "runtime", "manager", TRAFFIC, "runtime.processed", "stop.set()"]
    notebook = jupyterlab.open(page, cells, name="stress.ipynb")
    before, chance = jupyterlab.log(), random.Random(19)
    redrawn: list[str] = []
    page.on("console", lambda message: redrawn.append(message.text) if "drawn again" in message.text else None)
    for cell in (0, 1, 2, 3):
        notebook.run(cell)
    done = {"reload": 0, "run": 0, "hide": 0, "theme": 0}
    for _ in range(ROUNDS):
        action = chance.choice(["reload", "run", "run", "hide", "theme"])
        done[action] += 1
        if action == "reload":
            live(notebook, 1)
            live(notebook, 2)
            notebook.save()
            notebook.reload()
        elif action == "run":
            notebook.run(chance.choice([1, 2]))
        elif action == "theme":
            for dark in (True, False, True):
                page.evaluate(DARK, dark)
                page.wait_for_timeout(chance.choice([0, 20, 80, 300]))
        else:
            notebook.command("notebook:hide-cell-outputs", 1)
            notebook.command("notebook:show-cell-outputs", 1)
        if chance.random() < 0.5:
            continue  # the next one comes while this one is drawn
        processed = int(notebook.run(4))
        wait_until(lambda processed=processed: shown(notebook) >= processed, 60, f"{processed} in {notebook.output(1)}")
        live(notebook, 2)
    notebook.run(5)
    theme = "light" if page.evaluate("document.body.dataset.jpThemeLight") == "true" else "dark"
    wait_until(lambda: is_drawn(page, theme), what=f"drawn {theme}")
    logged = jupyterlab.log()[len(before) :]
    print(f"\n{ROUNDS} rounds: {done}; {len(redrawn)} views drawn again; {logged.count(UNREAD)} messages unread")
    assert not redrawn
    assert "could not be carried out" not in logged


def shown(notebook: Notebook) -> int:
    """How many activities the view in the second cell shows as processed."""
    found = re.search(r"([\d,]+) processed, ", notebook.output(1))
    return int(found[1].replace(",", "")) if found else -1
