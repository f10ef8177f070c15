"""The versions of the site, side by side in one folder: `0.1/`, `0.2/`, `stable/`, and the menu that leads to each."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

__all__ = ["STABLE", "list_versions", "publish", "version_of"]

STABLE = "stable"  # a copy of the newest version, for links that stay
FOLDER = re.compile(r"\d+\.\d+")
FRONT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>agentrt</title>
<meta http-equiv="refresh" content="0; url=stable/index.html"><a href="stable/index.html">agentrt</a></html>
"""


def version_of(release: str) -> str:
    """The folder of a release: the first two numbers of it.

    >>> version_of("0.1.0"), version_of("1.12.3rc1")
    ('0.1', '1.12')
    """
    return ".".join(release.split(".")[:2])


def list_versions(site: Path) -> list[dict[str, Any]]:
    """The versions that lie in a folder, the newest first, in the form of the theme's `switcher.json`.

    Args:
        site: The folder that holds them.

    Returns:
        For each its name, its version, whether it is the newest, the way to it from that folder, and its pages: another
        version may not have the page that is read.
    """
    folders = [each for each in site.iterdir() if FOLDER.fullmatch(each.name) and (each / "index.html").exists()]
    folders.sort(key=lambda each: tuple(map(int, each.name.split("."))), reverse=True)
    return [
        {
            "name": f"{each.name} ({STABLE})" if place == 0 else each.name,
            "version": each.name,
            "url": f"{STABLE if place == 0 else each.name}/",
            "preferred": place == 0,
            "pages": sorted(page.relative_to(each).with_suffix("").as_posix() for page in each.rglob("*.html")),
        }
        for place, each in enumerate(folders)
    ]


def publish(site: Path) -> None:
    """Copy the newest version to `stable/`, and write the list of versions, which the pages of all versions read.

    The list is there twice: as `switcher.json`, and as a script, because a page that is opened from a folder, without a
    server, can read no JSON.
    """
    versions = list_versions(site)
    shutil.rmtree(site / STABLE, ignore_errors=True)
    shutil.copytree(site / versions[0]["version"], site / STABLE)
    text = json.dumps(versions, indent=1)
    (site / "switcher.json").write_text(f"{text}\n")
    (site / "switcher.js").write_text(f"window.docsVersions = {text}\n")
    (site / "index.html").write_text(FRONT)
