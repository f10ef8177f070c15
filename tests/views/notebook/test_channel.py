import json

import comm
import pytest
from bokeh.document import Document
from bokeh.models import Column as BokehColumn
from bokeh.models import ColumnDataSource, Div, InlineStyleSheet
from comm.base_comm import BaseComm
from panel.io import notebook
from panel.io.model import diff
from playwright.sync_api import Page

from agentrt.views.notebook import channel as module
from agentrt.views.notebook.channel import AWAY, PAGES, Channel, LinkedDocument, listen
from agentrt.views.notebook.texts import PIECE
from tests.harness.lab import Lab
from tests.harness.wait import wait_until
from tests.views.notebook.support import START, WIDGETS, live


class FakeComm:
    """A page: what it was sent, and the models that it has by that."""

    def __init__(self, comm_id="page"):
        self.comm_id = comm_id
        self.sent = []
        self.texts, self.pieces = {}, []
        self.closed = False

    def send(self, data):
        data = json.loads(json.dumps(data))  # as Jupyter does it
        if "text" in data:
            self.pieces.append(data)
            return
        self.sent.append(data)
        if "roots" in data:
            roots, document = self.ask(data["roots"]), self.ask(data["document"])
            self.scripts = [(kind, self.ask(text), type) for kind, text, type in data["scripts"]]
        if data.get("texts"):
            self.texts |= {name: self.ask(name) for name in data["texts"]}
            self.say(has=data["texts"], offer=data["offer"])
        if "roots" in data:
            self.document = Document.from_json({**json.loads(document), "roots": self.read(roots)})
        elif "events" in data:
            self.document.apply_json_patch({"events": self.read(data["events"])})

    def ask(self, name):
        """A text, piece by piece: one is asked for after the other has come."""
        parts = []
        while True:
            self.say(text=name, piece=len(parts))
            answer = self.pieces.pop()
            assert not self.pieces
            assert (answer["text"], answer["piece"]) == (name, len(parts))
            parts.append(answer["part"])
            if answer["last"]:
                return "".join(parts)

    def read(self, text):
        def find(part):
            return self.texts[part["text"]] if list(part) == ["text"] and part["text"] in self.texts else part

        return json.loads(text, object_hook=find)

    def on_msg(self, callback):
        self.callback = callback

    def say(self, **data):
        self.callback({"content": {"data": data}})

    def close(self):
        self.closed = True

    @property
    def frames(self):
        return [data["frame"] for data in self.sent if "frame" in data]


@pytest.fixture(autouse=True)
def restore():
    yield
    notebook.diff = diff


@pytest.fixture
def document():
    document = LinkedDocument()
    document.add_root(BokehColumn(children=[Div(text="then")], tags=[ColumnDataSource(data={"x": [1]})]))
    return document


@pytest.fixture
def channel(document):
    return Channel(document)


@pytest.fixture
def column(document):
    return document.roots[0]


def open_page(channel, comm_id="page", **data):
    page = FakeComm(comm_id)
    channel.open(page, {"want": True, **data})
    return page


def texts_of(page):
    return [child.text for child in page.document.roots[0].children]


def test_a_page_gets_the_whole_and_then_each_change_with_the_next_number(channel, column):
    column.children[0].text = "nobody saw this"
    page = open_page(channel)
    assert texts_of(page) == ["nobody saw this"]
    with channel.batch():
        column.children[0].text = "now"
        column.children = [*column.children, Div(text="new")]
        column.tags[0].stream({"x": [2]})
    column.children[1].text = "newer"
    channel.push()
    channel.push()
    assert texts_of(page) == ["now", "newer"]
    assert list(page.document.roots[0].tags[0].data["x"]) == [1, 2]
    first, *_ = page.frames
    assert [data["frame"] for data in page.sent if "events" in data] == [first + 1, first + 2]


