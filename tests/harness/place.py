"""Where real parts run: folders of their own, this checkout on their path, a free port on loopback."""

import os
import socket
from pathlib import Path

ROOT = Path(__file__).parents[2]


def jupyter_environment(folder: Path) -> dict[str, str]:
    """An environment in which Jupyter reads and writes only in `folder`, and `import agentrt` finds this checkout."""
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for name in places.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **{key: str(folder / name) for key, name in places.items()}, "PYTHONPATH": path}


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
