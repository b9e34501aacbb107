"""The tools by which agents write files: what each would write, and the input that makes it write something else.

What follows from an input is computed as the tool does it, or it is `CannotTell`. What neither an agent's sources nor
its documentation say is not guessed: such an input is told apart (`WouldBe.exact` False), and replaced by one that
leaves no doubt, once the human has accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from bridge.core import patches
from bridge.core.edits import CRLF, LF, CannotTell, Replacement, one_replacement, replace_in, uniform

__all__ = ["CLAUDE_TOOLS", "CODEX_TOOLS", "GEMINI_TOOLS", "Given", "Tool", "WouldBe"]

Given = dict[str, Any]  # a tool's input
There = Mapping[str, str | None]  # each file's text, by the name that the call has for it; None: there is no file


class WouldBe(NamedTuple):
    """What a tool would write, by file; `exact`: every version of it, as far as is known."""

    texts: Mapping[str, str]
    exact: bool = True


class Tool(Protocol):
    """A tool that writes files. Every method raises `CannotTell`."""

    def names(self, given: Given) -> tuple[str, ...]:
        """Name the files, as the call does."""

    def would_be(self, given: Given, there: There) -> WouldBe:
        """Say what it would write."""

    def rewritten(self, given: Given, there: There, wanted: There) -> Given:
        """Give the input with which it writes exactly what is wanted; None: that file stays as it is."""


def _text(given: Given, key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        raise CannotTell(f"its {key} is no text")
    return value


class _Way(Protocol):
    """How a tool writes one file."""

    def made(self, given: Given, there: str | None) -> tuple[str, bool]:
        """Say what it makes of the file's text, and whether that is exact."""

    def again(self, given: Given, there: str | None, wanted: str) -> Given:
        """Give the input that should make the wanted text."""


@dataclass(frozen=True, slots=True)
class _OneFile:
    """A tool that writes the file ``file_path``, in this way."""

    way: _Way

    def names(self, given: Given) -> tuple[str, ...]:
        name = _text(given, "file_path")
        if not name:
            raise CannotTell("it names no file")
        return (name,)

    def would_be(self, given: Given, there: There) -> WouldBe:
        (name,) = self.names(given)
        text, exact = self.way.made(given, there[name])
        return WouldBe({name: text}, exact)

    def rewritten(self, given: Given, there: There, wanted: There) -> Given:
        (name,) = self.names(given)
        text = wanted[name]
        again = given if text is None else self.way.again(given, there[name], text)
        if self.way.made(again, there[name]) != (text, True):
            raise CannotTell("no input of this tool makes that")
        return again


@dataclass(frozen=True, slots=True)
class _Whole:
    """Writes `content` over whatever is there. For `gemini` see `_GeminiReplace`."""

    gemini: bool = False

    def made(self, given: Given, there: str | None) -> tuple[str, bool]:
        content = _text(given, "content")
        if self.gemini and CRLF in (there or ""):  # its lines end as they did
            content = content.replace(CRLF, LF).replace(LF, CRLF)
        return content, True

    def again(self, given: Given, there: str | None, wanted: str) -> Given:
        return given | {"content": wanted} | (_BY_USER if self.gemini else {})


@dataclass(frozen=True, slots=True)
class _ClaudeEdit:
    """Replaces strings, one after the other if there are `many`; an empty one makes a new file.

    Files whose lines end with CRLF are edited as if they ended with LF; versions that do not do so fail.
    """

    many: bool = False

    def made(self, given: Given, there: str | None) -> tuple[str, bool]:
        edits = [self._edit(one) for one in self._list(given)]
        if there is None:
            if edits[0].old:
                raise CannotTell("there is no such file")
            text, end, edits = edits[0].new, LF, edits[1:]
        else:
            text, end = uniform(there)
        exact = True
        for edit in edits:
            # Whether an empty replacement takes the line's end along is not documented.
            exact = exact and not (not edit.new and not edit.old.endswith(LF) and edit.old + LF in text)
            text = replace_in(text, edit)
        return text.replace(LF, end), exact

    def _list(self, given: Given) -> Sequence[Given]:
        edits = given.get("edits") if self.many else [given]
        if not isinstance(edits, list) or not edits or not all(isinstance(one, dict) for one in edits):
            raise CannotTell("it has no edits")
        return edits

    def _edit(self, given: Given) -> Replacement:
        old, new = _text(given, "old_string"), _text(given, "new_string")
        if "\r" in old + new:
            raise CannotTell("it speaks of carriage returns, which the tool may take for line ends")
        return Replacement(old, new, None if given.get("replace_all") is True else 1)

    def again(self, given: Given, there: str | None, wanted: str) -> Given:
        edit = _edit_to(there, wanted)
        said = {"old_string": edit.old, "new_string": edit.new, "replace_all": False}
        return given | ({"edits": [said]} if self.many else said)


