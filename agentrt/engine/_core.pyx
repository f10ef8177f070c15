# cython: language_level=3, binding=True, auto_pickle=False, embedsignature=False
"""The hot path of a runtime, compiled: sending, taking, running, committing, asking, and the lock around them.

Each function here is the twin of the method with the same name, see `core.py`, and does what that does in the usual case.
Whatever is rare (checks, full lanes, failures, pauses) it hands to the methods written in Python. It works on the very
objects that those work on: the fields of entries, mailboxes and managers are slots, and records are structs whose
fields are slots too, so that both are read and written at their place in memory, which is looked up once.

Nothing between two Python calls can be interrupted here: no thread switch, no signal handler.
"""

cimport cython
from cpython.array cimport array, extend_buffer
from cpython.contextvars cimport PyContextVar_Get
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport Py_NE, PyObject, PyObject_RichCompareBool, PyObject_TypeCheck, PyTypeObject
from cpython.pythread cimport (
    NOWAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_get_thread_ident,
    PyThread_release_lock,
    PyThread_type_lock,
)
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

import math
from collections import deque
from contextvars import copy_context
from time import monotonic
from types import MemberDescriptorType

import msgspec

from ..activity import Activity, Lane, UntrackedActivity
from ..context import Context
from ..errors import MailboxFullError
from ..events import Outcome
from ..receipt import DECIDED, Receipt, UntrackedReceipt
from .deadlock import CURRENT
from .entry_state import EntryState
from .failure import DeadlinePassed, handle_failure
from .fields import EntryFields, HostFields, MailboxFields
from .handoff import SLICE, SLICE_SECONDS, wait_for_wakeup, yield_to_loop
from .mailbox import PrioritizedMailbox
from .state_check import check_state

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(PyObject* iterator, PyObject* value, PyObject** result)
    object PyType_GenericAlloc(PyTypeObject*, Py_ssize_t)
    int PyCoro_CheckExact(object)
    int PyCFunction_Check(object)
    int PyObject_IS_GC(object)
    PyObject* PyCFunction_GET_SELF(object)
    void PyObject_GC_UnTrack(void*)
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) nogil

    ctypedef struct PyMemberDef:
        Py_ssize_t offset

    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member


# ---- fields: at their place in an object


cdef Py_ssize_t place(object cls, str name) except -1:
    """Where the slot of this name is in an instance of a class."""
    found = getattr(cls, name)
    if type(found) is not MemberDescriptorType:
        raise ImportError(f"{cls.__name__}.{name} is no slot; the compiled core does not fit this version of msgspec")
    return (<PyMemberDescrObject*><PyObject*>found).d_member.offset


cdef inline PyObject** spot(object holder, Py_ssize_t at) noexcept:
    return <PyObject**>(<char*><PyObject*>holder + at)


cdef inline object get(object holder, Py_ssize_t at):
    """What a slot holds."""
    cdef PyObject* found = spot(holder, at)[0]
    if found == NULL:
        raise AttributeError(f"a field of {type(holder).__name__} is not set yet")
    return <object>found


cdef inline bint holds(object holder, Py_ssize_t at, object what) noexcept:
    """Whether a slot holds this very object."""
    return spot(holder, at)[0] == <PyObject*>what


cdef inline void put(object holder, Py_ssize_t at, object new) noexcept:
    """Have a slot hold another object. The old one is let go last: its finalizer may look at the holder."""
    cdef PyObject** there = spot(holder, at)
    cdef PyObject* old = there[0]
    Py_INCREF(new)
    there[0] = <PyObject*>new
    Py_XDECREF(old)


cdef inline bint is_set(object holder, Py_ssize_t at) except -1:
    """Whether a slot holds something true."""
    return get(holder, at)


cdef inline void fill(object made, Py_ssize_t at, object new) noexcept:
    """Have an empty slot of a new object hold something."""
    Py_INCREF(new)
    spot(made, at)[0] = <PyObject*>new


cdef inline object blank(object cls):
    """A new instance of a struct class, with every slot empty."""
    return PyType_GenericAlloc(<PyTypeObject*>cls, 0)


cdef Py_ssize_t \
    ACCEPTED_PRIORITY, ACCEPTED_STANDARD, ACTIVITY_CLASS, CLOSED, CURRENT_ACTIVITY, DEADLINE, DONE, DRIVER, EXACT, \
    EXACT_STATE, HELD, HOST, ID, IN_ERROR, MAILBOX, PRIORITY_RECORDERS, RECEIPT_CLASS, RUNNING, SCHEDULED, \
    STANDARD_RECORDERS, STARTED, STATE, TIMEOUT, WORKFLOW
