"""What solves the exercise of each lesson, as the cell would be in the end: `tests/test_notebooks.py` runs them."""
# ruff: noqa: F821


# ---- 01_first_agent
async def bank(activity, cents):
    if cents + activity.payload < 0:
        raise ValueError("there is not so much in the account")
    return cents + activity.payload


overdraft.check(bank)

# ---- 02_three_towers
busy_runway.check(65)

# ---- 03_mailbox_and_priority
two_telegrams.check(lambda manager, workflow: manager.create("desk", (), workflow, fairness=2))

# ---- 04_backpressure
newest.check(lambda manager, workflow: manager.create("d", 0, workflow, standard_capacity=1, overflow="drop_oldest"))

# ---- 05_littles_law
in_the_shop.check(lambda rate, wait, service: rate * (wait + service))

# ---- 06_priorities_and_the_formula
short_wait.check(0.475)

# ---- 07_starvation_and_fairness
share_of_turns.check(4)


# ---- 08_supervision
def make_station(manager, workflow):
    group = manager.group("station", "rest_for_one")
    for name in ("pump", "valve", "display"):
        group.create(name, 0, workflow)


pump_station.check(make_station)


# ---- 09_deadlock
async def branch(activity, balance, ctx):
    verb, *rest = activity.payload
    if verb == "deposit":
        return balance + rest[0]
    to, amount = rest
    await ctx.send(to, ("deposit", amount))
    return balance - amount


transfers.check(branch)


# ---- 10_saga
async def travel(activity, trips, ctx):
    booked = []
    try:
        for name in ("flight", "hotel", "car"):
            await ctx.ask(name, ("book", activity.payload))
            booked.append(name)
    except agentrt.ProcessingError:
        for name in reversed(booked):
            await ctx.ask(name, ("cancel", activity.payload))
        raise
    return (*trips, activity.payload)


undo_in_reverse.check(travel)


# ---- 11_tool_loop
def make_assistant(model, tools, most):
    async def assistant(activity, messages, ctx):
        messages = (*messages, {"role": "user", "content": activity.payload})
        for _ in range(most):
            message = await ctx.effect("model", model, messages)
            messages = (*messages, message)
            if not message.get("tool_calls"):
                ctx.reply(message["content"])
                return messages
            for each in message["tool_calls"]:
                result = tools[each["function"]["name"]](**json.loads(each["function"]["arguments"]))
                messages = (*messages, {"role": "tool", "tool_call_id": each["id"], "content": json.dumps(result)})
        raise RuntimeError(f"no answer after {most} turns")

    return assistant


bounded_loop.check(make_assistant)


# ---- 12_kill_the_kernel
def make_shop(charge):
    async def shop(activity, total, ctx):
        await ctx.effect("charge", charge, activity.id, activity.payload)
        return total + activity.payload

    return shop


paid_once.check(make_shop)

# ---- 13_time_travel
first_above.check(lambda history, limit: history.search(lambda state: state > limit))


# ---- 14_find_the_race
def make_account():
    async def deposit(account, amount):
        await account.ask(amount)

    return lambda activity, state: state + activity.payload, deposit


no_lost_update.check(make_account)

# ---- 15_dining_philosophers
seats.check(lambda left, right: (right, left) if left == 0 else (left, right))

# ---- 16_three_nodes
moved_desks.check(1500)
