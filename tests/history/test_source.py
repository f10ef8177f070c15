"""history/source.py: what `tests/feed/test_source.py` does not ask of every source."""

import pytest

from agentrt import AccessDeniedError, RuntimeManager
from tests.support import add


def test_a_command_is_refused_and_says_what_this_is():
    with RuntimeManager(name="tower") as manager:
        manager.create("a", 0, add)
        source = manager.at().source
        with pytest.raises(AccessDeniedError, match=r"the manager tower as it stood on .*, after record 1"):
            source.command("pause", "a")
    assert (source.speed, source.capabilities, source.journal()) == (0.0, frozenset(), None)


def test_dead_letters_are_those_of_then():
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add)
        runtime.pause()
        numbers = [runtime.send_nowait(n).id for n in (1, 2, 3)]
        manager.run(runtime.terminate())
        dead = manager.at().source
        manager.create("b", 0, add)
        manager.dead_letters.resend(numbers[0], to="b")
        manager.dead_letters.discard(numbers[1])
        left = manager.at().source
        assert [each.activity.payload for each in dead.dead_letters().items] == [1, 2, 3]
        assert [each.activity.payload for each in left.dead_letters().items] == [3]
        assert left.ledger() == manager.dead_letters.ledger()
