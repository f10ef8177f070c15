"""What the core does without: the packages behind the views, the exports and the like may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingPackageError

__all__ = ["explain_missing"]


@contextmanager
def explain_missing(what: str, extra: str = "") -> Iterator[None]:
    """Say which package is missing, and how to get it, where the import of one fails.

    Args:
        what: What needs the package, and the verb: "the dashboard needs".
        extra: The extra of agentrt that installs it, if it is none of what agentrt always comes with.

    Raises:
        MissingPackageError: It names the package and the command. A missing module of agentrt itself stays as it is.

    >>> with explain_missing("the dashboard needs"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    agentrt.errors.MissingPackageError: the dashboard needs no_such_package, which is not installed: pip install agentrt
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "agentrt"):
            raise
        install = f"pip install 'agentrt[{extra}]'" if extra else "pip install agentrt"
        raise MissingPackageError(f"{what} {package}, which is not installed: {install}") from error
