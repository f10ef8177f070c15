"""sheet.py: what happens on one page leaves the others alone."""

import panel as pn

from agentrt.views.sheet import sheet


def test_a_page_does_not_follow_who_else_is_busy():
    page = sheet(title="one", main=[])
    event = "somebody clicks on another page"
    pn.state._add_busy_event(event)
    try:
        assert pn.state.busy
        assert not page.busy
    finally:
        pn.state._remove_busy_event(event)
