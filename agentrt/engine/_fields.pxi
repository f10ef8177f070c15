# Included by `_core.pyx`: what that calls of Python in C, where the fields of objects are in memory, and the clock.

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
    void* PyCFunction_GET_FUNCTION(object)
    int PyList_Append(object, object) except -1
    PyObject** _PyObject_GetDictPtr(object)
    int METH_O, METH_NOARGS
    void PyObject_GC_UnTrack(void*)
    Py_ssize_t Py_SIZE(object)
    void PyErr_SetNone(object)
    void PyErr_SetObject(object, object)
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int) nogil
    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member
    ctypedef PyObject* (*iternextfunc)(PyObject*)
    ctypedef struct AsyncMethods "PyAsyncMethods":
        void* am_await
        void* am_send
    ctypedef struct Slots "PyTypeObject":
        iternextfunc tp_iternext
        AsyncMethods* tp_as_async
    ctypedef PyObject* (*PyCFunction)(PyObject*, PyObject*)
    ctypedef struct PyMethodDef:
        PyCFunction ml_meth
        int ml_flags
    ctypedef struct PyMethodDescrObject:
        PyMethodDef* d_method


cdef extern from *:
    """
    /* The exception that is set already goes on. */
    static CYTHON_INLINE int agentrt_raise_pending(void) { return -1; }
    """
    int raise_pending "agentrt_raise_pending" () except -1


# ---- fields: at their place in an object


cdef Py_ssize_t place(object cls, str name) except -1:
    """Where the slot of this name is in an instance of a class."""
    found = getattr(cls, name)
    if type(found) is not MemberDescriptorType:
        raise ImportError(f"{cls.__name__}.{name} is no slot; the compiled core does not fit this version of msgspec")
    return (<PyMemberDescrObject*><PyObject*>found).d_member.offset


