"""The requests of the review page, and what the page asks of the daemon.

============================  ==========================================================================
``GET  /r/PAGE/``             the shell, which holds no data
``POST /r/PAGE/session``      ``{code}`` → a cookie, and ``{secret}``
``GET  /r/PAGE/review``       the review; with ``?after=VERSION`` when it changes, or 204 after `POLL_S`
``POST /r/PAGE/preview``      ``{files: [text or null…]}`` → ``{files: [{added, removed, hunks} or null…]}``
``POST /r/PAGE/decision``     ``{version, accept, files, comment}`` → the review; 409 when it came late
============================  ==========================================================================

In a preview null stands for a file that is not edited. In an acceptance it stands for one that is rejected alone, and
null in place of all ``files`` for all as they are proposed.

All but the first two need the cookie and, as ``X-Bridge-Secret``, the secret. An error is
``{"error": {"message", "hint"}}``, with the review when it is a 409. `guard` stands before all of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.jsonrpc import dump, load
from bridge.core.reviews import Comment, Review
from bridge.errors import BadData, BridgeError, Conflict, NotTrusted, Unavailable, Usage
from bridge.surfaces.access import Access
from bridge.surfaces.view import preview, review_view

__all__ = ["POLL_S", "Desk", "Routes"]

POLL_S: Final = 20.0  # the longest that a request waits for news; the page asks again at once
BODY_LIMIT: Final = 32 * 2**20  # two texts of 2 MiB, should each character be an escape of six
SMALL_BODY_LIMIT: Final = 4096  # for a stranger with a code

_STATIC: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class _TooLarge(BadData):
    """A body over its limit."""


_STATUS: Final[dict[type, HTTPStatus]] = {
    Conflict: HTTPStatus.CONFLICT,
    _TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BadData: HTTPStatus.BAD_REQUEST,
    Usage: HTTPStatus.BAD_REQUEST,
    NotTrusted: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.NOT_FOUND,
    BridgeError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Desk(Protocol):
    """Where reviews are kept and decided; the daemon implements it."""

    async def find(self, review_id: str) -> Review | None:
        """Return the newest record, open or ended."""
        ...

    async def changed(
        self,
        review_id: str,
        version: int,
        timeout: float,  # noqa: ASYNC109  its end is an answer here, no error
    ) -> Review | None:
        """Return the newest record once its version is above `version`, or after `timeout` seconds."""
        ...

    async def show(self, review_id: str) -> None:
        """Learn that a page displays the review now; may come again, and after the review's end."""
        ...

    async def decide(
        self, review_id: str, version: int, finals: tuple[str | None, ...] | None, comments: tuple[Comment, ...]
    ) -> Review:
        """Record the human's decision and return the record.

        `finals` are the texts as the browser returned them, to be settled (`text.settle`), None for a file that is
        rejected; None rejects all.
        `version` is the newest that the page has. Raises `Conflict` when the review has ended.
        """
        ...

    def shown_in(self, review_id: str) -> str | None:
        """Return the name of the IDE that shows the review at the moment."""
        ...


class _Code(msgspec.Struct):
    code: str


class _Texts(msgspec.Struct):
    files: list[str | None]


class _Decision(msgspec.Struct):
    version: int
    accept: bool
    files: list[str | None] | None = None
    comment: str = ""


_Body = TypeVar("_Body")
_Endpoint = Callable[[Request], Awaitable[Response]]


