"""docs/front-ends.md: what is seen in notebooks other than JupyterLab, and in the pages that are made of notebooks."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.harness.guard import leave_pages
from tests.harness.lab import METADATA, ClassicNotebook
from tests.harness.marimo import Marimo
from tests.harness.place import ROOT, jupyter_environment
from tests.harness.screenshot import is_blank, shoot
from tests.harness.shown import serving
from tests.harness.vscode import fetch, show_widget, start_manager
from tests.harness.wait import PATIENCE

LESSON = ROOT / "notebooks" / "01_first_agent.ipynb"


def write_notebook(path: Path, cells: list[str]) -> Path:
    sources = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=sources, metadata=METADATA), path)
    return path


# ---- Notebook 7


@pytest.fixture
def classic_notebook(tmp_path: Path) -> Iterator[ClassicNotebook]:
    """A running Notebook 7."""
    pytest.importorskip("notebook", "7.0", "Notebook 7 is not installed")
    server = ClassicNotebook(tmp_path)
    with serving(server):
        server.wait()
        yield server


@pytest.mark.lab
def test_the_first_lesson_is_live_in_notebook_7(classic_notebook, guard, page, tmp_path):
    guard.allow(r"page error: Cannot read properties of undefined \(reading 'schema'\)")  # of Notebook 7 at its start
    lesson = nbformat.read(LESSON, as_version=4)
    names = [cell.id for cell in lesson.cells]
    more = ("runtime.widget()", "runtime.timeline()")
    lesson.cells += [nbformat.v4.new_code_cell(source) for source in more]
    nbformat.write(lesson, tmp_path / "lesson.ipynb")
    notebook = classic_notebook.open(page, tmp_path / "lesson.ipynb")
    prediction, view, send = map(names.index, ("predict", "one-cell", "await-receipt"))
    widget, timeline = len(names), len(names) + 1
    notebook.run(view)
    notebook.wait_for_output(view, r"\b16\b")
    notebook.run(send)
    notebook.wait_for_output(view, r"\b20\b")
    notebook.cell(view).get_by_role("button", name=re.compile("pause", re.I)).first.click()
    notebook.wait_for_output(view, r"\bpaused\b")
    notebook.run(widget)
    notebook.wait_for_output(widget, r"counter.*paused.*state 20")
    notebook.cell(widget).get_by_role("button", name="Resume").click()
    notebook.wait_for_output(view, r"\bidle\b")
    notebook.run(timeline)
    notebook.cell(timeline).locator("canvas").first.wait_for()
    notebook.run(prediction)
    notebook.cell(prediction).get_by_role("button", name="Keep").wait_for()
    notebook.cell(prediction).locator(".widget-html").get_by_text("Before you run it").wait_for()
    assert notebook.cell(prediction).get_by_text("Before you run it").locator("visible=true").count() == 1
    shoot(page, "front-ends/notebook-7")


# ---- pages that are made of a notebook


CELLS = [
    "import agentrt\n"
    "manager = agentrt.RuntimeManager()\n"
    "runtime = manager.create('sum', 0, lambda activity, state: state + activity.payload)\n"
    "runtime.send_nowait(16).result(60)\n"
    "runtime",
    "manager.fleet()",
    "runtime.widget()",
    "from agentrt.lessons import Prediction\n"
    "place = Prediction('How many wait?', unit='letters')\n"
    "place.keep(9)\n"
    "place",
    "Prediction('What happens?', ['both wait for ever', 'an error'])",
]


@pytest.fixture
def unplugged(guard, page):
    """A page of a browser that has no network, for a file."""
    guard.allow("machine: file:")
    # What nbconvert's page asks for and does without: mathematics, and live widgets.
    guard.allow(r"https://(cdnjs\.cloudflare\.com|unpkg\.com)/")
    page.context.set_offline(True)
    return page


def run_jupyter(folder: Path, *command: str) -> None:
    environment = jupyter_environment(folder / "jupyter")
    command = (sys.executable, "-m", *command)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0, done.stderr


# What the manager of widgets does, which nbconvert's page asks the web for.
DRAW_WIDGETS = """() => {
  for (const model of document.querySelectorAll("script[type='application/vnd.jupyter.widget-view+json']"))
    model.insertAdjacentHTML("afterend", "<div class='jupyter-widgets widget-box'><button>Pause</button></div>")
}"""


def check_pictures(page, file: Path) -> None:
    page.goto(file.as_uri())
    check_what_is_shown(page)


def check_what_is_shown(page) -> None:
    """Each view has its picture or its text, and nothing is there that can be clicked in vain."""
    page.get_by_role("img", name="sum, idle, 0 and 0 waiting, 1 processed, 0 failed").nth(2).wait_for()
    for text in ("the view finds no kernel", "How many wait?", "You expect 9 letters.", "both wait for ever"):
        page.get_by_text(text).locator("visible=true").first.wait_for()
    assert page.locator("button:visible, input:visible").count() == 0


@pytest.mark.browser
def test_a_page_of_nbconvert_has_pictures_without_a_network(unplugged, tmp_path):
    write_notebook(tmp_path / "agents.ipynb", CELLS)
    run_jupyter(tmp_path, "nbconvert", "--execute", "--to", "html", "agents.ipynb")
    check_pictures(unplugged, tmp_path / "agents.html")
    unplugged.evaluate(DRAW_WIDGETS)
    assert unplugged.locator(".widget-box").count() == 3, "with a network, the page draws them, and they are dead"
    check_what_is_shown(unplugged)
    assert not is_blank(shoot(unplugged, "front-ends/nbconvert", full=True))


@pytest.mark.browser
def test_a_notebook_that_papermill_ran_has_pictures(unplugged, tmp_path):
    pytest.importorskip("papermill", reason="papermill is not installed")
    write_notebook(tmp_path / "agents.ipynb", CELLS)
    run_jupyter(tmp_path, "papermill", "--kernel", "python3", "--no-progress-bar", "agents.ipynb", "ran.ipynb")
    html, _ = HTMLExporter().from_filename(str(tmp_path / "ran.ipynb"))
    (tmp_path / "ran.html").write_text(html)
    check_pictures(unplugged, tmp_path / "ran.html")


# ---- marimo


APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import agentrt
    from agentrt.lessons import Prediction

    manager = agentrt.RuntimeManager(loop="thread")
    runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    _ = runtime.send_nowait(16).result(60)
    return (Prediction, runtime)


@app.cell
def _(runtime):
    runtime
    return


@app.cell
def _(runtime):
    runtime.widget()
    return


@app.cell
def _(Prediction):
    Prediction("What happens?", ["both wait for ever", "an error"])
    return


@app.cell
def _(runtime):
    import marimo as mo

    mo.ui.button(label="Send 4", on_click=lambda value: runtime.send_nowait(4))
    return
"""


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marimo_has_live_views(guard, page, tmp_path, theme):
    """What it shows fits into marimo's own limit, and asks nothing from the web."""
    pytest.importorskip("marimo", reason="marimo is not installed: pip install 'agentrt[marimo]'")
    settings = tmp_path / "marimo" / "marimo.toml"
    settings.parent.mkdir()
    settings.write_text(f'[display]\ntheme = "{theme}"\n')
    (tmp_path / "agents.py").write_text(APP)
    server = Marimo(tmp_path / "agents.py")
    with serving(server):
        server.wait()
        page.goto(server.url)
        for at in range(2):  # the runtime, and its widget
            page.locator("[data-state=live]").nth(at).get_by_text("1 processed").wait_for()
        page.get_by_role("button", name="Send 4").click()
        for at in range(2):
            page.locator("[data-state=live]").nth(at).get_by_text("2 processed").wait_for()
        page.get_by_role("button", name="Pause").first.click()
        page.get_by_text("paused").nth(1).wait_for()
        for text in ("What happens?", "both wait for ever"):
            page.get_by_text(text).wait_for()
        shoot(page, f"front-ends/marimo-{theme}", full=True)
        leave_pages()


