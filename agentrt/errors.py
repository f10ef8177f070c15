"""Every error agentrt raises, under one root.

    AgentError
    ├── RuntimeExistsError        the id is taken
    ├── RuntimeNotFoundError      no runtime has this id
    ├── RuntimeTerminatedError    the runtime was terminated; what was open is resolved with this
    ├── RuntimeFailedError        the supervisor stopped the runtime; `recover()` goes on
    ├── MailboxFullError          the lane is full, or the activity was dropped to make room
    ├── ActivityValidationError   the payload is not what the workflow takes
    ├── ProcessingError           the workflow raised; the cause is in `__cause__`
    ├── ActivityTimeoutError      the deadline passed
    ├── DeadlockError             a runtime would wait for itself, by whatever detour
    ├── AccessDeniedError         the holder of this handle may not do that
    ├── ManagerClosedError        the manager is closed
    ├── JournalError              the journal refused or is damaged
    └── ConfigurationError        an argument that can't work

Each has a `tag` (its kind as one word, stable, good for counting and for `match`), the ids it is about (`runtime`,
`activity`), and a message that says what was expected and what to do.
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
    "MailboxFullError",
    "ManagerClosedError",
    "ProcessingError",
    "RuntimeExistsError",
    "RuntimeFailedError",
    "RuntimeNotFoundError",
    "RuntimeTerminatedError",
]


class AgentError(Exception):
    """The root. `runtime` is the id of the runtime it is about, `activity` the id of the activity, where known.

    >>> AgentError("no", runtime="JFK").runtime
    'JFK'
    """

    tag: ClassVar[str] = "agent"

    def __init__(self, message: str, *, runtime: str | None = None, activity: int | None = None) -> None:
        super().__init__(message)
        self.runtime = runtime
        self.activity = activity

    def copy(self) -> AgentError:
        """The same error without a traceback: each waiter raises its own, so none keeps another's frames alive."""
        new = _rebuilt(type(self), self.args, self.__dict__)
        new.__cause__ = self.__cause__
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__)


def describe_error(error: BaseException) -> str:
    """An exception in words, `ValueError: no`; also one that can't tell its message."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as why:
        return f"{type(error).__name__}, whose message can't be had: its __str__ raises {type(why).__name__}"


def preview(value: Any, most: int = 60) -> str:
    """The start of a value's repr, for a message; never raises.

    >>> preview("x" * 100, 10)
    "'xxxxxxxxx"
    """
    try:
        return repr(value)[:most]
    except Exception as error:  # a repr is anybody's code
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _rebuilt(kind: type[AgentError], args: tuple[Any, ...], fields: dict[str, Any]) -> AgentError:
    new = kind.__new__(kind)
    new.args = args
    new.__dict__.update(fields)
    return new


class RuntimeExistsError(AgentError):
    """The id is taken in this manager."""

    tag = "exists"


class RuntimeNotFoundError(AgentError, KeyError):
    """No runtime of this manager has this id. Also a `KeyError`, as `manager[id]` is a lookup."""

    tag = "not_found"

    def __str__(self) -> str:
        return str(self.args[0])


class RuntimeTerminatedError(AgentError):
    """The runtime was terminated: it takes nothing more, and what it had not finished is resolved with this."""

    tag = "terminated"


class RuntimeFailedError(AgentError):
    """The supervisor stopped the runtime after too many failures. It keeps its mailbox; `recover()` goes on."""

    tag = "failed"


class MailboxFullError(AgentError):
    """The lane is full; or, with an `overflow` policy, this activity was dropped to keep the bound."""

    tag = "mailbox_full"


class ActivityValidationError(AgentError, ValueError):
    """The payload is not what the workflow takes. `problems` maps a path in the payload ("" is the whole) to a text."""

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
    """The workflow raised. What it raised is `__cause__`; the state is what it was before."""

    tag = "processing"


class ActivityTimeoutError(AgentError, TimeoutError):
    """The activity's deadline passed: its workflow was cancelled, the state is what it was before."""

    tag = "timeout"


class DeadlockError(AgentError):
    """A runtime would wait for itself. `chain` holds the ids, the first again at the end."""

    tag = "deadlock"

    def __init__(self, message: str, *, chain: tuple[str, ...], runtime: str | None = None) -> None:
        super().__init__(message, runtime=runtime)
        self.chain = chain


class AccessDeniedError(AgentError):
    """The handle or the role does not allow this; `missing` is the right that would, where one would."""

    tag = "access_denied"

    def __init__(
        self, message: str, *, runtime: str | None = None, activity: int | None = None, missing: str | None = None
    ) -> None:
        super().__init__(message, runtime=runtime, activity=activity)
        self.missing = missing


class ManagerClosedError(AgentError):
    """The manager is closed; make a new one."""

    tag = "manager_closed"


class JournalError(AgentError):
    """The journal refused the write, or what it holds is damaged."""

    tag = "journal"


class ConfigurationError(AgentError, ValueError):
    """An argument that can't work; the message names what would."""

    tag = "configuration"
