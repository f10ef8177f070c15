"""Agents you can see: stateful asyncio agents in a notebook, with live views and commands.

>>> import agentrt
>>> with agentrt.RuntimeManager() as manager:
...     runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
...     manager.run(runtime.ask(10))
10
"""

from .activity import Activity, Lane
from .clock import Clock
from .context import Context
from .errors import (
    AccessDeniedError,
    ActivityTimeoutError,
    ActivityValidationError,
    AgentError,
    ConfigurationError,
    DeadlockError,
    JournalError,
    JournalTakenOverError,
    MailboxFullError,
    ManagerClosedError,
    MissingPackageError,
    ProcessingError,
    RuntimeExistsError,
    RuntimeFailedError,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from .events import Event, Fate, Outcome
from .frames import StackFrame
from .grants import Grant, Right
from .groups import Group
from .journal import Retention, SQLiteJournal
from .limits import Backoff, Overflow
from .magic import load_ipython_extension
from .manager import RuntimeManager
from .metrics import Fates, Metrics, Percentiles
from .receipt import Receipt
from .runtime import Runtime
from .snapshot import Snapshot, Status
from .supervision import Policy, Rule, Strategy, Supervision

__all__ = [
    "AccessDeniedError",
    "Activity",
    "ActivityTimeoutError",
    "ActivityValidationError",
    "AgentError",
    "Backoff",
    "Clock",
    "ConfigurationError",
    "Context",
    "DeadlockError",
    "Event",
    "Fate",
    "Fates",
    "Grant",
    "Group",
    "JournalError",
    "JournalTakenOverError",
    "Lane",
    "MailboxFullError",
    "ManagerClosedError",
    "Metrics",
    "MissingPackageError",
    "Outcome",
    "Overflow",
    "Percentiles",
    "Policy",
    "ProcessingError",
    "Receipt",
    "Retention",
    "Right",
    "Rule",
    "Runtime",
    "RuntimeExistsError",
    "RuntimeFailedError",
    "RuntimeManager",
    "RuntimeNotFoundError",
    "RuntimeTerminatedError",
    "SQLiteJournal",
    "Snapshot",
    "StackFrame",
    "Status",
    "Strategy",
    "Supervision",
    "load_ipython_extension",
]

__version__ = "0.1.0"
