"""discovery.py: the list of servers, and the keys of pages."""

import json
import os
import stat
import subprocess
import sys

import msgspec
import pytest

from agentrt import RuntimeManager, discovery
from agentrt.cli import main
from agentrt.discovery import PageKeys, ServerRecord
from agentrt.errors import ConfigurationError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "agentrt"


def record(pid: int, port: int = 1, started: float = 0.0) -> ServerRecord:
    return ServerRecord(pid, "a", port, "http://x", "http://y", started)


def ended_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_the_owner_may_read_it(place):
    path = discovery.add_server(record(os.getpid()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_directory_that_is_too_open_is_closed(place):
    place.mkdir()
    place.chmod(0o777)
    discovery.directory()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_directory_of_somebody_else_is_not_used(place, tmp_path):
    (tmp_path / "theirs").mkdir()
    place.symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match="AGENTRT_RUNTIME_DIR"):
        discovery.directory()


def test_a_server_whose_process_has_ended_is_removed(place):
    stale = discovery.add_server(record(ended_process()))
    here = [record(os.getpid(), 2, started=2.0), record(os.getpid(), 1, started=1.0)]
    for each in here:
        discovery.add_server(each)
    (place / "server-x.json").write_text("{")
    assert discovery.list_servers() == here[::-1]
    assert not stale.exists()


def test_the_dashboard_of_a_manager_is_found_again(place):
    def manager(pid: int, name: str = "tower") -> discovery.ManagerRecord:
        return discovery.ManagerRecord(pid, name, 1, 0, "", 1.0)

    own, gone = os.getpid(), ended_process()
    assert discovery.find_watcher(manager(own)) is None
    discovery.add_server(record(own))  # one that shows its own manager
    assert discovery.find_watcher(manager(own)) is None
    waiting = discovery.ServerRecord(own, "tower", 5007, "x", "y", 1.0, watches=gone)
    discovery.add_server(waiting)
    assert discovery.find_watcher(manager(own)) == waiting  # it waits for the next manager of the name
    assert discovery.find_watcher(manager(own, "another")) is None
    other = msgspec.structs.replace(waiting, watches=os.getppid())
    discovery.add_manager(manager(os.getppid()))
    discovery.add_server(other)
    assert discovery.find_watcher(manager(own)) is None  # that of another program of the name, which runs
    assert discovery.find_watcher(manager(os.getppid())) == other


def test_a_removed_server_is_not_listed_and_may_be_removed_again():
    path = discovery.add_server(record(os.getpid()))
    discovery.remove_server(path)
    discovery.remove_server(path)
    assert discovery.list_servers() == []


def test_keys_are_stored_for_a_name_in_a_directory(tmp_path, monkeypatch):
    path, before = discovery.load_keys("a")
    assert before is None
    keys = PageKeys.new(8000)
    discovery.save_keys(path, keys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert discovery.load_keys("a") == (path, keys)
    assert discovery.load_keys("b")[1] is None
    monkeypatch.chdir(tmp_path)
    assert discovery.load_keys("a")[1] is None


def test_keys_that_were_not_used_for_long_are_deleted():
    path, _ = discovery.load_keys("a")
    discovery.save_keys(path, PageKeys.new(1))
    os.utime(path, (0, 0))
    assert discovery.load_keys("a")[1] is None


def test_a_broken_file_gives_no_keys():
    path, _ = discovery.load_keys("a")
    path.write_text(json.dumps({"port": "x"}))
    assert discovery.load_keys("a")[1] is None


def test_no_two_keys_are_alike():
    first, second = PageKeys.new(1), PageKeys.new(1)
    assert len({first.operator, first.viewer, first.secret, second.operator, second.viewer, second.secret}) == 6


def a_file(path):
    path.write_text("")


def not_writable(path):
    path.mkdir(mode=0o500)


def a_link(path):
    path.parent.joinpath("elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("make", [a_file, a_link])
def test_a_directory_that_can_not_be_used_is_one_sentence(tmp_path, monkeypatch, make):
    make(tmp_path / "agentrt")
    monkeypatch.delenv("AGENTRT_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="set AGENTRT_RUNTIME_DIR to a directory of your own"):
        discovery.list_servers()


def test_a_runtime_directory_that_is_a_file_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("AGENTRT_RUNTIME_DIR", raising=False)
    a_file(tmp_path / "file")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="can't be used: Not a directory; set AGENTRT_RUNTIME_DIR"):
        discovery.list_servers()
    assert main(["list"]) != 0


def test_the_page_works_without_a_list(tmp_path, monkeypatch, caplog):
    a_file(tmp_path / "file")
    monkeypatch.delenv("AGENTRT_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with RuntimeManager(loop="thread") as manager:
        server = manager.serve()
        assert server.url.startswith("http://127.0.0.1:")
        server.stop()
    assert "AGENTRT_RUNTIME_DIR" in caplog.text
