"""The command line: what runs until Ctrl-C (`demo`, `serve`, `watch`, `view`) and what looks at files and the like."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from . import __version__
from .clock import FASTEST
from .engine.core import core_name
from .errors import AgentError, ConfigurationError
from .optional import explain_missing
from .schema.numbers import number
from .schema.preview import preview
from .user_code import find_workflow, load_manager

if TYPE_CHECKING:
    from .demo import Towers
    from .discovery import ServerRecord
    from .history.stored import StoredHistory
    from .manager import RuntimeManager
    from .views.server.process import ServerProcess
    from .views.server.server import Server
    from .views.server.watch import Watch

__all__ = ["main"]

LINGER = 60.0  # seconds that a page of its own waits for the next manager, once nobody looks
DAMAGED = 1  # the exit code of a check that finds something
DIVERGED = 1  # the exit code of a replay that finds a difference
SHOWN = 20  # of each kind of finding of a replay
USAGE_ERROR = 2
"""The exit code for wrong arguments, the same as that of argparse."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the name of the program; those of the process if left out.

    Returns:
        The exit code: 0, 1 if a check or a replay finds something, or 2 for wrong arguments.
    """
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except AgentError as error:
        print(f"agentrt {options.command}: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:  # Ctrl-C is the way to end a command; its manager is closed by now
        print("Stopped.", flush=True)
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agentrt", description="Run stateful agents and watch them.")
    parser.add_argument("--version", action="version", version=f"agentrt {__version__} ({core_name()} core)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    page = _page_parser()
    demo = commands.add_parser("demo", parents=[page], help="three airports on a day of 2013, live in the browser")
    demo.add_argument("--date", default="2013-07-22", help="a day of 2013, as 2013-02-08 (default: %(default)s)")
    demo.add_argument("--speed", type=_speed, default=60.0, help="seconds of that day for a real one (default: 60)")
    demo.set_defaults(run=_run_demo)
    serve = commands.add_parser("serve", parents=[page], help="the dashboard of your own agents, or of all at once")
    what = serve.add_mutually_exclusive_group(required=True)
    what.add_argument("app", nargs="?", help="a Python file or module that makes a RuntimeManager")
    what.add_argument("--all", action="store_true", help="all managers served on this machine, side by side")
    serve.set_defaults(run=_run_serve)
    watch = commands.add_parser("watch", parents=[page], help="the dashboard of a manager that runs in another program")
    whom = watch.add_mutually_exclusive_group()
    whom.add_argument("name", nargs="?", default="", help="its name or its process; not needed if there is only one")
    whom.add_argument("--all", action="store_true", help="all that run now, on one page")
    watch.add_argument("--announce", help=argparse.SUPPRESS)  # as `manager.serve(process=True)` starts it
    watch.set_defaults(run=_run_watch)
    view = commands.add_parser("view", parents=[page], help="the dashboard of a journal file, as it was last written")
    view.add_argument("file", help="the file, which no program may hold; a backup of one that is held")
    view.set_defaults(run=_run_view)
    listing = commands.add_parser("list", help="the managers that are served on this machine now, with their links")
    listing.add_argument("app", nargs="?", help="instead, the runtimes that a Python file or module makes")
    listing.set_defaults(run=_run_list)
    lesson = commands.add_parser("lesson", help="open a lesson in JupyterLab, or list them")
    lesson.add_argument("which", nargs="?", help="its number, or the beginning of its name; without it they are listed")
    lesson.add_argument("--no-browser", action="store_true", help="only print the link")
    lesson.set_defaults(run=_run_lesson)
    _add_journal_parser(commands)
    _add_history_parsers(commands)
    return parser


def _add_history_parsers(commands: Any) -> None:
    replay = commands.add_parser("replay", help="run again what a journal file holds, and say what differs first")
    replay.set_defaults(run=_run_replay)
    test = commands.add_parser("record-test", help="write what a journal file holds as a pytest file")
    test.add_argument("--to", default="test_recorded.py", help="the file to write (default: %(default)s)")
    test.add_argument("--id", action="append", help="only this runtime; may be given several times")
    test.add_argument("--minimise", action="store_true", help="leave out what is not needed to reach the last end")
    test.set_defaults(run=_run_record_test)
    for parser in (replay, test):
        parser.add_argument("file", help="the journal file, which no program may hold")
        what = "the code of a runtime, as JFK=towers:control; its module is imported; may be given several times"
        parser.add_argument("--workflow", action="append", default=[], metavar="ID=MODULE:FUNCTION", help=what)
        parser.add_argument("--since", type=int, help="only what ended after this row")
        parser.add_argument("--until", type=int, help="only what ended up to this row")


def _add_journal_parser(commands: Any) -> None:
    journal = commands.add_parser("journal", help="check, repair, compact or copy a journal")
    verbs = journal.add_subparsers(dest="verb", required=True, metavar="check, repair, compact or copy")
    for verb, run, what in (
        ("check", _run_journal_check, "verify the checksum of every row; the file stays as it is"),
        ("repair", _run_journal_repair, "write what can be read of a damaged file into a new one"),
        ("compact", _run_journal_compact, "give back the room of what was let go"),
    ):
        parser = verbs.add_parser(verb, help=what)
        parser.add_argument("file", help="the file, which no program may hold")
        if verb == "repair":
            parser.add_argument("--to", help="the new file (default: FILE.repaired)")
        parser.set_defaults(run=run)
    copy = verbs.add_parser("copy", help="copy a journal in PostgreSQL into a new file, or a file into PostgreSQL")
    copy.add_argument("source", help="the address, such as postgresql://user@host:5432/database, or the file")
    copy.add_argument("to", help="the new file, or the address")
    copy.add_argument("--name", default="agents", help="the name of the journal there (default: %(default)s)")
    copy.set_defaults(run=_run_journal_copy)


def _page_parser() -> argparse.ArgumentParser:
    page = argparse.ArgumentParser(add_help=False)
    page.add_argument("--port", type=_port, default=0, help="port of the page (default: one that is free)")
    page.add_argument("--no-browser", action="store_true", help="only print the link")
    return page


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 (any free one) to 65535")
    return int(text)


def _speed(text: str) -> float:
    try:
        return number("speed", float(text), "", 0.0, FASTEST, above=True)
    except ValueError:  # a ConfigurationError is one too
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed: give a number above 0, such as 60") from None


# ---- agentrt demo


def _run_demo(options: argparse.Namespace) -> int:
    from . import RuntimeManager
    from .demo import ABOUT, load_day, towers

    day = load_day(options.date)
    with RuntimeManager(name="Three towers", loop="thread", clock=day.clock()) as manager:
        handle = towers(manager, day, speed=options.speed)
        note = f"{day.note}. {ABOUT}"
        try:
            _serve_manager(manager, options, day.note, note=note, loud=day.made_up, process=True)
            handle.start()
            manager.submit(handle.wait()).add_done_callback(partial(_print_result, handle))
            _wait_for_interrupt()
        finally:
            if manager.server is not None:
                manager.server.stop()


def _print_result(handle: Towers, day: Future[None]) -> None:
    if not day.cancelled():
        print(f"The day is over.\n{handle}", flush=True)


# ---- agentrt serve


def _run_serve(options: argparse.Namespace) -> int:
    if options.all:
        return _run_serve_all(options)
    with load_manager(options.app) as manager:
        _serve_manager(manager, options, f"{len(manager)} runtime{'s' * (len(manager) != 1)} of {options.app}")
        _wait_for_interrupt()


def _run_serve_all(options: argparse.Namespace) -> int:
    with explain_missing("the page needs"):
        from .views.server.managers import ManagersPage
        from .views.server.server import start

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = start(ManagersPage(), port=options.port)
    try:
        _print_links(server, options, "Ctrl-C here ends the page; the managers go on.")
        _wait_for_interrupt()
    finally:
        server.stop()


# ---- agentrt watch


def _run_watch(options: argparse.Namespace) -> int:
    if options.announce is not None:
        return _run_announce(options.announce)
    from . import discovery
    from .feed.connection import find_manager

    several = discovery.list_managers() if options.all else []
    managers = several if len(several) > 1 else [find_manager(options.name)]
    there = discovery.find_watcher(managers[0]) if len(managers) == 1 else None
    if there is not None:
        print(f"{managers[0].name} has a dashboard already, in process {there.pid}:")
        _print_links(there, options, "It ends with that process.")
        return 0
    with explain_missing("the page needs"):
        from .views.server.watch import Watch
    from .distributed.watching import open_source

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = "\n".join(f"{manager.name}, process {manager.pid}" for manager in managers)
    print(f"{names}\nStarting the page ...", flush=True)
    watch = Watch(managers, open_source, port=options.port)
    try:
        _print_links(watch.server, options, "Ctrl-C here ends the page; the agents go on.")
        _wait_for_interrupt()
    finally:
        watch.stop()


def _run_announce(announced: str) -> int:
    """Serve the page, write its record to stdout, and end some time after the manager."""
    import msgspec

    from .discovery import ManagerRecord

    with explain_missing("the page needs"):
        from .views.server.watch import Watch
    from .distributed.watching import open_source

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = msgspec.json.decode(announced)
    with _only_reader() as reader:
        try:
            watch = Watch([msgspec.convert(given["manager"], ManagerRecord)], open_source, **given["options"])
        except AgentError as error:
            print(error, file=reader)
            return USAGE_ERROR
        print(msgspec.json.encode(watch.server.record()).decode(), file=reader)
    try:
        _wait_for_pages(watch)
    finally:
        watch.stop()
    return 0


def _only_reader() -> TextIO:
    """Who reads stdout now; from here on nobody does, whatever is printed when it ends."""
    reader = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    return reader


def _wait_for_pages(watch: Watch) -> None:
    last = time.monotonic()
    while time.monotonic() - last < LINGER:
        time.sleep(LINGER / 4)
        if watch.needed:
            last = time.monotonic()


# ---- agentrt view


def _run_view(options: argparse.Namespace) -> int:
    from .history.file_source import FileSource

    with closing(FileSource(options.file)) as source:
        with explain_missing("the page needs"):
            from .views.server.content import ManagerPage
            from .views.server.server import start

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"This is {source.standing().recorded}.\nStarting the page ...", flush=True)
        page = ManagerPage(source)
        page.listed = False  # it is no manager
        server = start(page, port=options.port)
        try:
            _print_links(server, options, "Ctrl-C here ends the page; the file stays as it is.")
            _wait_for_interrupt()
        finally:
            server.stop()


# ---- agentrt list


def _run_list(options: argparse.Namespace) -> int:
    if options.app is None:
        return _list_servers()
    with load_manager(options.app) as manager:
        rows: list[tuple[str, ...]] = [("runtime", "status", "priority", "standard", "processed", "failed")]
        rows += [
            (runtime.id, str(runtime.status), *map(str, (*runtime.depth, runtime.processed, runtime.failed)))
            for runtime in manager.runtimes()
        ]
        _print_table(rows)
    return 0


def _list_servers() -> int:
    from . import discovery

    found = discovery.list_servers()
    managers = discovery.list_managers()
    served = {each.watches or each.pid for each in found}
    if not found and not managers:
        print("No manager is served on this machine now. In the program that has one: manager.serve()")
        return 0
    rows = [("manager", "process", "since", "link", "to look only")]
    for each in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.started))
        rows.append((each.name, str(each.pid), since, each.url, each.view_url))
    for manager in managers:
        if manager.pid not in served:
            since = time.strftime("%Y-%m-%d %H:%M", time.localtime(manager.started))
            rows.append((manager.name, str(manager.pid), since, f"agentrt watch {manager.pid}", ""))
    _print_table(rows)
    return 0


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, _column_widths(rows), strict=True)).rstrip())


def _column_widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


# ---- agentrt lesson


def _run_lesson(options: argparse.Namespace) -> int:
    from .lessons import find_lesson, lessons
    from .lessons.opening import open_lesson

    if options.which is None:
        print(*(f"{lesson.number:2}  {lesson.name:28} {lesson.title}" for lesson in lessons()), sep="\n")
        return 0
    return open_lesson(find_lesson(options.which), Path.cwd(), browser=not options.no_browser)


# ---- agentrt journal


def _run_journal_check(options: argparse.Namespace) -> int:
    from .journal import check_journal

    findings = check_journal(options.file)
    print(findings)
    return 0 if findings.is_whole else DAMAGED


def _run_journal_repair(options: argparse.Namespace) -> int:
    from .journal import repair_journal

    target = options.to or f"{options.file}.repaired"
    print(repair_journal(options.file, target))
    print(f"What can be read is in {target} now.")
    return 0


def _run_journal_compact(options: argparse.Namespace) -> int:
    from .journal import SQLiteJournal

    if not Path(options.file).is_file():
        raise ConfigurationError(f"there is no file {options.file}")
    with SQLiteJournal(options.file) as journal:
        before = journal.size
        journal.compact()
        print(f"{options.file}: {before:,} bytes before, {journal.size:,} now.")
    return 0


def _run_journal_copy(options: argparse.Namespace) -> int:
    from .journal import copy_journal

    copy_journal(options.source, options.to, name=options.name)
    print(f"The journal {options.name!r} is copied.")
    return 0


# ---- agentrt replay and record-test


def _run_replay(options: argparse.Namespace) -> int:
    from .history.replay import replay_records

    workflows, history = _open_history(options)
    found = replay_records(history, workflows, options.since, options.until)
    if found.skipped and not found.count:
        how = "" if workflows else f" with --workflow {found.skipped[0].runtime}=MODULE:FUNCTION"
        raise ConfigurationError(f"nothing could be run again: {found.skipped[0].why}{how}")
    print(found)
    for each in found.skipped[:SHOWN]:
        print(f"  skipped: activity {each.activity} of {each.runtime!r}: {each.why}")
    for impurity in found.dishonest[:SHOWN]:
        print(f"  not honest: {impurity}")
    if found.divergence is not None:
        for change in found.divergence.changes[:SHOWN]:
            print(f"  {change.path or found.divergence.what}: {preview(change.old, 80)} -> {preview(change.new, 80)}")
    return 0 if found.matches else DIVERGED


def _run_record_test(options: argparse.Namespace) -> int:
    from .history.transcript import write_test

    workflows, history = _open_history(options)
    given = (options.id, options.since, options.until, options.minimise, workflows)
    try:
        print(f"{write_test(history, options.to, *given)} is written; run it with pytest.")
    except ConfigurationError as error:
        how = "" if workflows else "; give it with --workflow ID=MODULE:FUNCTION"
        raise ConfigurationError(f"{error}{how}") from None
    return 0


def _open_history(options: argparse.Namespace) -> tuple[dict[str, Callable[..., Any]], StoredHistory]:
    """The code that is given, and what the file holds."""
    from .history.stored import StoredHistory
    from .journal.location import Location

    workflows = dict(map(find_workflow, options.workflow))
    owner = Location(options.file).find_owner()
    if owner is not None and owner.pid == os.getpid():
        below = 'put what opens it below if __name__ == "__main__":'
        raise ConfigurationError(f"the code of --workflow has opened {options.file} when it was imported: {below}")
    return workflows, StoredHistory(options.file, {each.__module__ for each in workflows.values()})


# ---- the page


def _serve_manager(
    manager: RuntimeManager,
    options: argparse.Namespace,
    title: str,
    note: str = "",
    loud: bool = False,
    process: bool = False,
) -> None:
    """Serve the manager and print the links. `note` is a line on the page."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to end counts as Ctrl-C
    print(f"{title}\nStarting the page ...", flush=True)
    server = manager.serve(port=options.port, note=note, loud=loud, process=process)
    _print_links(server, options, "Ctrl-C here ends the page and all its agents.")


def _print_links(server: Server | ServerProcess | ServerRecord, options: argparse.Namespace, end: str) -> None:
    """Print the links of a page and what ends it, and open the page in the browser."""
    print(f"\n    {server.url}\n\nThis link opens it (to look only: {server.view_url}).")
    print(end, flush=True)
    if not options.no_browser:
        webbrowser.open(server.url)


def _wait_for_interrupt() -> NoReturn:
    """Wait until Ctrl-C."""
    while True:
        # One second at a time: a signal that comes just before a wait is handled only after it.
        time.sleep(1.0)