def _edit_to(there: str | None, wanted: str) -> Replacement:
    """Give the one edit that makes `wanted`, in LF."""
    if there is None:
        return Replacement("", wanted)
    edit = one_replacement(there.replace(CRLF, LF), wanted.replace(CRLF, LF))
    if edit is None:
        raise CannotTell("the file stays as it is")
    return edit


_BY_USER: Final = {"modified_by_user": True}  # then the tool's result tells the model what the user wrote


@dataclass(frozen=True, slots=True)
class _GeminiReplace:
    """Replaces a string as often as it says it must be there; an empty one makes a new file.

    Where the very string is not there it is looked for less strictly, at last by the model: that is not told here.
    """

    def made(self, given: Given, there: str | None) -> tuple[str, bool]:
        old, new = (_text(given, key).replace(CRLF, LF) for key in ("old_string", "new_string"))
        if there is None:
            if old:
                raise CannotTell("there is no such file")
            return new, True
        text = there.replace(CRLF, LF)
        made = replace_in(text, Replacement(old, new, _times(given)))
        if text.endswith(LF) != made.endswith(LF):  # the newline at the end stays as it was
            made = made + LF if text.endswith(LF) else made.removesuffix(LF)
        return made.replace(LF, CRLF) if CRLF in there else made, True

    def again(self, given: Given, there: str | None, wanted: str) -> Given:
        edit = _edit_to(there, wanted)
        once = {"expected_replacements": 1, "allow_multiple": False}
        once = {name: value for name, value in once.items() if name in given}
        return given | {"old_string": edit.old, "new_string": edit.new} | once | _BY_USER


def _times(given: Given) -> int | None:
    """Say how often the string must be there: ``allow_multiple`` came after ``expected_replacements``."""
    if given.get("allow_multiple") is True:
        return None
    times = given.get("expected_replacements", 1)
    if type(times) is not int or times < 1:
        raise CannotTell("its expected_replacements is no number")
    return times


@dataclass(frozen=True, slots=True)
class _CodexPatch:
    """Applies a patch, to many files perhaps."""

    def names(self, given: Given) -> tuple[str, ...]:
        return tuple(section.path for section in self._sections(given))

    def would_be(self, given: Given, there: There) -> WouldBe:
        made = {section.path: patches.apply(section, there[section.path]) for section in self._sections(given)}
        texts = {path: applied.text for path, applied in made.items()}
        return WouldBe(texts, all(applied.exact for applied in made.values()))

    def rewritten(self, given: Given, there: There, wanted: There) -> Given:
        texts = ((one, there[one.path], wanted.get(one.path)) for one in self._sections(given))
        sections = [patches.write(one, old, new) for one, old, new in texts if new not in (None, old)]
        return given | {"command": patches.whole(sections)}

    def _sections(self, given: Given) -> list[patches.Section]:
        return patches.parse(_text(given, "command"))


CLAUDE_TOOLS: Final[Mapping[str, Tool]] = {
    "Edit": _OneFile(_ClaudeEdit()),
    "MultiEdit": _OneFile(_ClaudeEdit(many=True)),
    "Write": _OneFile(_Whole()),
}
CODEX_TOOLS: Final[Mapping[str, Tool]] = {"apply_patch": _CodexPatch()}
GEMINI_TOOLS: Final[Mapping[str, Tool]] = {
    "replace": _OneFile(_GeminiReplace()),
    "write_file": _OneFile(_Whole(gemini=True)),
}
