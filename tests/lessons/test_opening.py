import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from agentrt.errors import MissingPackageError
from agentrt.lessons import find_lesson
from agentrt.lessons.opening import open_lesson
from tests.harness.shown import answers
from tests.harness.wait import PATIENCE, wait_until


def test_without_jupyterlab_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("agentrt.lessons.opening.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install jupyterlab, or open .*01_first_agent\.ipynb"):
        open_lesson(find_lesson("1"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.lab
def test_the_command_opens_a_lesson_in_jupyterlab(tmp_path):
    command = [sys.executable, "-m", "agentrt", "lesson", "first", "--no-browser"]
    log, config = tmp_path / "log.txt", tmp_path / "config"
    config.mkdir()
    (config / "jupyter_server_config.json").write_text('{"ServerApp": {"allow_root": true}}')
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(config)}
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=file, stderr=file, start_new_session=True
        ) as process,
    ):
        try:
            link, port = wait_until(
                lambda: re.search(r"http://127\.0\.0\.1:(\d+)/\S+\s", log.read_text()),
                what="JupyterLab says its address",
            ).group(0, 1)
            wait_until(lambda: answers(int(port)), what="it listens, which it does only after that")
            with urllib.request.urlopen(link.strip(), timeout=PATIENCE) as page:
                assert page.status == 200
            assert "/lab/tree/01_first_agent.ipynb" in link
            assert (tmp_path / "01_first_agent.ipynb").exists()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