# ---- VS Code

WIDGET = """\
import agentrt

manager = agentrt.RuntimeManager()
runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
runtime.send_nowait(5)
widget = runtime.widget()
print("model", widget.model_id)"""


@pytest.mark.lab
def test_the_plain_widget_is_live_in_the_manager_of_vs_code(guard, jupyterlab, page, tmp_path):
    sources = fetch(tmp_path)
    guard.allow("Yjs was already imported")  # JupyterLab has one of its own
    notebook = jupyterlab.open(page, [WIDGET])
    start_manager(page, sources)
    notebook.run(0)
    notebook.wait_for_output(0, r"model \w+")
    (id,) = re.findall(r"model (\w+)", page.locator(".jp-OutputArea-output").inner_text())
    widget = show_widget(page, id)
    widget.get_by_text("1 done, 0 failed, state 5").wait_for()
    widget.get_by_role("button", name="Pause").click()
    widget.get_by_text("paused").wait_for()
    widget.get_by_role("button", name="Resume").click()
    payload = widget.get_by_label("payload *")
    payload.fill("7")
    payload.press("Tab")
    widget.get_by_role("button", name="Send").click()
    widget.get_by_text("2 done, 0 failed, state 12").wait_for()
    shoot(page, "front-ends/vscode-widget")
