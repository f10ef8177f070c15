"""A real marimo that runs an app."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.harness.place import ROOT, free_port
from tests.harness.wait import PATIENCE, wait_until


class Marimo:
    """marimo's server with one app, on loopback. Its token is off: only this machine reaches it."""

    def __init__(self, app: Path, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = app.with_suffix(".log")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "marimo", "run", app.name, "--headless", "--no-token", "--port", str(port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=app.parent,
                env={**os.environ, "PYTHONPATH": path, "XDG_CONFIG_HOME": str(app.parent), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        """Until it answers."""
        wait_until(self._answers, what="marimo answers")

    def stop(self) -> None:
        """End it, and with it the program of the app."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"marimo ended at its start:\n{self._log.read_text(errors='replace')[-3000:]}")
        try:
            return bool(urllib.request.urlopen(f"{self.url}/health", timeout=PATIENCE).read())
        except (urllib.error.URLError, OSError):
            return False
