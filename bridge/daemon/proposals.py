"""Files that agents speak of: what is there to open, and the review that becomes of a proposed change."""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from bridge.agents.requests import MOST_TEXT, File
from bridge.core import text
from bridge.core.posing import OpenDiff
from bridge.core.reviews import Change, Review, digest
from bridge.errors import BadData, BridgeError, Usage
from bridge.store.files import read_file
from pathconv import PathConvError, PosixPath, parse_uri

__all__ = [
    "MOST_FILES",
    "change_of",
    "change_of_diff",
    "changed_since",
    "changes_of",
    "file_meant",
    "key_of",
    "new_review",
    "text_of",
    "text_there",
    "text_to_search",
]

MOST_FILES: Final = 200  # of one review; a human who is shown more looks at none

_MOST_TO_POSITION: Final = 4 * 2**20  # bytes of a file that is read to find a line in it
_LONGEST: Final = 3 * 4096  # characters of a file's name or URI: no system opens a longer path
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # of review ids: no two look alike


def new_review(files: tuple[Change, ...], workspace: bytes, **more: Any) -> Review:
    """Begin a review, under an id that people can read out."""
    now = time.time()
    name = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return Review(id=name, files=files, workspace=workspace, created=now, changed=now, **more)


def text_to_search(path: str, wanted: bool) -> str | None:
    """Check that the file is there before any IDE is asked (some open nothing and call it success) and read it.

    Raises `BadData` for what is no file. A file that is too large or no text is opened without a place.
    """
    try:
        found = os.stat(path)
    except OSError as exc:
        raise BadData(f"cannot open {path}: {exc.strerror}", "check the path") from exc
    if not stat.S_ISREG(found.st_mode):
        raise BadData(f"cannot open {path}: it is not a regular file", "name a file")
    if not wanted or found.st_size > _MOST_TO_POSITION:
        return None
    try:
        return text.decode(read_file(os.fsencode(path)) or b"")
    except BridgeError:
        return None


def change_of(path: str, proposed: str, base: str | None = None, *, new_directories: bool = False) -> Change:
    """Build the change of one file: what is there, and what is proposed instead.

    Args:
        path: absolute.
        base: the text to compare with; None: what is on disk.
        new_directories: whether the asker makes the file's directory, should there be none.

    Raises `BadData` for a file or a proposal that is no text, and when nothing would change.
    """
    change = _compare(path, proposed, base, new_directories)
    if _changes_nothing(change):
        raise BadData(f"nothing would change in {path}", "the file has the proposed text already")
    return change


def changes_of(files: Sequence[File], *, new_directories: bool = False) -> tuple[Change, ...]:
    """Build the changes of all files of a review, as `change_of` does; their paths are absolute.

    Files that would not change are left out: there is nothing to decide about them. Raises `Usage` for no file, for
    more than `MOST_FILES` and for a file that is there twice; `BadData` as `change_of` does, for more text in all
    than one file may have, and when no file would change.
    """
    if not files:
        raise Usage("a proposal is about one file at least", "name a path and its proposed text")
    if len(files) == 1:
        return (change_of(files[0].path, files[0].proposed, files[0].base, new_directories=new_directories),)
    if len(files) > MOST_FILES:
        raise Usage(f"{len(files)} files are more than a human can review at once", f"propose {MOST_FILES} at most")
    _refuse_twice(file.path for file in files)
    before = after = 0
    changes = []
    for file in files:
        change = _compare(file.path, file.proposed, file.base, new_directories)
        before, after = before + len(change.base), after + len(change.proposed)
        if max(before, after) > MOST_TEXT:
            raise BadData(
                f"the files have more than {MOST_TEXT // 2**20} Mi characters in all", "propose them in several reviews"
            )
        if not _changes_nothing(change):
            changes.append(change)
    if not changes:
        raise BadData("nothing would change in any of the files", "they have the proposed texts already")
    return tuple(changes)


