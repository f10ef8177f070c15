# cython: language_level=3, binding=True, auto_pickle=False, embedsignature=False
"""The hot path of a runtime, compiled: sending, taking, running, committing, asking, and the lock around them.

Each function here is the twin of the method with the same name, see `core.py`, and does what that does in the usual
case. Whatever is rare (checks, full lanes, failures, pauses) it hands to the methods written in Python. It works on
the very objects that those work on: the fields of entries, mailboxes and managers are slots, and records are structs
whose fields are slots too, so that both are read and written at their place in memory, which is looked up once.

Nothing between two Python calls can be interrupted here: no thread switch, no signal handler.
"""

cimport cython
from cpython.array cimport array, resize_smart
from cpython.contextvars cimport PyContext_Enter, PyContext_Exit, PyContextVar_Get
from cpython.dict cimport PyDict_SetItem, PyDict_Update
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport Py_NE, PyObject, PyObject_RichCompareBool, PyObject_TypeCheck, PyTypeObject
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

import asyncio
import math
from collections import Counter, deque
from contextvars import copy_context
from sys import hexversion
from time import monotonic
from types import MemberDescriptorType

import msgspec

from ..activity import Activity, Lane, UntrackedActivity
from ..asyncio_compat import current_tasks, forget_destruction
from ..clock import Clock
from ..context import Context
from ..errors import MailboxFullError
from ..events import Outcome, record_parts
from ..metrics import FLUSH_AT as FLUSH_EVERY, Distribution
from ..receipt import DECIDED, Receipt, UntrackedReceipt
from .answer import resume_on_answer
from .core import PURE
from .deadlock import CURRENT
from .entry_state import EntryState
from .failure import DeadlinePassed, handle_failure
from .fields import ENTRY_FIELDS, EntryFields, HostFields, MailboxFields
from .handoff import (
    COMPILED_SLICE, MOST_INLINE, MOST_NESTED, SHORT, SLEEP, SLICE, SLICE_SECONDS, YIELD, Driver, InlineBudget,
    ProcessingTask,
)
from .mailbox import PrioritizedMailbox
from .state_check import check_state

include "_fields.pxi"


# ---- the lock


@cython.final
cdef class ReentrantLock:
    """A reentrant lock, to be used with `with` alone.

    Who owns it is guarded by the interpreter's own lock: nothing in `take` and `release` lets another thread run but
    the waiting. So it takes no call into the system unless somebody waits, on a gate that whoever releases it opens.
    """

    cdef PyThread_type_lock gate  # closed but for the moment from a release until one of those who wait goes through
    cdef unsigned long owner
    cdef Py_ssize_t depth, waiting
    cdef bint is_open

    def __cinit__(self):
        self.gate = PyThread_allocate_lock()
        if self.gate == NULL:
            raise MemoryError
        PyThread_acquire_lock(self.gate, NOWAIT_LOCK)

    def __dealloc__(self):
        if self.gate != NULL:
            if not self.is_open:
                PyThread_release_lock(self.gate)
            PyThread_free_lock(self.gate)

    cdef inline int take(self) except -1:
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.depth:
            if self.owner == me:
                self.depth += 1
                return 0
            self.wait()
        self.owner = me
        self.depth = 1
        return 0

    cdef int wait(self) except -1:
        """Wait until nobody has it, and let signal handlers run meanwhile."""
        cdef int found
        while self.depth:
            self.waiting += 1
            with nogil:  # the one place where another thread may run
                found = PyThread_acquire_lock_timed(self.gate, -1, 1)
            self.waiting -= 1
            if found == 1:
                self.is_open = False
            else:  # interrupted by a signal, whose handler may raise
                PyErr_CheckSignals()
        return 0

    cdef inline int release(self) except -1:
        if not self.depth or self.owner != PyThread_get_thread_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self.depth -= 1
        if self.waiting and not self.depth and not self.is_open:
            self.is_open = True
            PyThread_release_lock(self.gate)
        return 0

    def __enter__(self):
        self.take()
        return True

    def __exit__(self, *_):
        self.release()


cdef inline int take_lock(object lock) except -1:
    if type(lock) is ReentrantLock:
        (<ReentrantLock>lock).take()
    else:
        lock.__enter__()
    return 0


cdef inline int release_lock(object lock) except -1:
    if type(lock) is ReentrantLock:
        (<ReentrantLock>lock).release()
    else:
        lock.__exit__(None, None, None)
    return 0


def make_lock():
    return ReentrantLock()


# ---- numbers


@cython.final
cdef class Numbers:
    """`itertools.count`, of which a number can be drawn without making an object of it."""

    cdef long long following

    def __iter__(self):
        return self

    def __next__(self):
        return draw(self)


cdef inline long long draw(object counter) except? -1:
    """`next(counter)`."""
    if type(counter) is not Numbers:
        return next(counter)
    (<Numbers>counter).following += 1
    return (<Numbers>counter).following - 1


def make_counter(first):
    cdef Numbers made = Numbers()
    made.following = first
    return made


# ---- records


cdef object make_receipt(object cls, object entry, object number):
    """`cls(entry, None, None, number)`, of a class whose value may be unread."""
    if cls is not PlainReceipt and cls is not ReceiptType:
        return cls(entry, None, None, number)
    made = blank(UntrackedUnreadReceiptType if cls is PlainReceipt else UnreadReceiptType)
    fill(made, R_ENTRY, entry)
    fill(made, R_VALUE, None)
    fill(made, R_WAITERS, None)
    fill(made, R_ID, number)
    return made


