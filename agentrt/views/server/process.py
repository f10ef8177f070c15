"""The dashboard in a process of its own, started from that of the manager: `manager.serve(process=True)`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from ... import discovery
from ...discovery import ManagerRecord, ServerRecord
from ...errors import ConfigurationError
from .links import links_of

__all__ = ["ServerProcess", "serve_in_process"]

TIMEOUT = 60.0  # seconds for the process to start; to end it has a third of that
OPTIONS = ("address", "title", "note", "hosts", "loud", "proxies", "evaluator", "answers")
LISTS = ("hosts", "proxies", "answers")  # of the answers it is told the paths, and asks the program for the rest


class ServerProcess:
    """A dashboard in another process. `url` is the operator's link, `view_url` the link for looking only.

    It stays when the manager ends, until `stop()`, or until no page is open for a minute after that.
    """

    def __init__(self, record: ServerRecord, process: subprocess.Popen[bytes] | None = None) -> None:
        self.record = record
        self.pid = record.pid
        self.port = record.port
        self.url = record.url
        self.view_url = record.view_url
        self._process = process

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None if self._process is not None else self.record.alive

    def on_manager_end(self) -> None:
        """It stays: the page says that the manager has ended, and waits for the next one of its name."""

    def stop(self) -> None:
        """End it; open pages then say that the connection is lost. Idempotent."""
        if not self.running:
            return
        if self._process is None:
            os.kill(self.pid, signal.SIGTERM)
            return
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT / 3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __repr__(self) -> str:
        where = self.url if self.running else "stopped"
        return f"<ServerProcess of {self.record.name!r}, process {self.pid}: {where}>"

    def _repr_html_(self) -> str:
        return links_of(self)


def serve_in_process(manager: ManagerRecord | None, port: int = 0, auth: bool = True, **options: Any) -> ServerProcess:
    """Start the dashboard of a manager in a process of its own; the one that there is, if there is one.

    Args:
        manager: The manager; None for one that offers its feed to nobody.
        port: 0 for any that is free.
        auth: Only True is accepted.
        **options: The others of `agentrt.views.server.server.serve`.

    Raises:
        ConfigurationError: It did not start, and why.
    """
    if not auth:
        raise ConfigurationError(
            "the dashboard is never served without a token; hand on server.view_url to let others look"
        )
    if manager is None:
        raise ConfigurationError(
            "this manager is not offered to other processes; make it with offer=True, or serve it with process=False"
        )
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ConfigurationError(f"unknown option {unknown[0]!r}; there are port, {', '.join(OPTIONS)}")
    there = discovery.find_watcher(manager)
    return ServerProcess(there) if there is not None else _spawn(manager, {"port": port, **options})


def _spawn(manager: ManagerRecord, options: dict[str, Any]) -> ServerProcess:
    options = {name: sorted(value) if name in LISTS else value for name, value in options.items()}
    announce = json.dumps({"manager": msgspec.to_builtins(manager), "options": options})
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "agentrt", "watch", "--announce", announce],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": _python_path()},
        start_new_session=True,  # Ctrl-C in the terminal of the agents is not for it
    )
    assert process.stdout is not None
    late = threading.Timer(TIMEOUT, process.kill)
    late.start()
    try:
        with process.stdout as announced:
            line = announced.readline()
    except BaseException:  # Ctrl-C
        process.terminate()
        raise
    finally:
        late.cancel()
    try:
        return ServerProcess(msgspec.json.decode(line, type=ServerRecord), process)
    except msgspec.DecodeError:
        process.terminate()
        code = process.wait(TIMEOUT)
        words = line.decode("utf-8", "replace").strip() or f"its process has ended with code {code}"
        raise ConfigurationError(f"the page could not be served: {words}") from None


def _python_path() -> str:
    """Where the other process finds this package."""
    own = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH", "")]))
