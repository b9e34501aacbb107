"""What every request to the page must pass, and what every answer carries.

Another web page, or a name that an attacker points at 127.0.0.1, can make the user's browser send requests
here. Three things that a browser never lets a script forge tell them apart: ``Host`` (the name that was
dialled), ``Origin`` and ``Sec-Fetch-Site``. The answers forbid framing, foreign scripts and everything else
that the page does not need, so that even text which escaped as markup could do nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "Guard", "refusal"]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Refusal = tuple[HTTPStatus, str]


def refusal(method: str, headers: Headers, host: str, *, navigation: bool) -> Refusal | None:
    """Say why a request is refused, or None.

    Args:
        host: the only ``Host`` that is us, ``127.0.0.1:PORT``. No name, so that no DNS can point at us.
        navigation: whether this is the shell, which holds no data and may be reached from anywhere.
    """
    if headers.getlist("host") != [host]:
        return HTTPStatus.MISDIRECTED_REQUEST, "this address is not ours"
    origin = headers.get("origin")
    if origin != f"http://{host}" and (origin is not None or method != "GET"):
        return HTTPStatus.FORBIDDEN, "only the page itself may ask"
    if not navigation and headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return HTTPStatus.FORBIDDEN, "only the page itself may ask"
    if method == "POST" and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json"
    return None


class Guard:
    """ASGI middleware around everything: refuses by `refusal`, adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (the server has no WebSocket and no lifespan)."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        shell = scope["method"] == "GET" and scope["path"].startswith("/r/") and scope["path"].count("/") == 3
        navigation = shell and scope["path"].endswith("/")
        refused = refusal(scope["method"], Headers(scope=scope), self._host, navigation=navigation)
        app = PlainTextResponse(refused[1], refused[0]) if refused else self._app
        await app(scope, receive, send_guarded)