ACCEPTED_PRIORITY = place(EntryFields, "accepted_priority")
ACCEPTED_STANDARD = place(EntryFields, "accepted_standard")
ACTIVITY_CLASS = place(EntryFields, "activity_class")
CLOSED = place(EntryFields, "closed")
CURRENT_ACTIVITY = place(EntryFields, "current")
DEADLINE = place(EntryFields, "deadline")
DONE = place(EntryFields, "done")
DRIVER = place(EntryFields, "driver")
EXACT = place(EntryFields, "exact")
EXACT_STATE = place(EntryFields, "exact_state")
HELD = place(EntryFields, "held")
HOST = place(EntryFields, "host")
ID = place(EntryFields, "id")
IN_ERROR = place(EntryFields, "in_error")
MAILBOX = place(EntryFields, "mailbox")
PRIORITY_RECORDERS = place(EntryFields, "priority_recorders")
RECEIPT_CLASS = place(EntryFields, "receipt_class")
RUNNING = place(EntryFields, "running")
SCHEDULED = place(EntryFields, "scheduled")
STANDARD_RECORDERS = place(EntryFields, "standard_recorders")
STARTED = place(EntryFields, "started")
STATE = place(EntryFields, "state")
TIMEOUT = place(EntryFields, "timeout")
WORKFLOW = place(EntryFields, "workflow")

cdef Py_ssize_t FAST_LIMIT_PRIORITY, FAST_LIMIT_STANDARD, PRIORITY_ITEMS, SENDERS, STANDARD_ITEMS, STREAK
FAST_LIMIT_PRIORITY = place(MailboxFields, "fast_limit_priority")
FAST_LIMIT_STANDARD = place(MailboxFields, "fast_limit_standard")
PRIORITY_ITEMS = place(MailboxFields, "priority")
SENDERS = place(MailboxFields, "senders")
STANDARD_ITEMS = place(MailboxFields, "standard")
STREAK = place(MailboxFields, "streak")

cdef Py_ssize_t CLOCK, COUNTER, LISTENERS, LOCK, RECORD
CLOCK = place(HostFields, "clock")
COUNTER = place(HostFields, "counter")
LISTENERS = place(HostFields, "listeners")
LOCK = place(HostFields, "lock")
RECORD = place(HostFields, "record")

cdef Py_ssize_t A_CREATED, A_ID, A_LANE, A_RECEIPT, A_TIMEOUT
A_CREATED = place(Activity, "created")
A_ID = place(Activity, "id")
A_LANE = place(Activity, "lane")
A_RECEIPT = place(Activity, "receipt")
A_TIMEOUT = place(Activity, "timeout")

cdef Py_ssize_t R_ENTRY, R_VALUE, R_WAITERS, R_ID
R_ENTRY = place(Receipt, "_entry")
R_VALUE = place(Receipt, "value")
R_WAITERS = place(Receipt, "_waiters")
R_ID = place(Receipt, "id")

cdef Py_ssize_t[12] ACTIVITY_PLACES, OUTCOME_PLACES
cdef int _i
for _i, _name in enumerate(Activity.__struct_fields__):
    ACTIVITY_PLACES[_i] = place(Activity, _name)
for _i, _name in enumerate(Outcome.__struct_fields__):
    OUTCOME_PLACES[_i] = place(Outcome, _name)

# Looked up once, so that no name is looked up for each activity.
cdef object PRIORITY = Lane.PRIORITY, STANDARD = Lane.STANDARD, UNSET = msgspec.UNSET, INFINITY = math.inf
cdef object EMPTY_ERROR = IndexError, DONE_WORD = "done", ONE = 1
cdef object append = deque.append, popleft = deque.popleft, now_name = "now"
cdef object ActivityType = Activity, PlainActivity = UntrackedActivity, OutcomeType = Outcome
cdef object ReceiptType = Receipt, PlainReceipt = UntrackedReceipt, PlainMailbox = PrioritizedMailbox
cdef object EntryType = EntryState, HostType = HostFields, MailboxType = MailboxFields, TimesType = array
cdef double LONG_AGO = -math.inf
cdef object decided = DECIDED, current = CURRENT, context_class = Context


