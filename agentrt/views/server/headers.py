"""The headers of every answer: what a browser may do with it, as OWASP and Jupyter Server have them."""

from __future__ import annotations

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

__all__ = ["PageHeaders", "secure"]

# A page runs scripts of its own, made at run time by Bokeh and Panel; nothing is fetched from elsewhere.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob: ws://{host} wss://{host}",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
FIXED = {
    "Referrer-Policy": "no-referrer",  # the token of a link is in its address
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def secure(headers: HTTPHeaders, policy: str = "default-src 'none'; frame-ancestors 'none'") -> None:
    """Add them to the headers of an answer; the policy is by default that of an answer which is only a text."""
    for name, value in FIXED.items():
        headers[name] = value
    headers["Content-Security-Policy"] = policy
    headers.pop("Server", None)


class PageHeaders(OutputTransform):
    """Adds them to what any handler answers. Only files that are the same for everybody may be stored by a browser."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self.request = request

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Tornado calls it before the first byte is sent."""
        if not self.request.path.startswith("/static/"):
            headers["Cache-Control"] = "no-store"
        secure(headers, POLICY.replace("{host}", self.request.host))
        return status_code, headers, chunk
