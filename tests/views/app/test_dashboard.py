from urllib.parse import quote

import pytest

from agentrt import RuntimeManager
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.feed import Feed, Update
from agentrt.views.role import Commands, Role
from tests.harness.wait import wait_until
from tests.support import add
from tests.views.support import HOSTILE


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="tested") as manager:
        yield manager


def board(manager, role: Role = Role.OPERATOR, **options) -> Dashboard:
    feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)
    return Dashboard(manager.source, feed, Commands(manager.source, role=role), **options)


def texts(viewable) -> str:
    """All the HTML in a layout."""
    return "".join(part.html for part in viewable.select(lambda each: hasattr(each, "html")))


def test_the_address_follows(manager):
    manager.create("a&b/c", 0, add)
    shown = board(manager, root="./", paths=True)
    shown.go("runtime/a%26b%2Fc")
    assert shown.runtime == "a&b/c"
    assert shown.window.address == "runtime/a%26b%2Fc"
    assert shown.window.name_of_page == "a&b/c · tested"
    shown.go()
    assert shown.window.address == ""
    assert "The runtime is fine." in texts(shown.panel)


def test_keys_steer_what_is_shown(manager):
    runtime, other = (manager.create(name, 0, add) for name in ("a", "b"))
    shown = board(manager, root="./", paths=True)
    shown.go("runtime/a")
    shown.key(" ")
    assert (runtime.paused, other.paused) == (True, False)
    runtime.send_nowait(2)
    shown.key(".")
    wait_until(lambda: runtime.state == 2)
    shown.key("o")
    assert str(shown.at) == ""
    shown.key(" ")
    assert other.paused
    shown.key(" ")
    assert not runtime.paused
    assert not other.paused


def test_a_viewers_keys_steer_nothing(manager):
    runtime = manager.create("a", 0, add)
    shown = board(manager, Role.VIEWER, root="./", paths=True)
    for address in ("runtime/a", ""):
        shown.go(address)
        for key in (" ", ".", "x"):
            shown.key(key)
    assert not runtime.paused
    assert "looking only" in shown.bar.message.html


def test_only_what_is_shown_is_fed(manager):
    manager.create("a", 0, add)
    shown = board(manager)
    shown.go()
    first = set(shown.feed.views)
    shown.go("runtime/a")
    assert first & set(shown.feed.views) == {shown.bar, shown.notice, shown.time_bar}
    assert "RuntimeView" in {type(view).__name__ for view in shown.feed.views}


def test_plots_and_the_graph_are_made_when_the_page_has_loaded(manager):
    def views() -> set[str]:
        return {type(view).__name__ for view in shown.feed.views}

    manager.create("a", 0, add)
    shown = board(manager)
    shown.loading = True
    shown.go()
    assert views() == {"Notice", "TimeBar", "TopBar", "Overview", "Fleet"}
    shown.load()
    assert views() >= {"Swimlanes", "Flow"}
    shown.load()
    assert len(shown.feed.views) == 7, "once"
    shown.go()
    assert views() >= {"Swimlanes", "Flow"}, "the page has loaded: nothing is put off"
    shown.go("runtime/a")
    assert not views() & {"Swimlanes", "Flow"}


def test_an_unknown_id_is_told_and_harmless(manager):
    manager.create("a", 0, add)
    shown = board(manager)
    shown.go(f"runtime/{quote(HOSTILE, safe='')}")
    html = texts(shown.panel)
    assert "There is no runtime &lt;script&gt;" in html
    assert "There are: a." in html
    assert "<script" not in html


@pytest.mark.parametrize("address", ["nothing", "flow/x", "runtime", f"nothing/{HOSTILE}"])
def test_an_unknown_page_is_told_and_harmless(manager, address):
    shown = board(manager)
    shown.go(address)
    html = texts(shown.panel)
    assert "There is no page" in html
    assert "<script" not in html


def test_a_terminated_runtime_can_still_be_looked_at(manager):
    runtime = manager.create("a", 0, add)
    manager.run(runtime.ask(4))
    manager.run(runtime.terminate())
    del runtime
    shown = board(manager)
    shown.go("runtime/a")
    assert "It is terminated" in texts(shown.panel)


@pytest.mark.parametrize("role", list(Role))
def test_who_may_only_look_is_told_so(manager, role):
    shown = board(manager, role)
    assert ("looking only" in texts(shown.panel)) is (role is Role.VIEWER)
    assert shown.bar.speed.disabled is (role is Role.VIEWER)


def test_a_note_is_a_banner(manager):
    assert "#E69F00" in texts(board(manager, note="made up", loud=True).panel)
    assert "#E69F00" not in texts(board(manager, note="a real day").panel)
    assert "made-up &lt;b&gt;flights" in texts(board(manager, note="made-up <b>flights").panel)


def test_the_speed_knob_turns_the_clock_and_follows_it(manager):
    shown = board(manager)
    shown.go()
    shown.bar.speed.value = 60.0
    assert manager.speed == 60
    manager.speed = 7
    shown.bar.update(Update(0.0, [], set()))
    assert shown.bar.speed.value == 7
    assert manager.speed == 7
    manager.speed = float("inf")
    shown.bar.update(Update(0.0, [], set()))
    assert shown.bar.speed.options["fastest"] == shown.bar.speed.value


def test_a_viewer_cannot_turn_it(manager):
    shown = board(manager, Role.VIEWER)
    shown.go()
    shown.bar.speed.value = 60.0
    assert manager.speed == 1
    assert shown.bar.speed.value == 1
    assert "looking only" in shown.bar.message.html


def test_pause_all_and_resume_all(manager):
    for name in ("a", "b"):
        manager.create(name, 0, add)
    shown = board(manager)
    shown.commands.pause_all()
    assert all(runtime.paused for runtime in manager.runtimes())
    shown.commands.resume_all()
    assert not any(runtime.paused for runtime in manager.runtimes())
