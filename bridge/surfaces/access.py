"""Who may read and decide on the page: one-time codes, cookies and secrets.

A browser holds two things of a page, and needs both (design.md D4): a cookie, which scripts cannot read but
which the browser sends to every port of this address, and a secret, which the page's script keeps and no
other origin can read. It gets them for a one-time code; the code travels in the fragment of an address, so
that no server and no referrer ever sees it.

Only SHA-256 hashes are kept. Each token has 256 random bits, so a fast hash is enough: there is nothing to
guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

__all__ = ["Access", "Keys"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PAGE_BYTES: Final = 16
_TOKEN_BYTES: Final = 32
_MOST_CODES: Final = 8  # of one page; the oldest dies


class Keys(NamedTuple):
    """What a browser gets for a code."""

    cookie: str
    secret: str

    def __repr__(self) -> str:
        return "Keys(…)"


class _Page(msgspec.Struct):
    """One review's address; every token as its hash. Cookies and secrets are not paired: see `exchange`."""

    review: str
    codes: list[bytes] = []
    cookies: list[bytes] = []
    secrets: list[bytes] = []
    ended: bool = False


class Access(msgspec.Struct):
    """Every page of one port. It knows no clock: reviews end pages, and a new port ends them all."""

    port: int
    pages: dict[str, _Page] = {}

    @classmethod
    def from_state(cls, state: dict[str, Any] | None) -> Access | None:
        """Read what `to_state` gave; None when there is nothing, or nothing of this shape."""
        try:
            return msgspec.convert(state, cls)
        except msgspec.ValidationError:
            return None

    def to_state(self) -> dict[str, Any]:
        """Give the journal's JSON object: hashes in base64, no token. Pages of ended reviews are not in it."""
        alive = {name: page for name, page in self.pages.items() if not page.ended}
        state: dict[str, Any] = msgspec.to_builtins(Access(self.port, alive))
        return state

    def invite(self, review_id: str) -> tuple[str, str]:
        """Return the page of a review, the same each time, and a new code for it."""
        name = next((name for name, page in self.pages.items() if page.review == review_id), None)
        if name is None:
            name = secrets.token_urlsafe(_PAGE_BYTES)
            self.pages[name] = _Page(review_id)
        code = secrets.token_urlsafe(_TOKEN_BYTES)
        codes = self.pages[name].codes
        codes[:] = [*codes[1 - _MOST_CODES :], _hash(code)]
        return name, code

    def exchange(self, name: str, code: str) -> Keys | None:
        """Trade a code, which dies, for a cookie and a secret; None when it is not a living code of this page.

        A second tab of the same browser overwrites the first one's cookie; so any cookie of a page goes
        with any secret of it, and both tabs go on.
        """
        page = self.pages.get(name)
        known = page and _find(page.codes, code)
        if not page or not known:
            return None
        page.codes.remove(known)
        keys = Keys(secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(_TOKEN_BYTES))
        page.cookies.append(_hash(keys.cookie))
        page.secrets.append(_hash(keys.secret))
        return keys

    def review_for(self, name: str, cookie: str, secret: str) -> str | None:
        """Return the id of the page's review if both tokens are its own, else None."""
        page = self.pages.get(name)
        if page and _find(page.cookies, cookie) and _find(page.secrets, secret):
            return page.review
        return None

    def end(self, review_id: str) -> None:
        """Let the codes of an ended review die; who is in may still read how it ended, until the next start."""
        for page in self.pages.values():
            if page.review == review_id:
                page.codes.clear()
                page.ended = True


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _find(hashes: Iterable[bytes], token: str) -> bytes | None:
    """Find the hash of `token`, in a time that does not depend on how much of it is right."""
    if not _TOKEN.fullmatch(token):
        return None
    wanted = _hash(token)
    found = [known for known in hashes if hmac.compare_digest(known, wanted)]
    return found[0] if found else None
