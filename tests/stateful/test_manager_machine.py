"""The whole manager under random commands, from this thread and others, on a loop that shuffles its callbacks.

Hypothesis draws the commands and the seed of the loop. After each command a second account (`ledger.py`), computed from
the ring, must agree with the manager; the workflows (`agent.py`) check how they are run.

AGENTRT_EXAMPLES=5000 runs more examples than usual, without a time limit, and shrinks those that fail.
"""

import asyncio
import math
import os
import threading
from contextlib import contextmanager

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentrt import (
    AgentError,
    Backoff,
    Fate,
    Fates,
    Lane,
    MailboxFullError,
    ManagerClosedError,
    RuntimeFailedError,
    RuntimeManager,
    RuntimeTerminatedError,
    Status,
    Supervision,
)
from agentrt.testing.virtual import VirtualLoop
from tests.stateful.agent import KINDS, Agent
from tests.stateful.ledger import Ledger

THOROUGH = "AGENTRT_EXAMPLES" in os.environ
PROFILE = settings(
    max_examples=int(os.environ.get("AGENTRT_EXAMPLES", "100")),
    stateful_step_count=40,
    derandomize=not THOROUGH,  # a commit is not to fail by chance: what random steps find is looked for on purpose
    deadline=None,
    phases=[phase for phase in Phase if THOROUGH or phase not in (Phase.shrink, Phase.explain)],
)
IDS = ("a", "b", "c")
KEY_WINDOW = 5.0
COMMANDS = ("pause", "resume", "resume", "step", "step", "recover", "recover", "terminate")
BY_HAND = ("drop", "promote", "demote", "first")

flags = st.booleans()
which = st.sampled_from(IDS)
lengths = st.sampled_from((0.5, 1.0, 3.0, 20.0))
payloads = st.tuples(st.sampled_from(KINDS), lengths)
bunches = st.lists(payloads, min_size=2, max_size=6)
timeouts = st.sampled_from((None, 1.0, 5.0))
capacities = st.integers(1, 6)
options = st.fixed_dictionaries(
    {"priority": flags},
    optional={
        "timeout": st.sampled_from((0.5, 2.0)),
        "delay": st.sampled_from((0.0, 1.0, 2.0, 7.0)),
        "key": st.sampled_from(("x", "y")),
    },
)
changes = st.one_of(
    st.tuples(st.sampled_from(("priority_capacity", "standard_capacity")), capacities),
    st.tuples(st.just("timeout"), timeouts),
)
limits = st.fixed_dictionaries(
    {
        "priority_capacity": capacities,
        "standard_capacity": capacities,
        "timeout": timeouts,
        "overflow": st.sampled_from(("wait", "wait", "drop_oldest", "drop_newest")),
        "fairness": st.sampled_from((None, 1, 2, 8)),
        "retries": st.sampled_from((0, 0, 2)),
        "supervision": st.builds(
            Supervision, st.sampled_from(("continue", "restart", "stop", "escalate")), st.sampled_from((1, 3))
        ),
    }
)


