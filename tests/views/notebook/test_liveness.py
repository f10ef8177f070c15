from agentrt.views.notebook.liveness import with_notice


def test_the_notice_is_hidden_until_the_page_shows_it():
    html = with_notice("<div id='p1'></div>", "p1", patience=2.5)
    assert html.index('id="p1-note" hidden') < html.index("<div id='p1'>") < html.index("<script")
    assert 'const id = "p1", tag = "answered"' in html
    assert "< 2500)" in html