cdef inline object a(object cls, object found):
    """What was found, if it is of a class: nothing is read of anything that has other fields."""
    if not PyObject_TypeCheck(found, <PyTypeObject*>cls):
        raise TypeError(f"{type(found).__name__} is no {cls.__name__}")
    return found


cdef inline object time_on(object clock):
    return clock.now()


# ---- the lock


@cython.final
cdef class ReentrantLock:
    """A reentrant lock, to be used with `with` alone."""

    cdef PyThread_type_lock lock
    cdef unsigned long owner
    cdef Py_ssize_t depth

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef inline int take(self) except -1:
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.depth and self.owner == me:
            self.depth += 1
            return 0
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            self.wait()
        self.owner = me
        self.depth = 1
        return 0

    cdef int wait(self) except -1:
        """Wait for it, and let signal handlers run meanwhile."""
        cdef int found = 2
        while found == 2:  # interrupted by a signal
            with nogil:
                found = PyThread_acquire_lock_timed(self.lock, -1, 1)
            if found == 2:
                PyErr_CheckSignals()
        return 0

    cdef inline int release(self) except -1:
        if not self.depth or self.owner != PyThread_get_thread_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self.depth -= 1
        if not self.depth:
            PyThread_release_lock(self.lock)
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


# ---- records


cdef object make_receipt(object cls, object entry, object number):
    """`cls(entry, None, None, number)`."""
    if cls is not PlainReceipt and cls is not ReceiptType:
        return cls(entry, None, None, number)
    made = blank(cls)
    fill(made, R_ENTRY, entry)
    fill(made, R_VALUE, None)
    fill(made, R_WAITERS, None)
    fill(made, R_ID, number)
    return made


cdef object make_activity(
    object cls, object number, object id, object payload, object lane, object now, object source, object parent,
    object correlation, object receipt
):
    """An activity without a timeout, a delay or a key."""
    if cls is not PlainActivity:
        return cls(number, id, payload, lane, now, None, None, source, parent, correlation, None, receipt)
    made = blank(cls)
    fill(made, ACTIVITY_PLACES[0], number)
    fill(made, ACTIVITY_PLACES[1], id)
    fill(made, ACTIVITY_PLACES[2], payload)
    fill(made, ACTIVITY_PLACES[3], lane)
    fill(made, ACTIVITY_PLACES[4], now)
    fill(made, ACTIVITY_PLACES[5], None)
    fill(made, ACTIVITY_PLACES[6], None)
    fill(made, ACTIVITY_PLACES[7], source)
    fill(made, ACTIVITY_PLACES[8], parent)
    fill(made, ACTIVITY_PLACES[9], correlation)
    fill(made, ACTIVITY_PLACES[10], None)
    fill(made, ACTIVITY_PLACES[11], receipt)
    return made


cdef object make_outcome(
    object number, object activity, object id, bint urgent, object created, object started, object finished,
    object state, object reply
):
    """The outcome of an activity that is done at its first attempt."""
    if PyObject_IS_GC(state) or reply is not UNSET:
        return OutcomeType(
            number, activity, id, urgent, DONE_WORD, created, started, finished, state, reply
        )
    made = blank(OutcomeType)
    PyObject_GC_UnTrack(<PyObject*>made)  # as msgspec does where no field holds what the collector sees
    fill(made, OUTCOME_PLACES[0], number)
    fill(made, OUTCOME_PLACES[1], activity)
    fill(made, OUTCOME_PLACES[2], id)
    fill(made, OUTCOME_PLACES[3], True if urgent else False)
    fill(made, OUTCOME_PLACES[4], DONE_WORD)
    fill(made, OUTCOME_PLACES[5], created)
    fill(made, OUTCOME_PLACES[6], started)
    fill(made, OUTCOME_PLACES[7], finished)
    fill(made, OUTCOME_PLACES[8], state)
    fill(made, OUTCOME_PLACES[9], reply)
    fill(made, OUTCOME_PLACES[10], None)
    fill(made, OUTCOME_PLACES[11], ONE)
    return made


