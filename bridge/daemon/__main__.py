"""``python -m bridge.daemon [READY]``: READY is a file descriptor that takes one line when clients may connect."""

import os
import sys

from bridge.daemon.main import run

if __name__ == "__main__":
    sys.exit(run(os.environ, int(sys.argv[1]) if len(sys.argv) > 1 else None))
