"""The command line: `agentrt demo`, `serve`, `watch` and `view`, which run until Ctrl-C; `list` and `journal`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from . import __version__
from .clock import FASTEST
from .errors import AgentError, ConfigurationError
from .optional import explain_missing
from .schema.numbers import number

if TYPE_CHECKING:
    from .demo import Towers
    from .discovery import ServerRecord
    from .manager import RuntimeManager
    from .views.server.process import ServerProcess
    from .views.server.server import Server
    from .views.server.watch import Watch

__all__ = ["main"]

LINGER = 60.0  # seconds that a page of its own waits for the next manager, once nobody looks
DAMAGED = 1  # the exit code of a check that finds something
USAGE_ERROR = 2
"""The exit code for wrong arguments, the same as that of argparse."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the name of the program; those of the process if left out.

    Returns:
        The exit code: 0, or 2 for wrong arguments.
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
    parser.add_argument("--version", action="version", version=f"agentrt {__version__}")
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
    _add_journal_parser(commands)
    return parser


def _add_journal_parser(commands: Any) -> None:
    journal = commands.add_parser("journal", help="check, repair or compact the file of a journal")
    verbs = journal.add_subparsers(dest="verb", required=True, metavar="check, repair or compact")
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
    with _load_manager(options.app) as manager:
        _serve_manager(manager, options, f"{len(manager)} runtimes of {options.app}")
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

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = "\n".join(f"{manager.name}, process {manager.pid}" for manager in managers)
    print(f"{names}\nStarting the page ...", flush=True)
    watch = Watch(managers, port=options.port)
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

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = msgspec.json.decode(announced)
    with _only_reader() as reader:
        try:
            watch = Watch([msgspec.convert(given["manager"], ManagerRecord)], **given["options"])
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
    from .feed.recorded import RecordedSource

    with closing(RecordedSource(options.file)) as source:
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
    with _load_manager(options.app) as manager:
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


def _load_manager(name: str) -> RuntimeManager:
    """The manager that a user's file or module creates. Errors of that code keep their traceback."""
    from . import RuntimeManager

    module = _import_app(name)
    found = [value for value in vars(module).values() if isinstance(value, RuntimeManager)]
    manager = vars(module).get("manager", found[0] if len(found) == 1 else None)
    if not isinstance(manager, RuntimeManager):
        raise ConfigurationError(f"{name} has no RuntimeManager named `manager`; write `manager = RuntimeManager()`")
    return manager


def _import_app(name: str) -> ModuleType:
    """Import a file by its path or a module by its name; it can import what stands beside it."""
    path = Path(name)
    is_file = path.suffix == ".py"
    sys.path.insert(0, str(path.resolve().parent if is_file else Path.cwd()))
    if is_file:
        return _import_file(path)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigurationError(f"there is no file or module {name}; give a path such as agents.py") from None


def _import_file(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"agentrt_app_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
