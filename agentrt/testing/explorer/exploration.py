"""What an exploration has found, and how to run a schedule again."""

from __future__ import annotations

import gc
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args

from ...errors import AgentError, ConfigurationError
from ...schema.numbers import refuse
from ...schema.numbers import seed as check_seed
from .diagram import draw_schedule, print_schedule
from .faults import Fault, check_faults
from .ground import Ground, Scenario
from .recorded_test import write_replay
from .reduction import Reduction
from .schedule import Schedule, required_length, shortest_order, write_schedule
from .strategies import EveryOrder, Following, PriorityChanges, RandomWalk
from .trial import Trial
from .verdict import Verdict

__all__ = ["Exploration", "ScheduleError", "ScheduleFailure", "Strategy", "explore", "replay"]

Strategy = Literal["dpor", "random", "pct", "all"]
STRATEGIES = {"dpor": Reduction, "random": RandomWalk, "pct": PriorityChanges, "all": EveryOrder}
MOST_RESULTS = 1_000
PROGRESS_EVERY = 0.2  # seconds
Progress = Callable[["Exploration"], object]


class ScheduleError(AgentError):
    """What went wrong under a schedule, where there is no exception of the scenario's own: a deadlock, a lost reply."""

    tag = "schedule"


class ScheduleFailure:
    """A failure, and the shortest schedule with the fewest switches that leads to it.

    Attributes:
        kind: "assertion", "error", "unhandled error", "deadlock" or "lost reply".
        text: What was wrong, in a line.
        error: The exception; None for a deadlock and for a lost reply.
        schedule: The steps that lead to it.
    """

    def __init__(self, scenario: Scenario, options: dict[str, Any], verdict: Verdict, schedule: Schedule) -> None:
        self.scenario = scenario
        self.options = options
        self.kind, self.text, self.error = verdict.kind, verdict.text, verdict.error
        self.schedule = self.whole = schedule

    def replay(self) -> None:
        """Run the schedule again: raise what it raises.

        Raises:
            BaseException: What the scenario raises under this schedule.
            ScheduleError: It ends in a deadlock, or a reply is lost.
        """
        replay(self.scenario, self.schedule.names, **self.options)

    def record_test(self, path: str | Path) -> Path:
        """Write a pytest file that runs this schedule: it fails until the fault is mended.

        A scenario of a module is imported; of one that was defined in a notebook or in a function the file has the
        source, with what that names.

        Args:
            path: The file, such as "test_overdraft.py"; one that is there is replaced.

        Raises:
            ConfigurationError: The scenario uses an object that has no source and is no literal.
        """
        return write_replay(path, self.scenario, self.kind, self.text, self.schedule, self.options)

    @property
    def diagram(self) -> str:
        """The schedule as a sequence diagram in text, a column for each process."""
        return print_schedule(self.schedule)

    def _repr_html_(self) -> str:
        head = f"<b>{escape(self.kind)}</b> {escape(self.text)}"
        return f"<div>{head}{draw_schedule(self.schedule, f'{self.kind}: {self.text}')}</div>"

    def __repr__(self) -> str:
        return f"<{self.kind}: {self.text}; {len(self.schedule)} steps, {self.schedule.switches} switches>"

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}\n{self.schedule}"


