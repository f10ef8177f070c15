import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import ipywidgets as ipw
import pytest
from ipywidgets.widgets.widget import _instances
from msgspec import Meta
from playwright.sync_api import Page

from agentrt import Activity, Runtime, RuntimeManager
from agentrt.views.notebook.widget import Widget, parts
from tests.harness.lab import Lab
from tests.harness.screenshot import shoot
from tests.harness.wait import wait_until

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"


@dataclass
class Flight:
    number: Annotated[int, Meta(ge=1, description="As on the ticket")]
    carrier: Literal["UA", "AA"] = "UA"
    urgent: bool = False
    tags: list[int] | None = None


def board(activity: Activity[Flight], state: tuple[Flight, ...]) -> tuple[Flight, ...]:
    return (*state, activity.payload)


def add(activity: Activity[int], state: int) -> int:
    return state + activity.payload


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        yield manager


@pytest.fixture
def runtime(manager: RuntimeManager) -> Runtime:
    return manager.create("sum", 0, add)


@pytest.fixture
def widget(runtime: Runtime) -> Iterator[Widget]:
    widget = Widget(runtime)
    yield widget
    widget.close()


def entry(widget: Widget, name: str) -> Any:
    """The ipywidget of a field of the payload, or of an option."""
    return (widget.fields.by_name.get(name) or widget.options.by_name[name]).widget


def note(widget: Widget, name: str) -> str:
    return (widget.fields.by_name.get(name) or widget.options.by_name[name]).note.value


def shows(widget: Widget, text: str, where: str = "result") -> None:
    wait_until(lambda: text in getattr(widget, where).value, what=f"{text!r} in {where}")


def texts(widget: Widget) -> list[str]:
    return [part.value for part in parts(widget) if isinstance(part, ipw.HTML)]


def test_runtime_widget_is_this_one(runtime: Runtime) -> None:
    shown = runtime.widget()
    assert isinstance(shown, Widget)
    shown.close()


def test_a_form_is_sent_and_its_fate_is_shown(manager: RuntimeManager) -> None:
    runtime = manager.create("gate", (), board)
    widget = Widget(runtime)
    entry(widget, "number").value = "7"
    entry(widget, "carrier").value = "AA"
    entry(widget, "urgent").value = True
    entry(widget, "tags").value = "[1]"
    widget.send_button.click()
    shows(widget, "done")
    shows(widget, "1 done, 0 failed", "status")
    assert runtime.state == (Flight(7, "AA", True, [1]),)
    widget.close()


def test_what_is_wrong_is_said_at_its_field(manager: RuntimeManager) -> None:
    runtime = manager.create("gate", (), board)
    widget = Widget(runtime)
    assert note(widget, "number") == "<small>As on the ticket</small>"
    entry(widget, "number").value = "0"
    entry(widget, "rate").value = "fast"
    widget.send_button.click()
    assert "Expected int &gt;= 1" in note(widget, "number")
    assert "Expected float" in note(widget, "rate")
    assert "not sent" in widget.result.value
    assert runtime.fates().accepted == 0
    entry(widget, "number").value, entry(widget, "rate").value = "1", "20"
    widget.send_button.click()
    assert note(widget, "number") == "<small>As on the ticket</small>"
    shows(widget, "done")
    widget.close()


def test_raw_json(manager: RuntimeManager) -> None:
    runtime = manager.create("gate", (), board)
    widget = Widget(runtime)
    widget.mode.value = "json"
    assert widget.raw.box in widget.body.children
    widget.raw.widget.value = '{"number": }'
    widget.send_button.click()
    assert "Line 1, column 12" in widget.raw.note.value
    widget.raw.widget.value = '{"number": 3}'
    widget.send_button.click()
    shows(widget, "done")
    assert runtime.state == (Flight(3),)
    widget.close()


def test_pause_step_and_the_two_bars(runtime: Runtime, widget: Widget) -> None:
    widget.pause_button.click()
    assert runtime.paused
    assert widget.pause_button.description == "Resume"
    entry(widget, "payload").value = "1"
    widget.send_button.click()
    widget.lane.value = "priority"
    widget.send_button.click()
    widget.send_button.click()
    assert runtime.depth == (2, 1)
    bars = widget.bars
    wait_until(lambda: (bars["priority"].progress.value, bars["standard"].progress.value) == (2, 1))
    assert bars["standard"].text.value == "1 of 1,000 waiting"
    widget.step_button.click()
    wait_until(lambda: runtime.depth == (1, 1))
    wait_until(lambda: bars["priority"].progress.value == 1)
    widget.pause_button.click()
    wait_until(lambda: runtime.state == 3)
    assert widget.pause_button.description == "Pause"


def test_a_burst_runs_and_is_stopped(runtime: Runtime, widget: Widget) -> None:
    entry(widget, "payload").value = "1"
    entry(widget, "count").value, entry(widget, "rate").value = "30", "5000"
    widget.burst_button.click()
    shows(widget, "burst sent</b>: 30 of 30. 30 done")
    runtime.pause()
    runtime.standard_capacity = 5
    widget.burst_button.click()
    shows(widget, "burst sending</b>: 5 of 30")
    assert widget.burst_button.disabled
    assert (widget.progress.value, widget.progress.max, widget.progress.layout.display) == (5, 30, "")
    widget.stop_button.click()
    shows(widget, "burst stopped</b>: 5 of 30")
    wait_until(lambda: not widget.burst_button.disabled)
    assert widget.progress.layout.display == "none"
    runtime.resume()
    wait_until(lambda: runtime.state == 35)


