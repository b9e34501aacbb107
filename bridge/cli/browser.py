"""Opening the user's browser, without hanging on one and without a terminal browser in the agent's face."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

__all__ = ["has_browser", "open_browser"]

PATIENCE_S = 3.0  # some openers wait for the browser to end
# A process of its own: a browser that kept our stdout would keep whoever reads it waiting for the browser's end.
_OPENER = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def has_browser() -> bool:
    """Tell whether there is a screen to open a browser on, or the user named one with ``BROWSER``."""
    graphical = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return graphical or bool(os.environ.get("BROWSER"))


def open_browser(path: str) -> bool:
    """Open the file at `path` (a 0600 page that leads on) in the browser; tell whether that seems to have worked.

    Waits at most `PATIENCE_S`; an opener that takes longer is left to itself and counts as working. It gets
    neither our terminal nor our Ctrl-C.
    """
    if not has_browser():
        return False
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(_open(f"file://{path}")), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return codes == [0] if codes else True


def _open(address: str) -> int:
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-I", "-c", _OPENER, address]  # the directory may be hostile
    return subprocess.call(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
