"""Views in cells of a real JupyterLab."""

from tests.harness.lab import Notebook

START = (
    "import agentrt, threading\n"
    "from agentrt import Activity\n"
    "manager = agentrt.RuntimeManager()\n"
    "def add(activity: Activity[int], state: int) -> int:\n"
    "    return state + activity.payload\n"
    "runtime = manager.create('sum', 0, add)"
)

# The widget manager of each JupyterLab opens a comm to the kernel. Where that does not know it, it closes it in all
# pages, and each other page reports an error.
WIDGETS = "import ipywidgets\n"


def live(notebook: Notebook, cell: int = 1, state: str = "live") -> None:
    """Wait until the view of a cell is live, or in another condition."""
    notebook.cell(cell).locator(f"[data-state={state}]").first.wait_for(state="attached")
