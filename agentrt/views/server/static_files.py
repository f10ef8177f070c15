"""The files of all pages: compressed once, and stored by the browser for as long as their address is the same."""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

from bokeh.server.views.multi_root_static_handler import MultiRootStaticHandler
from bokeh.server.views.static_handler import StaticHandler
from tornado.web import StaticFileHandler

__all__ = ["BokehFiles", "ExtensionFiles", "compress", "install_static_files", "omit_webgl"]

STORED = "public, max-age=31536000, immutable"  # of an address that names the version of the file
TEXTS = {".css", ".js", ".json", ".map", ".mjs", ".svg"}
WEBGL = "bokeh-gl"  # no view here uses it; of Bokeh's other parts, Panel needs each
MOST_FILES = 64  # compressed files that are kept, 2 MB for all that a page may need


@lru_cache(maxsize=MOST_FILES)
def compress(path: str, modified: float) -> bytes:
    """The compressed content of a file; `modified` is when that was written."""
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


class CompressedFiles(StaticFileHandler):
    """Sends a text compressed to a browser that takes it so. An address with a query names a version of its file."""

    packed = False

    async def get(self, path: str, include_body: bool = True) -> None:
        """Answer a request for a file."""
        self.packed = self._may_compress(path)
        if not self.packed:
            await super().get(path, include_body)
            return
        self.path = self.parse_url_path(path)
        found = self.validate_absolute_path(self.root, self.get_absolute_path(self.root, self.path))
        if found is None:
            return
        self.absolute_path = found
        self.modified = self.get_modified_time()
        self.set_headers()
        if self.should_return_304():
            self.set_status(304)
            return
        written = Path(found).stat().st_mtime
        # In another thread: compressing lets go of the interpreter, and pages go on meanwhile.
        content = await asyncio.get_running_loop().run_in_executor(None, compress, found, written)
        self.set_header("Content-Encoding", "gzip")
        self.finish(content)

    def _may_compress(self, path: str) -> bool:
        headers = self.request.headers
        return Path(path).suffix in TEXTS and "gzip" in headers.get("Accept-Encoding", "") and "Range" not in headers

    def compute_etag(self) -> str | None:
        """Another one for each form of a file."""
        etag = super().compute_etag()
        return f'{etag[:-1]}-gzip"' if etag is not None and self.packed else etag

    def set_extra_headers(self, path: str) -> None:
        """Say how long the file may be stored."""
        self.set_header("Vary", "Accept-Encoding")
        if self.request.query:
            self.set_header("Cache-Control", STORED)


class BokehFiles(CompressedFiles, StaticHandler):
    """The files of Bokeh."""


class ExtensionFiles(CompressedFiles, MultiRootStaticHandler):
    """The files of what extends Bokeh: Panel, panel-material-ui, panel-reactflow."""


HANDLERS: dict[Any, type[CompressedFiles]] = {StaticHandler: BokehFiles, MultiRootStaticHandler: ExtensionFiles}


def install_static_files(application: Any) -> None:
    """Have a Bokeh application that has not started send its files so."""
    for rule in application.wildcard_router.rules:
        if rule.target in HANDLERS:
            rule.target = rule.handler_class = HANDLERS[rule.target]


def omit_webgl(application: Any) -> None:
    """Have the pages of a Bokeh application not load the part of Bokeh that draws by WebGL."""
    resources = application.resources

    def choose(absolute_url: str | bool | None = None) -> Any:
        found = resources(absolute_url)
        found.components = [each for each in found.components if each != WEBGL]
        return found

    application.resources = choose