def test_a_page_that_missed_a_frame_gets_the_whole(channel, column):
    page, other = open_page(channel), open_page(channel, "other")
    page.send, send = (lambda data: None), page.send
    column.children = [Div(text="lost"), Div(text="too")]
    channel.push()
    page.send = send
    page.say(ping=True)
    assert page.sent[-1] == {"frame": channel.frame}, "it sees by the number that it has missed one"
    page.say(want=True, texts=[], scripts=False)
    assert texts_of(page) == texts_of(other) == ["lost", "too"]
    column.children[0].text = "both"
    channel.push()
    assert texts_of(page) == texts_of(other) == ["both", "too"]


def test_what_is_done_in_a_page_is_done_in_the_kernel_and_in_the_other_pages(channel, document, column):
    done = []
    column.children[0].on_change("text", lambda attr, old, new: done.append(new))
    page, other = open_page(channel), open_page(channel, "other")
    column.children[0].visible = False  # to be sent yet: it is not lost
    event = {"kind": "ModelChanged", "model": column.children[0].ref, "attr": "text", "new": "typed"}
    page.say(patch=json.dumps({"events": [event]}))
    assert done == ["typed"]
    assert column.children[0].text == "typed"
    assert texts_of(page) == ["then"], "it has that already"
    assert texts_of(other) == ["typed"]
    channel.push()
    assert not page.document.roots[0].children[0].visible
    assert page.frames[-1] == other.frames[-1] == channel.frame


def test_an_error_in_a_callback_is_logged_and_the_page_gets_an_answer(channel, column, caplog):
    column.children[0].on_change("text", lambda attr, old, new: 1 / 0)
    page = open_page(channel)
    event = {"kind": "ModelChanged", "model": column.children[0].ref, "attr": "text", "new": "typed"}
    page.say(patch=json.dumps({"events": [event]}))
    assert "ZeroDivisionError" in caplog.text
    assert page.sent[-1] == {"frame": channel.frame}


def test_long_texts_are_sent_to_a_page_once(channel, column):
    sheet = "x" * 5_000
    column.children = [Div(text=str(n), stylesheets=[InlineStyleSheet(css=sheet)]) for n in range(3)]
    page, other = open_page(channel), open_page(channel, "other", texts=["unknown"])
    for each in (page, other):
        assert [each.texts[name] for name in each.sent[0]["texts"]] == [sheet]
        assert each.document.roots[0].children[2].stylesheets[0].css == sheet
    page.say(want=True, texts=list(page.texts), scripts=False)
    assert page.sent[-2]["texts"] == []
    column.children = [*column.children, Div(stylesheets=[InlineStyleSheet(css=sheet)])]
    channel.push()
    assert page.sent[-1]["texts"] == []
    assert page.document.roots[0].children[3].stylesheets[0].css == sheet


def test_the_scripts_are_for_a_page_that_has_none(channel, monkeypatch):
    monkeypatch.setattr(module, "page_scripts", lambda: (("script", "code" * PIECE, ""),))
    assert open_page(channel, scripts=True).scripts == [("script", "code" * PIECE, "")]
    assert open_page(channel, "other", scripts=False).scripts == []


def test_no_message_to_a_page_is_longer_than_one_piece(channel, column, monkeypatch):
    monkeypatch.setattr(module, "page_scripts", lambda: (("script", "code" * PIECE, ""),))
    column.children = [Div(text="t" * 2 * PIECE, stylesheets=[InlineStyleSheet(css="x" * 3 * PIECE)])]
    lengths = []

    class Measuring(FakeComm):
        def send(self, data):
            lengths.append(len(json.dumps(data)))
            super().send(data)

    page = Measuring()
    channel.open(page, {"want": True, "scripts": True})
    assert texts_of(page) == ["t" * 2 * PIECE]
    assert max(lengths) < 1.1 * PIECE


def test_a_page_is_told_that_a_text_is_not_there_any_more(channel):
    page = open_page(channel)
    page.say(text="unknown", piece=0)
    assert page.pieces == [{"text": "unknown", "piece": 0}]


