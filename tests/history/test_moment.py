"""moment.py: what a cell shows of a moment."""

from agentrt import RuntimeManager
from tests.support import add, collect


def test_a_cell_shows_a_table_without_what_could_run():
    with RuntimeManager(name="<b>tower") as manager:
        manager.create("<script>", (), collect).send_nowait("<img src=x>").result(60)
        html = manager.at()._repr_html_()
    assert "<script>" not in html
    assert "<img" not in html
    assert "<b>tower" not in html
    assert "&lt;script&gt;" in html


def test_of_many_runtimes_the_first_are_shown():
    with RuntimeManager() as manager:
        for n in range(70):
            manager.create(f"a{n}", 0, add)
        html = manager.at()._repr_html_()
    assert html.count("<tr>") == 51
    assert "the first 50 of 70" in html


def test_it_is_drawn_by_the_views_of_a_source():
    with RuntimeManager() as manager:
        manager.create("a", 3, add)
        moment = manager.at()
        assert moment.source is moment.source
        assert moment.source.snapshot("a").state == 3
