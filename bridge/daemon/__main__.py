"""``python -m bridge.daemon READY``: leave a daemon behind and end.

READY is an inherited file descriptor that takes one line when clients may connect. The daemon is no child of
whoever starts it, has a session of its own, stands in ``/`` and keeps no file of theirs open: a caller that
waits for the end of a pipe would wait for the daemon's.
"""

import os
import sys


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

    sys.exit(run(os.environ, ready))


if __name__ == "__main__":
    main()