def test_a_page_that_is_not_heard_of_is_sent_nothing(channel, column, monkeypatch):
    page = open_page(channel)
    start = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: start + 2 * AWAY)
    column.children[0].text = "unheard"
    channel.push()
    assert texts_of(page) == ["then"]
    page.say(ping=True)
    assert page.frames[-1] == channel.frame > page.frames[0], "it asks for the whole then"


def test_pages_that_close_or_rest_are_forgotten_and_there_are_only_so_many(channel):
    page = open_page(channel)
    page.say(bye="rests")
    assert not channel.pages
    assert not page.closed
    page.say(ping=True)
    assert channel.pages
    page.say(bye="closes")
    assert not channel.pages
    assert page.closed
    for n in range(PAGES + 3):
        open_page(channel, f"page {n}")
    assert list(channel.pages) == [f"page {n}" for n in range(3, PAGES + 3)]


def test_the_comm_of_a_page_that_closed_without_a_word_is_closed_later(channel, monkeypatch):
    pages = [open_page(channel, f"page {n}") for n in range(PAGES)]
    start = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: start + 2 * AWAY)
    open_page(channel, "new")
    assert [page.closed for page in pages] == [True] + [False] * (PAGES - 1)


def test_pages_are_told_that_a_view_has_ended(channel):
    page = open_page(channel)
    channel.close()
    assert page.sent[-1] == {"ended": True}
    assert page.closed
    page.say(ping=True)
    assert not channel.pages


class JupyterComm(BaseComm):
    """One of the kernel's own, of which all pages get every message."""

    def __init__(self):
        self.messages = []
        super().__init__(target_name=module.TARGET, primary=False)
        comm.get_comm_manager().register_comm(self)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.messages.append((msg_type, data))


def test_no_page_is_sent_a_close_which_it_may_know_nothing_of(channel):
    leaving, ending = JupyterComm(), JupyterComm()
    for page in (leaving, ending):
        channel.open(page, {"want": True, "scripts": False})
    channel.hear(leaving, {"bye": "closes"})
    channel.close()
    assert ending.messages[-1] == ("comm_msg", {"ended": True})
    assert {kind for page in (leaving, ending) for kind, _ in page.messages} == {"comm_msg"}
    known = comm.get_comm_manager().comms
    assert leaving.comm_id not in known
    assert ending.comm_id not in known


def test_a_page_that_opens_a_view_that_has_ended_is_told(channel):
    class Manager:
        def register_target(self, name, open):
            self.open = open

    manager, channels = Manager(), {channel.id: channel}
    listen(manager, channels.get)
    page, lost = FakeComm(), FakeComm()
    manager.open(page, {"content": {"data": {"view": channel.id, "want": True}}})
    manager.open(lost, {"content": {"data": {"view": "of another kernel", "want": True}}})
    assert "roots" in page.sent[0]
    assert lost.sent == [{"ended": True}]
    assert lost.closed
    channel.close()
    manager.open(lost, {"content": {"data": {"view": channel.id, "want": True}}})
    assert lost.sent[1:] == [{"ended": True}]


def test_panel_sends_nothing_itself_for_such_a_view(channel, column):
    page = open_page(channel)
    column.children[0].text = "pushed"
    notebook.push(column.document, None)
    assert texts_of(page) == ["pushed"]
    other = Document()
    other.add_root(Div(text="a"))
    other.hold()
    other.roots[0].text = "b"
    assert notebook.diff(other) is not None, "views of other people are sent as before"


# ---- in a real JupyterLab


# What a page can't apply, and a frame that gets lost.
DISTURB = (
    "from agentrt.views.notebook import cell\n"
    "(channel,) = cell._channels.values()\n"
    "(each,) = channel.pages.values()\n"
    "with channel.lock:\n"
    "    channel.frame += 1\n"
    "    each.comm.send({'frame': channel.frame, 'events': '[{\"kind\": \"nonsense\"}]'})"
)
LOSE = (
    "send, each.comm.send = each.comm.send, lambda data: None\n"
    "runtime.send_nowait(100).result(60)\n"
    "import asyncio\n"
    "number = channel.frame\n"
    "while channel.frame == number:\n"
    "    await asyncio.sleep(0.05)\n"
    "each.comm.send = send"
)


