"""What a manager uses, read at most once a second, here and from another process."""

import os

import pytest

from agentrt import RuntimeManager
from agentrt.feed import nodes
from agentrt.feed.nodes import HasNodes, HasUsage, UsageMeter
from agentrt.feed.remote import RemoteSource
from tests.support import add


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="uses") as manager:
        manager.create("a", 0, add).send_nowait(1).result(5)
        manager.create("b", 0, add).pause()
        for priority in (True, False, False):
            manager["b"].send_nowait(1, priority=priority)
        yield manager


def test_what_it_has_to_do_and_uses(manager):
    usage = manager.source.usage()
    assert (usage.runtimes, usage.waiting, usage.done) == (2, (1, 2), 1)
    assert usage.pid == os.getpid()
    assert usage.memory == 0 or usage.memory > 1_000_000
    assert usage.load >= 0


def test_the_same_is_read_from_another_process(manager):
    with RemoteSource("uses", max_age=0) as source:
        assert isinstance(source, HasUsage)
        assert not isinstance(source, HasNodes)
        usage = source.usage()
        assert (usage.runtimes, usage.waiting, usage.done) == (2, (1, 2), 1)


def test_it_is_not_read_again_at_once(manager, monkeypatch):
    monkeypatch.setattr(nodes, "EVERY", 1_000.0)
    meter, asked = UsageMeter(), []

    def entries():
        asked.append(manager.entries())
        return asked[-1]

    first = meter.read(entries)
    assert meter.read(entries) is first
    assert len(asked) == 1
    monkeypatch.setattr(meter, "_due", 0.0)
    assert meter.read(tuple).runtimes == 0
