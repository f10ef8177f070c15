import xml.etree.ElementTree as ElementTree

import pytest

from agentrt import RuntimeManager
from agentrt.views.feed import Update
from agentrt.views.notebook.card import Card, repr_mimebundle
from agentrt.views.notebook.static_render import manager_html, picture
from tests.support import add, fail

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def test_without_a_kernel_there_is_a_picture_and_a_text(manager):
    runtime = manager.create("sum", 0, add)
    manager.run(runtime.ask(5))
    for item in (runtime, manager):
        data, meta = repr_mimebundle(item)
        assert set(data) == {"text/plain", "text/html"}
        assert {type(text) for text in data.values()} == {str}, "put together with other text, it stays as it is"
        assert meta == {}
        assert "1 processed" in data["text/html"]
        assert "idle" in data["text/plain"]
    assert "state 5" in repr_mimebundle(runtime)[0]["text/plain"]


def test_a_picture_is_sound_whatever_it_is_about(manager):
    runtime = manager.create(HOSTILE, (HOSTILE,), fail)
    with pytest.raises(Exception, match=r"."):
        manager.run(runtime.ask(HOSTILE))
    drawing = ElementTree.fromstring(picture(runtime.snapshot()))
    assert {node.tag.split("}")[1] for node in drawing.iter()} <= {"svg", "rect", "circle", "text"}
    data, _ = repr_mimebundle(runtime)
    assert "<script" not in data["text/html"]
    assert "<img src=x" not in data["text/html"]
    assert "ValueError" in data["text/html"]


def test_many_runtimes_are_a_few_pictures(manager):
    for n in range(50):
        manager.create(f"a{n}", 0, add)
    html = manager_html(manager.snapshots())
    assert html.count("<img") == 12
    assert "and 38 more" in html
    assert "no runtime yet" in manager_html([])


def test_the_card_follows(manager):
    runtime = manager.create("sum", 0, add)
    card = Card(runtime.manager.source, runtime.id)
    card.update(Update(0.0, [], set(), first=True))
    assert "Nothing to do." in card.head.html
    manager.run(runtime.ask(5))
    runtime.pause()
    runtime.send_nowait(1, priority=True)
    records, _, _ = manager.ring.since(0)
    card.update(Update(manager.clock.now(), records, {"sum"}))
    assert "Paused, with 1 activity waiting." in card.head.html
    assert "priority lane: 1 of 1,000 waiting" in card.bars.html
    assert ">5</span>" in card.state.panel.html
    assert card.steer.pause.label == "Resume"
