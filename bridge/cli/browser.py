"""Opening the user's browser, without hanging on one and without a terminal browser in the agent's face."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser

__all__ = ["has_browser", "open_browser"]

PATIENCE_S = 3.0  # some openers wait for the browser to end


def has_browser() -> bool:
    """Tell whether there is a screen to open a browser on, or the user named one with ``BROWSER``."""
    graphical = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return graphical or bool(os.environ.get("BROWSER"))


def open_browser(path: str) -> bool:
    """Open the file at `path` (a 0600 page that leads on) in the browser; tell whether that seems to have worked.

    Waits at most `PATIENCE_S`; an opener that takes longer is left to itself and counts as working.
    """
    if not has_browser():
        return False
    worked: list[bool] = []

    def attempt() -> None:
        try:
            worked.append(webbrowser.open(f"file://{path}"))
        except (webbrowser.Error, OSError):
            worked.append(False)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return worked[0] if worked else True
