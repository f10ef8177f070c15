"""pykka: an actor is a thread with a queue. Its messages have no priority."""

from __future__ import annotations

import asyncio
from typing import Any

from ..peer import Backlog, Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import Kind, check


def adder() -> Any:
    import pykka

    class Adder(pykka.ThreadingActor):
        def __init__(self) -> None:
            super().__init__()
            self.total = 0

        def on_receive(self, message: Any) -> int:
            self.total += message.payload
            return self.total

    return Adder


class Pykka(Peer):
    name = "pykka"
    needs = "pykka"
    share = 0.2
    idle_share = 0.05

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        ref, make, total = adder().start(), kind.make, 0
        with watch:
            for start in range(0, n, BURST):
                end = min(start + BURST, n) - 1
                for i in range(start, end):
                    ref.tell(make(i, 1))
                total = ref.ask(make(end, 1))
        check(total, n)
        ref.stop()

    async def burst(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        ref, make, total = adder().start(), kind.make, 0
        with watch:
            for start in range(0, n, BURST):
                futures = [ref.ask(make(i, 1), block=False) for i in range(start, min(start + BURST, n))]
                for future in futures:
                    total = future.get()
        check(total, n)
        ref.stop()

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        ref, make, total = adder().start(), kind.make, 0
        with watch:
            for i in range(n):
                total = ref.ask(make(i, 1))
        check(total, n)
        ref.stop()

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        actor = adder()
        refs, make = [actor.start() for _ in range(agents)], kind.make
        with watch:
            for i in range(each - 1):
                for ref in refs:
                    ref.tell(make(i, 1))
            totals = [future.get() for future in [ref.ask(make(0, 1), block=False) for ref in refs]]
        check(sum(totals), agents * each)
        for ref in refs:
            ref.stop()

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        ref, make = adder().start(), kind.make

        async def ask() -> Any:
            return ref.ask(make(0, 1))

        async def end() -> None:
            ref.stop()

        return ask, end

    async def backlog(self, kind: Kind, agents: int, each: int) -> Backlog:
        """An urgent message waits behind the others: pykka has no priorities."""
        actor, make = adder(), kind.make
        refs = [actor.start() for _ in range(agents)]
        for i in range(each):
            for ref in refs:
                ref.tell(make(i, 1))

        async def urgent(n: int) -> None:
            refs[n % agents].ask(make(0, 1))

        async def done() -> None:
            for ref in refs:
                await asyncio.to_thread(ref.stop)  # stop is a message too, behind all others

        async def end() -> None:
            return

        return Backlog(lambda: sum(ref.actor_inbox.qsize() for ref in refs), urgent, done, end)

    async def create(self, n: int, watch: Stopwatch) -> Any:
        import pykka

        actor = adder()
        with watch:
            refs = [actor.start() for _ in range(n)]
        return refs, pykka.ActorRegistry.stop_all
