import itertools
import math
import time

import pytest

from agentrt import RuntimeManager
from agentrt.views.app.address import Address
from agentrt.views.feed import Update
from agentrt.views.fleet.fleet import Fleet
from agentrt.views.fleet.health import Health
from agentrt.views.fleet.overview import Overview
from agentrt.views.fleet.rows import PAGE, FleetRows
from tests.harness.shown import shown
from tests.support import add, fail, virtual

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def first(manager) -> Update:
    records, _, _ = manager.ring.since(0)
    return Update(manager.clock.now(), records, set(), first=True)


def update(manager, cursor: int) -> Update:
    records, _, _ = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {record.runtime for record in records})


def test_an_empty_fleet_teaches_the_next_step(manager):
    fleet = Fleet(manager.source)
    fleet.update(first(manager))
    assert "manager.create(" in fleet.table.html


def test_every_row_says_all_of_its_runtime(manager):
    manager.create("sum", 0, add, standard_capacity=10)
    manager.run(manager["sum"].ask(1))
    with pytest.raises(Exception, match="unsupported"):
        manager.run(manager["sum"].ask("x"))
    row = FleetRows(manager.source).read(["sum"])["sum"]
    assert (row["id"], row["processed"], row["failed"], row["standard"]) == ("sum", 2, 1, 0)
    assert row["status"].endswith("error")
    assert row["error"].startswith("TypeError: unsupported")
    assert row["wait_standard"] is not None
    assert row["wait_priority"] is None


def test_only_changed_rows_are_sent(manager, monkeypatch):
    monkeypatch.setattr("agentrt.views.fleet.fleet.EVERY", 0)
    for name in ("a", "b", "c"):
        manager.create(name, 0, add)
    fleet = Fleet(manager.source)
    fleet.update(first(manager))
    sent = []
    fleet.table.patch = sent.append
    cursor, html = manager.ring.cursor, fleet.table.html
    manager.run(manager["b"].ask(1))
    fleet.update(update(manager, cursor))
    assert [list(pieces) for pieces in sent] == [["b"]]
    fleet.shown["b"]["rate"] = 0  # it has come to rest
    fleet.update(Update(manager.clock.now(), [], set()))
    assert fleet.table.html == html


def test_rows_are_looked_at_as_often_as_they_can_be_read(manager, monkeypatch):
    monkeypatch.setattr("agentrt.views.fleet.fleet.EVERY", 3600)
    manager.create("a", 0, add)
    fleet = Fleet(manager.source)
    fleet.update(first(manager))
    cursor = manager.ring.cursor
    manager.run(manager["a"].ask(1))
    assert fleet.update(update(manager, cursor)) is True, "it will be asked again"
    assert fleet.shown["a"]["processed"] == 0
    fleet.looked_at = -math.inf
    fleet.update(Update(manager.clock.now(), [], set()))
    assert fleet.shown["a"]["processed"] == 1, "what had changed meanwhile is not forgotten"


def test_sorting_searching_and_paging_are_done_here(manager):
    for n in range(60):
        manager.create(f"agent-{n:02}", 0, add)
    manager.run(manager["agent-42"].ask(1))
    fleet = Fleet(manager.source)
    fleet.update(first(manager))
    assert len(fleet.shown) == PAGE
    assert "1 to 25 of 60 runtimes" in fleet.count.html
    fleet.turn(1)
    assert next(iter(fleet.shown)) == "agent-25"
    fleet.sort("processed")
    assert next(iter(fleet.shown)) == "agent-42"
    fleet.sort("processed")
    assert next(iter(fleet.shown)) != "agent-42"
    before = fleet.rows.sort
    fleet.sort("no such column")
    assert fleet.rows.sort == before
    fleet.search.value_input = "AGENT-1"
    assert len(fleet.shown) == 10
    assert "10 of 60 runtimes" in fleet.count.html
    fleet.turn(5)
    assert fleet.rows.page == 0


def test_new_and_ended_runtimes_are_noticed(manager):
    manager.create("a", 0, add)
    fleet = Fleet(manager.source)
    fleet.update(first(manager))
    cursor = manager.ring.cursor
    manager.create("b", 0, add)
    manager.run(manager["a"].terminate())
    fleet.update(update(manager, cursor))
    assert list(fleet.shown) == ["b", "a"]
    assert fleet.shown["a"]["status"].endswith("terminated")


def test_a_hostile_id_and_error_are_only_text(manager):
    manager.create(HOSTILE, 0, fail)
    manager[HOSTILE].send_nowait(HOSTILE)
    with pytest.raises(Exception, match="script"):
        manager.run(manager[HOSTILE].ask(HOSTILE))
    opened = []
    fleet = Fleet(manager.source, go=opened.append)
    fleet.update(first(manager))
    assert "<script" not in fleet.table.html
    assert "<img" not in fleet.table.html
    address = str(Address("runtime", HOSTILE))
    assert f'data-do="go" data-with="{address}"' in fleet.table.html
    fleet.table._handle_msg({"do": "go", "with": address})
    assert opened == [address]
    fleet.table._handle_msg({"do": "__class__", "with": "x"})
    fleet.table._handle_msg("nonsense")


def test_ten_thousand_runtimes_cost_a_page(manager):
    for n in range(10_000):
        manager.create_entry(f"agent-{n}", 0, add, manager_limits())
    fleet = Fleet(manager.source)
    started = time.thread_time()
    fleet.update(first(manager))
    assert time.thread_time() - started < 2
    cursor = manager.ring.cursor
    for n in range(0, 10_000, 10):
        manager.send_nowait(f"agent-{n}", 1)
    started = time.thread_time()
    fleet.update(update(manager, cursor))
    assert time.thread_time() - started < 0.1