cdef inline PyObject** spot(object holder, Py_ssize_t at) noexcept:
    return <PyObject**>(<char*><PyObject*>holder + at)


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define AGENTRT_INLINE static inline __attribute__((always_inline))
    #else
    #define AGENTRT_INLINE static CYTHON_INLINE
    #endif

    static PyObject *agentrt_refuse(PyObject *holder) {
        return PyErr_Format(PyExc_AttributeError, "a field of %s is not set yet", Py_TYPE(holder)->tp_name);
    }

    AGENTRT_INLINE PyObject *agentrt_look(PyObject *holder, Py_ssize_t at) {
        PyObject *found = *(PyObject **)((char *)holder + at);
        return found == NULL ? agentrt_refuse(holder) : found;
    }

    AGENTRT_INLINE PyObject *agentrt_get(PyObject *holder, Py_ssize_t at) {
        PyObject *found = agentrt_look(holder, at);
        Py_XINCREF(found);
        return found;
    }

    AGENTRT_INLINE void agentrt_put(PyObject *holder, Py_ssize_t at, PyObject *what) {
        PyObject **there = (PyObject **)((char *)holder + at), *old = *there;
        Py_INCREF(what);
        *there = what;
        if (old != NULL) Py_DECREF(old);
    }
    """
    # What a slot holds; `look` without a reference, for what is read at once.
    object get "agentrt_get" (object holder, Py_ssize_t at)
    PyObject* look "agentrt_look" (object holder, Py_ssize_t at) except NULL
    # Have a slot hold another object. The old one is let go last: its finalizer may look at the holder.
    void put "agentrt_put" (object holder, Py_ssize_t at, object what)


cdef inline bint holds(object holder, Py_ssize_t at, object what) noexcept:
    """Whether a slot holds this very object."""
    return spot(holder, at)[0] == <PyObject*>what


cdef inline bint is_set(object holder, Py_ssize_t at) except -1:
    """Whether a slot holds something true."""
    return holds(holder, at, True) or not (holds(holder, at, False) or holds(holder, at, None)) and get(holder, at)


cdef inline Py_ssize_t number_in(object holder, Py_ssize_t at) except? -1:
    """The number that a slot holds."""
    return <Py_ssize_t><object>look(holder, at)


cdef inline void fill(object made, Py_ssize_t at, object new) noexcept:
    """Have an empty slot of a new object hold something."""
    Py_INCREF(new)
    spot(made, at)[0] = <PyObject*>new


cdef inline object blank(object cls):
    """A new instance of a struct class, with every slot empty."""
    return PyType_GenericAlloc(<PyTypeObject*>cls, 0)


cdef Py_ssize_t ACCEPTED_PRIORITY = place(EntryFields, "accepted_priority")
cdef Py_ssize_t ACCEPTED_STANDARD = place(EntryFields, "accepted_standard")
cdef Py_ssize_t ACTIVITY_CLASS = place(EntryFields, "activity_class"), CLOSED = place(EntryFields, "closed")
cdef Py_ssize_t CURRENT_ACTIVITY = place(EntryFields, "current"), DEADLINE = place(EntryFields, "deadline")
cdef Py_ssize_t DONE = place(EntryFields, "done"), DRAINING = place(EntryFields, "draining")
cdef Py_ssize_t DRIVER = place(EntryFields, "driver"), EXACT = place(EntryFields, "exact")
cdef Py_ssize_t EXACT_STATE = place(EntryFields, "exact_state"), FAILED_COUNT = place(EntryFields, "failed_count")
cdef Py_ssize_t FLUSH_AT = place(EntryFields, "flush_at"), HELD = place(EntryFields, "held")
cdef Py_ssize_t HOST = place(EntryFields, "host"), ID = place(EntryFields, "id")
cdef Py_ssize_t IN_ERROR = place(EntryFields, "in_error"), MAILBOX = place(EntryFields, "mailbox")
cdef Py_ssize_t PRIORITY_RECORDERS = place(EntryFields, "priority_recorders")
cdef Py_ssize_t QUESTION = place(EntryFields, "question"), RECEIPT_CLASS = place(EntryFields, "receipt_class")
cdef Py_ssize_t RUNNING = place(EntryFields, "running")
cdef Py_ssize_t SCHEDULED = place(EntryFields, "scheduled")
cdef Py_ssize_t STANDARD_RECORDERS = place(EntryFields, "standard_recorders"), STARTED = place(EntryFields, "started")
cdef Py_ssize_t STATE = place(EntryFields, "state"), TIMED_OUT = place(EntryFields, "timed_out")
cdef Py_ssize_t TIMEOUT = place(EntryFields, "timeout"), TIMES = place(EntryFields, "times")
cdef Py_ssize_t WORKFLOW = place(EntryFields, "workflow")

cdef Py_ssize_t FAST_LIMIT_PRIORITY = place(MailboxFields, "fast_limit_priority")
cdef Py_ssize_t FAST_LIMIT_STANDARD = place(MailboxFields, "fast_limit_standard")
cdef Py_ssize_t PRIORITY_ITEMS = place(MailboxFields, "priority"), SENDERS = place(MailboxFields, "senders")
cdef Py_ssize_t STANDARD_ITEMS = place(MailboxFields, "standard"), STREAK = place(MailboxFields, "streak")

cdef Py_ssize_t ASLEEP = place(HostFields, "asleep"), BUSY = place(HostFields, "busy")
cdef Py_ssize_t CLOCK = place(HostFields, "clock"), COUNTER = place(HostFields, "counter")
cdef Py_ssize_t DEADLINES = place(HostFields, "deadlines"), INLINE_BUDGET = place(HostFields, "inline_budget")
cdef Py_ssize_t LISTENERS = place(HostFields, "listeners"), LOCK = place(HostFields, "lock")
cdef Py_ssize_t LOOP = place(HostFields, "loop"), RECORD = place(HostFields, "record"), RING = place(HostFields, "ring")
cdef Py_ssize_t THREAD = place(HostFields, "thread"), WATCHDOG = place(HostFields, "watchdog")

cdef Py_ssize_t D_OPEN = place(Driver, "open"), D_PASSED = place(Driver, "passed"), D_PROCESS = place(Driver, "process")
cdef Py_ssize_t D_SINGLE = place(Driver, "single"), D_SLEEPER = place(Driver, "sleeper"), D_TASK = place(Driver, "task")
cdef Py_ssize_t D_VARIABLES = place(Driver, "variables")

cdef Py_ssize_t B_COIN = place(InlineBudget, "_coin"), B_COUNT = place(InlineBudget, "count")
cdef Py_ssize_t B_NESTED = place(InlineBudget, "nested"), B_READY = place(InlineBudget, "ready")

cdef Py_ssize_t NOW = place(Clock, "now")
cdef Py_ssize_t O_ERROR = place(Outcome, "error"), O_FINISHED = place(Outcome, "finished")
cdef Py_ssize_t O_STARTED = place(Outcome, "started")

cdef Py_ssize_t A_CREATED = place(Activity, "created"), A_ID = place(Activity, "id"), A_LANE = place(Activity, "lane")
cdef Py_ssize_t A_PAYLOAD = place(Activity, "payload"), A_RECEIPT = place(Activity, "receipt")
cdef Py_ssize_t A_TIMEOUT = place(Activity, "timeout")

cdef Py_ssize_t R_ENTRY = place(Receipt, "_entry"), R_ID = place(Receipt, "id"), R_VALUE = place(Receipt, "value")
cdef Py_ssize_t R_WAITERS = place(Receipt, "_waiters")

cdef Py_ssize_t[12] ACTIVITY_PLACES, OUTCOME_PLACES
cdef int _i
for _i, _name in enumerate(Activity.__struct_fields__):
    ACTIVITY_PLACES[_i] = place(Activity, _name)
for _i, _name in enumerate(Outcome.__struct_fields__):
    OUTCOME_PLACES[_i] = place(Outcome, _name)

# Looked up once, so that no name is looked up for each activity.
cdef object PRIORITY = Lane.PRIORITY, STANDARD = Lane.STANDARD, UNSET = msgspec.UNSET, INFINITY = math.inf
cdef object DONE_WORD = "done", ONE = 1
cdef object ActivityType = Activity, PlainActivity = UntrackedActivity, OutcomeType = Outcome
cdef object ReceiptType = Receipt, DriverType = Driver, BudgetType = InlineBudget
cdef object ClockType = Clock, PlainReceipt = UntrackedReceipt, PlainMailbox = PrioritizedMailbox
cdef object CounterType = Counter, DistributionType = Distribution
cdef object EntryType = EntryState, HostType = HostFields, MailboxType = MailboxFields, TimesType = array
cdef dict tasks = current_tasks
cdef object yields = YIELD, sleeps = SLEEP
cdef double LONG_AGO = -math.inf, SECONDS = SLICE_SECONDS, SHORT_SECONDS = SHORT
cdef Py_ssize_t MOST_TURNS = MOST_INLINE, MOST_TURNS_NESTED = MOST_NESTED
cdef object decided = DECIDED, current = CURRENT, context_class = Context, pure_await = Receipt.__await__
cdef object DequeType = deque, NOTHING = object(), last_host_class = HostType


# The classes of entries whose fields are where they are looked for. One that shadows a field with a property of its own
# has everything done in Python, so that its property is asked.
cdef dict plain_classes = {}
cdef object last_plain_class = EntryType


cdef bint has_plain_fields(object entry) except -1:
    """Whether the class of an entry leaves the fields as they are; TypeError if it is no entry."""
    a(EntryType, entry)
    cls = type(entry)
    found = all(getattr(cls, name) is getattr(EntryFields, name) for name in ENTRY_FIELDS)
    plain_classes[cls] = found
    return found


cdef inline bint is_plain(object entry) except -1:
    """The same, looked up once for each class."""
    global last_plain_class
    if type(entry) is last_plain_class:
        return True
    cdef object found = plain_classes.get(type(entry))
    if found is None:
        found = has_plain_fields(entry)
    if found:
        last_plain_class = type(entry)
    return found


cdef inline object a(object cls, object found):
    """What was found, if it is of a class: nothing is read of anything that has other fields."""
    if not PyObject_TypeCheck(found, <PyTypeObject*>cls):
        raise TypeError(f"{type(found).__name__} is no {cls.__name__}")
    return found


cdef extern from *:
    """
    /* now(), and where that is time.monotonic the same number without calling it. */
    #if defined(__linux__)
    #include <time.h>
    static CYTHON_INLINE double agentrt_read(PyObject *now, PyObject *monotonic) {
        struct timespec read;
        if (now == monotonic && !clock_gettime(CLOCK_MONOTONIC, &read)) {
            long long ns = read.tv_sec * 1000000000LL + read.tv_nsec;
            return read.tv_nsec ? (double)ns / 1e9 : (double)read.tv_sec;
        }
    #else
    static CYTHON_INLINE double agentrt_read(PyObject *now, PyObject *monotonic) {
    #endif
        PyObject *found = PyObject_CallNoArgs(now);
        double seconds;
        if (!found) return -1;
        seconds = PyFloat_AsDouble(found);
        Py_DECREF(found);
        return seconds;
    }
    """
    double read "agentrt_read" (object now, object monotonic) except? -1


cdef inline double seconds_on(object clock) except? -1:
    """What a clock reads."""
    return read(get(clock, NOW) if type(clock) is ClockType else clock.now, MONOTONIC)


# `a(HostType, found)` and its like, without a walk through the base classes for the class that it most often is.
cdef inline object a_host(object found):
    global last_host_class
    if type(found) is not last_host_class:
        a(HostType, found)
        last_host_class = type(found)
    return found


cdef inline object a_mailbox(object found):
    return found if type(found) is PlainMailbox else a(MailboxType, found)


cdef inline object an_activity(object found):
    return found if type(found) is PlainActivity else a(ActivityType, found)


cdef inline object a_receipt(object found):
    return found if type(found) is UntrackedUnreadReceiptType else a(ReceiptType, found)


cdef PyCFunction method(object name, int flags) except NULL:
    """The function in C behind a method of deques."""
    cdef PyMethodDef* found
    descriptor = getattr(deque, name)
    found = (<PyMethodDescrObject*><PyObject*>descriptor).d_method
    if found.ml_flags != flags:
        raise ImportError(f"deque.{name} is called in another way; the compiled core does not fit this Python")
    return found.ml_meth


cdef object MONOTONIC = monotonic
cdef PyCFunction DEQUE_APPEND = method("append", METH_O), DEQUE_POPLEFT = method("popleft", METH_NOARGS)


cdef inline Py_ssize_t size(object items) except -1:
    """`len(items)`, without a call for the lanes, whose lengths are asked for several times an activity."""
    return Py_SIZE(items) if type(items) is DequeType else len(items)


cdef inline Py_ssize_t size_of(object holder, Py_ssize_t at) except -1:
    """The length of what a slot holds."""
    return size(<object>look(holder, at))


if size(deque((1, 2))) != 2:
    raise ImportError("the length of a deque stands elsewhere; the compiled core does not fit this Python")


cdef inline int push(object items, object what) except -1:
    """`items.append(what)`."""
    cdef PyObject* found
    if type(items) is not DequeType:
        items.append(what)
        return 0
    found = DEQUE_APPEND(<PyObject*>items, <PyObject*>what)
    if found == NULL:
        raise_pending()
    Py_DECREF(<object>found)
    return 0


cdef inline object pop(object items):
    """`items.popleft()`."""
    cdef PyObject* found
    if type(items) is not DequeType:
        return items.popleft()
    found = DEQUE_POPLEFT(<PyObject*>items, NULL)
    if found == NULL:
        raise_pending()
    taken = <object>found
    Py_DECREF(taken)
    return taken


cdef void* LIST_APPEND = PyCFunction_GET_FUNCTION([].append)


cdef inline bint is_list_append(object add) noexcept:
    return PyCFunction_Check(add) and PyCFunction_GET_FUNCTION(add) == LIST_APPEND


cdef inline int record(object add, object what) except -1:
    """`add(what)`, where that most often is the append of the list of a ring."""
    if is_list_append(add):
        return PyList_Append(<object>PyCFunction_GET_SELF(add), what)
    add(read_one(what))
    return 0
