"""Each view alone: in a file that works offline, in a layout, in a cell without a kernel."""

import inspect
from functools import partial

import panel as pn
import pytest
from panel.io.resources import set_resource_mode

from agentrt import RuntimeManager
from agentrt.display import ManagerDisplay, RuntimeDisplay
from agentrt.views.feed import Feed
from agentrt.views.notebook.offline import data_url, inline_files
from agentrt.views.notebook.standalone import Standalone, StandaloneBoard
from tests.harness.place import free_port
from tests.harness.screenshot import shoot
from tests.harness.shown import answers, serving
from tests.harness.wait import wait_until
from tests.support import add, fail

HOSTILE = "<script>window.owned = 1</script>\"'<img src=x onerror=window.owned=1>"


def names(of) -> list[str]:
    return [name for name, value in vars(of).items() if inspect.isfunction(value)]


SHOWN = [(True, name) for name in names(RuntimeDisplay)] + [(False, name) for name in names(ManagerDisplay)]


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="alone") as manager:
        manager.create(HOSTILE, HOSTILE, add)
        broken = manager.create("a", HOSTILE, fail)
        with pytest.raises(Exception, match=r"."):
            broken.send_nowait(HOSTILE).result(60)
        broken.pause()
        broken.send_nowait((HOSTILE, 2))
        yield manager


def show(manager, of_runtime: bool, name: str) -> Standalone:
    number = next(record.id for record in manager.ring.since(0)[0] if record.kind == "accepted")
    if name == "letters":
        return manager.dead_letters.view()
    return getattr(manager["a"] if of_runtime else manager, name)(*([number] if name == "activity" else []))


def test_dead_letters_show_themselves(manager):
    data, _ = manager.dead_letters._repr_mimebundle_()
    assert data["text/plain"] == "<dead-letters of 'alone'>"
    with pytest.warns(DeprecationWarning, match=r"manager\.dead_letters\.view\(\)"):
        assert repr(manager.letters()) == data["text/plain"]
    assert "No dead letter." in manager.dead_letters.view().html()


@pytest.mark.parametrize(("of_runtime", "name"), SHOWN)
def test_outside_of_a_notebook_it_is_a_text(manager, of_runtime, name):
    data, _ = show(manager, of_runtime, name)._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html"}
    assert type(data["text/html"]) is str
    assert "<script" not in data["text/html"]


@pytest.mark.browser
@pytest.mark.parametrize(("of_runtime", "name"), SHOWN)
def test_a_saved_view_works_offline(manager, of_runtime, name, page, guard, tmp_path):
    guard.allow("file:///")
    path = show(manager, of_runtime, name).save(tmp_path / "view.html")
    assert path.stat().st_size < 12e6
    page.goto(path.as_uri())
    page.locator(".live > *, .MuiButton-root, .react-flow, canvas").first.wait_for()
    assert page.evaluate("window.owned") is None
    assert not [url for url in guard.requests if not url.startswith("file:")]


@pytest.mark.browser
@pytest.mark.parametrize("setting", [partial(set_resource_mode, "cdn"), partial(pn.config.set, inline=True)])
def test_a_saved_view_works_offline_whatever_panel_is_set_to_meanwhile(manager, page, guard, tmp_path, setting):
    guard.allow("file:///")
    with setting():
        path = manager.fleet().save(tmp_path / "view.html")
    page.goto(path.as_uri())
    page.locator(".live > *, .MuiButton-root").first.wait_for()
    assert not [url for url in guard.requests if not url.startswith("file:")]


# How bright they are, from 0 to 255: the page, the text of a view, the text of a control.
BRIGHTNESS = """() => {
  const found = {page: getComputedStyle(document.body).backgroundColor}
  const look = (root) => root.querySelectorAll("*").forEach((node) => {
    if (node.matches(".live > *")) found.text = getComputedStyle(node).color
    if (node.matches(".MuiInputBase-root")) found.control = getComputedStyle(node).color
    if (node.shadowRoot) look(node.shadowRoot)
  })
  look(document)
  const bright = (color) => color === "rgba(0, 0, 0, 0)" ? 255 : Math.max(...color.match(/[0-9.]+/g).slice(0, 3))
  return Object.fromEntries(Object.entries(found).map(([name, color]) => [name, bright(color)]))
}"""