cdef int check_records() except -1:
    """Raise ImportError if a record made here is not what its class makes: this msgspec keeps it in another way."""
    receipt = make_receipt(PlainReceipt, None, 7)
    activity = make_activity(PlainActivity, 7, "a", 1, STANDARD, 0.5, None, None, 7, receipt)
    outcome = make_outcome(8, 7, "a", False, 0.5, 1.5, 2.5, 1, UNSET)
    whole = PlainActivity(7, "a", 1, STANDARD, 0.5, None, None, None, None, 7, None, receipt)
    same = activity == whole and outcome == OutcomeType(8, 7, "a", False, "done", 0.5, 1.5, 2.5, 1)
    if not same or receipt.id != 7 or receipt.value is not None or receipt._entry is not None:
        raise ImportError("the compiled core does not fit this version of msgspec; unset AGENTRT_COMPILED")
    return 0


check_records()


# ---- sending: any thread


def send_nowait(self, payload, priority=False, timeout=None, delay=None, key=None):
    a(EntryType, self)
    if not holds(self, EXACT, type(payload)) or timeout is not None or delay is not None or key is not None:
        return self._send_with_checks(payload, priority, timeout, delay, key)
    return send_one(self, payload, priority)


cdef object send_one(object entry, object payload, object priority):
    """Accept a payload of the type that needs no check, with no option but the lane."""
    cdef bint urgent = priority
    host, mailbox = a(HostType, get(entry, HOST)), a(MailboxType, get(entry, MAILBOX))
    cause = <object>PyContextVar_Get_(current)
    lock = get(host, LOCK)
    take_lock(lock)
    try:
        items = get(mailbox, PRIORITY_ITEMS if urgent else STANDARD_ITEMS)
        if len(items) >= <Py_ssize_t>get(mailbox, FAST_LIMIT_PRIORITY if urgent else FAST_LIMIT_STANDARD):
            return entry._send_with_checks(payload, priority, None, None, None)
        lane = PRIORITY if urgent else STANDARD
        number = next(get(host, COUNTER))
        receipt = make_receipt(get(entry, RECEIPT_CLASS), entry, number)
        source = parent = None
        correlation = number
        if cause is not None:
            above = cause.current
            if above is not None:
                source, parent, correlation = cause.id, above.id, above.correlation or number
        activity = make_activity(
            get(entry, ACTIVITY_CLASS), number, get(entry, ID), payload, lane, time_on(get(host, CLOCK)), source,
            parent, correlation, receipt
        )
        try:
            if urgent:
                put(entry, ACCEPTED_PRIORITY, get(entry, ACCEPTED_PRIORITY) + 1)
            else:
                put(entry, ACCEPTED_STANDARD, get(entry, ACCEPTED_STANDARD) + 1)
            get(host, RECORD)(activity)
            append(items, activity)
            if not is_set(entry, SCHEDULED):
                put(entry, SCHEDULED, True)
                host.wake(entry)
            if get(host, LISTENERS):
                host.notify()
        except BaseException:
            entry.complete_send(activity)
            raise
    finally:
        release_lock(lock)
    return receipt


cdef inline object PyContextVar_Get_(object variable):
    cdef PyObject* found = NULL
    PyContextVar_Get(variable, NULL, &found)
    value = <object>found
    Py_DECREF(value)
    return value


# ---- sending and waiting: the agents' loop


async def ask(self, payload, **options):
    a(EntryType, self)
    if PyContextVar_Get_(current) is not None:
        with self.register_wait():  # before it is sent: what can't be waited for is not left behind
            receipt = await self.send(payload, **options)
            self.run_inline(receipt)
            if receipt.value is None:
                await receipt.wait()
        return (await receipt).value
    if options:
        receipt = await self.send(payload, **options)
    else:
        try:
            receipt = self.send_nowait(payload)
        except MailboxFullError as full:
            receipt = await self._wait_for_room(full, payload, None, options)
    self.run_inline(receipt)
    if receipt.value is None:
        await receipt.wait()
    outcome = receipt.value
    if outcome is not None and outcome.error is None:
        return outcome.state if outcome.reply is UNSET else outcome.reply
    return (await receipt).value


def run_inline(self, promise):
    a(EntryType, self)
    driver = get(self, DRIVER)
    if driver is None or not driver.open or is_set(self, HELD):
        return
    if PyThread_get_thread_ident() != <unsigned long>get(self, HOST).thread:
        return
    mailbox = a(MailboxType, get(self, MAILBOX))
    items = get(mailbox, PRIORITY_ITEMS)
    if not len(items):
        items = get(mailbox, STANDARD_ITEMS)
    if len(items) and items[0].receipt is promise:
        driver.run_inline(promise, self.decides_later)


# ---- processing: the loop's thread only

