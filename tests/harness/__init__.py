"""Real parts for tests: a Chromium that is watched, a JupyterLab, a kernel. Everything on loopback, everything ended by its pid."""