@cython.final
@cython.no_gc  # its payload holds no other objects
@cython.freelist(1024)
cdef class UnreadActivity:
    """What waits in a lane and stands in the ring: an `UntrackedActivity`, until somebody reads it.

    That is most often the processing, for the time of a call; in the ring it takes half the memory of the record.
    """

    cdef readonly long long id
    cdef object runtime, payload, receipt, cause, activity  # the cause: its source, parent and correlation, or None
    cdef double created
    cdef bint urgent

    cpdef object read(self):
        """The activity, the same for all who have it at one time. No thread or finalizer runs in between."""
        if self.activity is None:
            made = blank(PlainActivity)
            fill(made, A_TIMEOUT, None)
            fill(made, ACTIVITY_PLACES[6], None)
            fill(made, ACTIVITY_PLACES[10], None)
            self.fill_in(made)
        return self.activity

    cdef int fill_in(self, object activity) except -1:
        """Have this record, which nobody else has, be the activity. It takes less than to make one and free it."""
        id = get(self.receipt, R_ID) if self.receipt is not decided else self.id
        put(activity, A_ID, id)
        put(activity, ACTIVITY_PLACES[1], self.runtime)
        put(activity, A_PAYLOAD, self.payload)
        put(activity, A_LANE, PRIORITY if self.urgent else STANDARD)
        put(activity, A_CREATED, self.created)
        if self.cause is None:
            put(activity, ACTIVITY_PLACES[7], None)
            put(activity, ACTIVITY_PLACES[8], None)
            put(activity, ACTIVITY_PLACES[9], id)
        else:
            source, parent, correlation = <tuple>self.cause
            put(activity, ACTIVITY_PLACES[7], source)
            put(activity, ACTIVITY_PLACES[8], parent)
            put(activity, ACTIVITY_PLACES[9], correlation)
        put(activity, A_RECEIPT, self.receipt)
        self.activity = activity
        self.receipt = decided  # that link is the activity's from now on, to be cut with its fate
        return 0


cdef inline UnreadActivity make_unread_activity(
    object number, object runtime, object payload, bint urgent, double created, object cause, object receipt
):
    cdef UnreadActivity made = UnreadActivity.__new__(UnreadActivity)
    made.id, made.runtime, made.payload, made.receipt, made.cause = number, runtime, payload, receipt, cause
    made.created, made.urgent = created, urgent
    return made


cdef object make_outcome(
    object sequence, object activity, object runtime, bint urgent, object created, object started, double finished,
    object state
):
    """The outcome of one that is done, whose state is nothing that the collector sees."""
    made = blank(OutcomeType)
    PyObject_GC_UnTrack(<PyObject*>made)  # as msgspec does where no field holds what the collector sees
    fill(made, OUTCOME_PLACES[0], sequence)
    fill(made, OUTCOME_PLACES[1], activity)
    fill(made, OUTCOME_PLACES[2], runtime)
    fill(made, OUTCOME_PLACES[3], True if urgent else False)
    fill(made, OUTCOME_PLACES[4], DONE_WORD)
    fill(made, OUTCOME_PLACES[5], created)
    fill(made, OUTCOME_PLACES[6], started)
    fill(made, OUTCOME_PLACES[7], finished)
    fill(made, OUTCOME_PLACES[8], state)
    fill(made, OUTCOME_PLACES[9], UNSET)
    fill(made, OUTCOME_PLACES[10], None)
    fill(made, OUTCOME_PLACES[11], ONE)
    return made


@cython.final
@cython.no_gc  # of what it holds nothing may hold it: see `commit`
@cython.freelist(1024)
cdef class UnreadOutcome:
    """What the outcome of an activity says, until somebody reads it: most are let go before anybody does."""

    cdef long long sequence, activity
    cdef object runtime, state, outcome
    cdef double created, started, finished
    cdef bint urgent

    cdef object read(self):
        """The outcome, which is the same however often it is read."""
        if self.outcome is not None:
            return self.outcome
        made = make_outcome(
            self.sequence, self.activity, self.runtime, self.urgent, self.created, self.started, self.finished, self.state
        )
        if self.outcome is None:  # else a finalizer has read it meanwhile
            self.outcome = made
        return self.outcome


cdef inline UnreadOutcome make_unread_outcome(
    long long sequence, long long activity, object runtime, bint urgent, double created, double started,
    double finished, object state
):
    cdef UnreadOutcome made = UnreadOutcome.__new__(UnreadOutcome)
    made.sequence, made.activity, made.runtime, made.state, made.urgent = sequence, activity, runtime, state, urgent
    made.created, made.started, made.finished = created, started, finished
    return made


cdef object read_value(object receipt):
    """`receipt.value`, which stands there as a record from now on."""
    value = get(receipt, R_VALUE)
    if type(value) is UnreadOutcome:
        value = (<UnreadOutcome>value).read()
        put(receipt, R_VALUE, value)
    return value


cdef inline object read_one(object record):
    if type(record) is UnreadOutcome:
        return (<UnreadOutcome>record).read()
    return (<UnreadActivity>record).read() if type(record) is UnreadActivity else record


def read_records(records):
    cdef Py_ssize_t i
    for i in range(len(<list>records)):
        (<list>records)[i] = read_one((<list>records)[i])
    return records


def held_by(records):
    held = []
    for record in <list>records:
        if type(record) is UnreadActivity:
            held.append((<UnreadActivity>record).payload)
        elif type(record) is UnreadOutcome:
            held.append((<UnreadOutcome>record).state)
        else:
            held += record_parts(record)
    return held


@cython.final
@cython.no_gc  # it lives for the time of an `await`
@cython.freelist(8)
cdef class Decided:
    """What `await` is given for a receipt that is decided."""

    cdef object outcome

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.outcome)


cdef PyObject* end_with_outcome(PyObject* answer) noexcept:
    PyErr_SetObject(StopIteration, (<Decided>answer).outcome)
    return NULL


