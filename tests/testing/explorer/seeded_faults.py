"""Programs with one fault of order each, and programs without any. `FAULTS` and `RIGHT` have them by name."""

import asyncio
import contextlib

import agentrt

FAULTS, RIGHT = {}, {}


def fault(kind, text=""):
    """A program with a fault: what kind of failure it is, and a part of its text."""

    def register(scenario):
        FAULTS[scenario.__name__] = (scenario, kind, text)
        return scenario

    return register


def right(scenario):
    RIGHT[scenario.__name__] = scenario
    return scenario


def add(activity, state):
    return state + activity.payload


def append(activity, state):
    return (*state, activity.payload)


def put(activity, state):
    """A cell: ("put", value) replaces it, anything else reads it."""
    return activity.payload[1] if isinstance(activity.payload, tuple) else state


# ---- twenty faults


@fault("assertion")
async def lost_update_by_ask(manager):
    async def client():
        await cell.ask(("put", await cell.ask("get") + 1))

    cell = manager.create("cell", 0, put)
    await asyncio.gather(client(), client())
    assert cell.state == 2


@fault("assertion")
async def check_then_act_over_two_agents(manager):
    async def buyer():
        if await stock.ask(0) > 0:
            await ledger.ask(1)
            await stock.ask(-1)

    stock, ledger = manager.create("stock", 1, add), manager.create("ledger", 0, add)
    await asyncio.gather(buyer(), buyer())
    assert stock.state >= 0


@fault("deadlock", "would wait for itself")
async def circular_wait(manager):
    async def forward(activity, state, ctx):
        return state if activity.payload is None else await ctx.ask(activity.payload, None)

    left, right = manager.create("left", 0, forward), manager.create("right", 0, forward)
    await asyncio.gather(left.ask("right"), right.ask("left"))


@fault("deadlock")
async def circular_wait_of_three(manager):
    async def forward(activity, state, ctx):
        return state if activity.payload is None else await ctx.ask(activity.payload, None)

    ring = [manager.create(name, 0, forward) for name in "abc"]
    await asyncio.gather(*(runtime.ask(other) for runtime, other in zip(ring, "bca", strict=True)))


@fault("assertion")
async def priority_overtakes_its_cause(manager):
    async def client():
        await log.send("open")
        await log.send("close", priority=True)

    log = manager.create("log", (), append)
    await client()
    await log.ask("end")
    assert log.state.index("open") < log.state.index("close")


@fault("assertion")
async def priority_inversion(manager):
    async def work(activity, state, ctx):
        await ctx.ask("resource", activity.payload)
        return state

    async def urgent():
        await high.ask("high", priority=True)

    resource = manager.create("resource", (), append)
    low, high = manager.create("low", 0, work), manager.create("high", 0, work)
    await asyncio.gather(low.ask("low"), urgent())
    assert resource.state[0] == "high"


@fault("assertion")
async def restart_race(manager):
    def count(activity, state):
        if activity.payload is None:
            raise ValueError
        return state + 1

    async def fail():
        with contextlib.suppress(agentrt.ProcessingError):
            await counter.ask(None)

    supervision = agentrt.Supervision(policy="restart", intensity=1, period=60)
    counter = manager.create("counter", 0, count, supervision=supervision)
    await asyncio.gather(counter.ask(1), fail())
    assert counter.state == 1


@fault("unhandled error", "RuntimeTerminatedError")
async def delayed_message_after_terminate(manager):
    async def end():
        await asyncio.sleep(1)
        await manager["log"].terminate()

    async def send_later():
        await asyncio.sleep(1)
        receipt = await manager.send("log", 1)
        asyncio.get_running_loop().create_task(look(receipt))

    async def look(receipt):
        await receipt

    manager.create("log", (), append)
    await asyncio.gather(end(), send_later(), return_exceptions=True)


@fault("error", "RuntimeTerminatedError")
async def send_after_terminate(manager):
    async def end():
        await manager.terminate("log", drain=True)

    manager.create("log", (), append)
    await asyncio.gather(end(), manager["log"].ask(1))


@fault("error", "RuntimeNotFoundError")
async def use_before_create(manager):
    async def make():
        manager.create("log", (), append)

    async def use():
        await manager.ask("log", 1)

    await asyncio.gather(make(), use())


@fault("error", "RuntimeExistsError")
async def create_twice(manager):
    async def get_or_create():
        if "log" not in manager:
            await asyncio.sleep(0)
            manager.create("log", (), append)

    await asyncio.gather(get_or_create(), get_or_create())


@fault("error", "MailboxFullError")
async def full_lane(manager):
    async def sender():
        log.send_nowait(1)

    log = manager.create("log", (), append, standard_capacity=1)
    await asyncio.gather(sender(), sender())


@fault("assertion")
async def dropped_message(manager):
    async def sender(number):
        await log.send(number)

    log = manager.create("log", (), append, standard_capacity=1, overflow="drop_oldest")
    await asyncio.gather(sender(1), sender(2))
    await log.ask(3)
    assert len(log.state) == 3


