"""The manager under random commands, of which some are interrupted by an exception from outside, at a random place.

What was interrupted is given again, as a person would: then it is done, and the account is the same as ever.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from agentrt import AgentError
from tests.harness.interrupt import Interruption
from tests.stateful.test_manager_machine import PROFILE, THOROUGH, ManagerMachine, options, payloads, which

places = st.integers(1, 150)
STEPS = 10_000


class InterruptedMachine(ManagerMachine):
    """As the machine above it, with interruptions of what this thread does."""

    def interrupt(self, at, call):
        """Call, interrupted or not; an error of the call itself is none here."""
        with Interruption(at).here():
            try:
                call()
            except AgentError:
                return

    @rule(id=which, payload=payloads, options=options, at=places)
    def send_interrupted(self, id, payload, options, at):
        self.interrupt(at, lambda: self.agents[id].runtime.send_nowait(payload, **options))

    @rule(id=which, index=st.integers(0, 5), command=st.sampled_from(("drop", "edit")), payload=payloads, at=places)
    def by_hand_interrupted(self, id, index, command, payload, at):
        runtime = self.agents[id].runtime
        items = runtime.mailbox_items()
        if items:
            arguments = (items[index % len(items)].id, *([payload] if command == "edit" else []))
            for place in (at, 10**9):
                self.interrupt(place, lambda: getattr(runtime, command)(*arguments))

    @rule(id=which, at=places)
    def swap_interrupted(self, id, at):
        runtime = self.agents[id].runtime
        for place in (at, 10**9):
            self.interrupt(place, lambda: runtime.swap(runtime.entry.workflow.call))

    @rule(id=which, command=st.sampled_from((ManagerMachine.pause, ManagerMachine.resume)), at=places)
    def command_interrupted(self, id, command, at):
        for place in (at, 10**9):
            self.interrupt(place, lambda: command(self, self.agents[id]))

    @rule(id=which, drain=st.booleans(), at=st.integers(1, 400))
    def terminate_interrupted(self, id, drain, at):
        runtime = self.agents[id].runtime
        self.interrupt(at, lambda: runtime.terminate(drain))
        self.steer(False, id, self.terminate, drain)


@pytest.mark.slow
# A coroutine that was made and not yet awaited when the interruption came.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("own_garbage")
@pytest.mark.timeout(0 if THOROUGH else 600)
class TestInterrupted(InterruptedMachine.TestCase):
    settings = PROFILE if THOROUGH else settings(PROFILE, max_examples=STEPS // PROFILE.stateful_step_count)
