from types import SimpleNamespace

from agentrt.views.notebook.execution import CellViews, Execution, current_execution


def test_the_request_says_which_cell_runs():
    request = {"header": {"msg_id": "7"}, "metadata": {"cellId": "c"}}
    assert current_execution(SimpleNamespace(get_parent=lambda: request)) == Execution("c", "7")
    assert current_execution(SimpleNamespace(get_parent=dict)) == Execution("", "")


def test_views_of_a_cell_end_when_it_runs_again():
    ended, views = [], CellViews()
    for request, view in (("1", "a"), ("1", "b"), ("2", "c"), ("3", "d")):
        views.add(Execution("cell", request), lambda view=view: ended.append(view))
    views.add(Execution("another", "4"), lambda: ended.append("another"))
    assert ended == ["a", "b", "c"]


def test_where_the_cell_is_not_known_nothing_ends():
    ended, views = [], CellViews()
    for request in "12":
        views.add(Execution("", request), lambda: ended.append("view"))
    assert ended == []
    assert not Execution("", "1").repeats(Execution("", "2"))