class Exploration:
    """What `explore` has found.

    Attributes:
        strategy: How the orders were chosen.
        schedules: How many schedules were run to their end.
        given_up: How many more were given up on the way, as each way to go on was tried already.
        failing: How many of the schedules have failed.
        cut: How many of the schedules were cut because they went on for too long.
        complete: Whether every order that makes a difference was run.
        failures: What was found, the shortest schedule first, and of those the one with the fewest switches.
        shared: Objects that one process changes and others reach, by their names: who reaches them. Their steps were
            put in every order as well.
        unseen: Names of objects that hold so much that not all of it was looked at.
        results: What the scenario has returned, each value once, up to 1,000 of them.
        seconds: How long it took.
    """

    def __init__(self, scenario: Scenario, strategy: str) -> None:
        self.scenario = scenario
        self.strategy = strategy
        self.schedules = self.given_up = self.failing = self.cut = 0
        self.complete = False
        self.failures: list[ScheduleFailure] = []
        self.shared: dict[str, set[str]] = {}
        self.unseen: set[str] = set()
        self.results: list[Any] = []
        self.result_keys: set[Any] = set()
        self.seconds = 0.0

    @property
    def rate(self) -> float:
        """Schedules in a second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    def check(self) -> None:
        """Raise the first failure, if there is one, with its schedule as a note.

        Raises:
            BaseException: What the scenario raises under the first schedule.
            ScheduleError: It ends in a deadlock, or a reply is lost.
        """
        for failure in self.failures[:1]:
            try:
                failure.replay()
            except BaseException as error:
                error.add_note(f"found after {self.schedules:,} schedules:\n{failure.schedule}")
                raise
            raise ScheduleError(f"{failure.text}; the schedule could not be run again")

    def _repr_html_(self) -> str:
        head = f"<pre>{escape(repr(self))}</pre>"
        return head + "".join(failure._repr_html_() for failure in self.failures[:1])

    def __repr__(self) -> str:
        extent = "complete" if self.complete else "not complete"
        found = f"{len(self.failures)} failures" if len(self.failures) != 1 else "1 failure"
        text = (
            f"<Exploration {self.strategy}: {self.schedules:,} schedules, {extent}, "
            f"{found if self.failures else 'no failure'}, {self.seconds:.2g} s ({self.rate:,.0f}/s)>"
        )
        cut = [f"  went on for too long, and were cut: {self.cut:,}"] if self.cut else []
        shared = [f"  {name} is changed and shared by {', '.join(sorted(who))}" for name, who in self.shared.items()]
        return "\n".join([text, *cut, *(f"  {failure!r}" for failure in self.failures[:5]), *shared[:5]])


def explore(
    scenario: Scenario,
    budget: int | float = 10_000,
    strategy: Strategy = "dpor",
    seed: int = 0,
    *,
    early_timers: bool = False,
    faults: Fault | Iterable[Fault] = (),
    progress: Progress | None = None,
) -> Exploration:
    """Run a scenario under every order of delivery that can make a difference.

    It is run again and again, each time with a new manager on virtual time. Its steps (what a task or a workflow does
    from one `await` to the next, what a runtime takes) are put in another order each time. Two orders that only differ
    in steps that have nothing to do with each other are one.

    Args:
        scenario: An `async def` that is given a manager. An assertion that fails in it, an error, a deadlock, an error
            of an activity that nobody awaits, and a reply that never comes are failures.
        budget: How many schedules, as an int, or seconds, as a float.
        strategy: "dpor" tries every order once, "random" any, "pct" those with few changes of priority, which finds
            more in a scenario that is too large for all. "all" is every order of all steps, to compare with.
        seed: Of the managers' `ctx.random`, of `random`, and of the random strategies.
        early_timers: Whether a timer may be due before what is ready has run, as on a slow machine. Else time passes
            only while nothing is ready.
        faults: What may go wrong besides, in some place of each schedule, once: "crash" (the manager has a journal,
            everything ends as by `kill -9`, and the scenario is run again on what is durable), "duplicate" (an activity
            is delivered twice), "lost_timer" (a delayed activity is never due). First it is explored without any.
        progress: Called now and then with what was found so far.

    Raises:
        ConfigurationError: An argument can't work.

    >>> import asyncio
    >>> async def scenario(manager):
    ...     async def add(activity, state):
    ...         return state + activity.payload
    ...
    ...     async def client():
    ...         balance = await account.ask(0)
    ...         await account.ask(100 - balance)
    ...
    ...     account = manager.create("account", 0, add)
    ...     await asyncio.gather(client(), client())
    ...     assert account.state <= 100, account.state
    >>> found = explore(scenario)
    >>> found.complete, found.failures[0].text
    (True, 'AssertionError: 200')
    """
    if strategy not in get_args(Strategy):
        raise refuse("strategy", strategy, ", ".join(map(repr, get_args(Strategy))))
    _check_scenario(scenario)
    options: dict[str, Any] = {"seed": check_seed("seed", seed) or 0, "early_timers": early_timers}
    names = check_faults(faults)
    most, until = _limits(budget)
    found = Exploration(scenario, strategy)
    complete = True
    with _collect_new_objects_only(), _without_logs():
        for fault in (None, *names):
            options = {**options, "faults": () if fault is None else (fault,)}
            ground = Ground(scenario, **options)
            try:
                _Search(ground, found, options, STRATEGIES[strategy](ground), progress).run(most, until)
            finally:
                ground.close()
            complete = complete and found.complete
    found.complete = complete
    return found


@contextmanager
def _collect_new_objects_only() -> Iterator[None]:
    """Each trial leaves circles of objects: the garbage collector need not look at all others each time."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _without_logs() -> Iterator[None]:
    """What fails in a thousand trials is not logged a thousand times; a replay logs it."""
    loggers = [logging.getLogger(name) for name in ("agentrt", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_scenario(scenario: Any) -> None:
    function = scenario
    while isinstance(function, partial):
        function = function.func
    if not inspect.iscoroutinefunction(function):
        raise refuse("scenario", scenario, "an `async def` that takes a manager")


def _limits(budget: float) -> tuple[float, float]:
    """How many schedules, and how many seconds."""
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
        raise refuse("budget", budget, "a number of schedules, such as 10_000, or seconds as a float, such as 5.0")
    return (budget, float("inf")) if isinstance(budget, int) else (float("inf"), budget)


class _Search:
    """One schedule after the other, and the best one for each failure."""

    def __init__(
        self, ground: Ground, found: Exploration, options: dict[str, Any], chooser: Any, progress: Progress | None
    ) -> None:
        self.ground, self.found, self.options = ground, found, options
        self.chooser, self.progress = chooser, progress
        self.best: dict[tuple[object, ...], ScheduleFailure] = {}

    def run(self, most: float, seconds: float) -> None:
        """Run at most so many schedules, for at most so many seconds."""
        found, started = self.found, time.monotonic() - self.found.seconds
        shown = started
        if not found.schedules:
            self._check_repeats()
        while not self.chooser.is_complete and found.schedules < most:
            self._run_one()
            now = time.monotonic()
            found.seconds = now - started
            if found.seconds > seconds:
                break
            if self.progress is not None and now - shown > PROGRESS_EVERY:
                shown = now
                self.progress(found)
        for failure in self.best.values():
            self._confirm(failure)
        found.complete = self.chooser.is_complete and not found.cut
        found.failures = sorted([*found.failures, *self.best.values()], key=_length)

    def _check_repeats(self) -> None:
        """Raise `ConfigurationError` where the same order of steps does not lead to the same steps again."""
        runs = []
        for _ in range(2):
            run = Trial(self.ground, Following(()).choose)
            run.execute()
            steps = [(taken.pid, [(what, runtime) for what, runtime, _ in taken.acts]) for taken in run.steps]
            runs.append((steps, run.verdict and run.verdict.kind))
            run.dispose()
        if runs[0] != runs[1]:
            raise self._explain_divergence()

    def _explain_divergence(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self.ground.names.labels[1]} does not do the same again when its steps come in the same order; it "
            "reads a clock, a file, a random generator or the order of a set, or keeps something from run to run"
        )

    def _run_one(self) -> None:
        run = Trial(self.ground, self.chooser.choose)
        run.execute()
        if run.diverged:
            raise self._explain_divergence()
        self._note_sharing(run)
        if run.given_up:
            self.found.given_up += 1
        else:
            self.found.schedules += 1
            self.found.cut += run.cut
        if run.verdict is not None:
            self.found.failing += 1
            self._keep(run, run.verdict)
        elif not run.given_up and run.result is not None:
            self._keep_result(run.result)
        self.chooser.learn(run)
        run.dispose()

    def _note_sharing(self, run: Trial) -> None:
        labels = self.ground.names.labels
        for name, tracked in run.sharing.changed.items():
            self.found.shared.setdefault(name, set()).update(labels[pid] for pid in tracked.pids)
        self.found.unseen |= run.sharing.unseen

    def _keep_result(self, result: Any) -> None:
        try:
            key: Any = hash(result), result
        except TypeError:
            key = repr(result)
        if key not in self.found.result_keys and len(self.found.results) < MOST_RESULTS:
            self.found.result_keys.add(key)
            self.found.results.append(result)

    def _keep(self, run: Trial, verdict: Verdict) -> None:
        """Keep the shortest schedule of each failure, and of those the one with the fewest switches."""
        best = self.best.get(verdict.place)
        if best is not None and required_length(run, verdict.step) > len(best.schedule):
            return
        new = ScheduleFailure(
            self.ground.scenario, self.options, verdict, write_schedule(run, shortest_order(run, verdict.step))
        )
        new.whole = write_schedule(run, range(len(run.steps)))
        if best is None or _length(new) < _length(best):
            self.best[verdict.place] = new

    def _confirm(self, failure: ScheduleFailure) -> None:
        """Take the whole run for the schedule where the short one does not lead to the same failure."""
        following = Following(failure.schedule.names)
        run = Trial(self.ground, following.choose)
        run.execute()
        if following.strayed is not None or run.verdict is None or run.verdict.kind != failure.kind:
            failure.schedule = failure.whole
        run.dispose()


def _length(failure: ScheduleFailure) -> tuple[int, int]:
    return len(failure.schedule), failure.schedule.switches


def replay(
    scenario: Scenario,
    schedule: Sequence[str],
    *,
    seed: int = 0,
    early_timers: bool = False,
    faults: Fault | Iterable[Fault] = (),
    strict: bool = False,
) -> None:
    """Run a scenario under one schedule.

    Where the scenario is another one now and has no such step, the schedule goes on with the next; after its end,
    whoever can goes on.

    Args:
        scenario: An `async def` that is given a manager.
        schedule: The process that takes each step: `failure.schedule.names`.
        seed: As it was explored with; so is `early_timers`.
        early_timers: See `explore`.
        faults: See `explore`.
        strict: Whether a step that can't be taken is an error.

    Raises:
        BaseException: What the scenario raises under this schedule.
        ScheduleError: It ends in a deadlock, or a reply is lost; or a step can't be taken, if `strict`.
    """
    _check_scenario(scenario)
    ground = Ground(scenario, check_seed("seed", seed) or 0, early_timers, check_faults(faults))
    following = Following(schedule)
    try:
        run = Trial(ground, following.choose)
        run.execute()
        run.dispose()
    finally:
        ground.close()
    if strict and following.strayed is not None:
        name = schedule[following.strayed]
        raise ScheduleError(f"step {following.strayed + 1} of the schedule can't be taken: {name!r} has nothing to do")
    if run.verdict is None:
        return
    if run.verdict.error is not None:
        raise run.verdict.error
    raise ScheduleError(f"{run.verdict.kind}: {run.verdict.text}")
