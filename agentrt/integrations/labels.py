"""What runtimes are called in metrics: a bounded number of names, whatever ids there are."""

from __future__ import annotations

from collections.abc import Callable

from ..schema.numbers import count

__all__ = ["OTHER", "Labels"]

OTHER = "(other)"  # the label of all runtimes beyond the most that have one of their own
MOST_CHARACTERS = 120


class Labels:
    """Gives each id its label. A label that was given stays.

    Args:
        label: What the ids of a label have in common; the id itself without it.
        most: How many labels there may be, besides `OTHER`.

    Raises:
        ConfigurationError: `most` is no positive whole number.

    >>> labels = Labels(most=1)
    >>> labels.of("a"), labels.of("b"), labels.of("a")
    ('a', '(other)', 'a')
    """

    def __init__(self, label: Callable[[str], str] | None = None, most: int = 100) -> None:
        self._label = label
        self.most = count("most", most, least=1)
        self._given: set[str] = set()

    def of(self, id: str) -> str:
        """The label of an id: text that UTF-8 can encode."""
        label = str(self._label(id) if self._label is not None else id)
        label = label[:MOST_CHARACTERS].encode("utf-8", "replace").decode()
        if label not in self._given and len(self._given) >= self.most:
            return OTHER
        self._given.add(label)
        return label
