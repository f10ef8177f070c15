"""A shop whose workflows a recorded test imports: `import tests.history.shop`."""

from dataclasses import dataclass
from typing import Any

import msgspec

from agentrt.integrations.functions import function_workflow


@dataclass(frozen=True)
class Order:
    item: str
    count: int = 1


class Till(msgspec.Struct, frozen=True):
    total: int = 0
    sold: tuple[str, ...] = ()


class SoldOut(Exception):
    """There is no more of it."""


def look_up(item: str) -> int:
    return {"tea": 3, "milk": 1, "salt": 7}[item]


async def sell(activity: Any, till: Till, ctx: Any) -> Till:
    order = activity.payload
    price = await ctx.effect("price", look_up, order.item)
    left = await ctx.ask("stock", (order.item, order.count))
    if left < 0:
        raise SoldOut(f"no more {order.item}")
    await ctx.send("ledger", price * order.count, priority=True)
    ctx.reply({"price": price, "lucky": ctx.random.randint(1, 1_000_000)})
    return Till(till.total + price * order.count, (*till.sold, order.item))


async def sell_mended(activity: Any, till: Till, ctx: Any) -> Till:
    order = activity.payload
    price = await ctx.effect("price", look_up, order.item)
    left = await ctx.ask("stock", (order.item, order.count))
    if left < 0:
        ctx.reply("sold out")
        return till
    await ctx.send("ledger", price * order.count, priority=True)
    ctx.reply({"price": price, "lucky": ctx.random.randint(1, 1_000_000)})
    return Till(till.total + price * order.count, (*till.sold, order.item))


def stock(activity: Any, left: dict[str, int], ctx: Any) -> dict[str, int]:
    item, count = activity.payload
    new = left.get(item, 0) - count
    ctx.reply(new)
    return left if new < 0 else {**left, item: new}


def count_down(activity: Any, left: int) -> int:
    if left + activity.payload < 0:
        raise SoldOut(str(left))
    return left + activity.payload


def count_words(text: str) -> int:
    return len(text.split())


word_counter = function_workflow(count_words)
