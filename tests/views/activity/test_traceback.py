import pytest

from agentrt import ProcessingError
from agentrt.views.activity.traceback import places, traceback_html
from tests.support import virtual
from tests.views.support import HOSTILE


def raises(payload):
    return 1 / payload  # the line that fails


def test_an_error_has_the_lines_around_it():
    with pytest.raises(ZeroDivisionError) as caught:
        raises(0)
    found = places(caught.value)
    assert found[-1].function == "raises"
    lines = dict(found[-1].around)
    assert "the line that fails" in lines[found[-1].line]
    assert "def raises" in lines[found[-1].line - 1]
    html = traceback_html(caught.value)
    assert 'class="hit"' in html
    assert "the line that fails" in html


@virtual
async def test_only_the_workflows_own_frames_are_shown(manager):
    def divide(activity, state):
        return raises(activity.payload)

    async def asks(activity, state, ctx):
        return await ctx.ask("divide", 0)

    manager.create("divide", 0, divide)
    manager.create("asks", 0, asks, retries=1)
    with pytest.raises(ProcessingError) as caught:
        await manager["asks"].ask(1)
    cause = caught.value.__cause__
    assert [place.function.rpartition(".")[2] for place in places(cause)] == ["asks"]
    assert [place.function.rpartition(".")[2] for place in places(cause.__cause__)] == ["divide", "raises"]


def test_a_hostile_error_is_only_text():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError(HOSTILE)

    assert "can&#x27;t be shown" in traceback_html(Odd())
    error = ValueError(HOSTILE)
    error.__cause__ = Odd()
    error.__cause__.__cause__ = error
    assert "<script" not in traceback_html(error)
