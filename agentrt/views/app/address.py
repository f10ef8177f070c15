"""The addresses of the dashboard's pages: `""` is the first page, `runtime/JFK` a runtime, `activity/12`, `flow`.

An address is what `go` takes, what a link in a view carries and what the browser's address bar shows.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

__all__ = ["ALIASES", "NAMING", "OF_RUNTIME", "PAGES", "TABS", "Address", "address_of", "folder_of", "root_of"]

TABS = {"mailbox": "Mailbox", "inject": "Inject", "waits": "Waits", "theory": "Theory", "events": "Events"}
OF_RUNTIME = ("runtime", *TABS)  # one page, each with another of its tabs in front
NAMING = (*OF_RUNTIME, "activity")  # the address holds an id
PAGES = (*NAMING, "flow", "timeline", "dead-letters")
ALIASES = {"letters": "dead-letters"}  # earlier names, which links may still have
DOTS = (".", "..")  # a browser takes these for folders, quoted or not,
UP = "="  # unless this is before them: where an id is quoted, it never stands there


class Address(NamedTuple):
    """Which page, and of what: `Address("runtime", "JFK")`. The first page has the empty name."""

    page: str = ""
    of: str = ""

    def __str__(self) -> str:
        if self.page not in NAMING:
            return self.page
        return f"{self.page}/{UP + self.of if self.of in DOTS else quote(self.of, safe='', errors='surrogatepass')}"

    @classmethod
    def read(cls, text: str) -> Address:
        """The address that a text names. Any other text becomes the address of a page that does not exist.

        >>> Address.read("runtime/a%2Fb"), Address.read("/flow/"), Address.read("")
        (Address(page='runtime', of='a/b'), Address(page='flow', of=''), Address(page='', of=''))
        >>> Address.read("letters")
        Address(page='dead-letters', of='')
        """
        page, _, of = text.strip("/").partition("/")
        page = ALIASES.get(page, page)
        if of.startswith(UP) and of[len(UP) :] in DOTS:
            return cls(page, of[len(UP) :])
        try:
            return cls(page, unquote(of, errors="surrogatepass"))  # an id may be any text
        except UnicodeDecodeError:
            return cls(page, unquote(of))

    @property
    def known(self) -> bool:
        """Whether there is such a page. The runtime or activity it names may still not exist."""
        return not self.page or (self.page in PAGES and bool(self.of) == (self.page in NAMING))


def address_of(path: str, search: str = "") -> Address:
    """The address of a requested page: the one in its query (`?at=flow`), else its path.

    >>> address_of("/runtime/JFK"), address_of("/app", "?at=runtime%2FJFK&theme=dark")
    (Address(page='runtime', of='JFK'), Address(page='runtime', of='JFK'))
    """
    query = parse_qs(search.lstrip("?"))
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
