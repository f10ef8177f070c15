"""Names of an earlier version, which work on for one version more."""

from __future__ import annotations

import warnings

__all__ = ["warn_of_new_name"]


def warn_of_new_name(old: str, new: str) -> None:
    """Warn the caller of a function that it has another name now.

    Args:
        old: The name that was used.
        new: What to write instead.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_new_name("settled()", "wait()")
    >>> print(caught[0].message)
    settled() is called wait() now
    """
    warnings.warn(f"{old} is called {new} now", DeprecationWarning, stacklevel=3)
