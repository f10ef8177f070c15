from agentrt.schema.difference import changes
from agentrt.views.runtime.diff import diff_html
from tests.views.support import HOSTILE


def test_a_difference_is_listed_by_path():
    old = {"a": 1, "gone": 2, "deep": {"list": [1, 2, 3]}, "set": {1, 2}}
    new = {"a": 1, "deep": {"list": [1, 9]}, "set": {2, 3}, "new": "x"}
    found = {change.path: change.kind for change in changes(old, new)}
    assert found == {
        "gone": "removed",
        "deep.list[1]": "changed",
        "deep.list[2]": "removed",
        "set{}": "added",
        "new": "added",
    }
    assert len([c for c in changes(old, new) if c.path == "set{}"]) == 2
    assert changes(old, old) == []
    assert [change.path for change in changes(1, "1")] == [""], "another type is another value"


def test_a_difference_is_bounded_and_runs_nobodys_code():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("compared")

        def __hash__(self):
            return 0

        def __repr__(self):
            raise RuntimeError("shown")

    assert len(changes(list(range(10_000)), list(range(1, 10_001)))) == 200
    assert changes({"x": Odd()}, {"x": Odd()}) == []
    loop: list = []
    loop.append(loop)
    assert changes(loop, [[loop]]) is not None
    assert "<script" not in diff_html({HOSTILE: HOSTILE, "a": 1}, {HOSTILE: 1, "a": HOSTILE})
    assert "<img" not in diff_html({HOSTILE: HOSTILE}, {})