@fault("lost reply")
async def pause_and_ask(manager):
    async def pause():
        log.pause()

    log = manager.create("log", (), append)
    await asyncio.gather(pause(), log.ask(1))


@fault("assertion")
async def shared_counter(manager):
    counts = {"n": 0}

    async def count(activity, state):
        n = counts["n"]
        await asyncio.sleep(0)
        counts["n"] = n + 1
        return state

    await asyncio.gather(*(manager.create(name, 0, count).ask(1) for name in "ab"))
    assert counts["n"] == 2


@fault("deadlock")
async def two_locks(manager):
    one, other = asyncio.Lock(), asyncio.Lock()

    async def both(first, second):
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    await asyncio.gather(both(one, other), both(other, one))


@fault("assertion")
async def stale_read(manager):
    async def client():
        await account.ask(100 - account.state)

    account = manager.create("account", 0, add)
    await asyncio.gather(client(), client())
    assert account.state == 100


@fault("assertion")
async def replies_out_of_order(manager):
    async def relay(activity, state, ctx):
        await ctx.send("log", activity.payload)
        return state

    log = manager.create("log", (), append)
    left, right = manager.create("left", 0, relay), manager.create("right", 0, relay)
    await left.send("first")
    await right.ask("second")
    await left.ask("third")
    await log.ask("end")
    assert log.state[:2] == ("first", "second")


@fault("assertion")
async def first_answer_wins(manager):
    async def answer(activity, state, ctx):
        ctx.reply(ctx.runtime)
        return state

    tasks = [asyncio.ensure_future(manager.create(name, 0, answer).ask(None)) for name in ("main", "backup")]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert tasks[0] in done


@fault("assertion")
async def cancel_after_the_effect(manager):
    account = manager.create("account", 0, add)
    task = asyncio.ensure_future(account.ask(1))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
        sent = True
    except asyncio.CancelledError:
        sent = False
    await account.ask(0)
    assert account.state == sent


# ---- ten programs without a fault


@right
async def update_in_the_agent(manager):
    cell = manager.create("cell", 0, add)
    await asyncio.gather(cell.ask(1), cell.ask(1), cell.ask(1))
    assert cell.state == 3


@right
async def check_and_act_in_one_agent(manager):
    def sell(activity, state, ctx):
        ctx.reply(state > 0)
        return max(0, state - 1)

    stock = manager.create("stock", 1, sell)
    sold = await asyncio.gather(stock.ask(1), stock.ask(1), stock.ask(1))
    assert sum(sold) == 1


@right
async def ordered_locks(manager):
    one, other = asyncio.Lock(), asyncio.Lock()

    async def both():
        async with one:
            await asyncio.sleep(0)
            async with other:
                pass

    await asyncio.gather(both(), both())


@right
async def asks_in_a_chain(manager):
    async def forward(activity, state, ctx):
        return await ctx.ask("last", activity.payload)

    manager.create("last", 0, add)
    first, second = manager.create("first", 0, forward), manager.create("second", 0, forward)
    await asyncio.gather(first.ask(1), second.ask(2))
    assert manager["last"].state == 3


@right
async def fifo_of_each_sender(manager):
    async def sender(name):
        for number in range(2):
            await log.send((name, number))

    log = manager.create("log", (), append)
    await asyncio.gather(sender("a"), sender("b"))
    await log.ask(("end", 0))
    for name in "ab":
        assert [number for who, number in log.state if who == name] == [0, 1]


@right
async def backpressure(manager):
    async def sender(number):
        await log.send(number)

    log = manager.create("log", (), append, standard_capacity=1)
    await asyncio.gather(sender(1), sender(2), sender(3))
    await log.ask(0)
    assert sorted(log.state) == [0, 1, 2, 3]


@right
async def drain_before_the_end(manager):
    log = manager.create("log", 0, add)
    receipts = [log.send_nowait(1), log.send_nowait(1)]
    await log.terminate(drain=True)
    assert [(await receipt).state for receipt in receipts] == [1, 2]


@right
async def pause_and_resume(manager):
    async def hold():
        log.pause()
        await asyncio.sleep(0)
        log.resume()

    log = manager.create("log", 0, add)
    await asyncio.gather(hold(), log.ask(1))
    assert log.state == 1


@right
async def timeout_that_is_long_enough(manager):
    async def slow(activity, state):
        await asyncio.sleep(1)
        return state + 1

    worker = manager.create("worker", 0, slow, timeout=10)
    async with asyncio.timeout(60):
        await asyncio.gather(worker.ask(1), worker.ask(1))
    assert worker.state == 2


@right
async def errors_that_are_handled(manager):
    def divide(activity, state):
        return state / activity.payload

    async def client(number):
        try:
            return await runtime.ask(number)
        except agentrt.ProcessingError:
            return None

    runtime = manager.create("divide", 8.0, divide)
    assert (await asyncio.gather(client(0), client(2), client(0)))[1] == 4.0