cdef PySendResult send_outcome(PyObject* answer, PyObject* value, PyObject** result) noexcept:
    outcome = (<Decided>answer).outcome
    Py_INCREF(outcome)
    result[0] = <PyObject*>outcome
    return PYGEN_RETURN


# In place of `__next__`, which makes a traceback of it, in twice the time of all else here; where it is asked for the
# other way, no exception is made at all.
(<Slots*><PyObject*>Decided).tp_iternext = end_with_outcome
(<Slots*><PyObject*>Decided).tp_as_async.am_send = <void*>send_outcome


# The receipt whose outcome is read as soon as it is decided. It is only compared: loops on two threads may leave one here
# that is gone, and then an outcome is made that nobody reads.
cdef PyObject* awaited = NULL


cdef object await_receipt(object receipt):
    """`Receipt.__await__`, in which nothing is waited for where the activity can be run in the turn of who waits."""
    global awaited
    cdef PyObject* before
    entry = get(receipt, R_ENTRY)
    if entry is not None:
        if PyContextVar_Get_(current) is not None:
            return pure_await(receipt)
        if is_plain(entry) and not decides_later(entry):
            before, awaited = awaited, <PyObject*>receipt
            try:
                try_inline(entry, receipt)
            finally:
                awaited = before
        else:
            entry.run_inline(receipt)
        if holds(receipt, R_VALUE, None):
            return receipt._wait_for_outcome()
    outcome = read_value(receipt)
    if type(outcome) is not OutcomeType or not holds(outcome, O_ERROR, None):
        return pure_await(receipt)
    cdef Decided answer = Decided.__new__(Decided)
    answer.outcome = outcome
    return answer


# Receipts whose value is made when it is read.
class UnreadReceipt(Receipt):
    def __await__(self):
        return await_receipt(self)

    @property
    def value(self):
        return read_value(self)

    @value.setter
    def value(self, new):
        put(self, R_VALUE, new)


class UntrackedUnreadReceipt(UntrackedReceipt, gc=False):
    value, __await__ = UnreadReceipt.value, UnreadReceipt.__await__


cdef object UnreadReceiptType = UnreadReceipt, UntrackedUnreadReceiptType = UntrackedUnreadReceipt
# Directly, and not through `__await__`, which is looked up by its name.
(<Slots*><PyObject*>UnreadReceiptType).tp_as_async.am_await = <void*>await_receipt
(<Slots*><PyObject*>UntrackedUnreadReceiptType).tp_as_async.am_await = <void*>await_receipt


cdef int check_records() except -1:
    """Raise ImportError if a record made here is not what its class makes: this msgspec keeps it in another way."""
    receipt = make_receipt(PlainReceipt, None, 7)
    activity = make_unread_activity(7, "a", 1, False, 0.5, None, receipt).read()
    outcome = make_unread_outcome(8, 7, "a", False, 0.5, 1.5, 2.5, 1).read()
    whole = PlainActivity(7, "a", 1, STANDARD, 0.5, None, None, None, None, 7, None, receipt)
    same = activity == whole and outcome == OutcomeType(8, 7, "a", False, "done", 0.5, 1.5, 2.5, 1)
    if not same or receipt.id != 7 or receipt.value is not None or receipt._entry is not None:
        raise ImportError("the compiled core does not fit this version of msgspec")
    return 0


check_records()


# ---- sending: any thread


def send_nowait(self, payload, priority=False, timeout=None, delay=None, key=None):
    if not is_plain(self):
        return PURE["send_nowait"](self, payload, priority, timeout, delay, key)
    if not holds(self, EXACT, type(payload)) or timeout is not None or delay is not None or key is not None:
        return self._send_with_checks(payload, priority, timeout, delay, key)
    return send_one(self, payload, priority)


cdef object send_one(object entry, object payload, object priority):
    """Accept a payload of the type that needs no check, with no option but the lane."""
    cdef bint urgent = bool(priority)
    host, mailbox = a_host(get(entry, HOST)), a_mailbox(get(entry, MAILBOX))
    cause = <object>PyContextVar_Get_(current)
    lock = get(host, LOCK)
    take_lock(lock)
    try:
        items = get(mailbox, PRIORITY_ITEMS if urgent else STANDARD_ITEMS)
        if size(items) >= number_in(mailbox, FAST_LIMIT_PRIORITY if urgent else FAST_LIMIT_STANDARD):
            return entry._send_with_checks(payload, priority, None, None, None)
        number = draw(get(host, COUNTER))
        receipt = make_receipt(get(entry, RECEIPT_CLASS), entry, number)
        above = None if cause is None else cause.current
        chain = None if above is None else (cause.id, above.id, above.correlation or number)
        activity = accepted(entry, mailbox, number, payload, urgent, seconds_on(get(host, CLOCK)), chain, receipt)
        try:
            if urgent:
                put(entry, ACCEPTED_PRIORITY, <object>look(entry, ACCEPTED_PRIORITY) + 1)
            else:
                put(entry, ACCEPTED_STANDARD, <object>look(entry, ACCEPTED_STANDARD) + 1)
            record(get(host, RECORD), activity)
            push(items, activity)
            if not is_set(entry, SCHEDULED):
                put(entry, SCHEDULED, True)
                host.wake(entry)
            if is_set(host, LISTENERS):
                host.notify()
        except BaseException:
            entry.complete_send(read_one(activity))
            raise
    finally:
        release_lock(lock)
    return receipt


