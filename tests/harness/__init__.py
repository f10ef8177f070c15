"""Real parts for tests: a Chromium that is watched, a JupyterLab, a kernel.

Everything is on loopback and everything that is started is ended, by its pid. The fixtures are in `tests/conftest.py`.

Playwright's sync API keeps an event loop marked as running in the thread of the test. So in a test that holds a page,
make managers with `loop="thread"` (`"auto"` would take Playwright's loop), and don't call `asyncio.run`.
"""
