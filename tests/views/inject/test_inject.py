import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta
from playwright.sync_api import Page, expect

from agentrt import Activity, Runtime, RuntimeManager
from agentrt.views.inject.inject import Inject
from agentrt.views.role import Commands, Role
from tests.harness.wait import wait_until

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'


@dataclass
class Flight:
    number: Annotated[int, Meta(ge=1, description="As on the ticket")]
    carrier: Literal["UA", "AA"] = "UA"
    note: str = ""
    urgent: bool = False
    tags: list[int] | None = None


def board(activity: Activity[Flight], state: tuple[Flight, ...]) -> tuple[Flight, ...]:
    if activity.payload.number == 13:
        raise ValueError(f"no gate 13 {activity.payload.note}")
    return (*state, activity.payload)


def add(activity: Activity[int], state: int) -> int:
    return state + activity.payload


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        yield manager


@pytest.fixture
def opened(show: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the form of a runtime in the real browser."""

    def open(runtime: Runtime, role: Role = Role.OPERATOR) -> Page:
        source = runtime.manager.source
        return show(
            runtime.manager, lambda feed: Inject(source, runtime.id, Commands(source, role=role), feed.schedule)
        )

    return open


def box(page: Page, label: str) -> Any:
    return page.get_by_label(label, exact=True)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Page) -> Any:
    return page.get_by_role("status")


def test_a_form_is_sent_and_its_fate_is_shown(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("gate", (), board)
    page = opened(runtime)
    box(page, "number *").fill("7")
    box(page, "note").fill("two bags")
    page.get_by_label("urgent").check()
    box(page, "tags").fill("[1, 2]")
    press(page, "Send")
    expect(said(page)).to_contain_text("#2")
    expect(said(page)).to_contain_text("done")
    assert runtime.state == (Flight(7, "UA", "two bags", True, [1, 2]),)


def test_enter_sends(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("sum", 0, add)
    page = opened(runtime)
    box(page, "payload *").fill("41")
    box(page, "payload *").press("Enter")
    expect(said(page)).to_contain_text("state 41")


def test_what_is_wrong_is_said_at_its_field(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("gate", (), board)
    page = opened(runtime)
    box(page, "number *").fill("-1")
    box(page, "tags").fill('[1, "x"]')
    box(page, "delay (s)").fill("soon")
    press(page, "Send")
    for label, text in (
        ("number *", "Expected int >= 1"),
        ("tags", "Expected int, got str at [1]"),
        ("delay (s)", "Expected float >= 0"),
    ):
        expect(box(page, label)).to_have_attribute("aria-invalid", "true")
        expect(box(page, label)).to_have_accessible_description(text)
    expect(box(page, "note")).to_have_attribute("aria-invalid", "false")
    expect(said(page)).to_contain_text("not sent")
    assert runtime.fates().accepted == 0

    box(page, "number *").fill("1")
    box(page, "tags").fill("")
    box(page, "delay (s)").fill("0")
    press(page, "Send")
    expect(said(page)).to_contain_text("done")
    expect(box(page, "number *")).to_have_attribute("aria-invalid", "false")
    expect(box(page, "number *")).to_have_accessible_description("As on the ticket")


def test_raw_json_says_where_it_does_not_parse(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("gate", (), board)
    page = opened(runtime)
    press(page, "JSON")
    editor = page.get_by_label("payload as JSON")
    expect(editor).to_have_value(re.compile('"number": 1,'))
    editor.fill('{"number": }')
    press(page, "Send")
    expect(editor).to_have_accessible_description("Line 1, column 12: Expecting value")
    editor.fill('{"number": "x"}')
    press(page, "Send")
    expect(editor).to_have_accessible_description("number: Expected int, got str")
    editor.fill('{"number": 3}')
    press(page, "Send")
    expect(said(page)).to_contain_text("done")
    assert runtime.state == (Flight(3),)


def test_priority_overtakes_and_delay_holds_back(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("sum", 0, add)
    runtime.pause()
    page = opened(runtime)
    box(page, "payload *").fill("1")
    press(page, "Send")
    expect(said(page)).to_contain_text("position 1 in its lane")
    page.get_by_role("button", name="priority").click()
    press(page, "Send")
    wait_until(lambda: runtime.depth == (1, 1))
    box(page, "delay (s)").fill("3600")
    press(page, "Send")
    expect(said(page)).to_contain_text("delayed for 1 h")
    assert [item.lane for item in runtime.mailbox_items()] == ["priority", "standard", "priority"]
    runtime.resume()
    expect(said(page)).to_contain_text("state 2")


def test_a_burst_runs_and_is_stopped(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("sum", 0, add)
    page = opened(runtime)
    box(page, "payload *").fill("1")
    box(page, "burst of").fill("30")
    box(page, "at a rate of (1/s)").fill("5000")
    press(page, "Burst")
    expect(said(page)).to_contain_text("burst sent: 30 of 30. 30 done")
    assert runtime.state == 30

    runtime.pause()
    runtime.standard_capacity = 5
    press(page, "Burst")
    expect(said(page)).to_contain_text("burst sending: 5 of 30")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Burst")).to_be_disabled()
    press(page, "Stop")
    expect(said(page)).to_contain_text("burst stopped: 5 of 30")
    runtime.resume()
    expect(said(page)).to_contain_text("5 done")
    assert runtime.state == 35


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (
            lambda runtime: (runtime.pause(), setattr(runtime, "standard_capacity", 1), runtime.send_nowait(1)),
            "standard lane of 'sum' is full",
        ),
        (lambda runtime: runtime.manager.run(_ended(runtime)), "terminated"),
        (lambda runtime: runtime.manager.close(), "closed"),
    ],
    ids=["full", "terminated", "closed"],
)
def test_a_refusal_is_one_clear_line(manager: RuntimeManager, opened: Any, trouble: Any, says: str) -> None:
    runtime = manager.create("sum", 0, add)
    page = opened(runtime)
    trouble(runtime)
    box(page, "payload *").fill("1")
    press(page, "Send")
    expect(said(page)).to_contain_text("not sent")
    expect(said(page)).to_contain_text(says)


async def _ended(runtime: Runtime) -> None:
    await runtime.terminate()


def test_a_viewer_sends_nothing(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("sum", 0, add)
    page = opened(runtime, Role.VIEWER)
    box(page, "payload *").fill("1")
    press(page, "Send")
    expect(said(page)).to_contain_text("for looking only")
    press(page, "Burst")
    assert runtime.fates().accepted == 0


def test_hostile_strings_are_only_shown(manager: RuntimeManager, opened: Any) -> None:
    @dataclass
    class Letter:
        text: Annotated[str, Meta(title=HOSTILE, description=HOSTILE)]
        kind: Literal["<b>bold</b><img src=x onerror='window.hacked=1'>"] = (
            "<b>bold</b><img src=x onerror='window.hacked=1'>"
        )

    def read(activity: Activity, state: str) -> str:
        raise ValueError(activity.payload.text)

    runtime = manager.create(HOSTILE, "", read, accepts=Letter)
    page = opened(runtime)
    page.get_by_label(HOSTILE[:20]).fill(HOSTILE)
    press(page, "Send")
    expect(said(page)).to_contain_text("failed")
    expect(said(page)).to_contain_text("<script>")
    press(page, "JSON")
    page.get_by_label("payload as JSON").fill(HOSTILE)
    press(page, "Send")
    expect(page.get_by_label("payload as JSON")).to_have_attribute("aria-invalid", "true")
    assert page.evaluate("window.hacked") is None


def test_another_payload_type_gets_another_form(manager: RuntimeManager, opened: Any) -> None:
    runtime = manager.create("sum", 0, add)
    page = opened(runtime)

    def shout(activity: Activity[Flight], state: int) -> int:
        return state + activity.payload.number

    runtime.swap(shout)
    box(page, "number *").fill("4")
    press(page, "Send")
    expect(said(page)).to_contain_text("state 4")


async def typed(activity: Activity[int], state: int) -> int:
    return state


async def untyped(activity: Any, state: int) -> int:
    return state


@pytest.mark.parametrize(("workflow", "form"), [(typed, True), (untyped, False)])
def test_where_there_is_no_form_it_says_why(workflow, form):
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, workflow)
        inject = Inject(manager.source, "a")
    assert inject.mode.visible is form
    assert ("There is no form" in inject.hint.html) is not form
