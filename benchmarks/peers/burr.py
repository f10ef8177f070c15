"""burr: an application of one action, stepped once for each message, without its tracker."""

from __future__ import annotations

from typing import Any

from ..peer import Peer
from ..stopwatch import Stopwatch
from ..work import Kind, check


def application() -> Any:
    from burr.core import ApplicationBuilder, State, action

    @action(reads=["total"], writes=["total"])
    async def adder(state: State, message: Any) -> State:
        return state.update(total=state["total"] + message.payload)

    builder = ApplicationBuilder().with_actions(adder=adder).with_transitions(("adder", "adder"))
    return builder.with_state(total=0).with_entrypoint("adder").build()


class Burr(Peer):
    name = "burr"
    needs = "burr"
    imports = "burr.core"
    share = 0.05

    async def step(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        app, make = application(), kind.make
        with watch:
            for i in range(n):
                await app.astep(inputs={"message": make(i, 1)})
        check(app.state["total"], n)
