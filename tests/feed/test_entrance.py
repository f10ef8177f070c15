import pytest

from agentrt import RuntimeManager
from agentrt.errors import AccessDeniedError
from agentrt.feed.entrance import Role, check_role, entrance
from agentrt.feed.source import ACTOR, READS, Standing


def test_the_entrance_checks_the_role_and_says_who():
    with RuntimeManager(loop="thread", offer=False) as manager:
        with entrance(manager.source, Role.OPERATOR, "x" * 1_000, "pause_all"):
            assert ACTOR.get() == "x" * 200
        assert ACTOR.get() is None
        with (
            pytest.raises(AccessDeniedError, match="to pause all, open the operator's link"),
            entrance(manager.source, Role.VIEWER, "me", "pause_all"),
        ):
            pass


def test_what_can_only_be_looked_at_takes_no_command():
    class Recorded:
        capabilities = READS
        recorded = ""

        def standing(self):
            return Standing(recorded=self.recorded)

    source = Recorded()
    with pytest.raises(AccessDeniedError, match="can only be looked at: nothing here can pause JFK"):
        check_role(Role.OPERATOR, source, "pause JFK")
    source.recorded = "the file agents.db"
    why = "This is the file agents.db: nobody runs it, and nothing here can pause JFK"
    with pytest.raises(AccessDeniedError, match=why):
        check_role(Role.OPERATOR, source, "pause JFK")


def test_what_a_person_has_typed_is_only_run_where_it_is_allowed():
    with RuntimeManager(loop="thread", offer=False) as manager:
        with entrance(manager.source, Role.OPERATOR, "me", "evaluate", may_evaluate=True):
            pass
        for role, allowed in ((Role.OPERATOR, False), (Role.VIEWER, True)):
            with pytest.raises(AccessDeniedError), entrance(manager.source, role, "me", "evaluate", allowed):
                pass
