import agentrt.views.notebook.card  # noqa: F401, it brings all components
from agentrt.views.notebook.scripts import page_scripts


def test_a_page_gets_bokeh_and_panel_and_fetches_nothing():
    kinds = [(kind, type) for kind, _, type in page_scripts()]
    assert kinds == [("script", "esms-options"), ("style", ""), ("script", "text/javascript")]
    code = page_scripts()[-1][1]
    assert len(code) > 1_000_000
    for kind in ("js_urls", "js_modules", "css_urls"):
        assert f"const {kind} = [];" in code