def page_of(manager, source) -> tuple[int, list[int]]:
    """Draw the first page: the bytes of its first drawing, and of what each later update sends to a browser."""
    sent: list[int] = []
    fleet, overview = Fleet(source), Overview(source, lambda address: None)
    for view in (fleet, overview):
        view.update(first(manager))
    drawn = len(fleet.table.html) + len(overview.panel.html)
    fleet.table.patch = lambda pieces: sent.append(sum(map(len, pieces.values())))
    for n in range(3):
        cursor = manager.ring.cursor
        manager.create(f"new-{n}", 0, add)
        manager.run(manager[f"agent-{n:05}"].ask(1))
        overview.looked_at = fleet.looked_at = -math.inf
        fleet.update(update(manager, cursor))
        overview.update(update(manager, cursor))
    return drawn, sent


def test_what_is_drawn_and_sent_does_not_grow_with_the_number_of_runtimes():
    found = []
    for total in (50, 3_000):
        with RuntimeManager(loop="thread") as manager:
            for n in range(total):
                manager.create_entry(f"agent-{n:05}", 0, add, manager_limits())
            found.append(page_of(manager, Counted(manager.source)))
    (few, few_sent), (many, many_sent) = found
    assert many < few + 100, "a number has more digits"
    assert all(b < a + 100 for a, b in zip(few_sent, many_sent, strict=True))


def test_those_that_work_are_looked_at_less_often_where_that_takes_long(manager, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("agentrt.views.fleet.overview.time.monotonic", lambda: now[0])
    overview = Overview(manager.source, lambda address: None)
    looks = []

    def look_at(ids) -> None:
        looks.append(now[0])
        now[0] += 0.2

    overview.health.look_at = look_at
    overview.update(first(manager))
    for _ in range(50):
        now[0] += 0.25
        overview.update(Update(manager.clock.now(), [], set()))
    assert [b - a for a, b in itertools.pairwise(looks)] == pytest.approx([2.2] * (len(looks) - 1), abs=0.26)


class Counted:
    """A source that lets a page read no more than the figures of a page, whatever there is."""

    def __init__(self, source) -> None:
        self.source = source

    def __getattr__(self, name: str):
        assert name not in ("snapshots", "snapshot"), "that is more than a table shows"
        return getattr(self.source, name)

    def figures(self, ids, metrics: bool = True):
        ids = list(ids)
        assert len(ids) <= PAGE
        return self.source.figures(ids, metrics)

    def active(self, recent: float = 0.0):
        found = self.source.active(recent)
        assert len(found) <= PAGE
        return found

    def find(self, *arguments):
        found = self.source.find(*arguments)
        assert len(found.ids) <= PAGE
        return found


def manager_limits():
    from agentrt.limits import Limits

    return Limits()


# ---- the sentence


def test_the_sentence_says_what_is_wrong_and_names_it(manager):
    health = Health(manager.source)
    health.look_at()
    assert health.sentence(0) == "No runtime yet."
    for name in ("JFK", "LGA"):
        manager.create(name, 0, add, standard_capacity=10)
    health.look_at()
    assert health.sentence(0) == "All 2 runtimes are fine."
    manager["LGA"].pause()
    for _ in range(10):
        manager["LGA"].send_nowait(1)
    health.look_at({"LGA"})
    assert health.sentence(0).startswith('<button class="link" data-do="go" data-with="runtime/LGA">LGA</button>')
    assert "standard lane was full in the last minute" in health.sentence(0)
    assert health.waiting == [0, 10]
    manager.run(manager["LGA"].terminate())
    health.look_at({"LGA"})
    assert health.sentence(0) == "The runtime is fine."
    assert health.waiting == [0, 0]


@virtual
async def test_failing_and_stopped_runtimes_are_counted(manager):
    for name in ("a", "b"):
        manager.create(name, 0, fail)
        with pytest.raises(Exception, match="no 1"):
            await manager[name].ask(1)
    health = Health(manager.source)
    health.look_at()
    assert "2 of 2 runtimes had failures in the last minute" in health.sentence(0)


def test_a_row_that_is_read_while_its_runtime_ends_is_left_out(manager):
    manager.create("a", 0, add)
    rows = FleetRows(manager.source)
    rows.reorder()
    manager.run(manager["a"].terminate())
    manager.terminated.clear()
    assert rows.read(["a"]) == {}


WIDTHS = """() => {
  const found = {}
  const look = (root) => root.querySelectorAll("*").forEach((node) => {
    if (node.matches("th.c-id button, td.c-id button")) {
      found[node.textContent] = [node.scrollWidth, node.clientWidth, getComputedStyle(node).textOverflow]
    }
    if (node.shadowRoot) look(node.shadowRoot)
  })
  look(document)
  return Object.keys(found).length > 2 ? found : null
}"""


@pytest.mark.browser
def test_a_long_name_ends_in_an_ellipsis_and_a_narrow_page_has_room_for_names(manager, new_page):
    for name in ("orders", "a name that is much longer than its column is wide on a narrow page"):
        manager.create(name, 0, add)
    page = new_page(viewport={"width": 400, "height": 900})
    with shown(manager, lambda feed: Fleet(manager.source)) as url:
        page.goto(url)
        found = page.wait_for_function(WIDTHS, timeout=60_000).json_value()
    assert found["runtime"][0] <= found["runtime"][1], "the head of the column is whole"
    assert found["orders"][0] <= found["orders"][1]
    long = next(each for name, each in found.items() if name.startswith("a name"))
    assert long[0] > long[1]
    assert long[2] == "ellipsis"
