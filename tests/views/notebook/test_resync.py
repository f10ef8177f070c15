from bokeh.document import Document
from bokeh.models import Column as BokehColumn
from bokeh.models import ColumnDataSource, Div
from panel.io.model import diff

from agentrt.views.notebook.resync import Saved


def test_the_changes_make_the_saved_models_those_of_now():
    document, text, source = Document(), Div(text="then", visible=False), ColumnDataSource(data={"x": [1]})
    column = BokehColumn(children=[text, Div(text="gone")], tags=[source])
    document.add_root(column)
    saved, page = Saved(document), Document.from_json(document.to_json())
    for words in ("seen", "unseen"):  # what was sent since, and what is still to be
        text.update(text=words, visible=True)
        source.stream({"x": [2]})
        column.children = [text, Div(text="new")]
        if words == "seen":
            diff(document)
    page.apply_json_patch(diff(document, events=saved.changes()).payload)
    shown = page.roots[0]
    assert [child.text for child in shown.children] == ["unseen", "new"]
    assert shown.children[0].visible
    assert list(shown.tags[0].data["x"]) == [1, 2, 2]
    assert diff(document, events=saved.changes()) is not None, "another page may come"
