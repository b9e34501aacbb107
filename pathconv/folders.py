"""What a path looks like: allowed to matter only where its style is not known, as in `to_local`, in the folders of
IDEs' lock files, and in what people type."""

from __future__ import annotations

import re

__all__ = ["ide_spelling", "is_uri", "is_windows"]

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\|//(?:wsl\$|wsl\.localhost|\?)(?:[\\/]|$)", re.IGNORECASE)
_URI_LEAK = re.compile(r"/([A-Za-z]:)(?=[\\/]|$)")  # ``/C:/dev``: the path of a URI, taken for a file's
_LOST_SLASH = re.compile(r"/(?:mnt/)?(?=(?:wsl\.localhost|wsl\$)/)", re.IGNORECASE)
_MNT = re.compile(r"/mnt/([A-Za-z])(?=/|$)")
_URI = re.compile(r"(?:file|vscode-remote):", re.IGNORECASE)


def is_windows(path: str, local: str) -> bool:
    r"""Tell whether an absolute path is spelled as Windows does; ``//host/share`` is so only on Windows itself.

    Args:
        local: ``linux`` or ``windows``: where the path was found.

    >>> is_windows("c:/src", "linux"), is_windows("//wsl.localhost/Ubuntu", "linux"), is_windows("//host/x", "linux")
    (True, True, False)
    """
    if local == "windows":
        return not path.startswith("/") or path.startswith("//")
    return _WINDOWS.match(path) is not None


def is_uri(path: str) -> bool:
    """Tell whether an IDE wrote a URI where a path belongs."""
    return _URI.match(path) is not None


def ide_spelling(path: str, running_in_windows: bool) -> str:
    """Mend the known odd spellings of IDE plugins (docs/protocol.md "Paths between Windows and WSL").

    >>> ide_spelling("/mnt/d/work", True), ide_spelling("/C:/dev", True), ide_spelling("/wsl.localhost/U/x", True)
    ('D:/work', 'C:/dev', '//wsl.localhost/U/x')
    """
    if leak := _URI_LEAK.match(path):
        return leak[1] + (path[leak.end() :] or "/")
    if lost := _LOST_SLASH.match(path):
        return "//" + path[lost.end() :]
    if running_in_windows and (drive := _MNT.match(path)):
        return f"{drive[1].upper()}:" + (path[drive.end() :] or "/")
    return path
