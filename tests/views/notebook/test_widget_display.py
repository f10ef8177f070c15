import ipywidgets as ipw
import pytest
from IPython.core import display_functions
from IPython.core.interactiveshell import InteractiveShell

from agentrt.views.html import p
from agentrt.views.notebook.widget_display import WidgetDisplay

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def published(monkeypatch):
    """What is shown in the cell: the data, the id of the output and whether it updates one."""
    found = []

    def publish(data, metadata=None, *, transient=None, update=False, **more):
        found.append((data, (transient or {}).get("display_id"), update))

    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(display_functions, "publish_display_data", publish)
    return found


def test_the_text_and_the_widget_are_two_outputs(published):
    """In one output nbconvert takes the widget, which is blank without a network."""
    box = ipw.VBox()
    WidgetDisplay().show(box, p("How many < wait?"), "<Question>")
    (text, id, _), (widget, _, _) = published
    assert "How many &lt; wait?" in text["text/html"]
    assert text["text/plain"] == "<Question>"
    assert id
    assert VIEW not in text
    assert widget == {VIEW: box._repr_mimebundle_()[VIEW], "text/plain": ""}


def test_the_text_follows_once_it_is_shown(published):
    shown = WidgetDisplay()
    shown.update(p("one"), "one")
    assert published == []
    shown.show(ipw.VBox(), p("one"), "one")
    shown.update(p("two"), "two")
    assert published[-1][0]["text/plain"] == "two"
    assert published[-1][1:] == (published[0][1], True)
