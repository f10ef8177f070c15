"""One run of a scenario: which steps are ready, one step after the other, and what each has touched."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...asyncio_compat import set_loop_thread
from ...engine.handoff import ProcessingTask
from .callbacks import callback_of, counts_only, function_label, is_inner, may_take
from .footprint import Footprint
from .ground import Ground, Taken
from .processes import CLOCK, Process
from .shared import roots_of_coroutine, roots_of_function
from .step_notes import StepNotes
from .tasks import ExploredFuture, ExploredTask
from .verdict import Verdict, judge
from .world import ExploredManager

if TYPE_CHECKING:
    pass

__all__ = ["Trial"]

LATE = {"_report_failure", "_jump_when_idle"}  # callbacks that look whether anything else comes first


class Trial(StepNotes):
    """One run. `choose(run, ready)` gives the process that takes the next step, or None to give the run up."""

    def __init__(self, ground: Ground, choose: Callable[[Trial, list[int]], int | None]) -> None:
        super().__init__(ground)
        self.choose = choose
        self.steps: list[Taken] = []
        self.ready: dict[int, asyncio.Handle] = {}
        self.verdict: Verdict | None = None
        self.result: Any = None  # what the scenario has returned
        self.late: list[asyncio.Handle] = []
        self.given_up = self.cut = self.diverged = False
        self.flushes: list[Any] = []  # of the journal, that are due
        self.abandoned: list[Any] = []  # the managers that a crash has ended
        self.dropped: list[Process] = []  # the processes that a crash has ended

    # ---- the run

    def execute(self) -> None:
        """Run the scenario until nothing is left to do, or until the choice is to give up."""
        loop: Any = self.loop
        loop.start(self)
        state = random.getstate()
        random.seed(self.ground.seed)
        outer = asyncio._get_running_loop()  # of a notebook, or of whoever explores in an `async def`
        asyncio._set_running_loop(loop)
        set_loop_thread(loop, threading.get_ident())
        try:
            self._begin()
            while self._take_step():
                pass
            if not (self.given_up or self.cut or self.diverged):
                self.verdict = judge(self)
                self.result = asyncio.Task.result(self.main) if self.verdict is None else None
            self._finish()
        finally:
            set_loop_thread(loop, None)
            asyncio._set_running_loop(outer)
            random.setstate(state)

    def _begin(self) -> None:
        self.manager = ExploredManager(self, self.ground.seed, self._make_journal(None))
        self._begin_scenario()
        if "crash" in self.ground.faults:
            self.offer_fault(("crash",), "crash", self._crash)

    def _make_journal(self, log: Any) -> Any:
        if "crash" not in self.ground.faults:
            return None
        from .durable_world import ExploredJournal

        return ExploredJournal(self, log)

    def _begin_scenario(self) -> None:
        self.main: Any = ExploredTask(self.ground.scenario(self.manager), loop=self.loop, name="scenario")
        self._adopt(self.main, self.main_pid)
        self._sort_ready()

    def _crash(self) -> None:
        """End everything, as `kill -9` does, and begin again with what is durable."""
        self.writes |= self.keys.bit("journal")
        self.dropped += self.processes.values()
        log = self.manager.journal.log  # type: ignore[union-attr]
        self.manager.abandon()
        before = (self.processes, self.ready, self.processing, self.waiting, self.arrived, self.decided, self.joins)
        for found in before:
            found.clear()
        for lists in (self.outcomes, self.late, self.errors, self.flushes, self.loop._scheduled):
            lists.clear()
        self.appended.clear()
        self.processes[CLOCK] = Process(CLOCK)
        self.main_pid = self.pid = self.ground.names.number(
            ("main", "again"), f"{function_label(self.ground.scenario)} again"
        )
        self.manager = ExploredManager(self, self.ground.seed, self._make_journal(log))
        self._begin_scenario()
        self.processes[self.main_pid].cause = (self.here << 1) - 1  # nothing of before can come after

    def _finish(self) -> None:
        self.quiet = True
        for manager in (*self.abandoned, self.manager):
            manager.discard()
        for process in (*self.dropped, *self.processes.values()):
            if not isinstance(process.task, ExploredTask):
                continue
            if asyncio.Task.done(process.task):
                process.task._log_traceback = False  # it was judged; the collector would report it in a later trial
            else:
                process.task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(RuntimeError):  # it goes on for all that it is closed
                    process.task.get_coro().close()

    def dispose(self) -> None:
        """Let go of what happened: the collector does not see activities, and so no circle that one is in."""
        self.steps.clear()
        self.outcomes.clear()
        self.acts = []
        for manager in (*self.abandoned, self.manager):
            manager.forget_activities()

    def _take_step(self) -> bool:
        """Take one step; False if there is none, or none is wanted."""
        pids = self._find_ready()
        if not pids:
            return False
        if len(self.steps) >= self.ground.most_steps:
            self.cut = True
            return False
        pid = self.choose(self, pids)
        if pid is None:
            self.given_up = True
            return False
        self._step(pid)
        return True

    def _find_ready(self) -> list[int]:
        """The processes that can take a step."""
        while True:
            for pid in [pid for pid, handle in self.ready.items() if handle._cancelled]:
                del self.ready[pid]
                self.prevented.append((self.index, pid))
            has_timer = not self._is_over() and self.loop.next_timer() < math.inf
            if self.ready:
                is_early = has_timer and self.ground.early_timers
                return [*self.ready, CLOCK, *self.faults] if is_early else [*self.ready, *self.faults]
            if self.late:
                late, self.late = self.late, []
                for handle in late:
                    handle._run()
                self._sort_ready()
            else:
                faults = [] if self._has_failed() else [*self.faults]
                return [CLOCK, *faults] if has_timer else faults

    def _is_over(self) -> bool:
        return asyncio.Task.done(self.main)

    def _flush(self) -> None:
        """The journal stores: after those who have appended. Of one alone it would not run without that one."""
        self.writes |= self.keys.bit("journal")
        if len(self.appended) == 1:
            self.cause |= sum(1 << step for step in self.appended)
        self.appended.clear()
        flushes, self.flushes = self.flushes, []
        for handle in flushes:
            handle._run()

    def _has_failed(self) -> bool:
        """Whether the scenario has come to a bad end: what goes wrong then is no matter."""
        main: Any = self.main
        if not asyncio.Task.done(main):
            return False
        return asyncio.Task.cancelled(main) or asyncio.Task.exception(main) is not None

    def _step(self, pid: int) -> None:
        process = self.processes[pid]
        self.index, self.pid = len(self.steps), pid
        self.here = 1 << self.index
        self.cause = process.cause | (1 << process.last if process.last >= 0 else 0)
        self.reads, self.writes = process.base, 0
        self.acts, self.has_acted, self.rivals = [], False, 0
        process.cause = 0
        if pid in self.faults:
            self._go_wrong(pid)
        elif pid == CLOCK:
            self._move_clock()
        else:
            handle = self.ready.pop(pid)
            if pid == self.journal_pid:
                self._flush()
            else:
                with suppress(SystemExit):  # asyncio lets it through beside keeping it as the end of the task
                    handle._run()
            task = process.task
            if type(task) is ExploredTask and asyncio.Task.done(task):
                task.completed = self.index
                if task is self.main and self.ground.early_timers and self.loop.next_timer() < math.inf:
                    self.prevented.append((self.index, CLOCK))  # no time passes after the scenario's end
                self.writes |= task.key
        self._sort_ready()
        self.writes |= self.sharing.find_changes(pid)
        process.last = self.index
        self.steps.append(Taken(pid, self.cause, self.rivals, Footprint(self.reads, self.writes), tuple(self.acts)))

    def _go_wrong(self, pid: int) -> None:
        """Once in a run: what else could go wrong does not any more."""
        call = self.faults.pop(pid)
        self.prevented += [(self.index, other) for other in self.faults]
        self.faults.clear()
        self.has_gone_wrong = True
        self.acts.append(("goes wrong", "", None))
        call()

    def _move_clock(self) -> None:
        """Let time pass until the next timer is due. All that is ready has been done, unless timers may come early."""
        if self.ground.early_timers:
            self.writes |= self.keys.bit("clock")
        else:
            self.cause = (1 << self.index) - 1
        for handle in self.loop.take_due(self.loop.next_timer()):
            if is_inner(handle):
                handle._run()
            else:
                self._add_callback(handle, "timer")

    # ---- what has become ready

    def _sort_ready(self) -> None:
        """Have what has become ready wait for its turn; what only passes it on within asyncio is done at once."""
        handles = self.loop._ready
        while handles:
            handle: Any = handles.popleft()
            if handle._cancelled:
                continue
            task = getattr(handle._callback, "__self__", None)
            if isinstance(task, asyncio.Task):
                self._add_task(task, handle)
            elif is_inner(handle):
                self._call_inner(handle)
            elif handle._callback is any:
                self._add_flush(handle)
            else:
                self._add_callback(handle, "callback")

    def _add_flush(self, handle: Any) -> None:
        """The journal makes durable what was appended, in a step of its own."""
        pid = self.ground.names.number(("journal",), "the journal")
        if pid not in self.processes:
            self.processes[pid] = Process(pid)
        self.ready[pid] = handle
        self.journal_pid = pid
        self.flushes.append(handle)

    def _add_task(self, task: Any, handle: Any) -> None:
        entry = self.processing.get(task)
        if entry is not None:
            self._add_processing(entry, task, handle)
            return
        pid = task.pid if type(task) is ExploredTask else -1
        if pid < 0:
            parent = self.processes[self.pid]
            pid = self.ground.names.offspring(parent, f"{getattr(task.get_coro(), '__name__', 'task')}()")
            self._adopt(task, pid)
        self.ready[pid] = handle
        self.processes[pid].cause |= self.here
        self.reads |= self.processes[pid].base  # who cancels it comes before that or after

    def _adopt(self, task: Any, pid: int) -> None:
        keys = self.keys
        if type(task) is ExploredTask:
            task.pid, task.key, task.cancel_key = pid, keys.bit("done", pid), keys.bit("task", pid)
        process = self.processes[pid] = Process(pid, task, keys.bit("task", pid), self.pid)
        process.cause = self.here
        self.sharing.reach(pid, roots_of_coroutine(task.get_coro()))

    def _add_processing(self, entry: Any, task: ProcessingTask, handle: Any) -> None:
        """The task of a runtime: it waits for its turn if it has something to take or to go on with."""
        pid = entry.pid
        process = self.processes.get(pid)
        if process is None:
            base = entry.marks.entry | self.sharing.base_of(pid)
            process = self.processes[pid] = Process(pid, None, base)
            workflow = self.workflows.pop(pid, None)
            if workflow is not None:  # once more: what its closure names may not have been set before
                self.sharing.reach(pid, roots_of_function(workflow))
        if entry.current is not None:
            process.cause |= self.here  # else what it takes says what it comes from
            self.reads |= process.base
        elif not may_take(entry) or entry.task is not task:
            handle._run()
            return
        self.ready[pid] = handle

    def _call_inner(self, handle: Any) -> None:
        """Do what asyncio does after a future is done. What becomes ready by it comes from all that had a part."""
        callback = callback_of(handle)
        if callback.__name__ in LATE:
            self.late.append(handle)
            return
        before = len(self.loop._ready)
        done = handle._args[0] if handle._args else None
        join = self.joins.get(callback, 0) | self.here
        if isinstance(done, ExploredTask | ExploredFuture) and done.completed >= 0:
            join |= 1 << done.completed
        self.joins[callback] = join
        if self.index >= 0 and isinstance(done, asyncio.Future):
            self._note_completion(callback, done)
        self.quiet = True
        handle._run()
        self.quiet = False
        for woken in list(self.loop._ready)[before:]:
            task = getattr(woken._callback, "__self__", None)  # type: ignore[attr-defined]
            if type(task) is ExploredTask and task.pid >= 0:
                self.processes[task.pid].cause |= join
            elif task in self.processing:
                self.processes[self.processing[task].pid].cause |= join
            elif not isinstance(task, asyncio.Task):
                self.joins[callback_of(woken)] = self.joins.get(callback_of(woken), 0) | join

    def _note_completion(self, callback: Any, done: Any) -> None:
        """The order in which several tasks end matters to who waits for the first of them, or for the first error."""
        process = self.processes.get(getattr(done, "pid", -1))
        key = self.keys.bit("join", callback.__qualname__, -1 if process is None else process.parent)
        if counts_only(callback, done):
            self.reads |= key
        else:
            self.writes |= key

    def _add_callback(self, handle: Any, kind: str) -> None:
        name = f"{kind} {getattr(callback_of(handle), '__name__', '')}()"
        pid = self.ground.names.offspring(self.processes[self.pid], name)
        process = self.processes[pid] = Process(pid)
        process.cause = self.here
        self.ready[pid] = handle
