"""routes.py: what is on each page."""

from agentrt.views.app.address import OF_RUNTIME, PAGES
from agentrt.views.app.routes import BUILDERS


def test_every_address_has_a_page_of_its_own_or_is_a_tab_of_a_runtime() -> None:
    assert set(BUILDERS) - {""} == set(PAGES) - set(OF_RUNTIME)