cdef inline object accepted(
    object entry, object mailbox, object number, object payload, bint urgent, double now, object cause, object receipt
):
    """The activity, unread where its payload holds nothing and nobody else looks into the lanes."""
    cls, id = get(entry, ACTIVITY_CLASS), get(entry, ID)
    if cls is PlainActivity and type(mailbox) is PlainMailbox:
        return make_unread_activity(number, id, payload, urgent, now, cause, receipt)
    source, parent, correlation = (None, None, number) if cause is None else <tuple>cause
    lane = PRIORITY if urgent else STANDARD
    return cls(number, id, payload, lane, now, None, None, source, parent, correlation, None, receipt)


cdef inline object PyContextVar_Get_(object variable):
    cdef PyObject* found = NULL
    PyContextVar_Get(variable, NULL, &found)
    value = <object>found
    Py_DECREF(value)
    return value


# ---- sending and waiting: the agents' loop


cdef object last_direct_class = None


cdef bint is_direct(object entry) except -1:
    """Whether the class of an entry has `send_nowait` and `run_inline` as they are here, so that no name is looked up."""
    global last_direct_class
    cls = type(entry)
    if cls is last_direct_class:
        return True
    if cls.send_nowait is not send_nowait or cls.run_inline is not run_inline:
        return False
    last_direct_class = cls
    return True


async def ask(self, payload, **options):
    if not is_plain(self) or PyContextVar_Get_(current) is not None:
        return await PURE["ask"](self, payload, **options)
    if options:
        receipt = await self.send(payload, **options)
    else:
        try:
            if is_direct(self) and holds(self, EXACT, type(payload)):
                receipt = send_one(self, payload, False)
            else:
                receipt = self.send_nowait(payload)
        except MailboxFullError as full:
            receipt = await self._wait_for_room(full, payload, None, options)
    a_receipt(receipt)
    if is_direct(self):
        try_inline(self, receipt)
    else:
        self.run_inline(receipt)
    if holds(receipt, R_VALUE, None):
        await receipt.wait()
    outcome = get(receipt, R_VALUE)
    if type(outcome) is UnreadOutcome:
        return (<UnreadOutcome>outcome).state
    if outcome is not None and outcome.error is None:
        return outcome.state if outcome.reply is UNSET else outcome.reply
    return (await receipt).value


def run_inline(self, promise):
    if not is_plain(self):
        return PURE["run_inline"](self, promise)
    try_inline(self, a(ReceiptType, promise))


cdef int try_inline(object entry, object receipt) except -1:
    cdef long long number
    driver = get(entry, DRIVER)
    if driver is None or not is_set(a(DriverType, driver), D_OPEN) or is_set(entry, HELD):
        return 0
    host = a_host(get(entry, HOST))
    if PyThread_get_thread_ident() != <unsigned long>get(host, THREAD):
        return 0
    mailbox = a_mailbox(get(entry, MAILBOX))
    items = get(mailbox, PRIORITY_ITEMS)
    if not size(items):
        items = get(mailbox, STANDARD_ITEMS)
    if size(items):
        first = items[0]
        number = (<UnreadActivity>first).id if type(first) is UnreadActivity else get(an_activity(first), A_ID)
        if number == <long long>get(receipt, R_ID):
            turn_inline(entry, host, driver, receipt)
    return 0


cdef object last_prompt_class = None


cdef inline bint decides_later(object entry) except -1:
    """`entry.decides_later`, which is said by its class."""
    global last_prompt_class
    if type(entry) is last_prompt_class:
        return False
    if entry.decides_later:
        return True
    last_prompt_class = type(entry)
    return False


cdef int turn_inline(object entry, object host, object driver, object promise) except -1:
    """`Driver.run_inline`."""
    cdef bint once = decides_later(entry)
    cdef double seconds = 0
    budget, loop = a(BudgetType, get(host, INLINE_BUDGET)), get(host, LOOP)
    nested = get(budget, B_NESTED)
    if <Py_ssize_t>nested >= MOST_TURNS_NESTED or not holds(budget, B_COIN, None):
        if not budget.allows():
            return 0
    elif number_in(budget, B_COUNT) >= MOST_TURNS:
        put(budget, B_COUNT, 0)
        return 0
    waiter = tasks.get(loop)
    if waiter is None:  # a bare callback of the loop, which can't wait anyway
        return 0
    try:
        put(budget, B_NESTED, nested + 1)
        tasks[loop] = get(driver, D_TASK)
        while (
            holds(promise, R_VALUE, None) and is_set(driver, D_OPEN) and holds(entry, DRIVER, driver)
            and number_in(budget, B_COUNT) < MOST_TURNS
        ):
            put(budget, B_COUNT, get(budget, B_COUNT) + 1)
            step_inline(entry, host, driver)
            if once:
                break
    finally:
        put(budget, B_NESTED, nested)
        tasks[loop] = waiter
    outcome = get(promise, R_VALUE)
    if type(outcome) is UnreadOutcome:
        seconds = (<UnreadOutcome>outcome).finished - (<UnreadOutcome>outcome).started
    elif outcome is not None and not holds(a(OutcomeType, outcome), O_STARTED, None):
        seconds = <double>get(outcome, O_FINISHED) - <double>get(outcome, O_STARTED)
    if seconds > SHORT_SECONDS:
        budget.charge(seconds, get(host, CLOCK).pace)
    return 0


cdef int step_inline(object entry, object host, object driver) except -1:
    """One activity, or as far as it goes before it waits: `Driver._step_inline`."""
    cdef PyObject* found = NULL
    cdef PySendResult kind
    sleeper, variables, process = get(driver, D_SLEEPER), get(driver, D_VARIABLES), get(driver, D_PROCESS)
    put(driver, D_OPEN, False)
    put(driver, D_SINGLE, True)
    try:
        PyContext_Enter(variables)
        try:
            kind = PyIter_Send(<PyObject*>process, <PyObject*>None, &found)
            if kind == PYGEN_ERROR:
                raise_pending()
        finally:
            PyContext_Exit(variables)
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):  # its loop is being shut down
            host.leave(entry)
        else:
            entry.fault(error)
        kind = PYGEN_ERROR
    if kind == PYGEN_ERROR or kind == PYGEN_RETURN:
        Py_XDECREF(found)
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)
        return 0
    asked = <object>found
    Py_DECREF(asked)
    if asked is yields or asked is sleeps:
        put(driver, D_OPEN, True)
    else:
        put(driver, D_PASSED, (asked,))
        wake_driver(driver, host)
    return 0


