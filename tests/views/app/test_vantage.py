"""vantage.py: now, then, and what can't be shown."""

from agentrt import RuntimeManager
from agentrt.views.app.vantage import Vantage
from agentrt.views.feed import Feed
from agentrt.views.role import Commands, Role
from tests.support import add


def test_then_is_drawn_from_another_source_and_now_comes_back() -> None:
    with RuntimeManager(loop="thread", offer=False) as manager:
        runtime = manager.create("a", 0, add)
        first = runtime.send_nowait(1).result(60)
        runtime.send_nowait(1).result(60)
        feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: None)
        vantage = Vantage(manager.source, feed, Commands(manager.source, role=Role.OPERATOR, who="ann"))
        assert vantage.use(first.sequence) == ""
        assert (vantage.source.snapshot("a").state, vantage.moment) == (1, first.sequence)  # type: ignore[union-attr]
        assert (vantage.commands.may_steer, vantage.commands.who, vantage.feed is feed) == (False, "ann", False)
        still = Vantage(vantage.source, vantage.feed, vantage.commands)
        assert "nothing can be looked at" in still.use(1)
        assert vantage.use(None) == ""
        assert (vantage.source, vantage.feed, vantage.commands) == vantage.now