cdef enum:
    GO_ON  # with the next activity
    SUSPENDED  # the workflow waits for something
    UNCHECKED  # the type of the new state is not the usual one
    SLICE_OVER
    ASLEEP
    AWAKE  # it was about to sleep, and something has come meanwhile
    RENEWED
    ENDED


cdef object NOTHING = object()


@cython.final
cdef class Continuation:
    """The rest of a coroutine that has asked for something already, to be awaited."""

    cdef object coroutine, asked

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        asked, self.asked = self.asked, NOTHING
        return self.send(None) if asked is NOTHING else asked

    cpdef object send(self, object value):
        cdef PyObject* found = NULL
        cdef PySendResult kind = PyIter_Send(<PyObject*>self.coroutine, <PyObject*>value, &found)
        if kind == PYGEN_ERROR:
            raise_pending()
        result = <object>found
        Py_DECREF(result)
        if kind == PYGEN_RETURN:
            raise StopIteration(result)
        return result

    def throw(self, *error):
        return self.coroutine.throw(*error)

    def close(self):
        self.coroutine.close()


cdef extern from *:
    """
    /* The exception that is set already goes on. */
    static CYTHON_INLINE int agentrt_raise_pending(void) { return -1; }
    """
    int raise_pending "agentrt_raise_pending" () except -1


@cython.final
cdef class Turn:
    """What the processing of one entry has at hand, from its start to its end."""

    cdef object entry, host, mailbox, task, variables, base, id, counter, record
    cdef object activity, workflow, call, context, awaited, created, started
    cdef double finished, slice_end
    cdef bint is_limited, is_at_work, is_async, takes_context
    cdef int left

    cdef int read(self, object workflow) except -1:
        """Use this workflow for the next activity."""
        self.call, self.is_async, self.takes_context = workflow.call, workflow.is_async, workflow.takes_context
        self.workflow = workflow
        return 0

    cdef int forget(self) except -1:
        """Keep nothing alive of what was done."""
        activity, context, awaited = self.activity, self.context, self.awaited
        self.activity = self.context = self.awaited = None
        return 0


cdef Turn begin(object entry, object driver):
    cdef Turn turn = Turn.__new__(Turn)
    turn.entry, turn.host, turn.mailbox = entry, a(HostType, get(entry, HOST)), a(MailboxType, get(entry, MAILBOX))
    turn.task, turn.variables, turn.base = driver.task, driver.variables, copy_context()
    turn.id, turn.counter, turn.record = get(entry, ID), get(turn.host, COUNTER), get(turn.host, RECORD)
    turn.is_limited = type(turn.mailbox) is not PlainMailbox
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
            not len(items) or len(get(mailbox, PRIORITY_ITEMS)) or <Py_ssize_t>get(mailbox, STREAK)
            or is_set(entry, HELD) or turn.is_limited
        ):
            items = None if is_set(entry, HELD) and not entry._may_step() else mailbox.next_lane()
            if items is None:
                put(entry, CURRENT_ACTIVITY, None)
                turn.forget()  # nothing of what was done stays alive while it sleeps
                if entry._ends():
                    return ENDED
                return AWAKE if is_set(entry, SCHEDULED) else ASLEEP
        if not len(items):  # another thread has dropped it, to make room
            continue
        activity = a(ActivityType, popleft(items))
        put(entry, CURRENT_ACTIVITY, activity)
        before, turn.activity = turn.activity, activity
        before = None
        if get(mailbox, SENDERS):
            entry._admit_waiting()
        found = start(turn)
        if found != GO_ON:
            return found
    return SLICE_OVER


cdef int start(Turn turn) except -1:
    """Call the workflow with the activity that was taken, and commit what it returns if it does so at once."""
    cdef PyObject* result = NULL
    cdef PySendResult kind
    entry, activity = turn.entry, turn.activity
    created = get(activity, A_CREATED)
    if turn.finished >= <double>created:
        turn.started = turn.finished
    else:
        turn.started = time_on(get(turn.host, CLOCK))
    put(entry, STARTED, turn.started)
    limit = get(activity, A_TIMEOUT) or get(entry, TIMEOUT)
    put(entry, DEADLINE, INFINITY if limit is None else turn.host.deadlines.arm(turn.started + limit))
    turn.is_at_work = True
    workflow = get(entry, WORKFLOW)
    if workflow is not turn.workflow:
        turn.read(workflow)
    if turn.takes_context:
        context = context_class(entry, activity)
        before, turn.context = turn.context, context
        before = None
        new = turn.call(activity, get(entry, STATE), context)
    else:
        new = turn.call(activity, get(entry, STATE))
    if not turn.is_async:
        return settle(turn, new)
    put(entry, RUNNING, new)
    if not PyCoro_CheckExact(new):
        turn.awaited = new
        return SUSPENDED
    kind = PyIter_Send(<PyObject*>new, <PyObject*>None, &result)
    if kind == PYGEN_ERROR:
        raise_pending()
    found = <object>result
    Py_DECREF(found)
    if kind == PYGEN_RETURN:
        return settle(turn, found)
    turn.awaited = rest_of(new, found)
    return SUSPENDED


