import param
import pytest

from agentrt import RuntimeManager
from agentrt.views.feed import Feed, News
from agentrt.views.page import Dashboard, selection
from agentrt.views.role import Commands, Role
from tests.support import add

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


class Address(param.Parameterized):
    """What a page knows of its address."""

    search = param.String("")


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="tested") as manager:
        yield manager


def board(manager, role: Role = Role.OPERATOR, **options) -> Dashboard:
    feed = Feed(manager, schedule=lambda call: None, later=lambda seconds, call: None)
    return Dashboard(manager, feed, Commands(manager, role=role), location=Address(), **options)


def texts(viewable) -> str:
    """All the HTML in a layout."""
    return "".join(part.html for part in viewable.select(lambda each: hasattr(each, "html")))


@pytest.mark.parametrize(
    ("search", "id"),
    [("", None), ("?runtime=JFK", "JFK"), ("?token=x&runtime=a%20b%2Fc", "a b/c"), ("?runtime=", None), ("?x", None)],
)
def test_an_address_names_a_runtime(search, id):
    assert selection(search) == id


def test_the_address_follows_and_is_followed(manager):
    manager.create("a&b", 0, add)
    shown = board(manager)
    shown.show("a&b")
    assert shown.location.search == "?runtime=a%26b"
    shown.location.search = ""
    assert shown.selected is None
    assert "The runtime is fine." in texts(shown.panel)
    shown.location.search = "?token=secret"
    assert shown.location.search == "", "a token does its work once"


def test_only_what_is_shown_is_fed(manager):
    manager.create("a", 0, add)
    shown = board(manager)
    shown.show()
    assert shown.overview in shown.feed.views
    shown.show("a")
    assert shown.overview not in shown.feed.views
    assert len(shown.feed.views) == 2, "the view, and the form in it"


def test_an_unknown_id_is_told_and_harmless(manager):
    manager.create("a", 0, add)
    shown = board(manager)
    shown.show(HOSTILE)
    html = texts(shown.panel)
    assert "There is no runtime &lt;script&gt;" in html
    assert "There are: a." in html
    assert "<script" not in html


def test_a_terminated_runtime_can_still_be_looked_at(manager):
    runtime = manager.create("a", 0, add)
    manager.run(runtime.ask(4))
    manager.run(runtime.terminate())
    del runtime
    shown = board(manager)
    shown.show("a")
    assert "It is over" in texts(shown.panel)


@pytest.mark.parametrize("role", list(Role))
def test_who_may_only_look_is_told_so(manager, role):
    shown = board(manager, role)
    assert ("looking only" in texts(shown.panel)) is (role is Role.VIEWER)
    assert shown.speed.disabled is (role is Role.VIEWER)


def test_a_note_is_a_banner(manager):
    assert "made-up &lt;b&gt;flights" in texts(board(manager, note="made-up <b>flights").panel)


def test_the_speed_knob_turns_the_clock_and_follows_it(manager):
    shown = board(manager)
    shown.show()
    shown.speed.value = 60.0
    assert manager.speed == 60
    manager.speed = 7
    shown.update(News(0.0, [], set()))
    assert shown.speed.value == 7
    assert manager.speed == 7


def test_a_viewer_cannot_turn_it(manager):
    shown = board(manager, Role.VIEWER)
    shown.show()
    shown.speed.value = 60.0
    assert manager.speed == 1
    assert shown.speed.value == 1
    assert "looking only" in shown.said.html


def test_pause_all_and_resume_all(manager):
    for name in ("a", "b"):
        manager.create(name, 0, add)
    shown = board(manager)
    shown.commands.pause_all()
    assert all(runtime.paused for runtime in manager.runtimes())
    shown.commands.resume_all()
    assert not any(runtime.paused for runtime in manager.runtimes())