class ManagerMachine(RuleBasedStateMachine):
    """A command with `later` is one of the callbacks of the loop's next turn, which run in a random order."""

    @initialize(seed=st.integers(0, 2**16), agents=st.tuples(*[st.tuples(flags, limits)] * len(IDS)))
    def begin(self, seed, agents):
        self.loop = VirtualLoop(seed)
        self.problems = []
        self.loop.set_exception_handler(lambda loop, context: self.problems.append(context))
        self.loop.run_until_complete(self.make(seed))
        self.agents, self.gone = {}, []
        self.receipts, self.outcomes, self.endings = [], {}, []
        self.sending, self.let_in, self.tickets = {}, {}, 0
        self.fastest = 1  # of the finite speeds so far
        for id, (plain, limits) in zip(IDS, agents, strict=True):
            self.create(id, plain, limits)

    async def make(self, seed):
        self.manager = RuntimeManager(loop="current", seed=seed)
        self.ledger = Ledger(self.manager.ring)
        self.release = asyncio.Event()

    # ---- how commands are given

    @contextmanager
    def watching(self, about):
        """Store a failed assertion: raised in a workflow or a callback, the test would not see it."""
        try:
            yield
        except AssertionError as error:
            self.problems.append(f"{about}: {error}")

    def act(self, later, command, *arguments):
        if later:
            self.loop.call_soon(self.carry_out, command, *arguments)
        else:
            self.carry_out(command, *arguments)

    def carry_out(self, command, *arguments):
        with self.watching(f"{command.__name__}{arguments}"):
            command(*arguments)

    def steer(self, later, id, command, *arguments):
        """Give a command that only a terminated runtime may refuse."""

        def carry_out(agent):
            try:
                command(agent, *arguments)
            except (RuntimeTerminatedError, ManagerClosedError):
                assert agent.runtime.status is Status.TERMINATED

        self.act(later, carry_out, self.agents[id])

    def another(self, about):
        return IDS[int(about) % len(IDS)]

    # ---- runtimes

    @rule(id=which, plain=flags, limits=limits)
    def create(self, id, plain, limits):
        if id in self.manager:
            return
        if id in self.agents:
            self.gone.append(self.agents[id])
        backoff = Backoff(first=1, jitter=0)
        self.agents[id] = Agent(self, id, plain, backoff=backoff, key_window=KEY_WINDOW, **limits)

    # ---- activities

    @rule(id=which, payload=payloads, options=options, later=flags)
    def send(self, id, payload, options, later):
        self.act(later, self.send_now, self.agents[id], payload, options)

    @rule(payloads=bunches, later=flags)
    def send_to_everybody(self, payloads, later):
        for n, payload in enumerate(payloads):
            for id in IDS:
                self.send(id, payload, {"priority": n % 3 == 0}, later)

    @rule(payloads=bunches, options=options)
    def send_from_a_thread(self, payloads, options):
        self.in_a_thread(lambda: [self.send(id, payload, options, False) for id in IDS for payload in payloads])

    def in_a_thread(self, call):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    def send_now(self, agent, payload, options):
        self.ledger.read()
        earlier = agent.book.keyed.get(options.get("key"))
        known = earlier is not None and earlier.created + KEY_WINDOW > self.manager.clock.now()
        try:
            receipt = agent.runtime.send_nowait(payload, **options)
        except AgentError as error:
            self.refused(agent, error, Lane.PRIORITY if options["priority"] else Lane.STANDARD)
            assert not known, "the receipt of the earlier activity with its key was expected"
            return
        if known:
            assert receipt.id == earlier.id, "another receipt within the window of the key"
            return
        assert receipt.id not in agent.book.accepted, "an old receipt"
        self.ledger.read()
        assert receipt.id in agent.book.accepted
        self.receipts.append(receipt)

    def refused(self, agent, error, lane):
        """A send is refused for one of three reasons: check that it is the right one."""
        entry = agent.runtime.entry
        if isinstance(error, MailboxFullError):
            assert agent.runtime.overflow == "wait"
            assert entry.mailbox.room(lane) <= 0 or entry.mailbox.senders[lane]
        elif isinstance(error, RuntimeFailedError):
            assert agent.runtime.status is Status.FAILED
        else:
            assert isinstance(error, RuntimeTerminatedError | ManagerClosedError)
            assert entry.ended is not None

    @rule(id=which, payloads=bunches, options=options, wait=st.sampled_from((None, None, 2.0)))
    def wait_for_room(self, id, payloads, options, wait):
        for payload in payloads:
            task = self.loop.create_task(self.send_and_wait(self.agents[id], payload, options, wait))
            self.sending[task] = self.agents[id]

    async def send_and_wait(self, agent, payload, options, wait):
        self.tickets += 1
        ticket = self.tickets
        try:
            receipt = await agent.runtime.send(payload, wait=wait, **options)
        except AgentError:
            return
        if "key" not in options:
            self.receipts.append(receipt)
            self.let_in.setdefault((agent, options["priority"]), []).append((ticket, receipt.id))

    @rule(index=st.integers(0, 5))
    def give_up_waiting(self, index):
        waiting = [task for task in self.sending if not task.done()]
        if waiting:
            waiting[index % len(waiting)].cancel()

    # ---- commands

    @rule(id=which, command=st.sampled_from(COMMANDS), later=flags)
    def command(self, id, command, later):
        self.steer(later, id, getattr(self, command))

    @rule(id=which, command=st.sampled_from(COMMANDS))
    def command_from_a_thread(self, id, command):
        self.in_a_thread(lambda: self.steer(False, id, getattr(self, command)))

    def pause(self, agent):
        if not agent.runtime.paused:
            agent.steps = 0
        agent.runtime.pause()

    def resume(self, agent):
        agent.runtime.resume()

    def step(self, agent):
        try:
            agent.steps = agent.runtime.step(2)
        except RuntimeFailedError:
            assert agent.runtime.status is Status.FAILED

    def recover(self, agent):
        agent.runtime.recover()

    def terminate(self, agent, drain=False):
        self.endings.append((agent, agent.runtime.terminate(drain)))

    @rule(id=which, payloads=bunches, later=flags)
    def drain(self, id, payloads, later):
        for payload in payloads:
            self.send(id, payload, {"priority": False}, later=False)
        self.steer(later, id, self.terminate, True)

    @rule(id=which, change=changes, later=flags)
    def change(self, id, change, later):
        self.steer(later, id, lambda agent: setattr(agent.runtime, *change))

    @rule(value=st.sampled_from((0, 0.1, 1, 1, 60, math.inf)), later=flags)
    def change_speed(self, value, later):
        self.act(later, self.set_speed, value)

    def set_speed(self, value):
        self.manager.speed = value
        self.fastest = max(self.fastest, value if math.isfinite(value) else 1)

    @rule(id=which, command=st.sampled_from(BY_HAND), index=st.integers(0, 5), later=flags)
    def by_hand(self, id, command, index, later):
        def on(agent):
            items = agent.runtime.mailbox_items()
            if items:
                self.move(agent, command, items[index % len(items)])

        self.steer(later, id, on)

    def move(self, agent, command, activity):
        """An activity that is not due can't be made the first, none can be moved to a full lane, all can be dropped."""
        try:
            getattr(agent.runtime, command)(activity.id)
        except MailboxFullError:
            to = Lane.PRIORITY if command == "promote" else Lane.STANDARD
            assert command in ("promote", "demote")
            assert agent.runtime.entry.mailbox.room(to) <= 0
        except AgentError:
            assert command == "first"
            assert activity.not_before is not None
        else:
            agent.moved.add(activity.id)

    @rule(id=which, index=st.integers(0, 5), payload=payloads)
    def edit(self, id, index, payload):
        def edit(agent):
            items = agent.runtime.mailbox_items()
            if items:
                agent.runtime.edit(items[index % len(items)].id, payload)

        self.steer(False, id, edit)

    @rule()
    def release_stubborn(self):
        """Let the workflows end that ignore every cancellation; later ones wait again."""
        self.release.set()
        self.turns(20)
        self.release.clear()

    # ---- time

    @rule(n=st.integers(1, 10))
    def turns(self, n):
        self.loop.run_until_complete(several(n))

    @rule(seconds=lengths)
    def advance(self, seconds):
        self.loop.advance(seconds)

    @rule()
    def run_until_idle(self):
        self.turns(1)  # a change of speed may be on its way
        if self.manager.speed == 0:
            self.manager.speed = 1
        self.loop.run_until_idle()
        self.ledger.read()
        for agent in self.agents.values():
            with self.watching(agent):
                agent.check_at_rest(sum(to is agent and not task.done() for task, to in self.sending.items()))
        for agent, ending in self.endings:
            assert (ending.value is True) == (agent.runtime.status is Status.TERMINATED)

    # ---- what must hold

    @invariant()
    def adds_up(self):
        self.ledger.read()
        for agent in (*self.agents.values(), *self.gone):
            with self.watching(agent):
                agent.check()
        assert not self.problems, "\n".join(map(str, self.problems))
        assert self.manager.fates() == sum((book.fates for book in self.ledger.books), Fates())
        assert [letter.activity.id for letter in self.manager.dead_letters] == self.ledger.decided(Fate.DEAD)

    @invariant()
    def receipts_have_the_outcomes_of_the_ring(self):
        decided = {id: outcome for book in self.ledger.books for id, outcome in book.outcomes.items()}
        for receipt in self.receipts:
            assert receipt.outcome is decided.get(receipt.id)

    @invariant()
    def senders_that_waited_were_accepted_in_order(self):
        """Those that were given a place in one turn of the loop use it in any order, as this loop runs callbacks."""
        for agent, admitted in ((agent, each) for (agent, _), each in self.let_in.items()):
            created = [agent.book.accepted[id].created for _, id in sorted(admitted)]
            assert created == sorted(created)

    def teardown(self):
        try:
            if not self.problems:
                if self.manager.seed % 2:
                    self.process_everything()
                self.close_manager()
        finally:
            self.loop.close()

    def process_everything(self):
        """When nothing stops them any more, all activities end."""
        self.run_until_idle()
        self.release.set()
        for _ in range(100):
            for agent in self.agents.values():
                for command in (self.recover, self.resume):
                    self.steer(False, agent.runtime.id, command)
            self.run_until_idle()
            self.adds_up()
            if not self.manager.fates().pending:
                return
        raise AssertionError(f"still {self.manager.fates().pending} are pending")

    def close_manager(self):
        self.loop.run_until_complete(self.manager.aclose())
        self.release.set()
        self.loop.run_until_idle()
        self.adds_up()
        self.receipts_have_the_outcomes_of_the_ring()
        assert all(receipt.outcome is not None for receipt in self.receipts)
        assert self.manager.fates().pending == 0
        assert all(ending.value is True for _, ending in self.endings)
        assert asyncio.all_tasks(self.loop) == set()
        for agent in (*self.agents.values(), *self.gone):
            assert agent.runtime.status is Status.TERMINATED
            agent.check_metrics()


async def several(turns):
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.timeout(0 if THOROUGH else 600)
class TestManager(ManagerMachine.TestCase):
    settings = PROFILE
