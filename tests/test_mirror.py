"""A test file has the name and the folder of its module: `agentrt/engine/hub.py` and `tests/engine/test_hub.py`.

`python -m tests.test_mirror` prints the modules that have no test file of their own.
"""

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "agentrt"

# What has no single module: promises of the whole, the project's files, and tools of the tests themselves.
FOLDERS = {"harness", "mutants", "oracle", "stateful", "typing"}
CROSS_CUTTING = {
    "debugger/test_debugpy.py": "a breakpoint of debugpy",
    "integrations/test_grafana.py": "docs/monitoring/grafana.json",
    "integrations/test_openai.py": "tools.py, with the package of OpenAI",
    "distributed/test_all_ended.py": "a cluster whose processes all end",
    "distributed/test_kills.py": "kill -9 of processes, nodes and drivers of a cluster",
    "distributed/test_lost_driver.py": "a cluster whose driver is killed, see docs/distributed.md",
    "distributed/test_outbox_ends.py": "outbox.py, with processes that end and runtimes that move",
    "distributed/test_partition.py": "a node that is parted from the store",
    "distributed/test_ray_token.py": "ray_engine.py, with a Ray that asks for a token",
    "distributed/test_scale.py": "docs/distributed.md, on 1,000 nodes",
    "test_debugging.py": "docs/debugging.md",
    "test_time_machine.py": "docs/time-machine.md",
    "journal/test_conformance.py": "what each kind of journal has to do",
    "journal/test_crashes.py": "kill -9, and damaged files",
    "journal/test_postgres_connection.py": "postgres.py, with a server that goes away",
    "journal/test_sqlite_crashes.py": "sqlite.py, on the files that a crash leaves",
    "journal/test_postgres_crashes.py": "kill -9 of agents and server, and a parted network",
    "test_architecture.py": "docs/architecture.md",
    "test_bad_input.py": "whatever is given to a public name",
    "test_benchmarks.py": "benchmarks/",
    "test_chaos.py": "random faults of every kind",
    "feed/test_source_commands.py": "feed/source.py, what it carries out",
    "history/test_seeded_changes.py": "replay.py, on code with one change",
    "feed/test_same_picture.py": "every page, from each kind of source",
    "test_dashboard.py": "dashboard/app.py",
    "test_demo_page.py": "`agentrt demo` in a browser",
    "test_docstrings.py": "the examples of all modules",
    "test_documentation.py": "README.md, docs/ and the texts of notebooks/",
    "test_durability.py": "docs/durability.md",
    "engine/test_command_ends.py": "commands.py, with runtimes that end",
    "engine/test_mailbox_commands.py": "commands.py, on what waits in a mailbox",
    "engine/test_cancellations.py": "failure.py, where an activity is cancelled",
    "engine/test_durable_semantics.py": "the table of semantics, with a journal",
    "engine/test_durable_interruptions.py": "exceptions from outside, in a durable runtime",
    "engine/test_durable_order.py": "the order of what waits, over restarts",
    "engine/test_interruptions.py": "exceptions from outside",
    "engine/test_kills.py": "kill -9 of a durable manager",
    "test_front_ends.py": "docs/front-ends.md",
    "test_integrations.py": "docs/integrations.md",
    "integrations/test_recorded_workflows.py": "a recorded test of a workflow that an integration has made",
    "test_imports.py": "the floors, see floors.py",
    "test_kernel_survival.py": "a Jupyter kernel",
    "lessons/test_form.py": "form.py, on each lesson",
    "lessons/test_length.py": "length.py, on each lesson",
    "test_leaks.py": "memory, tasks, threads",
    "test_memory.py": "bounds on bytes",
    "test_mirror.py": "the tests",
    "test_names.py": "the names of every module",
    "test_notebooks.py": "notebooks/",
    "test_project.py": "pyproject.toml and its like",
    "test_semantics.py": "each row of the table of semantics",
    "test_shape.py": "the lengths of files and functions",
    "test_shared_state.py": "two managers in one process share nothing",
    "test_site.py": "docs/site",
    "test_soak.py": "soak.py",
    "test_tools.py": "a profiler, a tracer, a debugger and a traceback",
    "testing/explorer/test_seeded_faults.py": "seeded_faults.py",
    "views/app/test_accessibility.py": "every page",
    "views/app/test_questions.py": "every page",
    "views/notebook/test_voila.py": "view.js, in a page of Voilà",
    "views/server/test_injections.py": "every page",
    "views/server/test_many_runtimes.py": "every page",
}


def modules() -> set[Path]:
    """The modules of the package, relative to it."""
    return {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}


def present() -> set[Path]:
    """The test files, relative to their folder, without those that have no single module."""
    found = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    return {path for path in found if path.parts[0] not in FOLDERS and path.as_posix() not in CROSS_CUTTING}


def expected() -> set[Path]:
    """The test files that the modules ask for."""
    return {path.with_name(f"test_{path.name}") for path in modules()}


def test_every_test_file_has_its_module() -> None:
    assert sorted(map(str, present() - expected())) == []


def test_every_exception_is_there() -> None:
    assert [name for name in CROSS_CUTTING if not (TESTS / name).is_file()] == []
    assert [name for name in FOLDERS if not (TESTS / name).is_dir()] == []


if __name__ == "__main__":
    print(*sorted(map(str, expected() - present())), sep="\n")
