"""Stand-ins for programs of Windows and for the way in which WSL starts them.

`install` writes an executable with the name of a Windows program. Started, it becomes `init.py`, which stands between
the two sides as WSL's own /init does, and that starts the program that is really there: Python and Node run the scripts
that they would run in Windows; there is no PowerShell, so `powershell.py` does what its script says.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

__all__ = ["STAND_INS", "install", "install_shell", "started"]

_HERE = Path(__file__).parent
STAND_INS = {
    "python.exe": (sys.executable,),
    "node.exe": (shutil.which("node") or "node",),
    "powershell.exe": (sys.executable, "-I", str(_HERE / "powershell.py")),
}


def install(path: Path, *command: str, log: Path) -> Path:
    """Write an executable at `path` that runs `command`, default the stand-in for its name, and tells `log` of it."""
    words = [sys.executable, "-I", "-S", str(_HERE / "init.py"), str(log), *(command or STAND_INS[path.name])]
    return install_shell(path, f'exec {shlex.join(words)} "$@"')


def install_shell(path: Path, script: str) -> Path:
    """Write an executable of a few lines of shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def started(log: Path) -> list[dict[str, Any]]:
    """List what was started: ``argv``, ``cwd``, ``environ``, and ``pid`` of the process in Windows."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