cdef int wake_driver(object driver, object host) except -1:
    """`Driver.wake`."""
    sleeper = get(driver, D_SLEEPER)
    if sleeper is not None and not sleeper.done():
        (<dict>get(host, ASLEEP)).pop(driver, None)
        sleeper.set_result(None)
    put(driver, D_SLEEPER, None)
    return 0


def wake(self, entry):
    if get(a(HostType, self), LOOP).is_closed():
        self.end_with_loop()
    elif PyThread_get_thread_ident() == <unsigned long>get(self, THREAD):
        entry.start()
    else:
        PURE["wake"](self, entry)


def start(self):
    if not is_plain(self):
        return PURE["start"](self)
    host = a_host(get(self, HOST))
    (<set>get(host, BUSY)).add(self)
    watchdog = get(host, WATCHDOG)
    if watchdog.is_waiting:
        watchdog.start_watching()
    driver = get(self, DRIVER)
    if driver is not None and not holds(a(DriverType, driver), D_TASK, None):
        wake_driver(driver, host)
        return
    driver = Driver(self)
    put(self, DRIVER, driver)
    driver.task = ProcessingTask(
        self._drive(driver), loop=get(host, LOOP), name=f"agentrt {get(self, ID)}", context=driver.variables
    )
    forget_destruction(driver.task)


# ---- processing: the loop's thread only

cdef enum:
    GO_ON  # with the next activity
    SUSPENDED  # the workflow waits for something
    UNCHECKED  # the type of the new state is not the usual one
    AWAKE  # it was about to sleep, and something has come meanwhile
    SLICE_OVER, SLEEPING, RENEWED, ENDED


@cython.final
cdef class Continuation:
    """The rest of a coroutine that has asked for something already, to be awaited."""

    cdef object coroutine, asked, result  # the result stands here: in a StopIteration it would cost more

    @property
    def cr_await(self):  # as a coroutine says what it awaits, see `frames.awaited_object`
        return self.coroutine

    def __await__(self):
        return self

    def __next__(self):
        asked, self.asked = self.asked, NOTHING
        if asked is NOTHING:
            asked = self.step(None)
            if asked is NOTHING:
                raise StopIteration  # as it stands here no exception is made of it
        return asked

    def send(self, value):
        asked = self.step(value)
        if asked is NOTHING:
            end_iteration()
        return asked

    cdef object step(self, object value):
        """What it asks for next; NOTHING at its end."""
        cdef PyObject* found = NULL
        cdef PySendResult kind = PyIter_Send(<PyObject*>self.coroutine, <PyObject*>value, &found)
        if kind == PYGEN_ERROR:
            raise_pending()
        asked = <object>found
        Py_DECREF(asked)
        if kind == PYGEN_RETURN:
            self.result = asked
            return NOTHING
        return asked

    def throw(self, *error):
        try:
            return self.coroutine.throw(*error)
        except StopIteration as end:
            self.result = end.value
            raise

    def close(self):
        self.coroutine.close()


cdef int end_iteration() except -1:
    """`raise StopIteration`, without making one."""
    PyErr_SetNone(StopIteration)
    return raise_pending()


@cython.final
cdef class Turn:
    """What the processing of one entry has at hand, from its start to its end."""

    cdef object entry, host, mailbox, task, variables, base, id, counter, record
    cdef object activity, workflow, call, context, awaited, started
    cdef object ready  # the callbacks of the loop's next turn; None if they can't be read
    cdef UnreadActivity unread  # of which the activity was read
    cdef double finished, slice_end
    cdef bint is_limited, is_at_work, is_async, takes_context, is_spare
    cdef int left

    cdef int read(self, object workflow) except -1:
        """Use this workflow for the next activity."""
        self.call, self.is_async, self.takes_context = workflow.call, workflow.is_async, workflow.takes_context
        self.workflow = workflow
        return 0

    cdef int take(self, object taken) except -1:
        """Have this activity be the one that runs, in the record of the last one if nobody has that any more."""
        if type(taken) is not UnreadActivity:
            self.is_spare = False
            before, self.activity = self.activity, an_activity(taken)
            return 0
        self.unread = <UnreadActivity>taken
        if self.is_spare and self.unread.activity is None and (<PyObject*>self.activity).ob_refcnt == 1:
            self.unread.fill_in(self.activity)
        else:
            before, self.activity = self.activity, self.unread.read()
        return 0

    cdef inline int reclaim(self) except -1:
        """Let the next activity have the record of the last one, if that is over and nobody else has it."""
        if self.unread is None:
            return 0
        self.is_spare = (  # it has two references: this one, and that of its own
            self.unread.activity is self.activity and (<PyObject*>self.activity).ob_refcnt == 2
            and holds(self.activity, A_RECEIPT, decided)
        )
        if self.is_spare:
            self.unread.activity = None
            put(self.activity, A_PAYLOAD, None)
        self.unread = None
        return 0

    cdef int forget(self) except -1:
        """Keep nothing alive of what was done."""
        context, awaited = self.context, self.awaited
        self.context = self.awaited = None
        self.reclaim()
        if not self.is_spare:
            activity, self.activity = self.activity, None
        return 0


