"""A real Chromium: found or installed, launched so that it stays on this machine.

`python -m tests.harness.browser` prints which browser the tests use; with `--install` it gets one where there is none.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "no browser: no chromium or google-chrome on the PATH, nor Playwright's own. `bash tests/run` tries to get one."
)
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # No name but these is ever looked up: whatever a page asks for, nothing leaves.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class BrowserMissing(RuntimeError):
    """There is no browser to test with."""


def on_path() -> str | None:
    """The first browser on the PATH that answers: Ubuntu's `chromium-browser` may be an empty shell."""
    return next((path for name in NAMES if (path := shutil.which(name)) and _answers(path)), None)


def _answers(path: str) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser, closed at the end. Raises `BrowserMissing` when there is none."""
    with sync_playwright() as playwright:
        browser = _launch(playwright, on_path())
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright, path: str | None) -> Browser:
    if path is None and not os.path.exists(playwright.chromium.executable_path):
        raise BrowserMissing(MISSING)
    return playwright.chromium.launch(executable_path=path, args=list(ARGS), headless=True)


def installed() -> str | None:
    """Which browser the tests will use, if any."""
    if path := on_path():
        return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.path.exists(own) else None


def install() -> str | None:
    """Try the system's packages, then Playwright's download, until there is a browser."""
    for get in (_from_apt, _from_playwright):
        get()
        if path := installed():
            return path
    return None


def _from_apt() -> None:
    apt_install("chromium")


def apt_install(package: str) -> None:
    """Get a package of Debian's, where there is apt-get and root needs no password."""
    root = _root()
    if shutil.which("apt-get") is None or root is None:
        return
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
        _tell([*root, "env", "DEBIAN_FRONTEND=noninteractive", *command])


def _from_playwright() -> None:
    _tell([sys.executable, "-m", "playwright", "install", *(["--with-deps"] if _root() == [] else []), "chromium"])


def _root() -> list[str] | None:
    """What to put before a command for it to run as root; None where that needs a password."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def _tell(command: list[str]) -> None:
    print("$", *command, flush=True)
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=600)
    except subprocess.TimeoutExpired:
        print("took more than ten minutes, given up", flush=True)


def main(argv: list[str]) -> int:
    path = installed() or (install() if "--install" in argv else None)
    print(path or MISSING)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
