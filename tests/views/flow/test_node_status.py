"""How the runtimes are that a node stands for."""

import asyncio

from agentrt.views.flow.node_status import NodeStatuses
from agentrt.views.flow.nodes import Node
from tests.support import Gate, virtual


@virtual
async def test_statuses_count_what_changed(manager):
    gate = Gate()
    for n in range(40):
        manager.create(f"w-{n}", 0, gate)
    statuses = NodeStatuses(manager.source)
    statuses.nodes.add(manager)
    statuses.look(manager)
    group = Node("group", "w-#")
    assert statuses.of(group).statuses == {"idle": 40}
    manager["w-1"].send_nowait(1)
    manager["w-1"].send_nowait(1)
    await gate.entered.wait()
    statuses.look(["w-1"])
    assert statuses.of(group).by_worst == [("processing", 1), ("idle", 39)]
    assert statuses.of(group).depth == [0, 1]
    gate.open.set()
    await asyncio.sleep(1)
    statuses.look([])
    assert statuses.of(group).by_worst == [("idle", 40)], "what runs is looked at without being asked for"
    await manager.terminate("w-2")
    statuses.forget()
    statuses.sort()
    assert statuses.of(group).statuses == {"idle": 39}
