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

# By page: its title, the module that its names are imported from, and these in their order. A name of another module
# has it before a colon.
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
    "results": (
        "What methods return",
        "agentrt",
        """
        agentrt.receipt:Promise agentrt.subscription:Subscription agentrt.debugger:Breakpoints
        agentrt.debugger:Breakpoint agentrt.debugger:Stop agentrt.debugger:Whereabouts
        agentrt.views.server.server:Server
        """,
    ),
    "history": (
        "Time machine",
        "agentrt",
        """
        agentrt.history.moment:Moment agentrt.history.world:RuntimeMoment agentrt.history.commits:History
        agentrt.history.commits:CommittedState agentrt.history.replay:Replay agentrt.history.replay:Divergence
        agentrt.history.replay:Skipped agentrt.history.stored:StoredHistory agentrt.feed.recorded:RecordedSource
        """,
    ),
    "queueing": (
        "Queueing theory",
        "agentrt.queueing",
        """
        Stream utilisation mean_waits mean_queue_length throughput growth_rates time_until_full load_standard_error
        """,
    ),
    "export": (
        "Export",
        "agentrt.export",
        """
        to_csv to_parquet to_perfetto activities_frame metrics_frame activity_rows COLUMNS WRITERS Exportable
        """,
    ),
    "demo": (
        "The three towers",
        "agentrt",
        """
        agentrt.demo:towers agentrt.demo:Towers agentrt.demo:Tower agentrt.demo:Total agentrt.demo:Carrier
        agentrt.demo:load_day agentrt.demo:Day agentrt.demo:Flight agentrt.demo:CancelledFlight
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
        create_tool_agent tool_workflow Tool Model chat_model
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
PAGES = {
    page: (title, [tuple((each if ":" in each else f"{module}:{each}").split(":")) for each in names.split()])
    for page, (title, module, names) in _PAGES.items()
}
WHOLE = [module for _, module, _ in _PAGES.values()]  # each name of these is public
MODULES = {module for _, names in PAGES.values() for module, _ in names}
PARENTS = "Parameterized, Exception, Enum, str, Struct, Protocol, Generic, object"  # not described again
ELSEWHERE = {  # names of two modules, described once
    "agentrt": {"SQLiteJournal", "Retention"},
    "agentrt.integrations.tools": {"Conversation", "ToolAnswers", "ToolRequest"},
}


def missing_names() -> list[str]:
    """The public names that no page has."""
    has = {place for _, places in PAGES.values() for place in places}
    return [
        f"{module}.{name}"
        for module in dict.fromkeys(WHOLE)
        for name in importlib.import_module(module).__all__
        if (module, name) not in has and name not in ELSEWHERE.get(module, ())
    ]


def write_reference(folder: Path) -> None:
    """Write the pages; each name is described by its docstring."""
    if missing := missing_names():
        raise LookupError(f"give these public names a place in PAGES: {', '.join(missing)}")
    folder.mkdir(parents=True)
    (folder / "index.md").write_text(f"{INTRODUCTION}{chr(10).join(PAGES)}\n/CHANGELOG\n```\n")
    for page, (title, places) in PAGES.items():
        modules = ", ".join(f"`{module}`" for module in dict.fromkeys(module for module, _ in places))
        parts = [_part(getattr(importlib.import_module(module), name), f"{module}.{name}") for module, name in places]
        lines = [f"# {title}", "", f"From {modules}.", "", "```{eval-rst}", *parts, "```"]
        (folder / f"{page}.md").write_text("\n".join(lines) + "\n")


def _part(thing: object, name: str) -> str:
    if inspect.isclass(thing):
        if issubclass(thing, BaseException):
            return f".. autoexception:: {name}"
        return f".. autoclass:: {name}\n   :inherited-members: {PARENTS}"
    return f".. {'autofunction' if callable(thing) else 'autodata'}:: {name}"
