"""A failed activity is made a test on its page: by a person who may steer, from a live source."""

from pathlib import Path
from typing import Any

import pytest

from agentrt import RuntimeManager
from agentrt.views.activity.activity import ActivityView
from agentrt.views.activity.recorded_test import RecordedTest
from agentrt.views.role import Commands, Role
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, shown
from tests.harness.wait import PATIENCE


def charge(activity: Any, state: float) -> float:
    return state + 100 / activity.payload


def failed(manager: RuntimeManager, workflow: Any = charge) -> int:
    """The number of an activity that failed."""
    receipt = manager.create("till", 1.0, workflow).send_nowait(0)
    assert manager.run(receipt.wait()) is None
    return receipt.id


def file_of(manager: RuntimeManager, id: int) -> tuple[RecordedTest, str]:
    part = RecordedTest(manager.source, id, Commands(manager.source))
    return part, part._make().getvalue().decode()


def test_the_file_fails_as_the_activity_did() -> None:
    with RuntimeManager(loop="thread") as manager:
        _, text = file_of(manager, failed(manager))
    space: dict[str, Any] = {}
    exec(compile(text, "test_activity.py", "exec"), space)
    tests = [value for name, value in space.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
    assert "ZeroDivisionError" in text


def test_why_there_is_none_is_said_in_the_file_and_on_the_page() -> None:
    def inside(activity: Any, state: float) -> float:
        return state / activity.payload

    with RuntimeManager(loop="thread") as manager:
        part, text = file_of(manager, failed(manager, inside))
    assert text.startswith("# There is no test of activity ")
    assert "define it at the top of a module" in part.note.html


@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_who_may_not_steer_has_no_button(role: Role | None) -> None:
    with RuntimeManager(loop="thread") as manager:
        commands = None if role is None else Commands(manager.source, role=role)
        part = RecordedTest(manager.source, failed(manager), commands)
        assert not part.panel.visible


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["default", "dark"])
def test_a_person_downloads_it(new_page: Any, theme: str, tmp_path: Path) -> None:
    page = new_page(viewport={"width": 1024, "height": 900})
    with RuntimeManager(loop="thread") as manager:
        id = failed(manager)
        view = lambda feed: ActivityView(manager.source, id, Commands(manager.source))  # noqa: E731
        with shown(manager, view) as url:
            page.goto(f"{url}/?theme={theme}")
            button = page.get_by_text("Make this a test")
            button.wait_for()
            loaded(page)
            shoot(page, f"views/activity-test-{theme}")
            with page.expect_download(timeout=PATIENCE * 1000) as coming:
                button.click()
            assert coming.value.suggested_filename == f"test_activity_{id}.py"
            assert "ZeroDivisionError" in Path(coming.value.path()).read_text()
