"""display.py: a runtime or a manager as a file."""

import pytest

from agentrt import ConfigurationError, RuntimeManager
from tests.export.world import HOSTILE
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
            manager.create("b", HOSTILE, fail).send_nowait(HOSTILE).result(5)
        path = manager.export(tmp_path / "view.html", view)
    page.goto(path.as_uri())
    page.locator(".live > *, .MuiButton-root, .react-flow, canvas").first.wait_for(timeout=30_000)
    assert page.evaluate("window.owned") is None
    assert not [url for url in guard.requests if not url.startswith("file:")]
