"""The mutants: each breaks one promise of the core in one place, and names the tests that must fail then."""

from typing import NamedTuple

SEMANTICS = "tests/test_semantics.py"
ADMISSION = "tests/engine/test_admission.py"
FAILURE = "tests/engine/test_failure.py"
COMMANDS = "tests/engine/test_commands.py"
MANAGER = "tests/test_manager.py"
RECORDED = "tests/feed/test_recorded.py"
DURABLE = "tests/engine/test_durable_entry.py"
# With a seed, so that it finds today what it found yesterday.
MACHINE = ("tests/stateful/test_manager_machine.py", "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=1")


class Mutant(NamedTuple):
    """`old` stands exactly once in `file` and becomes `new`; pytest is called with `tests`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # --- order, starvation, full lane
    Mutant(
        "priority is taken as long as there is any",
        "engine/mailbox.py",
        "if self.priority and (self.streak < self.fairness or not self.standard):\n            self.streak += 1",
        "if self.priority:\n            self.streak += 1",
        (SEMANTICS, "-k", "starvation"),
    ),
    Mutant(
        "priority is served last",
        "engine/mailbox.py",
        "if self.priority and (self.streak < self.fairness or not self.standard):\n            self.streak += 1",
        "if self.priority and not self.standard:\n            self.streak += 1",
        (SEMANTICS, "-k", "order"),
    ),
    Mutant(
        "the newest of a lane is taken first",
        "engine/entry.py",
        "self.current = activity = lane[0]\n                    taken = lane.popleft()",
        "self.current = activity = lane[-1]\n                    taken = lane.pop()",
        (SEMANTICS, "-k", "order"),
    ),
    Mutant(
        "a lane holds one too many",
        "engine/entry.py",
        "if len(items) >= mailbox.fast_limit_standard:",
        "if len(items) > mailbox.fast_limit_standard:",
        MACHINE,
    ),
    Mutant(
        "one that ended at rest is still dismissed",
        "engine/commands.py",
        "        host.asleep.pop(entry.driver, None)\n",
        "        pass\n",
        ("tests/engine/test_handoff.py", "-k", "ended_at_rest"),
    ),
    Mutant(
        "a task that was cancelled once runs the next activity",
        "engine/entry.py",
        "if task.is_cancelled_once or variables != base",
        "if variables != base",
        (FAILURE, "-k", "does_not_harm"),
    ),
    Mutant(
        "who cancels itself cancels the next activity",
        "engine/entry.py",
        "if task.is_cancelled_once or variables != base or self.closed:",
        "if variables != base or self.closed:",
        (FAILURE, "-k", "cancels_its_own"),
    ),
    Mutant(
        "any cancellation of its task ends a runtime",
        "engine/handoff.py",
        "        if not self.get_loop().is_running():\n",
        "        if True:\n",
        (FAILURE, "-k", "cancel"),
    ),
    Mutant(
        "who ends the loop does not end a runtime",
        "engine/handoff.py",
        "            self.is_shut_down = True\n",
        "            pass\n",
        (MANAGER, "-k", "loop_that_ends"),
    ),
    Mutant(
        "an error of the machinery ends a lent turn and the runtime",
        "engine/handoff.py",
        "                self.entry.fault(error)\n",
        "                pass\n",
        ("tests/engine/test_handoff.py", "-k", "of_the_machinery"),
    ),
    Mutant(
        "the loop does not yield to the watchdog",
        "engine/entry.py",
        "            host.watchdog.yield_interpreter()\n",
        "            pass\n",
        ("tests/engine/test_watchdog.py", "-k", "yields_the_interpreter"),
    ),
    Mutant(
        "who made a lane smaller is not heard",
        "engine/mailbox.py",
        "        self.fairness: float = math.inf if fairness is None else fairness\n        self.disable_fast_path()\n",
        "        self.fairness: float = math.inf if fairness is None else fairness\n",
        (ADMISSION, "-k", "made_smaller"),
    ),
    Mutant(
        "a drained runtime takes what comes the short way",
        "engine/entry_state.py",
        "        self.mailbox.disable_fast_path()\n        return self.ended",
        "        return self.ended",
        (ADMISSION, "-k", "drained_refuses"),
    ),
    Mutant(
        "a terminated runtime takes what comes the short way",
        "engine/entry_state.py",
        "        self.mailbox.disable_fast_path()\n        return self.ended",
        "        return self.ended",
        (ADMISSION, "-k", "terminated_runtime_refuses"),
    ),
    Mutant(
        "a kept receipt keeps its manager",
        "engine/entry.py",
        "            receipt._entry = None\n",
        "",
        ("tests/test_leaks.py", "-k", "workflow_keeps"),
    ),
    Mutant(
        "a stopped runtime takes what comes the short way",
        "engine/entry_state.py",
        "        self.mailbox.disable_fast_path()\n        self.failed = self.held = True\n",
        "        self.failed = self.held = True\n",
        (ADMISSION, "-k", "stopped_refuses"),
    ),
    Mutant(
        "who waits for room is overtaken",
        "engine/mailbox.py",
        "        self.disable_fast_path()\n        self.senders[lane].append(sender)\n",
        "        self.senders[lane].append(sender)\n",
        (ADMISSION, "-k", "overtakes_who_waits"),
    ),
    Mutant(
        "what is delayed has no place in the bound",
        "engine/mailbox.py",
        "        self.reserved_standard += not n",
        "        pass",
        (ADMISSION, "-k", "place_in_the_bound"),
    ),
    Mutant(
        "drop_oldest drops the newest",
        "engine/admission.py",
        "oldest = items.popleft()",
        "oldest = items.pop()",
        (SEMANTICS, "-k", "drops_the_oldest"),
    ),
    Mutant(
        "who waits for room is not let in",
        "engine/entry.py",
        "                    self._admit_waiting()",
        "                    pass",
        (SEMANTICS, "-k", "full_lane"),
    ),
    Mutant(
        "who stops waiting stays in line",
        "engine/mailbox.py",
        "            self.senders[lane].remove(sender)",
        "            pass",
        (ADMISSION, "-k", "stops_waiting"),
    ),
    # --- the door: delays and keys
    Mutant(
        "a delay is ignored",
        "engine/admission.py",
        "    due = None if activity.not_before is None or activity.not_before <= now else activity.not_before\n",
        "    due = None\n",
        (ADMISSION, "-k", "delayed_activity_comes_when"),
    ),
    Mutant(
        "a key is not looked up",
        "engine/admission.py",
        "    return found[1] if found is not None and found[0] > entry.host.clock.now() else None",
        "    return None",
        (ADMISSION, "-k", "second_send_with_a_key"),
    ),
    Mutant(
        "a key is remembered beyond its window",
        "engine/admission.py",
        "    return found[1] if found is not None and found[0] > entry.host.clock.now() else None",
        "    return found[1] if found is not None else None",
        (ADMISSION, "-k", "key_is_forgotten"),
    ),
    # --- wake-ups
    Mutant(
        "a parked runtime is not woken",
        "engine/entry_state.py",
        "            self.host.wake(self)\n            self.parked = False",
        "            self.parked = False",
        (COMMANDS, "-k", "pause"),
    ),
    Mutant(
        "a runtime that went to rest is not woken",
        "engine/entry_state.py",
        "        self.scheduled = False\n        if len(self.mailbox) and",
        "        if len(self.mailbox) and",
        ("tests/engine/test_handoff.py", "-k", "not_next"),
    ),
    Mutant(
        "other threads wake the loop only once",
        "engine/loop_host.py",
        "        with self.lock:\n            self._waking = False\n",
        "",
        ("tests/engine/test_handoff.py", "-k", "another_thread_lends_nothing"),
    ),
    Mutant(
        "a step is never used up",
        "engine/entry_state.py",
        "        self.steps -= 1\n",
        "",
        (COMMANDS, "-k", "step"),
    ),
    # --- the run: its fate, its count, its context
    Mutant(
        "acknowledged before it is run",
        "engine/entry.py",
        "                limit = activity.timeout or self.timeout\n",
        "                activity.receipt._decide(\n"
        "                    Outcome(\n"
        "                        0, activity.id, self.id, False, 'done', started, started, started, self.state\n"
        "                    )\n"
        "                )\n"
        "                limit = activity.timeout or self.timeout\n",
        (SEMANTICS, "-k", "workflow_raises"),
    ),
    Mutant(
        "an activity is counted twice",
        "engine/entry.py",
        "            self.done += 1\n",
        "            self.done += 2\n",
        (SEMANTICS, "-k", "workflow_raises"),
    ),
    Mutant(
        "the receipt of a failure stays open",
        "engine/failure.py",
        "    finally:\n        entry.decide(activity, outcome)\n\n\ndef _tag_error",
        "    finally:\n        pass\n\n\ndef _tag_error",
        (SEMANTICS, "-k", "workflow_raises"),
    ),
    Mutant(
        "a BaseException is not retried",
        "engine/entry.py",
        "                except BaseException as error:\n                    await handle_failure",
        "                except Exception as error:\n                    await handle_failure",
        (FAILURE, "-k", "base_exception_is_retried"),
    ),
    Mutant(
        "what an activity leaves in its context reaches the next",
        "engine/entry.py",
        "if task.is_cancelled_once or variables != base or self.closed:",
        "if task.is_cancelled_once or self.closed:",
        (SEMANTICS, "-k", "context_never_leaks"),
    ),
    Mutant(
        "what a sender has in its context reaches the workflow",
        "engine/handoff.py",
        "        self.variables = Variables()\n",
        '        self.variables = __import__("contextvars").copy_context()\n',
        (SEMANTICS, "-k", "context_of_the_sender"),
    ),
    # --- timeouts and retries
    Mutant(
        "a late result counts",
        "engine/entry.py",
        "                    if finished > self.deadline and host.deadlines.is_late(self, finished):\n"
        "                        raise DeadlinePassed\n",
        "",
        (SEMANTICS, "-k", "timeout_fences"),
    ),
    Mutant(
        "a fate may be decided twice",
        "engine/failure.py",
        "    if activity.receipt.value is not None:\n        if entry.unstick():\n"
        '            entry.record_event("unstuck")\n        return None\n',
        "",
        (SEMANTICS, "-k", "stuck"),
    ),
    Mutant(
        "nobody looks for what is late",
        "engine/deadlines.py",
        "                expire(entry, now)",
        "                pass",
        (SEMANTICS, "-k", "timeout_cancels"),
    ),
    Mutant(
        "a deadline is not disarmed for the next activity",
        "engine/entry.py",
        "self.deadline = INFINITY if limit is None else host.deadlines.arm(started + limit)",
        "self.deadline = self.deadline if limit is None else host.deadlines.arm(started + limit)",
        (FAILURE, "-k", "interrupted_by_what_it_asks"),
    ),
    Mutant(
        "a deadline goes on during the wait for a retry",
        "engine/failure.py",
        '    entry.set_deadline(math.inf)\n    entry.record_event("retry"',
        '    entry.record_event("retry"',
        MACHINE,
    ),
    Mutant(
        "retries never end",
        "engine/failure.py",
        "        if attempts > entry.limits.retries:",
        "        if attempts > 1000:",
        (SEMANTICS, "-k", "retries_come_to_an_end"),
    ),
    # --- supervision
    Mutant(
        "failures are never too long ago",
        "supervision.py",
        "recent = sum(1 for at in failures if now - at <= supervision.period)",
        "recent = len(failures)",
        (SEMANTICS, "-k", "restart_limit"),
    ),
    Mutant(
        "a restart keeps the state",
        "engine/failure.py",
        "    entry.reset(copy_out_always(entry.initial, entry.limits.copy_state))\n",
        "    entry.reset(entry.state)\n",
        (SEMANTICS, "-k", "restart_limit"),
    ),
    # --- the end
    Mutant(
        "receipts are forgotten on terminate",
        "engine/commands.py",
        "            decide_fate(entry, activity, Fate.DEAD, None, error=_termination_error(entry, activity))\n",
        "",
        (SEMANTICS, "-k", "terminate"),
    ),
    Mutant(
        "dead letters are forgotten",
        "engine/commands.py",
        '            entry.dead_letter(activity, "its runtime was terminated")\n',
        "",
        (SEMANTICS, "-k", "terminate_resolves"),
    ),
    Mutant(
        "what is delayed is forgotten on terminate",
        "engine/mailbox.py",
        "waiting = self.items()",
        "waiting = [*self]",
        (SEMANTICS, "-k", "terminate_resolves"),
    ),
    Mutant(
        "a drain never ends",
        "engine/entry.py",
        "        if self.draining or self.closed:\n            self.host.leave(self)\n",
        "        if self.draining or self.closed:\n",
        (SEMANTICS, "-k", "drain"),
    ),
    Mutant(
        "a terminated runtime takes its counts with it",
        "runtime_map.py",
        "        self._retired = retired  # with",
        "        # with",
        (MANAGER, "-k", "outlive"),
    ),
    # --- time, the record, grants, asks
    Mutant(
        "a change of speed leaves the timers as they were",
        "clock.py",
        "            timers.rearm()\n",
        "            pass\n",
        ("tests/test_clock.py", "-k", "speed_knob"),
    ),
    Mutant(
        "the ring hides what it has let go",
        "events.py",
        "max(cursor, base) + len(records), max(0, base - cursor)",
        "max(cursor, base) + len(records), 0",
        ("tests/test_events.py", "-k", "let_go"),
    ),
    Mutant(
        "what was derived from a revoked grant stays",
        "grants.py",
        "            todo += tuple(grant._derived)\n",
        "",
        ("tests/test_grants.py", "-k", "outlive_the_revocation"),
    ),
    Mutant(
        "who waits lends its turn for ever",
        "engine/handoff.py",
        "                budget.count += 1\n",
        "",
        ("tests/engine/test_handoff.py",),
    ),
    Mutant(
        "what a handed-over activity waits for is forgotten when it is cancelled",
        "engine/handoff.py",
        "                    _cancel(asked)\n",
        "",
        ("tests/engine/test_handoff.py",),
    ),
    Mutant(
        "a lent turn runs in the context of the lender",
        "engine/handoff.py",
        "self.variables.run(self.process.send, None)",
        "self.process.send(None)",
        ("tests/engine/test_handoff.py",),
    ),
    Mutant(
        "a lent turn runs as the task of the lender",
        "engine/handoff.py",
        "            set_current_task(loop, self.task)\n",
        "            pass\n",
        ("tests/engine/test_handoff.py",),
    ),
    Mutant(
        "circles of asks are not looked for",
        "engine/deadlock.py",
        "            if chain is None:",
        "            if True:",
        (SEMANTICS, "-k", "ask_to_self"),
    ),
    Mutant(
        "what can't be waited for is sent all the same",
        "engine/entry.py",
        "            with self.register_wait():  # before",
        "            if True:  # before",
        ("tests/engine/test_deadlock.py", "-k", "is_not_sent"),
    ),
    Mutant(
        "a task is taken for whatever its runtime does now",
        "engine/detached_tasks.py",
        "            context.run(CURRENT.set, Branch(entry, activity))\n",
        "",
        ("tests/engine/test_deadlock.py", "-k", "outlives"),
    ),
    # --- who gets in to the served dashboard
    Mutant(
        "a foreign host name is answered",
        "views/server/gate.py",
        "        if host_name(way.host) not in self.auth.hosts:\n",
        "        if not way.host:\n",
        ("tests/views/server/test_server.py", "-k", "foreign_host"),
    ),
    Mutant(
        "a viewer connects to the session of an operator",
        "views/server/gate.py",
        "visit.role not in (Role.OPERATOR, session)",
        "visit.role is None",
        ("tests/views/server/test_gate.py", "-k", "higher_one_only"),
    ),
    Mutant(
        "the token of a link stays in the request",
        "views/server/gate.py",
        '        if name != "token":\n',
        "        if True:\n",
        ("tests/views/server/test_gate.py", "-k", "neither_token_nor_cookie"),
    ),
    Mutant(
        "the viewer's link takes the operator's cookie",
        "views/server/auth.py",
        "role is not None and by_cookie is not Role.OPERATOR",
        "role is not None",
        ("tests/views/server/test_gate.py", "-k", "viewers_link"),
    ),
    Mutant(
        "a forwarded header is believed from anybody",
        "views/server/proxies.py",
        "    if address not in proxies:\n",
        "    if False:\n",
        ("tests/views/server/test_proxies.py", "-k", "was_told_to_believe"),
    ),
    Mutant(
        "a body is waited for",
        "views/server/gate.py",
        'headers.get("Content-Length", "0") != "0" or ',
        "",
        ("tests/views/server/test_gate.py", "-k", "body and GET"),
    ),
    # --- the feed between two processes
    Mutant(
        "a reader of another user is let in",
        "feed/offer.py",
        "        if uid is not None and uid != os.getuid():\n",
        "        if uid is None:\n",
        ("tests/feed/test_offer.py", "-k", "reader_of_another_user"),
    ),
    Mutant(
        "the socket is for everybody",
        "feed/offer.py",
        "        path.chmod(0o600)\n",
        "        path.chmod(0o666)\n",
        ("tests/feed/test_offer.py", "-k", "is_its_owners"),
    ),
    Mutant(
        "a frame may be of any length",
        "feed/offer.py",
        "        if length > most:\n",
        "        if not most:\n",
        ("tests/feed/test_offer.py", "-k", "is_no_hello"),
    ),
    Mutant(
        "a reader may ask for any amount at once",
        "feed/answers.py",
        "            if left < 0 or time.thread_time() > until:\n",
        "            if left is None:\n",
        ("tests/feed/test_offer.py", "-k", "too_much_at_once"),
    ),
    Mutant(
        "there is no bound on readers",
        "feed/offer.py",
        "        if len(self.readers) >= MOST_READERS and not self._make_room():\n",
        "        if not MOST_READERS:\n",
        ("tests/feed/test_offer.py", "-k", "only_so_many"),
    ),
    Mutant(
        "what one reader asks for ends the feed of all",
        "feed/offer.py",
        "        except ProtocolError as error:\n            self.offer.drop(self, str(error))\n",
        "        except ProtocolError:\n            self.offer.close()\n",
        ("tests/feed/test_offer.py", "-k", "concerns_its_reader"),
    ),
    Mutant(
        "a reader of another version is answered",
        "feed/greeting.py",
        "    if hello.version != VERSION:\n",
        "    if not hello.version:\n",
        ("tests/feed/test_offer.py", "-k", "another_version"),
    ),
    Mutant(
        "any token will do",
        "feed/greeting.py",
        "    if offer.record.token and not hmac.compare_digest(\n",
        "    if not offer.record and not hmac.compare_digest(\n",
        ("tests/feed/test_offer.py", "-k", "tcp_with_a_token"),
    ),
    Mutant(
        "a viewer gives commands",
        "feed/entrance.py",
        "    if role is not Role.OPERATOR:\n",
        "    if role is None:\n",
        ("tests/feed/test_offer.py", "-k", "viewer_can_give_no_command"),
    ),
    Mutant(
        "a blocked loop owes nothing",
        "feed/pulse.py",
        "        return time.monotonic() - asked\n",
        "        return 0.0\n",
        ("tests/feed/test_remote.py", "-k", "blocked_loop"),
    ),
    Mutant(
        "what was known of a manager is kept for the next one",
        "feed/link.py",
        "        self._fresh = welcome.instance != self._instance\n",
        "        self._fresh = not self._instance\n",
        ("tests/feed/test_remote.py", "-k", "killed"),
    ),
    Mutant(
        "a manager that is gone is not said to be",
        "feed/link.py",
        "        self.lost, self.pause = why, RETRY\n",
        "        self.pause = RETRY\n",
        ("tests/feed/test_remote.py", "-k", "killed"),
    ),
    Mutant(
        "a dead socket stays on the list",
        "discovery.py",
        "            remove(path)\n",
        "            continue\n",
        ("tests/feed/test_remote.py", "-k", "stale_record"),
    ),
    # --- a journal file that is looked at
    Mutant(
        "a file that is held is looked at",
        "journal/location.py",
        "        if self.is_held():\n            raise",
        "        if False:\n            raise",
        (RECORDED, "-k", "is_held"),
    ),
    Mutant(
        "a runtime that was stopped is idle in its file",
        "feed/recorded.py",
        'stored.supervision.get("failed")',
        'stored.supervision.get("none")',
        (RECORDED, "-k", "file_of_a_manager"),
    ),
    Mutant(
        "what happened in a file is dated by when it was written last",
        "feed/recorded.py",
        "if now > SINCE_1970 else",
        "if now < 0 else",
        (RECORDED, "-k", "file_of_a_manager"),
    ),
    Mutant(
        "what retention has written again is accepted again",
        "feed/stored_records.py",
        "if not known and not row.again:",
        "if not known:",
        ("tests/feed/test_stored_records.py", "-k", "wrote_again"),
    ),
    Mutant(
        "records of a file have numbers of activities",
        "feed/stored_records.py",
        "self._add(last_activity + position, row)",
        "self._add(position, row)",
        ("tests/feed/test_stored_records.py", "-k", "one_number"),
    ),
    # --- what is durable
    Mutant(
        "what a workflow sends is stored before its commit",
        "engine/durable_entry.py",
        "            return sender if sender.current is not None else None",
        "            return None",
        (DURABLE, "-k", "stored_with_its_commit"),
    ),
    Mutant(
        "what a workflow sends is not stored with its commit",
        "engine/durable_entry.py",
        "sent=tuple(each.entry._put_last(each.activity, each.accepted) for each in made.sent)",
        "sent=()",
        (DURABLE, "-k", "stored_with_its_commit"),
    ),
    Mutant(
        "what a failed activity has sent is kept for the next attempt",
        "engine/durable_entry.py",
        "        self._discard_outbox()\n        at = self.host",
        "        at = self.host",
        (DURABLE, "-k", "attempt_that_failed"),
    ),
    Mutant(
        "a receipt is decided before its commit is stored",
        "engine/durable_receipt.py",
        "if self.is_stored and self.receipt is not None:",
        "if self.receipt is not None:",
        ("tests/engine/test_kills.py",),
    ),
    Mutant(
        "a send does not wait until it is stored",
        "engine/durable_entry.py",
        "            await receipt.stored()\n        return receipt",
        "            pass\n        return receipt",
        ("tests/engine/test_kills.py",),
    ),
    Mutant(
        "an effect is done again after a restart",
        "engine/effects.py",
        "if done is None and activity.id <= storage.last_resumed:",
        "if done is None and activity.id < 0:",
        (DURABLE, "-k", "effect_is_not_done_again"),
    ),
    Mutant(
        "retries begin again after a restart",
        "engine/resume.py",
        "    if waiting.attempts:\n",
        "    if waiting.attempts < 0:\n",
        (DURABLE, "-k", "retries_are_counted"),
    ),
    Mutant(
        "limits that were changed by hand are forgotten",
        "engine/resume.py",
        "limits = unpack_limits(entry.given, stored.limits)",
        "limits = entry.given",
        (DURABLE, "-k", "limits_that_were_changed"),
    ),
    Mutant(
        "a pause is not stored",
        "engine/durable_entry.py",
        "self._change(paused=True)",
        "self._change()",
        (DURABLE, "-k", "what_waits_is_processed"),
    ),
    Mutant(
        "what waits at the end of a manager is dead in its file",
        "engine/durable_entry.py",
        "elif self.host.closed and outcome.kind in",
        "elif outcome.kind in",
        (DURABLE, "-k", "terminated_runtime_is_gone"),
    ),
    Mutant(
        "a state of another type is taken",
        "engine/resume.py",
        "    if problem is not None:\n",
        "    if problem is None and not problem == problem:\n",
        (DURABLE, "-k", "fits_no_longer"),
    ),
    Mutant(
        "ids begin again after a restart",
        "manager.py",
        "count(1 if self.journal is None else self.journal.last_activity + 1)",
        "count(1)",
        (DURABLE, "-k", "ids_go_on"),
    ),
    Mutant(
        "the clock begins again after a restart",
        "stored_runtimes.py",
        "ahead = max(now, self.journal.last_time) - source()",
        "ahead = 0.0",
        ("tests/test_stored_runtimes.py", "-k", "clock_goes_on"),
    ),
)
