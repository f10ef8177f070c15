"""A real Prometheus that scrapes a page, with the configuration that the documentation shows; and its promtool.

`python -m tests.harness.prometheus --install` gets them from the system's packages where there are none.
"""

import json
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness.browser import apt_install
from tests.harness.place import ROOT, free_port
from tests.harness.wait import PATIENCE, wait_until

MISSING = "there is no promtool on this machine; `python -m tests.harness.prometheus --install` tries to get one"
FOLDER = ROOT / "docs" / "monitoring"


def find(name: str = "promtool") -> str | None:
    """The program, if there is one."""
    return shutil.which(name)


def promtool(*arguments: str, given: bytes = b"") -> str:
    """What promtool says; `AssertionError` with that if it finds a fault."""
    command = [find() or "promtool", *arguments]
    done = subprocess.run(
        command, cwd=FOLDER, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


class Prometheus:
    """A server with the configuration of the documentation, in a folder of its own, that scrapes twice a second."""

    def __init__(self, folder: Path, target: int, token: str) -> None:
        self.port = free_port()
        config = (FOLDER / "prometheus.yml").read_text()
        for said, here in (
            ("scrape_interval: 15s", "scrape_interval: 500ms"),
            ("localhost:5006", f"localhost:{target}"),
        ):
            assert said in config, f"the configuration has no {said}"
            config = config.replace(said, here)
        (folder / "prometheus.yml").write_text(config)
        (folder / "agentrt.token").write_text(token)
        shutil.copy(FOLDER / "alerts.yml", folder)
        self.log = folder / "log"
        command = [
            find("prometheus") or "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        wait_until(self._is_ready, what="Prometheus is there")

    def query(self, expression: str) -> list[Any]:
        """The series that an expression has now: each with its labels and its value."""
        found = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        assert found["status"] == "success", found
        result: list[Any] = found["data"]["result"]
        return result

    def targets(self) -> list[Any]:
        """What it scrapes, and how that goes."""
        found: list[Any] = self._get("/api/v1/targets")["data"]["activeTargets"]
        return found

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: {self.log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=PATIENCE) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


if __name__ == "__main__":
    if find() is None and "--install" in sys.argv:
        apt_install("prometheus")
    print(find() or MISSING)
