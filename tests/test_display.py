"""display.py: a runtime or a manager as a file."""

from pathlib import Path

import pytest

from agentrt import ConfigurationError, RuntimeManager
from agentrt.display import ManagerDisplay, RuntimeDisplay
from tests.export.world import HOSTILE
from tests.harness.wait import PATIENCE
from tests.support import add, fail


def test_an_unknown_kind_names_those_there_are(tmp_path):
    with RuntimeManager() as manager, pytest.raises(ConfigurationError, match=r"give \.csv, \.parquet, \.json, \.html"):
        manager.export(tmp_path / "day.xls")


@pytest.mark.browser
@pytest.mark.parametrize("view", ["", "flow", "overview"])
def test_a_view_as_a_file(tmp_path, page, guard, view):
    guard.allow("file:///")
    with RuntimeManager(loop="thread", name=HOSTILE) as manager:
        manager.create(HOSTILE, HOSTILE, add).send_nowait(HOSTILE)
        with pytest.raises(Exception, match=r"."):
            manager.create("b", HOSTILE, fail).send_nowait(HOSTILE).result(PATIENCE)
        path = manager.export(tmp_path / "view.html", view)
    page.goto(path.as_uri())
    page.locator(".live > *, .MuiButton-root, .react-flow, canvas").first.wait_for()
    assert page.evaluate("window.owned") is None
    assert not [url for url in guard.requests if not url.startswith("file:")]


@pytest.mark.parametrize("view", [*ManagerDisplay.VIEWS[:-1], "activity/1"])
def test_every_view_of_a_manager_is_a_file(tmp_path, view):
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, add).send_nowait(1).result(PATIENCE)
        assert manager.export(tmp_path / "x.html", view).stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("view", RuntimeDisplay.VIEWS)
def test_every_view_of_a_runtime_is_a_file(tmp_path, view):
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.send_nowait(1).result(PATIENCE)
        assert runtime.export(tmp_path / "x.html", view).stat().st_size > 10_000


@pytest.mark.parametrize("view", ["events", "mailbox", "waits", "nonsense", "activity/", "activity/x", "../x", 7])
def test_a_view_that_there_is_not_is_refused_with_the_names(tmp_path, view):
    names = r"there are timeline, fleet, .*activity/<number>"
    with RuntimeManager(loop="thread") as manager, pytest.raises(ConfigurationError, match=names):
        manager.export(tmp_path / "x.html", view)
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_no_view(tmp_path):
    with RuntimeManager(loop="thread") as manager, pytest.raises(ConfigurationError, match=r"only an \.html file"):
        manager.export(tmp_path / "x.csv", "flow")


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.parquet", "x.html"])
def test_an_export_that_fails_leaves_the_old_file(tmp_path, monkeypatch, name):
    file = tmp_path / name
    file.write_text("old")

    def breaks(self, data):
        Path.open(self, "wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", breaks)
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, add)
        with pytest.raises(OSError, match="No space"):
            manager.export(file)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]
