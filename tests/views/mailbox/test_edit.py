from dataclasses import dataclass
from functools import partial
from typing import Annotated

from msgspec import Meta

from agentrt import Activity
from agentrt.views.mailbox.edit import PayloadEditor
from tests.support import turns, virtual
from tests.views.mailbox.support import paused, press, shown, undo
from tests.views.support import update


@dataclass
class Flight:
    number: Annotated[int, Meta(ge=1)]
    carrier: str = "UA"


async def board(activity: Activity[Flight], state: int) -> int:
    return state + activity.payload.number


@virtual
async def test_a_payload_is_changed_in_its_form_and_undone(manager):
    runtime = manager.create("a", 0, board)
    runtime.pause()
    id = runtime.send_nowait(Flight(7, "AA")).id
    view = shown(manager, runtime)
    press(view, "open", str(id))
    press(view, "ask", f"edit:{id}")
    controls = view.editor.controls.by_name
    assert (controls["number"].value, controls["carrier"].value) == ("7", "AA")
    controls["number"].value_input = controls["number"].value = "0"
    view.editor.submit()
    assert "Expected int >= 1" in controls["number"].helper_text
    assert runtime.mailbox_items()[0].payload == Flight(7, "AA")
    controls["number"].value_input = controls["number"].value = "9"
    view.editor.submit()
    await turns()
    assert runtime.mailbox_items()[0].payload == Flight(9, "AA")
    assert view.editor is None
    assert "number=9" in view.lists["standard"].html
    await undo(view)
    assert runtime.mailbox_items()[0].payload == Flight(7, "AA")
    runtime.resume()


@virtual
async def test_an_open_edit_stays_while_the_mailbox_moves(manager):
    runtime, ids = paused(manager, {"n": 1}, {"n": 2})
    view = shown(manager, runtime)
    press(view, "open", str(ids[0]))
    press(view, "ask", f"edit:{ids[0]}")
    editor = view.editor
    assert editor.raw.value == '{"n":1}'
    editor.raw.value_input = '{"n": 10'
    runtime.send_nowait({"n": 3})
    view.update(update(manager))
    press(view, "ask", f"edit:{ids[0]}")
    assert view.editor is editor
    assert editor.raw.value_input == '{"n": 10'
    editor.submit()
    assert editor.raw.error_state
    runtime.step()
    await turns()
    view.update(update(manager))
    assert view.editor is editor
    assert "does not wait any more" in editor.message.html
    assert editor.save_button.disabled
    runtime.resume()


@virtual
async def test_what_the_runtime_refuses_is_said_where_it_is_typed(manager):
    runtime, (id,) = paused(manager, {"n": 1}, max_payload=2_000)
    view = shown(manager, runtime)
    press(view, "open", str(id))
    press(view, "ask", f"edit:{id}")
    view.editor.raw.value_input = '{"n": "' + "x" * 5_000 + '"}'
    view.editor.submit()
    await turns()
    assert "bytes" in view.editor.raw.helper_text
    assert runtime.mailbox_items()[0].payload == {"n": 1}
    runtime.resume()


@virtual
async def test_a_payload_of_another_type_than_now_taken_is_changed_as_json(manager):
    runtime, (id,) = paused(manager, {"n": 1})
    runtime.swap(board)
    source = manager.source
    form = source.form("a", id)
    check = partial(source.command, "check", "a", activity=id)
    edit = PayloadEditor(id, form, lambda typed: check(typed=typed), lambda typed: None, lambda: None)
    assert edit.controls is None
    edit.submit()
    assert "number" in edit.raw.helper_text
    runtime.drop(id)
    runtime.resume()
