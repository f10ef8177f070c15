"""What would be published: `python -m tests.wheel` builds the source archive and the wheel, and checks both.

The build runs in an environment of its own, as `pip install` would do it, so it needs a package index.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agentrt"
SUFFIXES = {".py", ".js", ".css", ".sql", ".typed", ".pxi", ".pyx"}


def run(*command: str) -> None:
    print("$", *command, flush=True)
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


def expected() -> set[str]:
    """The files of the package that a user needs, as a wheel names them."""
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES}
    return modules | {f"agentrt/lessons/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}


def missing(wheel: Path) -> list[str]:
    """What a wheel lacks of the package."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(expected() - set(archive.namelist()))


def strangers(wheel: Path) -> list[str]:
    """What a wheel holds besides the package and its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        parts = {name.split("/")[0] for name in archive.namelist()}
    return sorted(part for part in parts if part != "agentrt" and not part.endswith(".dist-info"))


def answer(wheel: Path, folder: Path, is_compiled: bool) -> str:
    """What the package says of itself when it is imported from the wheel, and from nowhere else."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    code = "import agentrt, agentrt.engine.core as core; print(agentrt.__version__, agentrt.__file__, core.core_name())"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={"PYTHONPATH": str(folder), "AGENTRT_COMPILED": str(int(is_compiled))}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return found.stdout.strip()


def check_demo(wheel: Path, folder: Path) -> list[str]:
    """What is wrong with `agentrt demo`, installed from the wheel into an environment that has nothing else."""
    run("venv", str(folder))
    python = folder / "bin" / "python"
    run("uv", "pip", "install", "-q", "--python", str(python), f"agentrt[demo] @ {wheel.as_uri()}")
    command = [str(folder / "bin" / "agentrt"), "demo", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as demo:
        try:
            said = ""
            for line in demo.stdout or ():
                said += line
                if (link := re.search(r"http://127\S+", line)) is not None:
                    with urllib.request.urlopen(link[0], timeout=60) as page:
                        return [] if b"agentrt" in page.read() else [f"the demo answers with another page: {link[0]}"]
            return [f"the demo gave no link, it said {said!r}"]
        finally:
            demo.terminate()
            demo.communicate(timeout=60)


def main() -> int:
    """Build, check, and say what is wrong; 0 if nothing is."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as name:
        folder = Path(name)
        run("build", "--outdir", str(folder), ".")
        run("twine", "check", "--strict", *(str(path) for path in sorted(folder.iterdir())))
        (wheel,) = folder.glob("*.whl")
        run("check_wheel_contents", "--toplevel", "agentrt", str(wheel))
        is_compiled = not wheel.name.endswith("-none-any.whl")
        said = answer(wheel, folder / "installed", is_compiled)
        version = wheel.name.split("-")[1]
        problems = [f"not in the wheel: {each}" for each in missing(wheel)]
        problems += [f"does not belong in the wheel: {each}" for each in strangers(wheel)]
        if not said.startswith(f"{version} {folder}"):
            problems.append(f"the wheel is of version {version}, and imported it says {said}")
        core = "compiled" if is_compiled else "pure"
        if not said.endswith(core) or is_compiled == (shutil.which("cc") is None):
            problems.append(f"the wheel is {wheel.name}, and imported it says {said}")
        problems += check_demo(wheel, folder / "clean")
    print(*problems or [f"agentrt {version}: {len(expected())} files, nothing missing, {core} core"], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
