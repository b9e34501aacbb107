"""Stand in for powershell.exe: hold the arguments to what the relay may say, then do what its script does.

There is no PowerShell here, so that script itself is not run: it awaits a real Windows.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from bridge.ides import relay_scripts

OPTIONS = ["-NoLogo", "-NoProfile", "-NonInteractive", "-InputFormat", "None", "-OutputFormat", "Text"]


def main(*arguments: str) -> None:
    *options, command, encoded = arguments
    text = base64.b64decode(encoded, validate=True).decode("utf-16-le")
    port = re.match(r"\$port = (\d+)\n", text)
    if [*options, command] != [*OPTIONS, "-EncodedCommand"] or port is None:
        sys.exit(f"not what PowerShell may be given: {options} {text}")
    if text != relay_scripts.powershell_text(int(port[1])):
        sys.exit("not the script of the relay")
    *_, script, number = relay_scripts.PROGRAMS["python.exe"](int(port[1]))
    sys.argv = ["-c", number]
    exec(compile(script, "relay", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main(*sys.argv[1:])
