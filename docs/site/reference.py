"""The pages of the reference: every public name, in an order to read them in."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

__all__ = """
        PAGES write_reference
        """

INTRODUCTION = """# Reference

The public names, each with its contract: what it does, its units, which errors it raises, from which thread it may be
called. What does not stand here is private and may change.

```{toctree}
:maxdepth: 1

"""

# By page: its title, the module that its names are imported from, and these in their order.
_PAGES = {
    "managers": (
        "Managers and runtimes",
        "agentrt",
        """
        RuntimeManager Runtime Context Clock Status Snapshot StackFrame
        """,
    ),
    "activities": (
        "Activities and receipts",
        "agentrt",
        """
        Activity Receipt Lane Rule Overflow Outcome Event Fate Fates Metrics Percentiles
        """,
    ),
    "supervision": (
        "Supervision and grants",
        "agentrt",
        """
        Supervision Group Strategy Policy Backoff Grant Right load_ipython_extension
        """,
    ),
    "errors": (
        "Errors",
        "agentrt",
        """
        AgentError ActivityTimeoutError ActivityValidationError AccessDeniedError ConfigurationError
        DeadlockError JournalError JournalTakenOverError MailboxFullError ManagerClosedError
        MissingPackageError ProcessingError RuntimeExistsError RuntimeFailedError RuntimeNotFoundError
        RuntimeTerminatedError
        """,
    ),
    "journal": (
        "Journals",
        "agentrt.journal",
        """
        SQLiteJournal PostgresJournal MemoryJournal Retention register check_journal repair_journal
        copy_journal Findings Journal JournalReader Codec MemoryLog Write Accepted Changed Committed
        Created EffectDone LetterClosed LetterKept Removed StoredLetter StoredRuntime StoredWhole
        Unreadable WaitingActivity UNCHANGED
        """,
    ),
    "testing": (
        "Testing",
        "agentrt.testing",
        """
        run virtual_manager thread_manager VirtualLoop run_until_idle check_fates Recorder activities
        explore replay Exploration Schedule Move ScheduleError ScheduleFailure StalledError
        """,
    ),
    "distributed": (
        "Several machines",
        "agentrt.distributed",
        """
        connect ClusterManager Placement
        """,
    ),
    "prometheus": (
        "Prometheus",
        "agentrt.integrations.prometheus",
        """
        ManagerCollector metrics_page METRICS
        """,
    ),
    "opentelemetry": (
        "OpenTelemetry",
        "agentrt.integrations.opentelemetry",
        """
        Telemetry
        """,
    ),
    "logging": (
        "Logging",
        "agentrt.integrations.logging",
        """
        get_logger RuntimeLogger
        """,
    ),
    "pydantic_ai": (
        "Pydantic AI",
        "agentrt.integrations.pydantic_ai",
        """
        create_pydantic_agent conversation_workflow Conversation ToolAnswers ToolRequest
        """,
    ),
    "tools": (
        "Tools",
        "agentrt.integrations.tools",
        """
        create_tool_agent tool_workflow Tool Model
        """,
    ),
    "functions": (
        "Functions",
        "agentrt.integrations.functions",
        """
        function_workflow
        """,
    ),
    "langgraph": (
        "LangGraph",
        "agentrt.integrations.langgraph",
        """
        create_langgraph_agent graph_workflow GraphState Question Resume message Priority
        """,
    ),
    "lessons": (
        "Lessons",
        "agentrt.lessons",
        """
        Prediction PredictionResult Exercise Assessment Lesson lessons find_lesson
        """,
    ),
}
PAGES = {page: (title, module, names.split()) for page, (title, module, names) in _PAGES.items()}
PARENTS = "Parameterized, Exception, Enum, str, Struct, Protocol, Generic, object"  # not described again
ELSEWHERE = {  # names of two modules, described once
    "agentrt": {"SQLiteJournal", "Retention"},
    "agentrt.integrations.tools": {"Conversation", "ToolAnswers", "ToolRequest"},
}


def missing_names() -> list[str]:
    """The public names that no page has."""
    found = []
    for module in {module for _, module, _ in PAGES.values()}:
        has = {name for _, of, names in PAGES.values() if of == module for name in names}
        found += [
            f"{module}.{name}"
            for name in importlib.import_module(module).__all__
            if name not in has | ELSEWHERE.get(module, set())
        ]
    return found


def write_reference(folder: Path) -> None:
    """Write the pages; each name is described by its docstring."""
    if missing := missing_names():
        raise LookupError(f"give these public names a place in PAGES: {', '.join(missing)}")
    folder.mkdir(parents=True)
    (folder / "index.md").write_text(f"{INTRODUCTION}{chr(10).join(PAGES)}\n/CHANGELOG\n```\n")
    for page, (title, module, names) in PAGES.items():
        of = importlib.import_module(module)
        parts = [_part(getattr(of, name), f"{module}.{name}") for name in names]
        lines = [f"# {title}", "", f"From `{module}`.", "", "```{eval-rst}", *parts, "```"]
        (folder / f"{page}.md").write_text("\n".join(lines) + "\n")


def _part(thing: object, name: str) -> str:
    if inspect.isclass(thing):
        if issubclass(thing, BaseException):
            return f".. autoexception:: {name}"
        return f".. autoclass:: {name}\n   :inherited-members: {PARENTS}"
    return f".. {'autofunction' if callable(thing) else 'autodata'}:: {name}"
