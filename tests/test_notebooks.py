"""The notebooks: each runs from top to bottom, in a kernel and in a real JupyterLab, where it is live and listens."""

import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jsonschema import Draft202012Validator, SchemaError
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from agentrt.integrations.tools import Tool
from tests.harness.screenshot import shoot
from tests.harness.wait import PATIENCE, wait_until
from tests.lessons.form import views

FOLDER = Path(__file__).parents[1] / "notebooks"
SOLUTIONS = Path(__file__).parent / "lessons" / "solutions.py"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SAID = {
    "12_kill_the_kernel": ("goes on: True", "of the twelve, 12 are baked"),
    "13_time_travel": ("<Replay of 1,000 activities: matches>", "it passes"),
    "16_three_nodes": ("stamped: 120 letters, twice: 0", "node_adopted"),
}
ON_RAY = [path for path in NOTEBOOKS if path.stem == "16_three_nodes"]
IN_A_KERNEL = [path for path in NOTEBOOKS if path not in ON_RAY]
WIDEST = 105  # characters of a line of code
LARGEST = 4_000_000  # bytes of a notebook with its outputs


def run_notebook(path, folder):
    """Execute a lesson from top to bottom, solve its exercise, and check what it shows."""
    notebook = nbformat.read(path, as_version=4)
    names = [cell.id for cell in notebook.cells]
    notebook.cells.insert(names.index("try") + 1, nbformat.v4.new_code_cell(solution_of(path.stem)))
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    assert result(notebook.cells[names.index("try")]).startswith("<not yet: ")
    assert result(notebook.cells[names.index("try") + 1]).startswith("<done: ")
    assert sum(result(cell).startswith("<you wrote down no prediction, it was ") for cell in notebook.cells) >= 1
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert views(notebook.cells), "it shows no view of what runs"
    said = "".join(output.text for output in shown if output.output_type == "stream")
    assert all(words in said for words in SAID.get(path.stem, ()))


def solution_of(lesson):
    """What a learner would write in the end, from the file of solutions."""
    found = re.search(rf"^# ---- {lesson}\n(.*?)(?=^# ---- |\Z)", SOLUTIONS.read_text(), re.MULTILINE | re.DOTALL)
    return found[1]


def result(cell):
    """The last thing that a cell shows, as a text."""
    outputs = [output for output in cell.get("outputs", []) if output.output_type == "execute_result"]
    return outputs[-1]["data"]["text/plain"] if outputs else ""


def test_one_line_puts_a_real_model_in_the_place_of_the_function(monkeypatch):
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / "11_tool_loop.ipynb", as_version=4).cells}
    names: dict = {}
    exec(cells["model"], names)
    client = Client(names["model"])
    monkeypatch.setitem(sys.modules, "openai", SimpleNamespace(AsyncOpenAI=lambda: client))
    (real_model,) = re.findall(r"^# (.*model = .*)$", cells["model"], re.MULTILINE)
    exec(real_model, names)
    exec(cells["agent"], names)
    with names["manager"]:
        outcome = names["helper"].send_nowait("How much warmer is it in Lisbon than in Oslo?").result(PATIENCE)
    assert outcome.value == "It is 15 degrees warmer in Lisbon."
    assert client.asked == 4
    assert client.tools == {"weather": ["city"], "subtract": ["a", "b"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ...},
        {"tools": ...},
        {"messages": ...},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "<lambda>", "description": "x", "parameters": {}}}]},
        {"tools": [{"type": "tool", "function": {"name": "f", "description": "x", "parameters": {"type": "object"}}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": "x", "parameters": {"type": "int"}}}]},
    ],
    ids=str,
)
def test_the_client_of_the_test_refuses_what_a_real_one_refuses(wrong):
    def say(text: str) -> str:
        """Say it."""
        return text

    right = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "tools": [Tool(say).spec]}
    client = Client(lambda messages: {"role": "assistant", "content": "hi"})
    asyncio.run(client.create(**right))
    with pytest.raises((AssertionError, TypeError, SchemaError)):
        asyncio.run(client.create(**right | wrong))


class Client:
    """Has the form of OpenAI's client, and refuses what that would not understand."""

    def __init__(self, answer):
        self.chat = self.completions = self
        self.answer = answer
        self.asked = 0
        self.tools = {}

    async def create(self, *, model, messages, tools):
        json.dumps([model, messages, tools])  # an Ellipsis is no JSON
        assert isinstance(model, str)
        assert messages
        assert tools
        for tool in tools:
            self.check(**tool)
        self.asked += 1
        message = SimpleNamespace(model_dump=lambda **options: self.answer(messages))
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])

    def check(self, *, type, function):
        assert type == "function"
        assert set(function) == {"name", "description", "parameters"}
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function["name"])
        assert function["description"]
        Draft202012Validator.check_schema(function["parameters"])
        assert function["parameters"]["type"] == "object"
        self.tools[function["name"]] = function["parameters"]["required"]