@pytest.mark.lab
def test_a_page_that_has_lost_its_way_asks_for_the_whole(jupyterlab, page):
    cells = [START, "runtime", DISTURB, LOSE, "runtime.send_nowait(1).result(60)"]
    notebook = jupyterlab.open(page, cells, name="lost.ipynb")
    notebook.run(0)
    notebook.run(1)
    live(notebook)
    with page.expect_console_message(lambda message: "drawn again" in message.text):
        notebook.run(2)
    notebook.run(3)
    notebook.wait_for_output(1, r"1 processed.*\b100\b")  # though no frame comes any more
    notebook.run(4)
    notebook.wait_for_output(1, r"2 processed.*\b101\b")
    live(notebook)


# The page stops, as if it were frozen, when it sends the kernel a message with this text for the given time.
FREEZE = """([text, times]) => {
    const send = WebSocket.prototype.send
    const decoder = new TextDecoder()
    WebSocket.prototype.send = function (data) {
        send.call(this, data)
        if (!(typeof data === "string" ? data : decoder.decode(data)).includes(text)) return
        times -= 1
        if (times === 0) debugger
    }
}"""


def freeze(page: Page, text: str, times: int) -> list[object]:
    """Let the page stop at that message. The list that this returns has something in it then."""
    frozen: list[object] = []
    page.add_init_script(f"({FREEZE})({json.dumps([text, times])})")
    session = page.context.new_cdp_session(page)
    session.on("Debugger.paused", lambda event: frozen.append(event))
    session.send("Debugger.enable")
    return frozen


ALL_SENT = (
    "for channel in agentrt.views.notebook.cell._channels.values():\n    with channel.lock:\n        len(channel.pages)"
)


@pytest.mark.lab
@pytest.mark.timeout(600)
def test_a_page_may_close_while_modules_are_on_their_way(jupyterlab: Lab, page, guard, new_page):
    """Jupyter's server logs an error for what it could not write."""
    cells = [
        WIDGETS + START,
        "import agentrt.views.notebook.cell\nruntime",
        "manager",
        ALL_SENT,
        "runtime.send_nowait(5)",
    ]
    notebook = jupyterlab.open(page, cells, name="closing.ipynb")
    for cell in (0, 1, 2):
        notebook.run(cell)
    for view in (1, 2):
        live(notebook, view)
    notebook.save()

    def errors_of_closing(text: str, times: int) -> str:
        """What the server logs of a page that stops at that message and is closed, if there is an error in it."""
        before = jupyterlab.log()
        other = new_page()
        frozen = freeze(other, text, times)
        other.goto(f"{jupyterlab.url}/lab/tree/closing.ipynb?reset", wait_until="commit")
        wait_until(lambda: page.title() and frozen, 60, f"the page sends {text}")
        notebook.run(3)
        other.close()
        wait_until(lambda: jupyterlab.connections() == 1, 60, "the server knows that the page is closed")
        logged = jupyterlab.log()[len(before) :]
        return logged if "WebSocketClosedError" in logged else ""

    for text, times in (("agentrt.view", 1), ("agentrt.view", 2), ('"piece":0', 2), ('"piece":1', 1), ('"piece":2', 1)):
        # Any message of any kernel that meets a page just as it closes is logged too, now and then; a message that is
        # too long for the connection, each time.
        errors = [errors_of_closing(text, times)]
        while errors[-1] and len(errors) < 3:
            errors.append(errors_of_closing(text, times))
        assert not errors[-1], "\n".join(errors)
    notebook.run(4)
    notebook.wait_for_output(1, "1 processed")