cdef Continuation rest_of(object coroutine, object asked):
    cdef Continuation rest = Continuation.__new__(Continuation)
    rest.coroutine, rest.asked = coroutine, asked
    return rest


cdef int settle(Turn turn, object new) except -1:
    """Commit a new state, unless its type has to be checked first."""
    if holds(turn.entry, EXACT_STATE, type(new)):
        return commit(turn, new)
    turn.awaited = new
    return UNCHECKED


cdef int commit(Turn turn, object new) except -1:
    """Make a new state that was checked the state, and decide the receipt."""
    cdef bint urgent
    entry, activity, host = turn.entry, turn.activity, turn.host
    now = time_on(get(host, CLOCK))
    turn.finished = now
    deadline = get(entry, DEADLINE)
    if deadline is not INFINITY and turn.finished > <double>deadline and host.deadlines.is_late(entry, now):
        raise DeadlinePassed
    reply = turn.context.replied if turn.takes_context else UNSET
    turn.is_at_work = False
    urgent = holds(activity, A_LANE, PRIORITY)
    created, started = get(activity, A_CREATED), turn.started
    outcome = make_outcome(
        next(turn.counter), get(activity, A_ID), turn.id, urgent, created, started, now, new, reply
    )
    turn.record(outcome)
    put(entry, STATE, new)
    put(entry, DONE, get(entry, DONE) + 1)
    add_wait, add_service = <tuple>get(entry, PRIORITY_RECORDERS if urgent else STANDARD_RECORDERS)
    record_time(add_wait, <double>started - <double>created)
    record_time(add_service, turn.finished - <double>started)
    put(entry, IN_ERROR, False)
    receipt = a(ReceiptType, get(activity, A_RECEIPT))
    put(receipt, R_VALUE, outcome)
    if not holds(receipt, R_WAITERS, None):
        entry.wake_waiters(activity, receipt)
    put(receipt, R_ENTRY, None)
    put(activity, A_RECEIPT, decided)
    put(entry, CURRENT_ACTIVITY, None)
    return next_step(turn)


cdef inline int record_time(object add, double seconds) except -1:
    """`add(seconds)`, where that is the append of an array of doubles."""
    times = <object>PyCFunction_GET_SELF(add) if PyCFunction_Check(add) else None
    extend_buffer(<array>a(TimesType, times), <char*>&seconds, 1)
    return 0


cdef int next_step(Turn turn) except -1:
    """Whether to go on with the next activity, after one that is over."""
    if (
        turn.task.is_cancelled_once
        or PyObject_RichCompareBool(turn.variables, turn.base, Py_NE)
        or is_set(turn.entry, CLOSED)
    ):
        return RENEWED
    return SLICE_OVER if turn.finished > turn.slice_end else GO_ON


async def _loop(self, driver):
    a(EntryType, self)
    CURRENT.set(self)
    cdef Turn turn = begin(self, driver)
    cdef int found
    while True:
        turn.slice_end, turn.finished, turn.left = self._begin_slice(driver), LONG_AGO, SLICE
        found = GO_ON
        while found == GO_ON or found == SUSPENDED or found == UNCHECKED:
            try:
                if found == GO_ON:
                    found = run(turn)
                elif found == SUSPENDED:
                    new = await turn.awaited
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
                turn.finished = time_on(get(turn.host, CLOCK))
                found = next_step(turn)
        if found == ENDED:
            return
        if found == RENEWED:
            self._renew()
            return
        if found == ASLEEP:
            await wait_for_wakeup()
        elif found == SLICE_OVER:
            if turn.slice_end > 0 or get(turn.host, LISTENERS):
                self.end_slice()
            await yield_to_loop()
