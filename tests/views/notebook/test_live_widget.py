"""The view as a widget of anywidget: what marimo gets, and what its pages say to it."""

import ast
import asyncio
from pathlib import Path

import ipykernel.comm
import pytest

import agentrt
from agentrt import RuntimeManager
from agentrt.lessons import Prediction
from agentrt.views.notebook.live_widget import LiveWidget, Still
from tests.support import add

SHOWN = {  # by class: one that shows itself in a cell
    "DisplayedDeadLetters": lambda manager, folder: manager.dead_letters,
    "Prediction": lambda manager, folder: Prediction("How many wait?", path=folder / "predictions.json"),
    "Replay": lambda manager, folder: manager.replay(),
    "Runtime": lambda manager, folder: manager["a"],
    "RuntimeManager": lambda manager, folder: manager,
    "Standalone": lambda manager, folder: manager.fleet(),
}
OTHERS = {"RemoteRuntime"}  # needs a cluster, and has the bundle of a runtime


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="live") as manager:
        manager.create("a", 0, add).send_nowait(16).result(60)
        yield manager


def classes_with_a_bundle() -> set[str]:
    """The classes of the package that define what a cell of Jupyter has of them."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in Path(agentrt.__file__).parent.rglob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {node.name for node in classes if "_repr_mimebundle_" in [getattr(each, "name", "") for each in node.body]}


def test_every_class_with_a_bundle_is_looked_at():
    assert classes_with_a_bundle() == SHOWN.keys() | OTHERS


@pytest.mark.parametrize("name", SHOWN)
def test_the_texts_of_a_bundle_are_plain(manager, tmp_path, name):
    """A front end may refuse a subclass of str: marimo says "Expected string data" of one."""
    bundle = SHOWN[name](manager, tmp_path)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    texts = {kind: type(text) for kind, text in data.items() if kind.startswith("text/")}
    assert {"text/plain", "text/html"} <= texts.keys()
    assert set(texts.values()) == {str}


@pytest.mark.parametrize("name", SHOWN)
def test_marimo_shows_it_as_a_text_where_no_kernel_runs(manager, tmp_path, name):
    item = SHOWN[name](manager, tmp_path)
    html = item._mime_()[1] if name == "Prediction" else item._display_()._repr_html_()
    assert type(html) is str
    assert html.startswith("<")


class Comm(ipykernel.comm.Comm):  # an old ipywidgets takes no other class
    """The comm that a notebook gives to a widget."""

    comm_id, kernel = "model", "notebook"

    def __init__(self):
        self.sent = []
        self.closed = 0

    def on_msg(self, callback):
        self.hear = callback

    def send(self, data=None, **more):
        if data.get("method") == "custom":
            self.sent.append((data["content"]["page"], data["content"]["data"]))

    def close(self, *arguments, **options):
        self.closed += 1


@pytest.fixture
def shown(manager, monkeypatch):
    """What marimo shows for a runtime, and its comm."""
    comm = Comm()
    monkeypatch.setattr(LiveWidget, "open", lambda self: setattr(self, "comm", comm))

    async def show():
        return manager["a"]._display_()

    loop = asyncio.new_event_loop()
    widget = loop.run_until_complete(show())
    yield widget, comm
    widget.linked_view.end()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def say(widget, page, **data):
    widget._handle_custom_msg({"page": page, "data": data}, [])


WANT = {"want": True, "texts": [], "scripts": False}


def test_it_has_the_picture_until_it_is_live(shown):
    widget, _ = shown
    assert "1 processed" in widget.still
    assert "and not live" in widget.still
    assert widget.view == widget.linked_view.channel.id


def test_each_page_is_answered_for_itself(shown):
    widget, comm = shown
    say(widget, "one", **WANT)
    say(widget, "two", **WANT)
    assert [page for page, data in comm.sent if "roots" in data] == ["one", "two"]
    say(widget, "one", bye="closes")
    assert list(widget.comms) == ["two"]
    assert list(widget.linked_view.channel.pages) == ["two"]


def test_a_page_that_only_leaves_is_not_kept(shown):
    widget, comm = shown
    say(widget, "one", bye="closes")
    assert (widget.comms, comm.sent) == ({}, [])


def test_it_ends_when_the_notebook_closes_its_comm(shown):
    """As marimo does when the cell runs again, or is deleted."""
    widget, comm = shown
    say(widget, "one", **WANT)
    assert widget.linked_view.feed.running
    for _ in range(2):
        comm.close()
    assert comm.closed == 2
    assert not widget.linked_view.feed.running
    assert ("one", {"ended": True}) in comm.sent


def test_a_still_is_escaped():
    assert Still("<b>")._repr_html_() == "<div>&lt;b&gt;</div>"
