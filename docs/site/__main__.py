"""Build the site: `python -m docs.site [FOLDER] [--execute]`, by default into `_site`. It needs no network.

This version comes into a folder of its own, as `_site/0.1`, beside those that are there already; `_site/stable` is the
newest of them. All links are relative: the folder can be moved, served below any path, or opened without a server.
With `--execute` the lessons are run, which takes some minutes; their pages then have the pictures of their views.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

import agentrt

from .reference import write_reference
from .versions import STABLE, publish, version_of

ROOT = Path(__file__).parents[2]
COPIES = ("docs", "notebooks", "benchmarks/README.md", "CHANGELOG.md", "CONTRIBUTING.md")
PICTURE = re.compile(r'<picture>.*?<img alt="(.*?)" src="(.*?)">.*?</picture>', re.DOTALL)
CONTENTS = """

```{toctree}
:hidden:

Lessons <docs/tutorial>
How to <docs/how_to>
Explanation <docs/explanation>
Reference <reference/index>
Contributing <CONTRIBUTING>
```
"""


def stage(folder: Path) -> None:
    """Lay out what Sphinx reads as the repository is, so that links between pages are the same in both."""
    for name in COPIES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        else:
            shutil.copy(source, target)
    for page in Path(__file__).parent.glob("*.md"):
        shutil.copy(page, folder / "docs" / page.name)
    # The site shows what goes with its own theme, and not with that of the browser: see `DarkPictures`.
    readme = PICTURE.sub(r"![\1](\2)", (ROOT / "README.md").read_text())
    (folder / "index.md").write_text(readme + CONTENTS)
    write_reference(folder / "reference")


def build(site: Path, execute: bool = False) -> int:
    """Build this version of the site. Returns 0, or what Sphinx returns: any warning is an error."""
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as new:
        stage(Path(place))
        options = ["-D", f"nb_execution_mode={'force' if execute else 'off'}"]
        paths = ["-c", str(Path(__file__).parent), "-d", f"{place}/.doctrees", place, new]
        failed = build_main(["-q", "-W", "-n", "--keep-going", "-b", "html", *options, *paths])
        target = site / version_of(agentrt.__version__)
        shutil.rmtree(target, ignore_errors=True)  # a page that has gone leaves nothing
        shutil.copytree(new, target)
    publish(site)
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_site")
    parser.add_argument("--execute", action="store_true", help="run the lessons")
    options = parser.parse_args()
    failed = build(options.folder, options.execute)
    print(f"the site: {options.folder / STABLE / 'index.html'}" if not failed else "the site has faults: see above")
    sys.exit(failed)
