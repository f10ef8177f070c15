"""The controls of a stopped activity, and the sentence that says where it is stopped."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.debugger import How, Stop, StopKind, Whereabouts
from agentrt.views.role import Commands, Role
from agentrt.views.runtime.debug import stop_sentence
from agentrt.views.runtime.where import Where
from agentrt.views.server.server import serve
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE, wait_until
from tests.support import fail, turns, virtual
from tests.views.support import HOSTILE, update


async def land(activity: Any, state: int, ctx: Any) -> int:
    with ctx.step("descend"):
        height = activity.payload * 100
    with ctx.step("park"):
        return state + height


async def stop_at(runtime: Any, **place: Any) -> Any:
    runtime.breakpoints.add(**place)
    receipt = runtime.send_nowait(3)
    while runtime.breakpoints.stop is None:
        await turns()
    return receipt


def view_of(manager: Any, runtime: Any, **options: Any) -> Where:
    view = Where(manager.source, runtime.id, Commands(manager.source, **options))
    view.update(update(manager, first=True))
    return view


def visible(view: Where) -> list[bool]:
    return [pane.visible for pane in (view.debug.bar, view.debug.evaluator, view.debug.edits)]


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (Stop("step a", StopKind.STEP, 7, ("a", HOSTILE)), "begins: nothing of it has run"),
        (Stop("step over", StopKind.STEP_END, 7, (HOSTILE,)), "is over"),
        (Stop(HOSTILE, StopKind.ERROR, 7, error=HOSTILE), "has not failed yet"),
        (Stop(HOSTILE, StopKind.DONE, 7, new=HOSTILE), "is not committed yet"),
        (Stop("debugpy", StopKind.PYTHON, 7), "where you go on from it"),
    ],
)
def test_a_sentence_says_where_it_is_stopped(stop: Stop, words: str) -> None:
    sentence = stop_sentence(Whereabouts("JFK", 0.0, How.STOPPED, stop=stop))
    assert sentence.startswith("Activity 7 is stopped ")
    assert words in sentence
    assert "<script" not in sentence


@virtual
async def test_the_controls_are_there_while_it_is_stopped(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    assert visible(view_of(manager, runtime)) == [False, True, False]
    receipt = await stop_at(runtime, step="park")
    view = view_of(manager, runtime)
    assert visible(view) == [True] * 3
    assert "where the step <strong>park</strong> begins" in view.head.html
    assert '<span class="here">' in view.body.html
    assert (view.debug.payload.value, view.debug.state.value) == ("3", "1")
    view.debug.buttons[0].clicks += 1
    assert (await receipt).state == 301
    view.update(update(manager))
    assert visible(view) == [False, True, False]


@virtual
async def test_each_button_gives_its_command(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="descend")
    view = view_of(manager, runtime)
    _, over, into, out, end, again = view.debug.buttons
    places = []
    for button in (again, over, into):
        button.clicks += 1
        await turns()
        stop = runtime.breakpoints.stop
        assert stop is not None
        places.append((stop.kind.value, *stop.steps))
    assert places == [("step", "descend"), ("step", "park"), ("done",)]
    out.clicks += 1
    assert (await receipt).state == 301
    runtime.resume()
    receipt = await stop_at(runtime, step="descend")
    end.clicks += 1
    assert (await receipt).state == 601
    runtime.breakpoints.clear()
    assert runtime.status == "paused"


@virtual
async def test_payload_and_state_are_edited_and_it_runs_again(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="park")
    view = view_of(manager, runtime)
    view.debug.state.value_input = "1000"
    view.debug.set_state.clicks += 1
    assert runtime.state == 1000
    view.debug.payload.value_input = "5"
    runtime.breakpoints.clear()
    view.debug.again.clicks += 1
    assert (await receipt).state == 1500
    edits = [record for record in manager.ring.since(0)[0] if record.kind in ("state_edited", "edited", "retried")]
    assert {record.who for record in edits} == {"notebook"}
    runtime.resume()


@virtual
async def test_code_is_edited_and_it_runs_again(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="park")
    view = view_of(manager, runtime)
    assert "activity.payload * 100" in view.debug.code.value
    view.debug.code.value_input = view.debug.code.value.replace("* 100", "* 7")
    runtime.breakpoints.clear()
    view.debug.use_code.clicks += 1
    assert (await receipt).state == 22
    assert not view_of(manager, runtime, evaluator=False).debug.edits[2].visible
    runtime.resume()


@virtual
async def test_what_cannot_be_typed_is_refused_with_a_sentence(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="park")
    told: list[str] = []
    view = view_of(manager, runtime, tell=lambda text, wrong: told.append(text))
    view.debug.state.value_input = '"text"'
    view.debug.set_state.clicks += 1
    assert (runtime.state, "int" in told[-1] or "number" in told[-1]) == (1, True), told
    runtime.resume()
    await receipt


@virtual
async def test_expressions_are_worked_out_in_the_frame_that_is_shown(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="park")
    view = view_of(manager, runtime)
    for expression, shown in (
        ("height + state", "301"),
        ("1 / 0", "ZeroDivisionError"),
        (f"{HOSTILE!r}", "&lt;script"),
    ):
        view.debug.expression.value_input = expression
        view.debug.work_out.clicks += 1
        assert shown in view.debug.result.html
    assert "<script" not in view.debug.result.html
    assert view.debug.result.html.count("<li>") == 3
    runtime.resume()
    await receipt


@virtual
async def test_where_expressions_are_off_there_is_no_field_and_a_note_says_why(manager: Any) -> None:
    runtime = manager.create("JFK", 1, land)
    receipt = await stop_at(runtime, step="park")
    view = view_of(manager, runtime, evaluator=False)
    assert visible(view) == [True, False, True]
    assert "serve(evaluator=True)" in view.debug.note.html
    view.debug.expression.value_input = "1 + 1"
    view.debug.evaluate()
    assert "Expressions are off here" in view.debug.result.html
    assert not view.stops.when.visible
    viewer = view_of(manager, runtime, role=Role.VIEWER)
    assert visible(viewer) == [False] * 3
    runtime.resume()
    await receipt


@virtual
async def test_an_error_says_what_was_raised_and_marks_the_line(manager: Any) -> None:
    runtime = manager.create("JFK", 1, fail)
    receipt = await stop_at(runtime, error=True)
    view = view_of(manager, runtime)
    assert "because it raised <strong>ValueError: no 3</strong>" in view.head.html
    assert 'raise ValueError(f"no {activity.payload}")</span>'.replace('"', "&quot;") in view.body.html.replace(
        '"', "&quot;"
    )
    runtime.resume()
    await receipt.wait()


# ---- in a real browser


@pytest.mark.browser
def test_a_person_stops_looks_changes_and_goes_on(page: Page) -> None:
    with RuntimeManager(name="debugged", loop="thread") as manager:
        runtime = manager.create("JFK", 1, land)
        with serving(serve(manager, evaluator=True)) as server:
            page.goto(server.link(Role.OPERATOR, "runtime/JFK"))
            page.get_by_label("stop at the step").fill("park")
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_role("button", name="step park").wait_for()
            receipt = runtime.send_nowait(3)
            expect(page.get_by_text("begins: nothing of it has run")).to_be_visible()
            page.get_by_label("an expression in the variables of this frame").fill("height * 2")
            page.get_by_role("button", name="Evaluate").click()
            expect(page.get_by_label("values")).to_contain_text("600")
            page.get_by_label("its payload, as JSON").fill("7")
            page.get_by_role("button", name="Run it again with this payload").click()
            wait_until(lambda: "retried" in [record.kind for record in manager.ring.since(0)[0]])
            wait_until(lambda: runtime.breakpoints.stop is not None)
            assert runtime.breakpoints.stop.payload == "7"
            expect(page.locator(".vars").get_by_text("700")).to_be_visible()
            page.get_by_role("button", name="Continue").click()
            assert receipt.result(PATIENCE).state == 701
            expect(page.get_by_role("button", name="Step over")).to_be_hidden()
