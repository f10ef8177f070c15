"""A real JupyterLab: its server as a process, and a notebook in it driven through a page of the browser."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import psutil
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as Late

from tests.harness.place import free_port, jupyter_environment
from tests.harness.wait import PATIENCE, wait_until

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
    # Cells out of sight stay in the page, so that a test can read them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
# Without it JupyterLab asks which kernel to take.
METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
KERNEL = "window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel"
CELLS = "jupyterapp.shell.currentWidget.content.widgets"
RUN = """index => {
    const run = {done: false};
    (window.agentrtRuns ??= {})[index] = run;
    jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    jupyterapp.commands.execute('notebook:run-cell').finally(() => { run.done = true; });
}"""
COMMAND = """([name, index]) => {
    jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    return jupyterapp.commands.execute(name);
}"""
# The text of an element as a person reads it, shadow roots walked; what Bokeh draws is in them.
TEXT = """node => {
    const read = node => {
        if (node.nodeType === Node.TEXT_NODE) return node.textContent;
        if (['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.nodeName) || node.hidden) return '';
        const inner = [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(read).join(' ');
        return ['INPUT', 'TEXTAREA'].includes(node.nodeName) ? inner + ' ' + node.value : inner;
    };
    return read(node).replace(/\\s+/g, ' ').trim();
}"""
OUTPUT = f"""index => [...{CELLS}[index].node.querySelectorAll('.jp-OutputArea-output')].map({TEXT}).join(' ')"""


class Lab:
    """A JupyterLab server on loopback, in a folder of its own. Its token is off: only this machine reaches it."""

    module = "jupyterlab"
    page = "lab/tree"

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        self.root.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = folder / "jupyterlab.log"
        environment = jupyter_environment(folder) | {"PANEL_INLINE": "True"}
        _write_settings(Path(environment["JUPYTERLAB_SETTINGS_DIR"]))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *_arguments(port, self.root)],
                env=environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, timeout: float = PATIENCE) -> None:
        """Until it answers. Raises with the end of its log when it does not."""
        try:
            wait_until(self._answers, timeout, "JupyterLab answers")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log()[-3000:]}") from None

    def add(self, notebook: Path | list[str], name: str = "") -> str:
        """Put a notebook (a file, or the sources of its code cells) where the server finds it, under a name."""
        if isinstance(notebook, Path):
            name = name or notebook.name
            shutil.copy(notebook, self.root / name)
        else:
            name = name or "nb.ipynb"
            cells = [nbformat.v4.new_code_cell(source) for source in notebook]
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), self.root / name)
        return name

    def open(self, page: Page, notebook: Path | list[str], name: str = "", timeout: float = PATIENCE) -> "Notebook":
        """Show a notebook in this page, its kernel started."""
        page.goto(f"{self.url}/{self.page}/{self.add(notebook, name)}?reset")
        page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=timeout * 1000)
        return Notebook(page)

    def end_kernels(self) -> None:
        """End what runs: the notebook of one test takes nothing from the next."""
        for kernel in json.loads(self._ask("GET", "kernels")):
            self._ask("DELETE", f"kernels/{kernel['id']}")

    def connections(self) -> int:
        """How many pages are connected to kernels."""
        return sum(kernel["connections"] for kernel in json.loads(self._ask("GET", "kernels")))

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return bytes(reply.read())

    def log(self) -> str:
        """What the server and its kernels have logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End the server and every kernel it started, by their pids."""
        family = [self.process, *psutil.Process(self.process.pid).children(recursive=True)] if self._runs() else []
        if family:
            self.process.terminate()
        for member in family:
            _end(member)

    def _runs(self) -> bool:
        return self.process.poll() is None

    def _answers(self) -> bool:
        if not self._runs():
            raise RuntimeError(f"JupyterLab ended at its start:\n{self.log()[-3000:]}")
        try:
            return bool(self._ask("GET", "status"))
        except (urllib.error.URLError, OSError):
            return False


class ClassicNotebook(Lab):
    """The same with Notebook 7: one notebook a page, without the frame of JupyterLab."""

    module = "notebook"
    page = "notebooks"


class Notebook:
    """A notebook that is open in a page of JupyterLab. Cells are counted from 0, those with text included."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __len__(self) -> int:
        return int(self.page.evaluate(f"{CELLS}.length"))

    def cell(self, index: int) -> Locator:
        """The cell in the page: to click in it, to look for what it shows."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def start(self, index: int) -> None:
        """Run a cell without waiting for it."""
        self.page.evaluate(RUN, index)

    def finish(self, index: int, timeout: float = PATIENCE) -> None:
        """Wait for the end of a started cell."""
        self.page.wait_for_function("index => agentrtRuns[index].done", arg=index, timeout=timeout * 1000)

    def run(self, index: int, timeout: float = PATIENCE) -> str:
        """Run a cell to its end and return what it shows then. An error in it is an `AssertionError`."""
        self.start(index)
        self.finish(index, timeout)
        assert not (errors := self.errors(index)), f"cell {index} failed: {errors}"
        return self.output(index)

    def run_all(self, timeout: float = PATIENCE) -> None:
        """Run every code cell, one after the other."""
        for index in self.code_cells():
            self.run(index, timeout)

    def code_cells(self) -> list[int]:
        """Which cells hold code."""
        return list(self.page.evaluate(f"{CELLS}.flatMap((cell, i) => cell.model.type === 'code' ? [i] : [])"))

    def output(self, index: int) -> str:
        """The text that a person reads under the cell now."""
        return str(self.page.evaluate(OUTPUT, index))

    def errors(self, index: int) -> list[str]:
        """The errors that the cell shows, as 'Name: message'."""
        outputs: list[dict[str, Any]] = self.page.evaluate(f"index => {CELLS}[index].model.outputs.toJSON()", index)
        return [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]

    def wait_for_output(self, index: int, pattern: str, timeout: float = PATIENCE) -> str:
        """Wait until the text under the cell matches (a JavaScript regular expression), and return it."""
        found = f"([index, pattern]) => new RegExp(pattern).test(({OUTPUT})(index))"
        try:
            self.page.wait_for_function(found, arg=[index, pattern], timeout=timeout * 1000)
        except Late:
            raise AssertionError(f"cell {index} never showed {pattern!r}, but: {self.output(index)}") from None
        return self.output(index)

    def save(self) -> None:
        """Save it, with its outputs."""
        self.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")

    def reload(self, timeout: float = PATIENCE) -> None:
        """Load the page again: it shows what was saved, and the kernel goes on."""
        self.page.reload()
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=timeout * 1000)

    def command(self, name: str, index: int) -> None:
        """Carry out a command of JupyterLab, with this cell as the active one."""
        self.page.evaluate(COMMAND, [name, index])

    def interrupt(self) -> None:
        """The stop button."""
        self.page.evaluate(f"() => {KERNEL}.interrupt()")

    def restart(self) -> None:
        """The restart button, confirmed."""
        self.page.evaluate(f"() => {KERNEL}.restart()")


def _arguments(port: int, root: Path) -> list[str]:
    return [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.disable_check_xsrf=True",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        "--expose-app-in-browser",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        # For each notebook it would start the language server that the test environment has: a tenth of the whole time.
        "--LanguageServerManager.autodetect=False",
        f"--ServerApp.root_dir={root}",
    ]


def _write_settings(folder: Path) -> None:
    for name, values in SETTINGS.items():
        path = folder / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _end(process: Any) -> None:
    try:
        process.wait(timeout=60)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.kill()
        process.wait(timeout=60)