cdef Turn begin(object entry, object driver):
    cdef Turn turn = Turn.__new__(Turn)
    turn.entry, turn.host, turn.mailbox = entry, a_host(get(entry, HOST)), a_mailbox(get(entry, MAILBOX))
    turn.task, turn.variables, turn.base = driver.task, driver.variables, copy_context()
    turn.id, turn.counter, turn.record = get(entry, ID), get(turn.host, COUNTER), get(turn.host, RECORD)
    turn.is_limited = type(turn.mailbox) is not PlainMailbox
    ready = get(a(BudgetType, get(turn.host, INLINE_BUDGET)), B_READY)
    if type(ready) is DequeType:
        turn.ready = ready
    return turn


cdef int run(Turn turn) except -1:
    """Take, run and commit, as far as it goes without waiting; says why it stopped."""
    cdef int found
    cdef PyObject* result
    entry, mailbox = turn.entry, turn.mailbox
    while turn.left > 0:
        turn.left -= 1
        items = get(mailbox, STANDARD_ITEMS)
        if (
            not size(items) or size_of(mailbox, PRIORITY_ITEMS) or number_in(mailbox, STREAK)
            or is_set(entry, HELD) or turn.is_limited
        ):
            items = None if is_set(entry, HELD) and not entry._may_step() else mailbox.next_lane()
            if items is None:
                put(entry, CURRENT_ACTIVITY, None)
                turn.forget()  # nothing of what was done stays alive while it sleeps
                if ends(entry):
                    return ENDED
                return AWAKE if is_set(entry, SCHEDULED) else SLEEPING
        if not size(items):  # another thread has dropped it, to make room
            continue
        turn.reclaim()
        turn.take(pop(items))
        put(entry, CURRENT_ACTIVITY, turn.activity)
        if is_set(mailbox, SENDERS):
            entry._admit_waiting()
        found = begin_activity(turn)
        if found != GO_ON:
            return found
    return SLICE_OVER


cdef int begin_activity(Turn turn) except -1:
    """Call the workflow with the activity that was taken, and commit what it returns if it does so at once."""
    cdef PyObject* result = NULL
    cdef PySendResult kind
    entry, activity = turn.entry, turn.activity
    created = get(activity, A_CREATED)
    turn.started = turn.finished if turn.finished >= <double>created else seconds_on(get(turn.host, CLOCK))
    put(entry, STARTED, turn.started)
    limit = get(activity, A_TIMEOUT) or get(entry, TIMEOUT)
    put(entry, DEADLINE, INFINITY if limit is None else arm(turn.host, turn.started + limit))
    turn.is_at_work = True
    workflow = get(entry, WORKFLOW)
    if workflow is not turn.workflow:
        turn.read(workflow)
    if turn.takes_context:
        context = context_class(entry, activity)
        turn.context = context
        new = turn.call(activity, get(entry, STATE), context)
    else:
        new = turn.call(activity, get(entry, STATE))
    if not turn.is_async:
        return settle(turn, new)
    put(entry, RUNNING, new)
    if not PyCoro_CheckExact(new):
        turn.awaited = new
        return SUSPENDED
    while True:
        kind = PyIter_Send(<PyObject*>new, <PyObject*>None, &result)
        if kind == PYGEN_ERROR:
            raise_pending()
        found = <object>result
        Py_DECREF(found)
        if kind == PYGEN_RETURN:
            return settle(turn, found)
        if found is not None or not is_alone(turn):
            break
    cdef Continuation rest = Continuation.__new__(Continuation)
    rest.coroutine, rest.asked = new, found
    turn.awaited = rest
    return SUSPENDED


cdef bint is_alone(Turn turn) except -1:
    """Whether a turn of the loop, as `asyncio.sleep(0)` asks for, is needless: there is nobody whom it would let run.

    The loop has one at the end of the slice, and then looks for what has come from outside.
    """
    if turn.ready is None or len(<object>turn.ready) or is_cancelled(turn.task):
        return False
    clock = get(turn.host, CLOCK)
    return holds(clock, NOW, MONOTONIC) and seconds_on(clock) < turn.slice_end


cdef object arm(object host, double at):
    """`Deadlines.arm`."""
    deadlines = get(host, DEADLINES)
    return deadlines.arm(at) if at < <double>deadlines.first else at


cdef int settle(Turn turn, object new) except -1:
    """Commit a new state, unless its type has to be checked first."""
    if holds(turn.entry, EXACT_STATE, type(new)):
        return commit(turn, new)
    turn.awaited = new
    return UNCHECKED


