"""Redaction: takes out of a report what is nobody's business. Rather too much than too little.

What is known to be private is replaced wherever it stands; beside that, what looks like a secret is, whatever it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

__all__ = ["HIDDEN", "Private", "Redactor"]

HIDDEN: Final = "[hidden]"
_SHORTEST: Final = {"secret": 4, "home": 2, "name": 2}  # shorter ones would take the report apart
_NOBODY: Final = frozenset({"root", "localhost", "127.0.0.1"})

# What gives a secret away, and what stays of it.
_SHAPES: Final = tuple(
    (re.compile(pattern), keeps)
    for pattern, keeps in (
        (r"(?i)\b(bearer|basic)\s+[^\s\"',;]+", rf"\1 {HIDDEN}"),
        (
            r"(?i)((?:authorization|token|secret|passw(?:or)?d|api[_-]?key|cookie)[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\[hidden\]|(?:bearer|basic)\b)[^\s\"',;&}]+",
            rf"\1{HIDDEN}",
        ),
        (r"([#?&][\w-]*(?:code|key|token)=)[^\s\"'&]+", rf"\1{HIDDEN}"),
        (r"(://)[^\s/@]+@", rf"\1{HIDDEN}@"),
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "[address]"),
        (r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", HIDDEN),
        (r"(?=\w*\d)(?=\w*[A-Za-z])\b\w{20,}\b", HIDDEN),  # hex and base64
        # base64url: one in 1,500 of 43 characters has no digit
        (r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{32,}(?![\w-])", HIDDEN),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """What is known to be private."""

    secrets: Iterable[str] = ()
    homes: Iterable[str] = ()  # absolute paths, of Windows too
    users: Iterable[str] = ()
    hosts: Iterable[str] = ()


class Redactor:
    """Replaces what is `private`, and what looks as if it were."""

    def __init__(self, private: Private) -> None:
        homes = {home.rstrip("/\\") for home in private.homes}
        self._rules = (
            *((re.compile(re.escape(secret)), HIDDEN) for secret in _long(private.secrets, "secret")),
            *((_path(home), "~") for home in _long({*homes, *map(quote, homes)}, "home")),
            *_SHAPES,  # after homes, whose directories may look like a token
            *((_word(name), "[user]") for name in _long(private.users, "name")),
            *((_word(name), "[host]") for name in _long(private.hosts, "name")),
        )

    def text(self, text: str) -> str:
        """Redact a text; what was redacted once stays as it is."""
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """Redact every string of a JSON value, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _long(words: Iterable[str], kind: str) -> list[str]:
    """Sort out what is too short; the longest come first, for a shorter one may be a part of it."""
    fit = {word for word in words if len(word) >= _SHORTEST[kind] and word.casefold() not in _NOBODY}
    return sorted(fit, key=lambda word: (-len(word), word))


def _path(home: str) -> re.Pattern[str]:
    return re.compile(re.escape(home) + r"(?![\w.-])", re.IGNORECASE if "\\" in home else 0)


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.IGNORECASE)