def test_each_of_a_burst_gets_a_payload_of_its_own(manager: RuntimeManager) -> None:
    def grow(activity: Activity[list[int]], state: int) -> int:
        activity.payload.append(1)
        return max(state, len(activity.payload))

    runtime = manager.create("grow", 0, grow)
    widget = Widget(runtime)
    entry(widget, "count").value, entry(widget, "rate").value = "20", "5000"
    widget.burst_button.click()
    shows(widget, "20 done")
    assert runtime.state == 2
    widget.close()


def test_a_burst_ends_with_its_runtime(runtime: Runtime, widget: Widget) -> None:
    runtime.pause()
    runtime.standard_capacity = 1
    entry(widget, "payload").value = "1"
    widget.burst_button.click()
    shows(widget, "burst sending")
    runtime.terminate()
    shows(widget, "burst ended")
    shows(widget, "terminated", "status")
    wait_until(lambda: widget.pause_button.disabled)
    widget.send_button.click()
    assert "not sent" in widget.result.value


def test_a_full_lane_is_one_clear_line(runtime: Runtime, widget: Widget) -> None:
    runtime.pause()
    runtime.standard_capacity = 1
    entry(widget, "payload").value = "1"
    widget.send_button.click()
    widget.send_button.click()
    assert "the standard lane of &#x27;sum&#x27; is full" in widget.result.value


def test_buttons_work_on_any_thread_with_any_loop(runtime: Runtime, widget: Widget) -> None:
    entry(widget, "payload").value = "5"

    async def press() -> None:
        widget.send_button.click()

    thread = threading.Thread(target=lambda: asyncio.run(press()))
    thread.start()
    thread.join(60)
    shows(widget, "state 5")


def test_it_follows_while_it_is_shown(manager: RuntimeManager, runtime: Runtime) -> None:
    widget = Widget(runtime)
    assert manager.hub.running
    widget._view_count = 1
    assert manager.hub.running
    widget._view_count = 0
    assert not manager.hub.running
    runtime.send_nowait(1).result(60)
    widget._view_count = 1
    shows(widget, "1 done", "status")
    widget.close()
    assert not manager.hub.running
    widget.close()


def test_closing_leaves_nothing(manager: RuntimeManager, runtime: Runtime) -> None:
    before = set(_instances)
    widget = Widget(runtime)
    inside = parts(widget)
    widget.close()
    assert not manager.hub.running
    assert all(part.comm is None for part in inside)
    assert set(_instances) - before == set()


def test_another_payload_type_gets_another_form(runtime: Runtime, widget: Widget) -> None:
    def shout(activity: Activity[Flight], state: int) -> int:
        return state + activity.payload.number

    runtime.swap(shout)
    wait_until(lambda: "number" in widget.fields.by_name)
    entry(widget, "number").value = "4"
    widget.send_button.click()
    shows(widget, "state 4")


def test_hostile_strings_are_only_shown(manager: RuntimeManager) -> None:
    @dataclass
    class Letter:
        text: Annotated[str, Meta(title=HOSTILE, description=HOSTILE)]
        kind: Literal["<script>alert(1)</script>"] = "<script>alert(1)</script>"

    def read(activity: Activity[Any], state: str) -> str:
        if state == HOSTILE:
            raise ValueError(activity.payload.text)
        return str(activity.payload.text)

    runtime = manager.create(HOSTILE, "", read, accepts=Letter)
    widget = Widget(runtime)
    entry(widget, "text").value = HOSTILE
    widget.send_button.click()
    shows(widget, "done")
    widget.send_button.click()
    shows(widget, "failed")
    widget.mode.value = "json"
    widget.raw.widget.value = HOSTILE
    widget.send_button.click()
    widget.mode.value = "form"
    seen = "".join(texts(widget))
    assert "&lt;script&gt;" in seen
    assert "<script" not in seen
    assert "<img" not in seen
    assert not any(getattr(part, "description_allow_html", False) for part in parts(widget))
    widget.close()


def test_it_never_uses_an_output_widget(widget: Widget) -> None:
    assert not any(isinstance(part, ipw.Output) for part in parts(widget))


CELLS = [
    "import agentrt, threading\n"
    "from agentrt import Activity\n"
    "manager = agentrt.RuntimeManager()\n"
    "def add(activity: Activity[int], state: int) -> int:\n"
    "    return state + activity.payload\n"
    "runtime = manager.create('sum', 0, add)",
    "runtime.widget()",
    "runtime.send_nowait(5)\nthreading.Event().wait()",
    "len(manager.hub.clients)",
]


@pytest.mark.lab
def test_it_works_in_jupyterlab(jupyterlab: Lab, page: Page) -> None:
    """Sends by a click, goes on while a cell is busy, and lets go of the runtime when its cell is run again."""
    notebook = jupyterlab.open(page, CELLS, name="widget.ipynb")
    notebook.run(0)
    notebook.run(1)
    cell = notebook.cell(1)
    cell.get_by_label("payload *").fill("2")
    cell.get_by_role("button", name="Send").click()
    notebook.wait_for_output(1, "1 done, 0 failed, state 2")
    shoot(page, "views/widget")
    notebook.start(2)
    notebook.wait_for_output(1, "2 done, 0 failed, state 7")
    notebook.interrupt()
    notebook.finish(2)
    notebook.run(1)
    notebook.wait_for_output(1, "2 done, 0 failed, state 7")
    wait_until(lambda: notebook.run(3) == "1", what="only the widget on the page follows")