def _refuse_twice(paths: Iterable[str]) -> None:
    """Raise `Usage` when two names are of one file; on some file systems they need not even be spelled alike."""
    seen: dict[object, str] = {}
    for path in paths:
        name = os.path.realpath(path)
        for identity in (name, _inode(name)):
            if identity in seen:
                also = "" if seen[identity] == path else f", as {seen[identity]} too"
                raise Usage(f"{path} is in the proposal twice{also}", "join both changes into one text")
            if identity is not None:
                seen[identity] = path


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # there is none yet, or it cannot be looked at: then reading it says why
        return None
    return found.st_dev, found.st_ino


def _changes_nothing(change: Change) -> bool:
    return change.base_hash is not None and change.base == change.proposed


def _compare(path: str, proposed: str, base: str | None, new_directories: bool) -> Change:
    name = os.fsencode(os.path.realpath(path))
    if os.path.isdir(name):
        raise BadData(f"{path} is a directory", "name a text file")
    if not new_directories and not os.path.isdir(os.path.dirname(name)):
        raise BadData(f"there is no directory for {path}", "make it first")
    if "\0" in proposed:
        raise BadData("the proposed text is binary", "the bridge reviews text files only")
    if base is None:
        there = read_file(name, MOST_TEXT)
        base = _decode(path, there)
    else:
        there = base.encode("utf-8", "surrogatepass") or None
    return Change(path=name, base_hash=None if there is None else digest(there), base=base, proposed=proposed)


def changed_since(review: Review) -> list[Change]:
    """Give the accepted files that are neither what the human saw nor what was accepted, by now; slow."""
    return [change for change in review.files if change.final is not None and _is_another(change, change.final)]


def _is_another(change: Change, final: str) -> bool:
    try:
        there = read_file(change.path, MOST_TEXT)
    except BadData:
        return True
    known = (change.base_hash, digest(final.encode("utf-8", "surrogatepass")))
    return (None if there is None else digest(there)) not in known


def text_of(path: str) -> str:
    """Read a file's text; "" where there is none. Raises `BadData` for what is no text."""
    return text_there(path) or ""


def text_there(path: str) -> str | None:
    """Read a file's text; None where there is no file. Raises `BadData` for what is no text."""
    there = read_file(os.fsencode(os.path.realpath(path)), MOST_TEXT)
    return None if there is None else _decode(path, there)


def _decode(path: str, data: bytes | None) -> str:
    try:
        return text.decode(data or b"")
    except BadData as exc:
        raise BadData(f"{path}: {exc.message}", exc.hint) from exc


def _is_path(name: str) -> bool:
    """Tell whether a file can have this name: no NUL, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


@lru_cache(maxsize=256)
def file_meant(cwd: str, named: str, is_uri: bool) -> str | None:
    """Give the path that an agent means, absolute, or None; it asks about the same file again and again."""
    if not named or len(named) > _LONGEST or not _is_path(named):
        return None
    if is_uri and not os.path.isabs(named):  # some take paths for URIs
        try:
            meant = parse_uri(named)
        except PathConvError:
            return None
        named = str(meant) if isinstance(meant, PosixPath) else named
    return os.path.normpath(os.path.join(cwd, named))


def change_of_diff(cwd: str, given: OpenDiff) -> Change:
    """Build the change of an ``openDiff``; the agent makes directories for a new file itself.

    Raises `BadData`.
    """
    old, new = (os.path.join(cwd, name) for name in (given.old_file_path, given.new_file_path))
    if not _is_path(old + new):
        raise BadData("no file can have this name", "it holds a NUL, or half a character")
    base = None if old == new else text_of(old)
    return change_of(new, given.new_file_contents, base, new_directories=True)


def key_of(change: Change) -> str:
    """Name a change by what it is: who asks for the same again means the same review."""
    named = sha256(change.path + b"\0" + (change.base_hash or "").encode() + b"\0")
    named.update(change.proposed.encode("utf-8", "surrogatepass"))
    return f"openDiff {named.hexdigest()}"
