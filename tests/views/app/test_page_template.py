"""sheet.py: what happens on one page leaves the others alone."""

import gc
import weakref

import panel as pn

from agentrt.views.app.page_template import page_template


def test_a_page_does_not_follow_who_else_is_busy():
    page = page_template(title="one", main=[])
    event = "somebody clicks on another page"
    pn.state._add_busy_event(event)
    try:
        assert pn.state.busy
        assert not page.busy
    finally:
        pn.state._remove_busy_event(event)


def test_a_page_that_nobody_shows_any_more_is_let_go():
    page = weakref.ref(page_template(title="one", main=[]))
    gc.collect()
    assert page() is None
