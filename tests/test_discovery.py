import json
import os
import stat
import subprocess
import sys

import pytest

from agentrt import discovery
from agentrt.discovery import Keys, Served
from agentrt.errors import ConfigurationError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "agentrt"


def one(pid: int, port: int = 1, started: float = 0.0) -> Served:
    return Served(pid, "a", port, "http://x", "http://y", started)


def gone() -> int:
    """The id of a process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_the_owner_may_read_it(place):
    path = discovery.enter(one(os.getpid()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_directory_that_is_too_open_is_closed(place):
    place.mkdir()
    place.chmod(0o777)
    discovery.folder()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_directory_of_somebody_else_is_not_used(place, tmp_path):
    (tmp_path / "theirs").mkdir()
    place.symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match="AGENTRT_RUNTIME_DIR"):
        discovery.folder()


def test_who_is_gone_is_taken_off_the_list(place):
    stale = discovery.enter(one(gone()))
    here = [one(os.getpid(), 2, started=2.0), one(os.getpid(), 1, started=1.0)]
    for each in here:
        discovery.enter(each)
    (place / "server-x.json").write_text("{")
    assert discovery.live() == here[::-1]
    assert not stale.exists()


def test_who_left_is_off_the_list_and_may_leave_again():
    path = discovery.enter(one(os.getpid()))
    discovery.leave(path)
    discovery.leave(path)
    assert discovery.live() == []


def test_keys_are_kept_for_a_name_in_a_directory(tmp_path, monkeypatch):
    path, before = discovery.keys_of("a")
    assert before is None
    keys = Keys.new(8000)
    discovery.keep(path, keys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert discovery.keys_of("a") == (path, keys)
    assert discovery.keys_of("b")[1] is None
    monkeypatch.chdir(tmp_path)
    assert discovery.keys_of("a")[1] is None


def test_keys_that_nobody_used_for_long_are_forgotten():
    path, _ = discovery.keys_of("a")
    discovery.keep(path, Keys.new(1))
    os.utime(path, (0, 0))
    assert discovery.keys_of("a")[1] is None


def test_a_file_that_is_broken_is_no_keys():
    path, _ = discovery.keys_of("a")
    path.write_text(json.dumps({"port": "x"}))
    assert discovery.keys_of("a")[1] is None


def test_no_two_keys_are_alike():
    first, second = Keys.new(1), Keys.new(1)
    assert len({first.operator, first.viewer, first.secret, second.operator, second.viewer, second.secret}) == 6
