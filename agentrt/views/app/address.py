"""The addresses of the dashboard's pages: `""` is the first page, `runtime/JFK` a runtime, `activity/12`, `flow`.

An address is what `go` takes, what a link in a view carries and what the browser's address bar shows.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

__all__ = [
    "ALIASES",
    "NAMING",
    "OF_RUNTIME",
    "PAGES",
    "TABS",
    "Address",
    "address_of",
    "folder_of",
    "root_of",
    "spotlight_of",
]

TABS = {"mailbox": "Mailbox", "inject": "Inject", "waits": "Waits", "theory": "Theory", "events": "Events"}
OF_RUNTIME = ("runtime", *TABS)  # one page, each with another of its tabs in front
NAMING = (*OF_RUNTIME, "activity")  # the address holds an id
PAGES = (*NAMING, "flow", "timeline", "dead-letters", "beside")
ALIASES = {"letters": "dead-letters"}  # earlier names, which links may still have
DOTS = (".", "..")  # a browser takes these for folders, quoted or not,
LONGEST_MOMENT = 18  # digits
MOMENT = re.compile(r"(.*?)(?:\?moment=(\d{1,18}))?", re.DOTALL)  # the rest, and when
UP = "="  # unless this is before them: where an id is quoted, it never stands there


class Address(NamedTuple):
    """Which page, of what, and when: `Address("runtime", "JFK", 1234)` is after that record, without a number now.

    The first page has the empty name.
    """

    page: str = ""
    of: str = ""
    moment: int | None = None

    def __str__(self) -> str:
        when = "" if self.moment is None else f"?moment={self.moment}"
        if self.page not in NAMING:
            return self.page + when
        of = UP + self.of if self.of in DOTS else quote(self.of, safe="", errors="surrogatepass")
        return f"{self.page}/{of}{when}"

    @classmethod
    def read(cls, text: str) -> Address:
        """The address that a text names. Any other text becomes the address of a page that does not exist.

        >>> Address.read("runtime/a%2Fb"), Address.read("/flow/?moment=12")
        (Address(page='runtime', of='a/b', moment=None), Address(page='flow', of='', moment=12))
        >>> Address.read("letters") == Address("dead-letters"), Address.read("") == Address()
        (True, True)
        """
        place, when = MOMENT.fullmatch(text).groups()  # type: ignore[union-attr]  # it matches any text
        page, _, of = place.strip("/").partition("/")
        page, moment = ALIASES.get(page, page), None if when is None else int(when)
        if of.startswith(UP) and of[len(UP) :] in DOTS:
            return cls(page, of[len(UP) :], moment)
        try:
            return cls(page, unquote(of, errors="surrogatepass"), moment)  # an id may be any text
        except UnicodeDecodeError:
            return cls(page, unquote(of), moment)

    @property
    def known(self) -> bool:
        """Whether there is such a page. The runtime or activity it names may still not exist."""
        return not self.page or (self.page in PAGES and bool(self.of) == (self.page in NAMING))


def address_of(path: str, search: str = "") -> Address:
    """The address of a requested page: the one in its query (`?at=flow`), else its path.

    >>> str(address_of("/runtime/JFK")), str(address_of("/app", "?at=runtime%2FJFK&theme=dark&moment=7"))
    ('runtime/JFK', 'runtime/JFK?moment=7')
    """
    query = parse_qs(search.lstrip("?"))
    when = query.get("moment", [""])[0]
    page = _page_of(path, query)
    return page._replace(moment=int(when)) if when.isdecimal() and len(when) <= LONGEST_MOMENT else page


def spotlight_of(search: str) -> str | None:
    """The runtime that a link shows in the spotlight.

    >>> spotlight_of("?theme=dark&spotlight=JFK"), spotlight_of("?theme=dark")
    ('JFK', None)
    """
    return parse_qs(search.lstrip("?")).get("spotlight", [None])[0]


def _page_of(path: str, query: dict[str, list[str]]) -> Address:
    if "runtime" in query:
        return Address("runtime", query["runtime"][0])
    if "at" in query:
        return Address.read(query["at"][0])
    read = Address.read(path)
    return read if read.page in PAGES else Address()


def root_of(path: str) -> str:
    """The way from the folder of a requested page to the first page. Behind a proxy, both may stand below a prefix.

    >>> root_of("/"), root_of("/flow"), root_of("/runtime/JFK"), root_of("/runtime/JFK/")
    ('./', './', '../', '../')
    """
    return "../" * path.strip("/").count("/") or "./"


def folder_of(path: str) -> str:
    """The way from a requested page to its folder, where an address may end with a slash that means nothing.

    >>> folder_of("/"), folder_of("/flow"), folder_of("/flow/")
    ('./', './', '../')
    """
    return "../" if path != "/" and path.endswith("/") else "./"