@pytest.mark.browser
def test_a_saved_view_is_light_or_dark_as_the_browser_prefers(manager, page, guard, tmp_path):
    guard.allow("file:///")
    path = manager["a"].inject().save(tmp_path / "view.html")
    for schemes in (("dark", "light"), ("light", "dark")):
        page.emulate_media(color_scheme=schemes[0])
        page.goto(path.as_uri())
        page.locator(".MuiInputBase-root").first.wait_for()
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            dark = scheme == "dark"
            wait_until(lambda dark=dark: is_so(page.evaluate(BRIGHTNESS), dark), 60, f"it is {scheme}")
            shoot(page, f"saved-{scheme}")


def is_so(bright, dark):
    if dark:
        return bright["page"] < 60 and bright["text"] > 170 and bright["control"] > 170
    return bright["page"] > 240 and bright["text"] < 100 and bright["control"] < 100


EDGES = """() => {
  const boxes = []
  const look = (root) => root.querySelectorAll("*").forEach((node) => {
    const box = node.matches(".live > *, canvas") ? node.getBoundingClientRect() : null
    if (box?.width && box.height) boxes.push([box.left, box.top, innerWidth - box.right])
    if (node.shadowRoot) look(node.shadowRoot)
  })
  look(document)
  return boxes.length ? [0, 1, 2].map((n) => Math.min(...boxes.map((box) => box[n]))) : null
}"""


@pytest.mark.browser
@pytest.mark.parametrize("name", ["where_now", "mailbox", "timeline", "waits"])
def test_a_view_that_is_served_alone_does_not_touch_the_edge(manager, name, page):
    port = free_port()
    make = getattr(manager["a"], name)
    with serving(pn.serve(make, port=port, show=False, threaded=True, address="127.0.0.1", verbose=False)):
        wait_until(lambda: answers(port), 60, "the page is served")
        page.goto(f"http://127.0.0.1:{port}")
        edges = page.wait_for_function(EDGES, timeout=60_000).json_value()
        shoot(page, f"alone-{name}")
    assert min(edges) >= 10, "left, top, right"


def test_a_part_that_is_not_there_is_an_empty_one():
    assert data_url("https://cdn.holoviz.org/panel/1.9.4/dist/css/nothing.css").endswith(",")
    assert len(data_url("https://cdn.holoviz.org/panel/1.9.4/dist/css/loading.css")) > 100


def test_what_it_leads_to_opens_below_and_closes(manager):
    feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = StandaloneBoard(manager.source, feed, lambda call: call())
    board.go("runtime/a")
    assert len(board.feed.views) == 2
    board.go("nothing")
    assert board.feed.views == []
    assert len(board.below) == 2
    board.close()
    assert len(board.below) == 0


@pytest.mark.parametrize(
    ("of_runtime", "name"), [case for case in SHOWN if case[1] not in ("letters", "export", "frame", "metrics_frame")]
)
def test_each_view_goes_back_and_comes_to_live_again(manager, of_runtime, name):
    feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)
    holder = pn.Column()
    show(manager, of_runtime, name)._fill(holder, feed)
    bar, place, below = holder.objects
    assert len(feed.views) == 2, "the time bar and the view"
    live = place[0]
    earlier = bar[0][1]
    earlier.clicks += 1
    assert "As it was at" in bar[1].html
    assert place[0] is not live
    assert len(feed.views) == 1, "the past is drawn once"
    bar[2][0].clicks += 1
    assert (bar[1].html, len(feed.views), len(below)) == ("", 2, 0)


def test_a_file_has_no_time_bar(manager):
    assert "Event before" not in manager["a"].waits().html()


def test_a_saved_view_fetches_no_style_that_its_head_names() -> None:
    style = '<link rel="stylesheet" href="https://cdn.holoviz.org/panel/1.10.0/dist/bundled/theme/.css">'
    assert "<link" not in inline_files(f"<head>{style}</head>")
