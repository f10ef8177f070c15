"""A breakpoint of debugpy, set as an editor does, over its protocol (DAP)."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt.discovery import list_managers
from agentrt.feed.remote import RemoteSource
from tests.harness.wait import PATIENCE, wait_until

CHILD = Path(__file__).with_name("debugged_child.py")
LINE = next(n for n, text in enumerate(CHILD.read_text().splitlines(), 1) if "# BREAKPOINT" in text)


class Editor:
    """The part of an editor that speaks to debugpy."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._file = self._socket.makefile("rb")
        self._number = 0

    def ask(self, command: str, **arguments: Any) -> None:
        self._number += 1
        asked = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(asked).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def wait_for(self, name: str) -> dict[str, Any]:
        """The next event or answer of this name."""
        while True:
            length = 0
            while (line := self._file.readline().strip()) or not length:
                length = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else length
            message: dict[str, Any] = json.loads(self._file.read(length))
            if name in (message.get("event"), message.get("command")):
                return message.get("body") or {}

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def child(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-Xfrozen_modules=off", str(CHILD), str(port), "debugged"]
    here = {**os.environ, "PYTHONPATH": str(CHILD.parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_runtime_is_shown_as_stopped_and_nobody_reports_a_blocked_loop(
    port: int, child: subprocess.Popen[str]
) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "listening\n"
    editor = Editor(port)
    editor.ask("initialize", adapterID="test", pathFormat="path")
    editor.ask("attach", justMyCode=False)
    editor.wait_for("initialized")
    editor.ask("setBreakpoints", source={"path": str(CHILD)}, breakpoints=[{"line": LINE}])
    editor.ask("configurationDone")
    thread = editor.wait_for("stopped")["threadId"]
    wait_until(lambda: any(each.name == "debugged" for each in list_managers()))
    [record] = [each for each in list_managers() if each.name == "debugged"]
    with RemoteSource(record, max_age=0) as source:
        wait_until(lambda: source.where("JFK").how == "stopped")
        there = source.where("JFK")
        assert (there.stop.at, there.frames[-1].function) == ("debugpy", "lands")
        assert there.frames[-1].locals["height"] == "7"
        assert source.where("other").how == "idle"
        editor.ask("continue", threadId=thread)
        assert child.stdout.readline() == "state 7\n"
        assert not [each for each in source.frame().records if each.kind == "blocked"]
    editor.ask("disconnect", terminateDebuggee=False)
    editor.close()