class Routes:
    """The page's requests for one `Access`.

    Args:
        save: journals `access`; what it allows is on disk when this returns.
        used: is called after every answer.
    """

    def __init__(
        self, desk: Desk, access: Access, save: Callable[[], Awaitable[None]], used: Callable[[], None]
    ) -> None:
        self._desk = desk
        self._access = access
        self._save = save
        self._waits: set[asyncio.Timeout] = set()
        self._stopping = False
        self._used = used
        self.requests = 0  # being answered now

    def app(self) -> Starlette:
        """Build the application; it trusts that `Guard` stands before it."""
        folder = files("bridge.surfaces") / "static"
        page = "/r/{page}/"
        served = {name: _static((folder / name).read_bytes(), kind) for name, kind in _STATIC.items()}
        return Starlette(
            routes=[
                Route(page, served["index.html"], methods=["GET"]),
                *(Route(f"/static/{name}", serve, methods=["GET"]) for name, serve in served.items()),
                Route(page + "session", self._answered(self._session), methods=["POST"]),
                Route(page + "review", self._answered(self._review), methods=["GET"]),
                Route(page + "preview", self._answered(self._preview), methods=["POST"]),
                Route(page + "decision", self._answered(self._decision), methods=["POST"]),
            ]
        )

    def stop(self) -> None:
        """Answer every request that waits for news; none waits from now on."""
        self._stopping = True
        for wait in self._waits:
            wait.reschedule(0)

    def _answered(self, endpoint: _Endpoint) -> _Endpoint:
        """Count the requests that are being answered, and answer a `BridgeError` as JSON."""

        async def serve(request: Request) -> Response:
            self.requests += 1
            try:
                return await endpoint(request)
            except BridgeError as error:
                return _error(error)
            finally:
                self.requests -= 1
                self._used()

        return serve

    async def _session(self, request: Request) -> Response:
        name = request.path_params["page"]
        body = await _body(request, _Code, SMALL_BODY_LIMIT)
        keys = self._access.exchange(name, body.code)
        if keys is None:
            raise NotTrusted("this link was used before, or its review has ended", "bridge review open")
        await self._save()
        response = _json({"secret": keys.secret})
        response.set_cookie("bridge", keys.cookie, path=f"/r/{name}/", httponly=True, samesite="strict")
        return response

    async def _review(self, request: Request) -> Response:
        review_id = self._admit(request)
        after = request.query_params.get("after")
        if after is None:
            await self._desk.show(review_id)
            return await self._show(await self._desk.find(review_id))
        if not after.isdecimal() or len(after) > 18:
            raise Usage("after= takes a version number")
        review = await self._news(review_id, int(after))
        if review and review.version <= int(after):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return await self._show(review)

    async def _news(self, review_id: str, version: int) -> Review | None:
        """Wait until the review changes, for `POLL_S` at most, or until the server stops."""
        wait = asyncio.timeout(0 if self._stopping else None)
        self._waits.add(wait)
        try:
            async with wait:
                return await self._desk.changed(review_id, version, POLL_S)
        except TimeoutError:
            return await self._desk.find(review_id)
        finally:
            self._waits.discard(wait)

    async def _preview(self, request: Request) -> Response:
        review = await self._found(self._admit(request))
        texts = (await _body(request, _Texts, BODY_LIMIT)).files
        _check_count(review, texts)
        return _json({"files": await asyncio.to_thread(preview, review, texts)})

    async def _decision(self, request: Request) -> Response:
        review = await self._found(self._admit(request))
        body = await _body(request, _Decision, BODY_LIMIT)
        texts = body.files if body.files is not None else [file.proposed for file in review.files]
        _check_count(review, texts)
        comments = (Comment(text=body.comment),) if body.comment.strip() else ()
        finals = tuple(texts) if body.accept else None
        try:
            decided = await self._desk.decide(review.id, body.version, finals, comments)
        except Conflict as late:
            return await self._show(await self._desk.find(review.id), late)
        return await self._show(decided)

    def _admit(self, request: Request) -> str:
        """Return the review that the request may read and decide; raises `NotTrusted` without both keys."""
        cookie = request.cookies.get("bridge", "")
        secret = request.headers.get("x-bridge-secret", "")
        review_id = self._access.review_for(request.path_params["page"], cookie, secret)
        if review_id is None:
            raise NotTrusted("this browser has no access to this review", "bridge review open")
        return review_id

    async def _found(self, review_id: str) -> Review:
        review = await self._desk.find(review_id)
        if review is None:
            raise Unavailable("this review is not known any more", "bridge review ls")
        return review

    async def _show(self, review: Review | None, late: Conflict | None = None) -> Response:
        if review is None:
            raise Unavailable("this review is not known any more", "bridge review ls")
        view = await asyncio.to_thread(review_view, review, self._desk.shown_in(review.id))
        if late:
            return _error(late, review=view)
        return _json(view)


def _static(content: bytes, media_type: str) -> _Endpoint:
    async def serve(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


async def _body(request: Request, kind: type[_Body], limit: int) -> _Body:
    """Read a JSON body of at most `limit` bytes, whatever length it declares; raises `BadData`."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > limit:
                raise _TooLarge(f"more than {limit} bytes")
        return msgspec.convert(load(bytes(data)), kind)
    except (ValueError, ClientDisconnect) as exc:
        raise BadData(f"not what was expected: {exc}") from exc


def _check_count(review: Review, texts: Sequence[str | None]) -> None:
    if len(texts) != len(review.files):
        raise BadData(f"{len(texts)} texts for {len(review.files)} files")


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer in ASCII: a text may hold lone surrogates."""
    return Response(dump(value), status, media_type="application/json")


def _error(error: BridgeError, **more: Any) -> Response:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    return _json({"error": {"message": error.message, "hint": error.hint}, **more}, status)
