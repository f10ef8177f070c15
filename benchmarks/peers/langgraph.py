"""langgraph: a compiled graph of one node, invoked once for each message, without a checkpointer."""

from __future__ import annotations

from typing import Any, TypedDict

from ..peer import Peer
from ..stopwatch import Stopwatch
from ..work import Kind, check


class Numbers(TypedDict):
    total: int
    message: Any


async def adder(state: Numbers) -> dict[str, int]:
    return {"total": state["total"] + state["message"].payload}


def graph() -> Any:
    from langgraph.graph import END, START, StateGraph

    builder = StateGraph(Numbers)
    builder.add_node("adder", adder)
    builder.add_edge(START, "adder")
    builder.add_edge("adder", END)
    return builder.compile()


class Langgraph(Peer):
    name = "langgraph"
    needs = "langgraph"
    imports = "langgraph.graph"
    share = 0.005

    async def step(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        compiled, make, total = graph(), kind.make, 0
        with watch:
            for i in range(n):
                total = (await compiled.ainvoke({"total": total, "message": make(i, 1)}))["total"]
        check(total, n)
