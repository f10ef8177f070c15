import xml.etree.ElementTree as ElementTree

import panel as pn
import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager
from agentrt.views.app.page_template import page_template
from agentrt.views.feed import Feed, Update, feed_page, run_now
from agentrt.views.notebook import card as module
from agentrt.views.notebook.card import Card, _show_runtime, repr_mimebundle
from agentrt.views.notebook.static_render import manager_html, picture
from tests.harness.place import free_port
from tests.harness.shown import answers, loaded, serving
from tests.harness.wait import wait_until
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
    assert {node.tag.split("}")[1] for node in drawing.iter()} <= {"svg", "style", "rect", "circle", "text"}
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


def cell_of(runtime):
    """The objects of a cell that shows a runtime: the time bar, and the place of the card."""
    holder, source = pn.Column(), runtime.manager.source
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    _show_runtime(source, runtime.id, None, holder, feed, run_now)
    return holder, feed


def press(holder, label):
    [button] = holder.select(lambda each: getattr(each, "label", "") == label)
    button.clicks += 1


def test_in_a_cell_it_has_a_time_bar_that_leads_back_and_to_live_again(manager, monkeypatch):
    cards = []
    monkeypatch.setattr(module, "Card", lambda *args, **options: cards.append(Card(*args, **options)) or cards[-1])
    runtime = manager.create("sum", 0, add)
    for _ in range(3):
        runtime.send_nowait(1).result(60)
    holder, feed = cell_of(runtime)
    states = []
    for _ in range(4):
        press(holder, "Event before")
        states.append((cards[-1].source.snapshot("sum").state, cards[-1].commands.may_steer))
    assert states == [(3, False), (2, False), (2, False), (1, False)]
    assert not set(cards) & set(feed.views), "what is past is not fed"
    runtime.send_nowait(1).result(60)
    press(holder, "Back to live")
    assert (cards[-1].source, cards[-1].commands.may_steer) == (manager.source, True)
    assert set(cards) & set(feed.views) == {cards[-1]}


def test_in_a_cell_a_moment_before_the_runtime_was_made_says_so(manager):
    manager.create("before", 0, add)
    holder, _ = cell_of(manager.create("sum", 0, add))
    [select] = holder.select(lambda each: getattr(each, "label", "") == "events of")
    select.value = "any"
    for _ in range(2):
        press(holder, "Event before")
        select.value = "any"
    assert "There was no runtime sum then." in holder[1].objects[0].html


@pytest.mark.browser
def test_a_cell_goes_back_and_is_not_high(manager, page: Page):
    runtime = manager.create("sum", 0, add)
    for _ in range(3):
        runtime.send_nowait(1).result(60)

    def app():
        holder = pn.Column(sizing_mode="stretch_width")
        _show_runtime(manager.source, "sum", None, holder, feed_page(manager.source, pn.state.curdoc), run_now)
        return page_template(title="A cell", main=[holder])

    port = free_port()
    with serving(pn.serve(app, port=port, show=False, threaded=True, address="127.0.0.1", verbose=False)):
        wait_until(lambda: answers(port), what="the page is served")
        page.goto(f"http://127.0.0.1:{port}")
        loaded(page)
        head = page.get_by_role("button", name="Event before").bounding_box()
        tab = page.get_by_role("tab", name="State").bounding_box()
        assert head is not None
        assert tab is not None
        assert tab["y"] + tab["height"] + 90 + 16 - head["y"] < 420
        page.get_by_role("button", name="Event before").click()
        expect(page.get_by_text("As it was at")).to_be_visible()
        expect(page.get_by_role("button", name="Pause")).to_be_disabled()
        page.get_by_role("button", name="Back to live").click()
        expect(page.get_by_role("button", name="Pause")).to_be_enabled()