@pytest.mark.parametrize("path", [*IN_A_KERNEL, *ON_RAY], ids=lambda path: path.stem)
def test_no_line_of_code_has_to_be_scrolled_in_a_narrow_window(path):
    """One of 1,100 pixels, as in the pictures of `tests/lessons/walk.py`, has room for some 115 characters."""
    cells = nbformat.read(path, as_version=4).cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > WIDEST] == []


@pytest.mark.kernel
@pytest.mark.parametrize("path", IN_A_KERNEL, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path, tmp_path):
    run_notebook(path, tmp_path)


@pytest.mark.cluster
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", ON_RAY, ids=lambda path: path.stem)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_it_runs_from_top_to_bottom_on_ray(path, tmp_path):
    try:
        run_notebook(path, tmp_path)
    except CellExecutionError as error:
        if "timed out during startup" not in str(error):
            raise
        pytest.skip("Ray itself did not start on this machine within its own bound of 30 s")


@pytest.mark.lab
def test_the_first_agent_is_live_in_jupyterlab_and_its_button_pauses(jupyterlab, page):
    notebook = jupyterlab.open(page, FOLDER / "01_first_agent.ipynb")
    view = 3
    notebook.run(view)
    notebook.wait_for_output(view, r"\b16\b")
    notebook.run(7)  # sends 4: the view above follows by itself
    notebook.wait_for_output(view, r"\b20\b")
    notebook.cell(view).get_by_role("button", name=re.compile("pause", re.I)).first.click()
    notebook.wait_for_output(view, r"\bpaused\b")
    notebook.cell(view).get_by_role("button", name=re.compile("resume", re.I)).first.click()
    notebook.run(8)  # asks: only a runtime that goes on answers
    notebook.wait_for_output(view, r"\b21\b")
    for cell in notebook.code_cells()[4:]:
        notebook.run(cell)
    notebook.save()
    size = (jupyterlab.root / "01_first_agent.ipynb").stat().st_size
    print(f"\n{size:,} bytes with its outputs")
    assert size < LARGEST


@pytest.mark.lab
@pytest.mark.parametrize(
    ("lesson", "answer", "verdict"),
    [
        ("03_mailbox_and_priority", "9", "you expected 9.*it was 9.*As you expected"),
        ("09_deadlock", "both wait for ever", "both wait for ever.*one of them gets an error.*Not what you expected"),
    ],
)
def test_somebody_goes_through_a_lesson_in_jupyterlab(lesson, answer, verdict, jupyterlab, page):
    path = FOLDER / f"{lesson}.ipynb"
    place = [cell.id for cell in nbformat.read(path, as_version=4).cells].index
    notebook = jupyterlab.open(page, path)
    notebook.run(place("predict"))
    question = notebook.cell(place("predict"))
    if answer.isdigit():
        question.get_by_placeholder("a number").fill(answer)
    else:
        question.locator(".widget-radio").get_by_text(answer, exact=True).click()
    question.get_by_role("button", name="Keep").click()
    notebook.wait_for_output(place("predict"), f"You expect {answer}")
    shoot(page, f"lessons/{lesson}-prediction")
    for cell in notebook.code_cells()[1:]:
        notebook.run(cell)
    assert re.search(verdict, notebook.output(place("compare")).replace("\n", " "))
    assert "Not yet" in notebook.output(place("try"))
    task = notebook.cell(place("task"))
    assert not task.locator("details p").is_visible()
    task.get_by_text("A hint").click()
    task.locator("details p").wait_for()
    notebook.cell(place("try")).locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(solution_of(lesson).strip())
    notebook.run(place("try"))
    assert "Done" in notebook.output(place("try"))
    shoot(page, f"lessons/{lesson}-done")


@pytest.mark.lab
def test_the_three_towers_run_their_day_in_jupyterlab(jupyterlab, page):
    notebook = jupyterlab.open(page, FOLDER / "02_three_towers.ipynb")
    notebook.run_all()
    fleet, starts, rush, _, closed, storm = notebook.code_cells()[1:7]
    for cell, words in (
        (starts, "in New York"),
        (rush, "It is"),
        (closed, "and there wait"),
        (storm, "LGA: .* departed"),
    ):
        notebook.wait_for_output(cell, words)  # what a cell prints is under it, whatever the views do
    notebook.wait_for_output(fleet, r"EWR.*JFK.*LGA|LGA.*JFK.*EWR")
    # The view made by the first cell shows the end of the day: as many as flew, and those that did not.
    wait_until(
        lambda: re.search(r"\b3[0-9]{2}\b", notebook.output(fleet)), 10, "the fleet follows to the end of the day"
    )
