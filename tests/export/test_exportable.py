"""exportable.py: a runtime stands for itself, a manager for all its runtimes."""

from agentrt.export.exportable import manager_of, records_of, runtimes_of
from tests.support import add, virtual


@virtual
async def test_a_manager_is_about_all_and_a_runtime_about_itself(manager):
    first, second = (manager.create(id, 0, add) for id in ("first", "second"))
    for runtime in (first, second):
        await runtime.ask(1)
    assert manager_of(manager) is manager_of(first) is manager
    assert [runtime.id for runtime in runtimes_of(manager)] == ["first", "second"]
    assert list(runtimes_of(second)) == [second]
    assert {record.runtime for record in records_of(manager)} == {"first", "second"}
    assert [record.kind for record in records_of(second)] == ["created", "accepted", "done"]
