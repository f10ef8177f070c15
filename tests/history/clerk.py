"""A clerk whose code does everything that a workflow can: what replays are tried on."""

import linecache
from textwrap import dedent
from typing import Any

from agentrt import RuntimeManager
from tests.support import add

CLERK = dedent(
    """
    RATE = 2

    async def clerk(activity, state, ctx):
        order = activity.payload
        if order["item"] == "nothing":
            raise ValueError("no such item")
        began = ctx.now()
        with ctx.step("look up"):
            price = await ctx.effect("price", fetch, order["item"])
        if price is None:
            raise KeyError(order["item"])
        with ctx.step("book"):
            await ctx.sleep(5)
            total = price * order["count"]
            stock = await ctx.ask("stock", (order["item"], order["count"]))
        if stock < 0:
            ctx.log(f"out of {order['item']}")
            await ctx.send("buyer", order["item"], priority=True)
        elif order["count"] >= 3:
            total = total * 9 // 10
        ctx.metric("total", total)
        gift = ctx.random.randint(1, 6)
        took = round(ctx.now() - began)
        await ctx.send("ledger", total)
        ctx.reply({"total": total, "gift": gift, "took": took})
        return (*state, (order["item"], total))
    """
)
ORDERS = [("tea", 1), ("milk", 2), ("tea", 4), ("nothing", 1), ("gone", 1), ("salt", 9), ("tea", 1)]
PRICES = {"tea": 3, "milk": 1, "salt": 7, "gone": None}


def compile_clerk(source: str, name: str) -> Any:
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space: dict[str, Any] = {"fetch": PRICES.get}
    exec(compile(source, name, "exec"), space)
    return space["clerk"]


def stock(activity: Any, state: int, ctx: Any) -> int:
    item, count = activity.payload
    ctx.reply(-1 if item == "salt" else state - count)
    return state - (0 if item == "salt" else count)


async def sell(manager: RuntimeManager) -> None:
    manager.create("stock", 100, stock)
    manager.create("buyer", 0, lambda activity, state: state + 1)
    manager.create("ledger", 0, add)
    clerk = manager.create("clerk", (), compile_clerk(CLERK, "<clerk>"))
    for item, count in ORDERS:
        receipt = clerk.send_nowait({"item": item, "count": count})
        await receipt.wait()
