"""The files that a page hands out."""

import csv
import io
import json

import pytest

from agentrt import RuntimeManager
from agentrt.feed.source import subject_of
from agentrt.views.download import downloads
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE
from tests.support import add

HOSTILE = "=1+1</script><script>window.owned = 1</script>../../etc"


def test_a_name_of_others_is_no_path():
    with RuntimeManager(name=HOSTILE) as manager:
        names = [button.filename for button in downloads(subject_of(manager))]
    assert names == [
        "_1_1_script_script_window_owned_1_script_etc.json",
        "_1_1_script_script_window_owned_1_script_etc.csv",
    ]


@pytest.mark.browser
def test_who_looks_may_take_the_trace_and_the_table(page):
    with RuntimeManager(loop="thread", name="day") as manager:
        manager.create("a", 0, add).send_nowait(2).result(PATIENCE)
        with serving(manager.serve(port=0)) as server:
            page.goto(server.view_url.replace("/?", "/timeline?", 1))
            with page.expect_download() as trace:
                page.get_by_role("button", name="Trace for Perfetto").click()
            with page.expect_download() as table:
                page.get_by_role("button", name="Activities as CSV").click()
            assert (trace.value.suggested_filename, table.value.suggested_filename) == ("day.json", "day.csv")
            assert json.loads(trace.value.path().read_text())["traceEvents"]
            rows = list(csv.DictReader(io.StringIO(table.value.path().read_text())))
    assert [row["payload"] for row in rows] == ["2"]


@pytest.mark.browser
def test_the_page_of_a_runtime_hands_out_what_that_one_did(page):
    with RuntimeManager(loop="thread", name="day") as manager:
        manager.create("a", 0, add).send_nowait(2).result(PATIENCE)
        manager.create("b", 0, add).send_nowait(3).result(PATIENCE)
        with serving(manager.serve(port=0)) as server:
            page.goto(server.view_url.replace("/?", "/runtime/b?", 1))
            with page.expect_download() as table:
                page.get_by_role("button", name="Activities as CSV").click()
            assert table.value.suggested_filename == "b.csv"
            rows = list(csv.DictReader(io.StringIO(table.value.path().read_text())))
    assert [row["payload"] for row in rows] == ["3"]
