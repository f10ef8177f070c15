"""What a courier keeps of each activity that is on its way."""

import asyncio
import gc
from typing import Any

from agentrt.distributed.rerouting import no_receipt
from agentrt.testing.network_runs import create_runtime, run_network


def add(activity, state):
    return state + activity.payload


def test_the_collector_does_not_see_what_is_on_its_way() -> None:
    async def scenario(manager: Any, network: Any) -> tuple[list[bool], set[Any], int]:
        runtime = await create_runtime(manager, "target", 0, add)
        for _ in range(10):
            runtime.send_nowait(1)
        sent = list(manager.courier.sent.values())
        tracked = [gc.is_tracked(each) for each in sent]
        while manager.courier.sent:
            await asyncio.sleep(0.01)
        receipts = {each.receipt for each in sent}  # none of the weak references that were made for them
        return tracked, receipts, await runtime.ask(0)

    assert run_network(scenario, 0) == ([False] * 10, {no_receipt}, 10)
