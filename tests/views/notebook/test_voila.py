"""A view in a page of Voilà, whose code in the browser has no part of Panel: its widgets have the way to the kernel."""

import json
import re
from typing import Any

import pytest
from bokeh.models import Column, Div
from panel.io import notebook
from panel.io.model import diff
from playwright.sync_api import Page, expect

from agentrt.views.notebook.cell import WORDS, _html
from agentrt.views.notebook.channel import TARGET, Channel, LinkedDocument
from tests.harness.wait import PATIENCE

# What Voilà 0.5 has in a page, as far as a view uses it.
VOILA = """
window.jupyterapp = {name: "Voila", widgetManager: {kernel: {
  status: "idle",
  createComm: (target) => {
    const say = async (data) => {
      if (window.jupyterapp.widgetManager.kernel.status === "dead") return
      for (const answer of await window.toKernel(target, JSON.stringify(data))) window.fromKernel(answer)
    }
    const comm = {open: say, send: say}
    window.fromKernel = (data) => comm.onMsg({content: {data}})
    return comm
  },
}}}
"""


class Kernel:
    """The kernel's end of the one comm: what the channel sends is the answer to what the page has said."""

    comm_id = "page"

    def __init__(self, page: Page, channel: Channel) -> None:
        self.channel = channel
        self.sent: list[Any] = []
        self.hear: Any = None
        page.expose_function("toKernel", self.answer)

    def answer(self, target: str, text: str) -> list[Any]:
        data = json.loads(text)
        assert target == TARGET
        if self.hear is None:
            assert data["view"] == self.channel.id
            self.channel.open(self, data)
        else:
            self.hear({"content": {"data": data}})
        return self.take()

    def take(self) -> list[Any]:
        sent, self.sent = self.sent, []
        return sent

    def send(self, data: Any) -> None:
        self.sent.append(data)

    def on_msg(self, callback: Any) -> None:
        self.hear = callback

    def close(self) -> None:
        """Nothing is left to be closed."""


@pytest.fixture
def document():
    document = LinkedDocument()
    document.add_root(Column(children=[Div(text="as it was")]))
    return document


@pytest.fixture
def channel(document):
    yield Channel(document)
    notebook.diff = diff


def show(page: Page, channel: Channel, app: str) -> None:
    page.set_content(f"<body><script>{app}</script>{_html(channel.id, 'a picture')}</body>")


@pytest.mark.browser
def test_a_view_is_live_in_voila_until_the_kernel_has_ended(page, channel, document):
    kernel = Kernel(page, channel)
    show(page, channel, VOILA)
    page.get_by_text("as it was", exact=True).wait_for()
    expect(page.get_by_text("a picture")).to_be_hidden()
    expect(page.get_by_role("status")).to_be_hidden()
    document.roots[0].children[0].text = "as it is"
    channel.push()
    page.evaluate("answers => answers.forEach(window.fromKernel)", kernel.take())
    page.get_by_text("as it is", exact=True).wait_for()
    page.evaluate("window.jupyterapp.widgetManager.kernel.status = 'dead'")
    expect(page.get_by_role("status")).to_have_text(WORDS["gone"], timeout=1000 * PATIENCE)


@pytest.mark.browser
@pytest.mark.parametrize("app", ["", VOILA.replace("Voila", "JupyterLab")], ids=["a page", "another application"])
def test_a_page_in_which_no_kernel_is_found_does_not_say_that_it_has_ended(page, channel, app):
    show(page, channel, app)
    expect(page.get_by_role("status")).to_have_text(re.compile("finds no kernel in this page"), timeout=1000 * PATIENCE)
    expect(page.get_by_text("a picture")).to_be_visible()