cdef int commit(Turn turn, object new) except -1:
    """Make a new state that was checked the state, and decide the receipt."""
    cdef bint urgent, may_be_unread
    cdef long long number
    entry, activity, host = turn.entry, turn.activity, turn.host
    turn.finished = seconds_on(get(host, CLOCK))
    deadline = get(entry, DEADLINE)
    if (
        deadline is not INFINITY and turn.finished > <double>deadline
        and get(host, DEADLINES).is_late(entry, turn.finished)
    ):
        raise DeadlinePassed
    reply = turn.context.replied if turn.takes_context else UNSET
    turn.is_at_work = False
    urgent = holds(activity, A_LANE, PRIORITY)
    created, started = get(activity, A_CREATED), turn.started
    number, receipt = draw(turn.counter), a_receipt(get(activity, A_RECEIPT))
    # Most are never read, and less is made for those. What the collector sees may come to hold its own outcome.
    if PyObject_IS_GC(new) or reply is not UNSET:
        end = turn.finished
        outcome = OutcomeType(number, get(activity, A_ID), turn.id, urgent, "done", created, started, end, new, reply)
    elif <PyObject*>receipt == awaited:
        outcome = make_outcome(
            number, get(activity, A_ID), turn.id, urgent, created, started, turn.finished, new
        )
    else:
        outcome = make_unread_outcome(
            number, get(activity, A_ID), turn.id, urgent, created, started, turn.finished, new
        )
    record(turn.record, outcome)
    put(entry, STATE, new)
    put(entry, DONE, <object>look(entry, DONE) + 1)
    add_wait, add_service = <tuple>get(entry, PRIORITY_RECORDERS if urgent else STANDARD_RECORDERS)
    record_time(add_wait, <double>started - <double>created)
    record_time(add_service, turn.finished - <double>started)
    if not holds(entry, IN_ERROR, False):
        put(entry, IN_ERROR, False)
    may_be_unread = type(receipt) is UntrackedUnreadReceiptType or type(receipt) is UnreadReceiptType
    put(receipt, R_VALUE, outcome if may_be_unread else read_one(outcome))
    if not holds(receipt, R_WAITERS, None):
        entry.wake_waiters(activity, receipt)
    put(receipt, R_ENTRY, None)
    put(activity, A_RECEIPT, decided)
    put(entry, CURRENT_ACTIVITY, None)
    return next_step(turn)


cdef unsigned int[65536] in_buckets  # all 0 between two calls of `count_times`
cdef bint SUM_IS_PLAIN = hexversion < 0x030C0000  # later ones make up for what rounding loses


cdef object count_times(object distribution, array times):
    """`distribution.plus(times)`."""
    cdef unsigned short[512] buckets
    cdef unsigned int[512] counts
    cdef unsigned long long* bits = <unsigned long long*>times.data.as_doubles
    cdef Py_ssize_t n = len(times), i = 0, j, found, most
    cdef double total = 0, top = distribution.top
    cdef int bucket
    merged = CounterType()
    PyDict_Update(merged, distribution.counts)
    while i < n:
        found, most = 0, min(n, i + 512)
        for i in range(i, most):
            bucket = bits[i] >> 48
            if not in_buckets[bucket]:
                buckets[found] = bucket
                found += 1
            in_buckets[bucket] += 1
            total += times.data.as_doubles[i]
            top = max(top, times.data.as_doubles[i])
        i = most
        for j in range(found):  # with nothing that may fail
            counts[j], in_buckets[buckets[j]] = in_buckets[buckets[j]], 0
        for j in range(found):
            PyDict_SetItem(merged, buckets[j], merged[buckets[j]] + counts[j])
    return DistributionType(merged, distribution.total + (total if SUM_IS_PLAIN else sum(times)), top)


cdef int flush(object entry) except -1:
    """`EntryCounts.flush`, of an entry that has times."""
    put(entry, FLUSH_AT, entry.processed + FLUSH_EVERY)
    for lane in get(entry, TIMES):
        wait, service, waits, services = lane._parts
        if len(waits) >= FLUSH_EVERY:
            lane._start(count_times(wait, waits), count_times(service, services))
    entry._look_up_recorders(get(entry, TIMES))
    return 0


cdef inline int record_time(object add, double seconds) except -1:
    """`add(seconds)`, where that is the append of an array of doubles."""
    cdef Py_ssize_t n
    times = <object>PyCFunction_GET_SELF(add) if PyCFunction_Check(add) else None
    if type(times) is not TimesType:
        a(TimesType, times)
    n = Py_SIZE(times)
    resize_smart(<array>times, n + 1)
    (<array>times).data.as_doubles[n] = seconds
    return 0


cdef inline bint is_cancelled(object task) except -1:
    """`task.is_cancelled_once`, which is in a dict that is made when it is set: most often there is none."""
    cdef PyObject** attributes = _PyObject_GetDictPtr(task)
    return attributes != NULL and attributes[0] != NULL and task.is_cancelled_once


cdef int next_step(Turn turn) except -1:
    """Whether to go on with the next activity, after one that is over."""
    if not holds(turn.entry, QUESTION, None):
        resume_on_answer(turn.entry)
    cdef bint is_left = PyObject_RichCompareBool(turn.variables, turn.base, Py_NE)  # a value, by the workflow
    if is_left or is_cancelled(turn.task) or is_set(turn.entry, CLOSED):
        return RENEWED
    return SLICE_OVER if turn.finished > turn.slice_end else GO_ON


@cython.final
cdef class Pause:
    """Awaited, it asks for one thing, once."""

    cdef object asked

    def __await__(self):
        return self

    def __next__(self):
        asked, self.asked = self.asked, NOTHING
        if asked is NOTHING:
            raise StopIteration  # as it stands here no exception is made of it
        return asked

    cdef Pause ask_for(self, object what):
        self.asked = what
        return self


def _begin_slice(self, driver):
    return begin_slice(self, driver) if is_plain(self) else PURE["_begin_slice"](self, driver)


cdef double begin_slice(object entry, object driver) except? -1:
    if holds(entry, TIMES, None):
        entry.start_times()
    if (
        number_in(entry, DONE) + number_in(entry, FAILED_COUNT) + number_in(entry, TIMED_OUT)
        >= number_in(entry, FLUSH_AT)
    ):
        flush(entry)
    if is_set(a(DriverType, driver), D_SINGLE):
        put(driver, D_SINGLE, False)
        return LONG_AGO
    host = a_host(get(entry, HOST))
    watchdog, clock = get(host, WATCHDOG), get(host, CLOCK)
    if <double>watchdog.due <= read(MONOTONIC, MONOTONIC):
        watchdog.yield_interpreter()
    others = len(get(a(BudgetType, get(host, INLINE_BUDGET)), B_READY))  # who else wants a turn
    return seconds_on(clock) + SECONDS * <double>clock.pace / (1 + others)


