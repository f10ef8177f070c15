"""A real Jupyter kernel, spoken to as a front end does: run a cell, press stop, see whether it still answers."""

import queue
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from tests.harness.place import jupyter_environment
from tests.harness.wait import PATIENCE

ANSI = re.compile(r"\x1b\[[0-9;]*m")


class KernelDied(RuntimeError):
    """The kernel's process is gone."""


@dataclass
class Answer:
    """What one cell gave so far. `error` is None, or 'Name: message' as the cell shows it."""

    text: str = ""
    error: str | None = None
    traceback: str = ""
    done: bool = False
    outputs: list[dict[str, Any]] = field(default_factory=list)

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Add one message of the kernel."""
        if kind == "stream":
            self.text += content["text"]
        elif kind in ("execute_result", "display_data"):
            self.outputs.append(content)
            self.text += content["data"].get("text/plain", "")
        elif kind == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
            self.traceback = ANSI.sub("", "\n".join(content["traceback"]))
        elif kind == "status":
            self.done = content["execution_state"] == "idle"


class Kernel:
    """One ipykernel process in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=jupyter_environment(folder), cwd=str(folder))
        self._client = self._manager.client()
        self._answers: dict[str, Answer] = {}
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def run(self, code: str, timeout: float = PATIENCE) -> Answer:
        """Run a cell to its end. An error is in the answer, not raised; `TimeoutError` when it takes longer."""
        return self.finish(self.start(code), timeout)

    def start(self, code: str) -> Answer:
        """Run a cell without waiting; its answer grows in `until` and `finish`."""
        answer = self._answers[self._client.execute(code)] = Answer()
        return answer

    def finish(self, answer: Answer, timeout: float = PATIENCE) -> Answer:
        """Wait for the end of a started cell."""
        return self._read_until(answer, lambda: answer.done, timeout)

    def until(self, answer: Answer, pattern: str, timeout: float = PATIENCE) -> Answer:
        """Wait until the text of a started cell matches."""
        return self._read_until(answer, lambda: re.search(pattern, answer.text), timeout)

    def interrupt(self) -> None:
        """The stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """The restart button: the same kernel with an empty memory."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=PATIENCE)

    def alive(self) -> bool:
        """Whether it still answers 1+1."""
        return self.run("1+1").text == "2"

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self._manager.provisioner.pid)

    def _read_until(self, answer: Answer, enough: Any, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        while not enough():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout} s the cell has given only: {answer}")
            self._read()
        return answer

    def _read(self) -> None:
        try:
            message = self._client.get_iopub_msg(timeout=0.5)
        except queue.Empty:
            if not self._manager.is_alive():
                raise KernelDied("the kernel died") from None
            return
        answer = self._answers.get(message["parent_header"].get("msg_id", ""))
        if answer is not None:
            answer.take(message["msg_type"], message["content"])
