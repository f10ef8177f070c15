"""A runtime under test. Its workflow does what the payload says, and checks the promises that only a workflow sees."""

import asyncio
import contextvars
import math
from collections import Counter

from agentrt import Lane, Status

LEFT = contextvars.ContextVar("left", default=None)
RAISED = {
    "raise": ValueError,
    "interrupt": KeyboardInterrupt,
    "exit": SystemExit,
    "cancelled": asyncio.CancelledError,
    "stop": StopIteration,
    "generator": GeneratorExit,
}
WAITING = ("stubborn", "ask", "send")  # what may still run once nothing is left to do
KINDS = ("done", "turn", "sleep", "deaf", "done", "turn", "sleep", "deaf", "none", "suicide", *WAITING, *RAISED)
SLACK = 1e-6


class Agent:
    """Checks order, one activity at a time, deadlines, clean contexts, pause and step."""

    def __init__(self, world, id, plain, **limits):
        self.world = world
        self.inside = False
        self.steps = 0
        self.begun = Counter()
        self.last = {}
        self.moved = set()
        self.limit = {}
        self.began = {}
        workflow = self.plain if plain else self.suspending
        self.runtime = world.manager.create(id, 0, workflow, **limits)
        self.bound = dict(zip(Lane, self.runtime.snapshot(metrics=False).capacity, strict=True))
        world.ledger.read()
        self.book = world.ledger.current[id]

    def __repr__(self):
        return repr(self.runtime)

    # ---- the workflow

    def plain(self, activity, state):
        self.begin(activity, state)
        try:
            return self.at_once(activity, state)
        finally:
            self.inside = False

    async def suspending(self, activity, state, ctx):
        self.begin(activity, state)
        try:
            kind, about = activity.payload
            if kind in ("turn", "sleep", "deaf", "suicide", *WAITING):
                await getattr(self, kind)(ctx, about)
            return self.at_once(activity, state)
        finally:
            self.inside = False

    def at_once(self, activity, state):
        kind = activity.payload[0]
        if kind in RAISED:
            raise RAISED[kind]("as asked")
        return None if kind == "none" else state + 1

    async def turn(self, ctx, about):
        await asyncio.sleep(0)

    async def sleep(self, ctx, seconds):
        await ctx.sleep(seconds)

    async def deaf(self, ctx, seconds):
        """Ignore one cancellation, and return a result."""
        try:
            await ctx.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    async def stubborn(self, ctx, about):
        """Ignore every cancellation until `release` is set."""
        while not self.world.release.is_set():
            try:
                await self.world.release.wait()
            except asyncio.CancelledError:
                continue

    async def suicide(self, ctx, about):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def ask(self, ctx, about):
        await ctx.ask(self.world.another(about), ("done", 0))

    async def send(self, ctx, about):
        await ctx.send(self.world.another(about), ("done", 0), priority=about % 2 == 0)

    # ---- checks when an activity starts

    def begin(self, activity, state):
        with self.world.watching(activity):
            self.world.ledger.read()
            assert activity.id in self.book.open, "it runs, although it has its fate"
            assert not self.inside, "two activities run at one time"
            assert LEFT.get() in (None, activity.id), "it sees a context value of another activity"
            assert self.runtime.status is Status.PROCESSING, self.runtime.status
            assert state == self.book.state == self.runtime.state
            self.begun[activity.id] += 1
            assert self.begun[activity.id] <= 1 + self.runtime.retries, "it ran more often than the retries allow"
            if self.begun[activity.id] == 1:
                self.begin_first(activity)
            self.bounded()
        self.inside = True
        LEFT.set(activity.id)
        self.began[activity.id] = self.world.manager.clock.now()
        self.limit[activity.id] = activity.timeout or self.runtime.timeout or math.inf

    def begin_first(self, activity):
        if self.runtime.paused:
            self.steps -= 1
            assert self.steps >= 0, "it runs although the runtime is paused"
        if activity.not_before is not None:
            assert activity.not_before <= self.world.manager.clock.now() + SLACK, "it runs before it is due"
        if activity.id not in self.moved:
            self.in_order(activity)
        self.fair(activity)

    def in_order(self, activity):
        """Activities of a lane run in the order in which they were accepted, delayed ones as they are due."""
        delayed = activity.not_before is not None
        place = activity.not_before if delayed else activity.id
        assert place >= self.last.get((activity.lane, delayed), 0), "another activity of its lane overtook it"
        self.last[activity.lane, delayed] = place

    def fair(self, activity):
        """A standard activity overtakes a priority one only after `fairness` of those in a row."""
        waiting = [a for a in self.runtime.mailbox_items() if a.lane is Lane.PRIORITY and a.not_before is None]
        row = self.last.get("row", 0)
        if activity.lane is Lane.STANDARD and waiting:
            assert row >= (self.runtime.fairness or math.inf), f"after {row} of priority"
        self.last["row"] = row + 1 if activity.lane is Lane.PRIORITY else 0

    def bounded(self):
        """No lane is above its capacity; a lane whose capacity was lowered is not above its earlier depth."""
        depths, capacities = self.runtime.depth, self.runtime.snapshot(metrics=False).capacity
        for lane, depth, capacity in zip(Lane, depths, capacities, strict=True):
            most = max(capacity, self.bound[lane])
            assert depth <= most, f"{depth} in the {lane} lane, {most} are allowed"
            self.bound[lane] = max(capacity, depth)

    # ---- checks at any time

    def running(self):
        """The id of the activity that runs and has no fate yet; None if there is none."""
        current = self.runtime.snapshot(metrics=False).current
        return None if current is None or current.id in self.book.outcomes else current.id

    def check(self):
        self.bounded()
        fates = self.runtime.fates()
        assert fates.adds_up, fates
        assert fates == self.book.fates, f"{fates}, but on the record it is {self.book.fates}"
        assert self.runtime.state == self.book.state
        waiting = [activity.id for activity in self.runtime.mailbox_items()]
        assert len(waiting) == sum(self.runtime.depth)
        running = [] if self.running() is None else [self.running()]
        assert sorted(waiting + running) == sorted(self.book.open), "pending is what waits and what runs"
        for outcome in self.book.outcomes.values():
            self.in_time(outcome)

    def in_time(self, outcome):
        """Done within the deadline or timed out after it; only what never started is dropped or dead."""
        ran = outcome.id in self.began
        assert ran == (outcome.started is not None), outcome
        if not ran:
            assert outcome.fate.value in ("dropped", "dead"), outcome
            return
        took, limit = outcome.finished - self.began[outcome.id], self.limit[outcome.id]
        if outcome.ok:  # work in real time has as many seconds of real time, which are more on a fast clock
            assert took <= limit * self.world.fastest + SLACK, f"done after {took} s of {limit}"
        if outcome.fate.value == "timed_out":
            assert took >= limit - SLACK, f"timed out after {took} s of {limit}"

    def check_at_rest(self, senders):
        """Nothing is left to do on the loop: what still waits must have a reason."""
        shot = self.runtime.snapshot(metrics=False)
        waits = self.runtime.entry.mailbox.statistics()
        assert waits.senders >= senders, f"{senders} senders wait, the mailbox knows {waits.senders}"
        if shot.status is Status.TERMINATED:
            assert not self.book.open
            assert not senders
        elif shot.status in (Status.PROCESSING, Status.STUCK):
            assert shot.current.payload[0] in WAITING, f"nothing keeps {shot.current} from ending"
            assert (shot.status is Status.STUCK) == (self.limit[shot.current.id] < math.inf), "its deadline has passed"
        elif not self.runtime.paused:
            assert not self.runtime.entry.draining, "it drains, and nothing keeps it from ending"
            assert not senders, "senders wait, and nothing will make room"
            assert shot.status is Status.FAILED or not sum(shot.depth), "it could process, but does not"
        for lane, depth, capacity in zip(Lane, shot.depth, shot.capacity, strict=True):
            waiting = (self.runtime.entry.mailbox.senders or {}).get(lane)
            assert not waiting or depth >= capacity, "there is room, but a sender waits for it"

    def check_metrics(self):
        """The metrics count each activity that ran once, in its lane."""
        metrics = self.runtime.metrics
        for lane, figures in ((Lane.PRIORITY, metrics.priority), (Lane.STANDARD, metrics.standard)):
            ran = [o for o in self.book.outcomes.values() if o.lane is lane and o.started is not None]
            assert (figures.wait.count, figures.service.count) == (len(ran), len(ran))
            if self.moved.isdisjoint(self.book.accepted):
                assert figures.accepted == sum(a.lane is lane for a in self.book.accepted.values())
