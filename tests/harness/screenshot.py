"""Pictures of pages, for a person to look at; of the pixels a test asks only whether there are any."""

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".screenshots"


def shoot(page: Page, name: str, *, full: bool = False) -> Path:
    """Save what the page shows as `.screenshots/name.png`, and return that path."""
    path = FOLDER / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full)
    return path


def share_of_commonest_colour(path: Path) -> float:
    """1.0 for a blank page, 0.999 for a stuck spinner."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    _, counts = np.unique(pixels, axis=0, return_counts=True)
    return float(counts.max() / counts.sum())


def is_blank(path: Path) -> bool:
    """Nothing to see: one colour, or next to nothing but one."""
    return share_of_commonest_colour(path) > 0.998
