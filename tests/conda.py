"""The recipe for conda, built from the source archive: `python -m tests.conda`.

It needs py-rattler-build and a package index of pip's. What the recipe asks of conda-forge is stood in for by empty
packages in a channel of this machine, and by a `python` that starts one of pip's environments. So this shows that the
recipe can be read and solved, that the archive is built and installed by what it says, and that its tests pass. Whether
conda-forge has such versions it can't show.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
# What pip installs goes beside the stand-in, as it would with a real one; imports are looked for there first.
STAND_IN = """#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here/{packages}" PIP_PREFIX="$here" PIP_IGNORE_INSTALLED=1
exec {python} "$@"
"""


def run(*command: str | Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


class Channel:
    """A channel with packages that have a name and a version, and nothing in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: dict[str, dict[str, object]] = {}
        (folder / "noarch").mkdir(parents=True)

    def add(self, name: str, version: str, files: Path | None = None, **fields: object) -> None:
        """Add a package."""
        from rattler_build import assemble_package

        of_platform = {"target_platform": "linux-64", "output_dir": self.folder / "linux-64"}
        made = Path(assemble_package(name, version, build_string="0", files_dir=files, **of_platform).path)
        data = made.read_bytes()
        self.packages[made.name] = {
            "name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "linux-64",
            "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(),
            **fields,
        }  # fmt: skip

    def write_index(self) -> None:
        """Write what a solver reads."""
        for subdir, packages in {"noarch": {}, "linux-64": self.packages}.items():
            index = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
            (self.folder / subdir / "repodata.json").write_text(json.dumps(index))


def make_channel(folder: Path, recipe: Path, python: Path) -> Channel:
    """A channel with what a recipe needs, each in the oldest version that it asks for."""
    needs = yaml.safe_load(recipe.read_text())["requirements"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = f"lib/python{version}/site-packages"
    files = folder / "python"
    (files / packages).mkdir(parents=True)
    (files / "bin").mkdir()
    for name in ("python", f"python{version}"):
        script = files / "bin" / name
        script.write_text(STAND_IN.format(packages=packages, python=python))
        script.chmod(0o755)
    channel = Channel(folder / "channel")
    channel.add("python", f"{version}.0", files, python_site_packages_path=packages)
    for need in sorted({*needs["host"], *needs["run"]}):
        name, _, bound = need.partition(" ")
        if name != "python":
            channel.add(name, bound.removeprefix(">=") or "1")
    channel.write_index()
    return channel


def make_environment(folder: Path) -> Path:
    """An environment with what the build and the tests of the recipe import. Returns its Python."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run(python, "-m", "pip", "install", "-q", "build", *project["build-system"]["requires"], "msgspec", "param")
    return python


def main() -> None:
    from rattler_build import Stage0Recipe, ToolConfiguration

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        python = make_environment(folder / "environment")
        run(python, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder / "dist")
        recipe = folder / "conda" / "recipe.yaml"
        recipe.parent.mkdir()
        recipe.write_text((ROOT / "conda" / "recipe.yaml").read_text())
        channel = make_channel(folder, recipe, python)
        (built,) = Stage0Recipe.from_file(recipe).run_build(
            channels=[channel.folder.as_uri()],
            output_dir=folder / "built",
            tool_config=ToolConfiguration(test_strategy="native"),
        )
        print(f"built and tested: {built.packages[0].name}")


if __name__ == "__main__":
    main()
