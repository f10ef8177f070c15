"""All errors of agentrt, under one root.

    AgentError
    ├── RuntimeExistsError        the id is already in use
    ├── RuntimeNotFoundError      no runtime has this id
    ├── RuntimeTerminatedError    the runtime was terminated, before or while the activity waited
    ├── RuntimeFailedError        the supervisor stopped the runtime; `recover()` starts it again
    ├── MailboxFullError          the lane is full, or its overflow policy dropped the activity
    ├── ActivityValidationError   the payload does not have the type that the workflow takes
    ├── ProcessingError           the workflow raised an exception; it is `__cause__`
    ├── ActivityTimeoutError      the deadline of the activity passed
    ├── DeadlockError             a runtime would wait for itself, directly or through others
    ├── AccessDeniedError         the handle or the role does not allow it
    ├── ManagerClosedError        the manager is closed
    ├── JournalError              the journal can't be written, or is damaged
    │   └── JournalTakenOverError another process has taken the journal over; this one can't store anything more
    ├── MissingPackageError       a package is not installed that this part of agentrt needs
    └── ConfigurationError        an argument that is wrong

Each has a `tag` (its kind in one word that does not change between versions, for counting and for `match`), the ids
that it is about (`runtime`, `activity`), and a message that says what was expected and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AccessDeniedError",
    "ActivityTimeoutError",
    "ActivityValidationError",
    "AgentError",
    "ConfigurationError",
    "DeadlockError",
    "JournalError",
    "JournalTakenOverError",
    "MailboxFullError",
    "ManagerClosedError",
    "MissingPackageError",
    "ProcessingError",
    "RuntimeExistsError",
    "RuntimeFailedError",
    "RuntimeNotFoundError",
    "RuntimeTerminatedError",
]


LONGEST_MESSAGE = 2_000  # characters of a cause that stand in the message of the error about it


class AgentError(Exception):
    """The root of all errors of agentrt.

    Args:
        message: What was expected, and what to do.
        runtime: Id of the runtime that it is about; None where it is about none.
        activity: Id of the activity that it is about; None where it is about none.

    >>> AgentError("no", runtime="JFK").runtime
    'JFK'
    """

    tag: ClassVar[str] = "agent"

    def __init__(self, message: str, *, runtime: str | None = None, activity: int | None = None) -> None:
        super().__init__(message)
        self.runtime = runtime
        self.activity = activity

    def copy(self) -> AgentError:
        """A copy without the traceback: each waiter raises its own, so that none keeps the frames of another alive."""
        new = _rebuild(type(self), self.args, self.__dict__)
        new.__cause__ = self.__cause__
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def describe_error(error: BaseException) -> str:
    """An exception as `ValueError: message`, a long message cut. It never raises, whatever `__str__` does.

    >>> describe_error(ValueError("no"))
    'ValueError: no'
    """
    try:
        text = str(error)
    except Exception as why:
        return f"{type(error).__name__}, whose message can't be read: its __str__ raises {type(why).__name__}"
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]} ... ({len(text):,} characters)"
    return f"{type(error).__name__}: {text}"


def _rebuild(kind: type[AgentError], args: tuple[Any, ...], fields: dict[str, Any]) -> AgentError:
    new = kind.__new__(kind)
    new.args = args
    new.__dict__.update(fields)
    return new


class RuntimeExistsError(AgentError):
    """Another runtime of this manager has the id."""

    tag = "exists"


class RuntimeNotFoundError(AgentError, KeyError):
    """No runtime of this manager has this id. Also a `KeyError`, as `manager[id]` is a lookup."""

    tag = "not_found"

    def __str__(self) -> str:
        return str(self.args[0])


class RuntimeTerminatedError(AgentError):
    """The runtime was terminated. It accepts nothing more; activities that it had not finished end with this error."""

    tag = "terminated"


class RuntimeFailedError(AgentError):
    """The supervisor stopped the runtime after too many failures. It keeps its mailbox; `recover()` starts it again."""

    tag = "failed"


class MailboxFullError(AgentError):
    """The lane is full; or its `overflow` policy dropped this activity to make room."""

    tag = "mailbox_full"


class ActivityValidationError(AgentError, ValueError):
    """The payload does not have the type that the workflow takes.

    `problems` maps a path in the payload ("" is the whole) to a text.
    """

    tag = "validation"

    def __init__(
        self,
        message: str,
        *,
        runtime: str | None = None,
        activity: int | None = None,
        problems: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, runtime=runtime, activity=activity)
        self.problems = problems or {"": message}


class ProcessingError(AgentError):
    """The workflow raised an exception, which is `__cause__`. The state is what it was before."""

    tag = "processing"


class ActivityTimeoutError(AgentError, TimeoutError):
    """The deadline of the activity passed. Its workflow was cancelled, and the state is what it was before."""

    tag = "timeout"


class DeadlockError(AgentError):
    """A runtime would wait for itself. `chain` has the ids of those that wait, with the first again at the end."""

    tag = "deadlock"

    def __init__(self, message: str, *, chain: tuple[str, ...], runtime: str | None = None) -> None:
        super().__init__(message, runtime=runtime)
        self.chain = chain


class AccessDeniedError(AgentError):
    """The handle or the role does not allow this. `missing` is the right that would allow it, if there is one."""

    tag = "access_denied"

    def __init__(
        self, message: str, *, runtime: str | None = None, activity: int | None = None, missing: str | None = None
    ) -> None:
        super().__init__(message, runtime=runtime, activity=activity)
        self.missing = missing


class ManagerClosedError(AgentError):
    """The manager is closed: create a new one."""

    tag = "manager_closed"


class JournalError(AgentError):
    """The journal can't be written, or is damaged."""

    tag = "journal"


class JournalTakenOverError(JournalError):
    """Another process has taken the journal over, and this one can't store anything more. The message names it."""

    tag = "journal_taken_over"


class MissingPackageError(AgentError, ModuleNotFoundError):
    """A package is not installed that this part of agentrt needs. The message says how to get it."""

    tag = "missing_package"


class ConfigurationError(AgentError, ValueError):
    """An argument is wrong. The message says what is allowed."""

    tag = "configuration"
