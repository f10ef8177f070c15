"""exportable.py: a runtime stands for itself, a manager for all its runtimes."""

from agentrt.export.exportable import records_of, snapshots_of
from agentrt.feed.source import Subject
from tests.support import add, virtual


@virtual
async def test_a_manager_is_about_all_and_a_runtime_about_itself(manager):
    first, second = (manager.create(id, 0, add) for id in ("first", "second"))
    for runtime in (first, second):
        await runtime.ask(1)
    assert [shot.id for shot in snapshots_of(manager)] == ["first", "second"]
    assert [shot.id for shot in snapshots_of(second, metrics=True)] == ["second"]
    assert {record.runtime for record in records_of(manager)} == {"first", "second"}
    assert [record.kind for record in records_of(second)] == ["created", "accepted", "done"]
    assert records_of(Subject(manager.source, "second")) == records_of(second)
    assert snapshots_of(Subject(manager.source, "nobody")) == []
