"""``python -m bridge.daemon READY``: leave a daemon behind and end.

READY is an inherited file descriptor that takes one line when clients may connect. The daemon is no child of
whoever starts it, has a session of its own, stands in ``/`` and keeps no file of theirs open: a caller that
waits for the end of a pipe would wait for the daemon's.
"""

import json
import os
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Detach, then live."""
    ready = int(sys.argv[1])
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.closerange(3, ready)
    os.closerange(ready + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(ready, False)
    from bridge.daemon.main import run

    def tell(message: dict[str, Any]) -> None:
        with suppress(OSError):  # whoever started us may be gone
            os.write(ready, json.dumps(message).encode() + b"\n")
            os.close(ready)

    sys.exit(run(os.environ, tell))


if __name__ == "__main__":
    main()
