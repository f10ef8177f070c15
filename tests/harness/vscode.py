"""The manager of widgets that VS Code's notebooks have, with the kernel of a notebook in JupyterLab."""

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.harness.lab import KERNEL

# What VS Code's extension for Jupyter carries for ipywidgets 8, and what that loads modules with.
PACKAGES = {"@vscode/jupyter-ipywidgets8@1.0.9": "dist/ipywidgets.js", "requirejs@2.3.8": "require.js"}
SECONDS = 120
PLACE = "vscode"
START = """async ([source, kernel, place]) => {
    const code = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
    (await import(code)).activate();
    window.vscIPyWidgets8.load();
    const box = document.createElement('div');
    box.id = place;
    box.style = 'position: fixed; inset: 60px 20px 20px 300px; z-index: 9999; overflow: auto; background: white';
    document.body.append(box);
    const fail = async name => { throw new Error(`${name} is asked for from the web`); };
    const loader = {widgetsRegisteredInRequireJs: new Set(), loadWidgetScript: fail};
    window.vscodeWidgets = new window.vscIPyWidgets.WidgetManager(eval(kernel), box, loader, () => {}, undefined);
}"""
SHOW = """async ([id, place]) => {
    const manager = window.vscodeWidgets;
    const view = await manager.create_view(await manager.get_model(id));
    await manager.display_view({}, view, {node: document.getElementById(place)});
}"""


def fetch(folder: Path) -> list[str]:
    """The source of each, from the registry that npm is set up for. The test is skipped where that is not reached."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    sources = []
    for number, (package, file) in enumerate(PACKAGES.items()):
        place = folder / f"package{number}"
        place.mkdir()
        packed = subprocess.run(
            ["npm", "pack", package], cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if packed.returncode:
            pytest.skip(f"npm can't fetch {package}")
        shutil.unpack_archive(next(place.glob("*.tgz")), place)
        sources.append((place / "package" / file).read_text(encoding="utf-8"))
    return sources


def start_manager(page: Page, sources: list[str]) -> None:
    """Start it beside the notebook that is open: from now on it has the comms of that kernel."""
    widgets, loader = sources
    page.add_script_tag(content=loader)
    page.evaluate(START, [widgets, KERNEL, PLACE])


def show_widget(page: Page, id: str) -> Locator:
    """Show the widget of a model, and return where it is."""
    page.evaluate(SHOW, [id, PLACE])
    return page.locator(f"#{PLACE}")
