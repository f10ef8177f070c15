"""replay.py: every change of the code is found where it first has an effect."""

from typing import Any

import pytest

import agentrt
from tests.history.clerk import CLERK, compile_clerk, sell
from tests.support import virtual

# What is replaced by what, what differs first, and in which of the orders.
SEEDED = [
    ('order["item"] == "nothing"', 'order["item"] == "none"', "effect", 3),
    ('order["item"] == "nothing"', 'order["item"] != "tea"', "fate", 1),
    ('raise ValueError("no such item")', 'raise ValueError("no item")', "error", 3),
    ('raise ValueError("no such item")', 'raise LookupError("no such item")', "error", 3),
    ('raise ValueError("no such item")', "return state", "fate", 3),
    ('ctx.step("look up")', 'ctx.step("look")', "step", 0),
    ('with ctx.step("look up"):', "if True:", "step", 0),
    ('ctx.effect("price", fetch', 'ctx.effect("cost", fetch', "effect", 0),
    ('fetch, order["item"])', 'fetch, order["item"].upper())', "effect", 0),
    ('fetch, order["item"])', 'fetch, order["item"], 0)', "effect", 0),
    ('price = await ctx.effect("price", fetch, order["item"])', "price = 3", "effect", 0),
    ('= await ctx.effect("price", fetch', '= 2 + await ctx.effect("price", fetch', "metric", 0),
    ('        price = await ctx', '        await ctx.effect("audit", print)\n        price = await ctx', "effect", 0),
    ("if price is None:", "if price is None or price > 6:", "fate", 5),
    ('raise KeyError(order["item"])', 'raise KeyError("item")', "error", 4),
    ("if price is None:", "if False:", "step", 4),
    ('ctx.step("book")', 'ctx.step("booking")', "step", 0),
    ('price * order["count"]', 'price + order["count"]', "metric", 0),
    ('price * order["count"]', 'price * min(3, order["count"])', "metric", 2),
    ('ctx.ask("stock", (order["item"], order["count"]))', 'ctx.ask("stock", (order["item"], 1))', "send", 1),
    ('ctx.ask("stock"', 'ctx.ask("ledger"', "send", 0),
    ('stock = await ctx.ask("stock", (order["item"], order["count"]))', "stock = 1", "send", 0),
    ("if stock < 0:", "if stock <= 0:", None, None),
    ("if stock < 0:", "if stock < 95:", "log", 2),
    ("if stock < 0:", "if False:", "metric", 5),
    ("ctx.log(f\"out of {order['item']}\")", "ctx.log('out')", "log", 5),
    ("ctx.log(f\"out of {order['item']}\")", "pass", "log", 5),
    ('await ctx.send("buyer", order["item"], priority=True)', "pass", "send", 5),
    ('await ctx.send("buyer", order["item"], priority=True)', 'await ctx.send("buyer", 1)', "send", 5),
    ('order["count"] >= 3', 'order["count"] > 3', None, None),
    ('order["count"] >= 3', 'order["count"] >= 2', "metric", 1),
    ("total * 9 // 10", "total * 8 // 10", "metric", 2),
    ("total * 9 // 10", "total - 1", "metric", 2),
    ('ctx.metric("total", total)', 'ctx.metric("sum", total)', "metric", 0),
    ('ctx.metric("total", total)', "pass", "metric", 0),
    ('ctx.metric("total", total)', 'ctx.metric("total", float(total))', None, None),
    ("randint(1, 6)", "randint(1, 60)", "reply", 0),
    ("round(ctx.now() - began)", "0", "reply", 0),
    ('await ctx.send("ledger", total)', 'await ctx.send("ledger", total + 1)', "send", 0),
    ('await ctx.send("ledger", total)', 'await ctx.send("ledger", total, priority=True)', "send", 0),
    ('await ctx.send("ledger", total)', 'await ctx.send("stock", total)', "send", 0),
    (
        'await ctx.send("ledger", total)',
        'await ctx.send("ledger", total)\n    await ctx.send("ledger", 0)',
        "send",
        0,
    ),
    ('ctx.reply({"total": total,', 'ctx.reply({"sum": total,', "reply", 0),
    ('    ctx.reply({"total"', '    if total > 3: ctx.reply({"total"', "reply", 0),
    ('(*state, (order["item"], total))', '((order["item"], total), *state)', "state", 1),
    ('(*state, (order["item"], total))', 'state', "state", 0),
    ('(*state, (order["item"], total))', '(*state[-1:], (order["item"], total))', "state", 2),
    ('(*state, (order["item"], total))', '[*state, (order["item"], total)]', "state", 0),
    ("RATE = 2", "RATE = 3", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "order"), SEEDED)
def test_a_change_is_found_at_its_first_effect(old, new, what, order):
    assert CLERK.count(old) == 1
    changed = compile_clerk(CLERK.replace(old, new), "<changed clerk>")
    found: dict[str, Any] = {}

    @virtual
    async def run(manager):
        await sell(manager)
        found["orders"] = [
            each.id for each in manager.ring.records if isinstance(each, agentrt.Activity) and each.runtime == "clerk"
        ]
        found["replay"] = manager.replay({"clerk": changed})

    run()
    replay = found["replay"]
    assert replay.skipped == ()
    if what is None:
        assert replay.matches, replay
    else:
        assert (replay.divergence.what, found["orders"].index(replay.divergence.activity.id)) == (what, order), replay


def test_forty_kinds_of_change_are_tried():
    assert sum(what is not None for _, _, what, _ in SEEDED) >= 40
