"""autogen-core's single-threaded runtime. A direct message is a call; a one-way message is published to a topic."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..peer import Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import DataMessage, Kind, StructMessage, check


class StructSerializer:
    """autogen-core writes every message as JSON for its event log; it has no serializer for structs."""

    data_content_type = "application/json"
    type_name = StructMessage.__name__

    def serialize(self, message: StructMessage) -> bytes:
        return msgspec.json.encode(message)

    def deserialize(self, payload: bytes) -> StructMessage:
        return msgspec.json.decode(payload, type=StructMessage)


async def start_runtime() -> Any:
    """A started runtime with one type of agent that listens to one topic."""
    from autogen_core import (
        BaseAgent,
        SingleThreadedAgentRuntime,
        TypeSubscription,
        try_get_known_serializers_for_type,
    )

    class Adder(BaseAgent):
        def __init__(self) -> None:
            super().__init__("adds")
            self.total = 0

        async def on_message_impl(self, message: Any, ctx: Any) -> int:
            self.total += message.payload
            return self.total

    runtime = SingleThreadedAgentRuntime()
    runtime.add_message_serializer(StructSerializer())
    runtime.add_message_serializer(try_get_known_serializers_for_type(DataMessage))
    await Adder.register(runtime, "adder", Adder)
    await runtime.add_subscription(TypeSubscription("numbers", "adder"))
    runtime.start()
    return runtime


class Autogen(Peer):
    name = "autogen-core"
    needs = "autogen_core"
    share = 0.02

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        from autogen_core import AgentId, TopicId

        runtime, make, total = await start_runtime(), kind.make, 0
        topic, agent = TopicId("numbers", "0"), AgentId("adder", "0")
        with watch:
            for start in range(0, n, BURST):
                end = min(start + BURST, n) - 1
                for i in range(start, end):
                    await runtime.publish_message(make(i, 1), topic)
                total = await runtime.send_message(make(end, 1), agent)
        check(total, n)
        await runtime.stop()

    async def burst(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        from autogen_core import AgentId

        runtime, make, agent = await start_runtime(), kind.make, AgentId("adder", "0")
        with watch:
            totals = await asyncio.gather(*(runtime.send_message(make(i, 1), agent) for i in range(n)))
        check(max(totals), n)
        await runtime.stop()

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        from autogen_core import AgentId

        runtime, make, agent, total = await start_runtime(), kind.make, AgentId("adder", "0"), 0
        with watch:
            for i in range(n):
                total = await runtime.send_message(make(i, 1), agent)
        check(total, n)
        await runtime.stop()

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        from autogen_core import AgentId, TopicId

        runtime, make = await start_runtime(), kind.make
        topics = [TopicId("numbers", str(i)) for i in range(agents)]
        with watch:
            for i in range(each - 1):
                for topic in topics:
                    await runtime.publish_message(make(i, 1), topic)
            asks = [runtime.send_message(make(0, 1), AgentId("adder", str(i))) for i in range(agents)]
            totals = await asyncio.gather(*asks)
        check(sum(totals), agents * each)
        await runtime.stop()

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        from autogen_core import AgentId

        runtime, make, agent = await start_runtime(), kind.make, AgentId("adder", "0")
        return (lambda: runtime.send_message(make(0, 1), agent)), runtime.stop

    async def create(self, n: int, watch: Stopwatch) -> Any:
        from autogen_core import AgentId, BaseAgent

        runtime = await start_runtime()
        with watch:
            for i in range(n):
                await runtime.try_get_underlying_agent_instance(AgentId("adder", str(i)), BaseAgent)
        return runtime
