"""thespian's simple system: everything runs in this process and thread, when a message is sent."""

from __future__ import annotations

from typing import Any

from ..peer import Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import Kind, check


def adder() -> Any:
    """An actor that answers only a message with a negative id."""
    from thespian.actors import Actor

    class Adder(Actor):
        total = 0

        def receiveMessage(self, message: Any, sender: Any) -> None:
            payload = getattr(message, "payload", None)
            if payload is not None:
                self.total += payload
                if message.id < 0:
                    self.send(sender, self.total)

    return Adder


def start_actors(n: int) -> tuple[Any, list[Any]]:
    """A system, and `n` actors in it."""
    from thespian.actors import ActorSystem

    system, actor = ActorSystem("simpleSystemBase"), adder()
    return system, [system.createActor(actor) for _ in range(n)]


class Thespian(Peer):
    name = "thespian"
    needs = "thespian"
    imports = "thespian.actors"
    share = 0.2

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        system, (actor,) = start_actors(1)
        make, total = kind.make, 0
        with watch:
            for start in range(0, n, BURST):
                end = min(start + BURST, n) - 1
                for i in range(start, end):
                    system.tell(actor, make(i, 1))
                total = system.ask(actor, make(-1, 1))
        check(total, n)
        system.shutdown()

    async def completion(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        system, (actor,) = start_actors(1)
        make, total = kind.make, 0
        with watch:
            for _ in range(n):
                total = system.ask(actor, make(-1, 1))
        check(total, n)
        system.shutdown()

    async def fleet(self, kind: Kind, agents: int, each: int, watch: Stopwatch) -> None:
        system, actors = start_actors(agents)
        make = kind.make
        with watch:
            for i in range(each - 1):
                for actor in actors:
                    system.tell(actor, make(i, 1))
            totals = [system.ask(actor, make(-1, 1)) for actor in actors]
        check(sum(totals), agents * each)
        system.shutdown()

    async def asker(self, kind: Kind) -> tuple[Any, Any]:
        system, (actor,) = start_actors(1)

        async def ask() -> Any:
            return system.ask(actor, kind.make(-1, 1))

        async def end() -> None:
            system.shutdown()

        return ask, end

    async def create(self, n: int, watch: Stopwatch) -> Any:
        with watch:
            return start_actors(n)