cdef int longest_slice(object host) except -1:
    clock = get(host, CLOCK)
    return COMPILED_SLICE if type(clock) is ClockType and holds(clock, NOW, MONOTONIC) else SLICE


def end_slice(self):
    return finish_slice(self) if is_plain(self) else PURE["end_slice"](self)


cdef object finish_slice(object entry):
    host = a_host(get(entry, HOST))
    ring = get(host, RING)
    if len(<list>ring.records) >= <Py_ssize_t>ring.mark:
        ring.trim()
    if is_set(host, LISTENERS):
        host.notify()


def _ends(self):
    return ends(self) if is_plain(self) else PURE["_ends"](self)


cdef bint ends(object entry) except -1:
    """Whether the processing ends here: `RuntimeEntry._ends`, with `EntryState.may_sleep`."""
    if is_set(entry, HELD):
        return PURE["_ends"](entry)
    host, mailbox = a_host(get(entry, HOST)), a_mailbox(get(entry, MAILBOX))
    lock = get(host, LOCK)
    take_lock(lock)
    try:
        put(entry, SCHEDULED, False)
        if (size_of(mailbox, PRIORITY_ITEMS) or size_of(mailbox, STANDARD_ITEMS)) and not is_set(entry, CLOSED):
            put(entry, SCHEDULED, True)
            return False
    finally:
        release_lock(lock)
    put(entry, RUNNING, None)
    (<set>get(host, BUSY)).discard(entry)
    finish_slice(entry)
    if is_set(entry, DRAINING) or is_set(entry, CLOSED):
        host.leave(entry)
        return True
    return False


@cython.final
cdef class Steps:
    """Steps the processing, as the body of its task: `Driver.drive`."""

    cdef object entry, driver, process
    cdef bint is_begun

    @property
    def cr_await(self):
        return self.process

    def __await__(self):
        return self

    def __next__(self):
        return self.step(None)

    def send(self, value):
        return self.step(None)

    def throw(self, kind, error=None, trace=None):
        if error is None:
            error = kind() if isinstance(kind, type) else kind
        if isinstance(error, GeneratorExit):
            self.process.close()
            raise error
        return self.step(error)

    def close(self):
        self.process.close()

    cdef object step(self, object error):
        cdef PyObject* found = NULL
        cdef PySendResult kind
        driver = self.driver
        if not holds(self.entry, DRIVER, driver):  # another was started in its place, or it ended in somebody's turn
            if not self.is_begun:
                self.process.close()
            end_iteration()
        if not self.is_begun:
            self.is_begun = True
            put(driver, D_PROCESS, self.process)
        elif not holds(driver, D_PASSED, None):
            (asked,) = get(driver, D_PASSED)
            put(driver, D_PASSED, None)
            if error is None:
                return self.tell(asked)
            if asked is not None:
                asked.cancel()
        put(driver, D_OPEN, False)
        if error is not None:
            return self.tell(self.process.throw(error))
        kind = PyIter_Send(<PyObject*>self.process, <PyObject*>None, &found)
        if kind == PYGEN_ERROR:
            raise_pending()
        asked = <object>found
        Py_DECREF(asked)
        if kind == PYGEN_RETURN:
            end_iteration()
        return self.tell(asked)

    cdef object tell(self, object asked):
        """What the event loop is told for what the processing waits for."""
        if asked is yields:
            put(self.driver, D_OPEN, True)
            return None
        if asked is sleeps:
            put(self.driver, D_OPEN, True)
            return self.driver._future(asked)
        put(self.driver, D_OPEN, False)
        return asked


async def _drive(self, driver):
    if not is_plain(self):
        await PURE["_drive"](self, driver)
        return
    cdef Steps steps = Steps.__new__(Steps)
    steps.entry, steps.driver, steps.process = self, a(DriverType, driver), self._loop(driver)
    try:
        await steps
    except asyncio.CancelledError:  # between two activities
        if driver.task.is_shut_down:
            self.host.leave(self)
        elif self.driver is driver:
            self._renew()
        raise
    except GeneratorExit:  # thrown away with its manager, which nobody has any more
        raise
    except BaseException as error:
        self.fault(error)


async def _loop(self, driver):
    if not is_plain(self):
        return await PURE["_loop"](self, driver)
    CURRENT.set(self)
    cdef Turn turn = begin(self, driver)
    cdef Pause pause = Pause.__new__(Pause)
    cdef int found
    while True:
        turn.slice_end, turn.finished, turn.left = begin_slice(self, driver), LONG_AGO, longest_slice(turn.host)
        found = GO_ON
        while found == GO_ON or found == SUSPENDED or found == UNCHECKED:
            try:
                if found == GO_ON:
                    found = run(turn)
                elif found == SUSPENDED:
                    new = await turn.awaited
                    if type(turn.awaited) is Continuation:
                        new = (<Continuation>turn.awaited).result
                    turn.awaited = None
                    found = settle(turn, new)
                else:
                    new = await check_state(self, turn.awaited, turn.workflow)
                    turn.awaited = None
                    found = commit(turn, new)
            except BaseException as error:
                if not turn.is_at_work:
                    raise
                turn.is_at_work = False
                turn.awaited = None
                await handle_failure(self, turn.activity, error, <object>turn.started)
                error = None  # Cython does not delete it at the end of the clause
                turn.finished = seconds_on(get(turn.host, CLOCK))
                found = next_step(turn)
        if found == ENDED:
            return
        if found == RENEWED:
            self._renew()
            return
        if found == SLEEPING:
            await pause.ask_for(sleeps)
        elif found == SLICE_OVER:
            if turn.slice_end > 0 or is_set(turn.host, LISTENERS):
                finish_slice(self)
            await pause.ask_for(yields)
