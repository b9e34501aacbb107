"""``python -m tests.wsl ROOT WORDS…``: the bridge's command line on a WSL machine whose system files lie below ROOT.

It is the whole difference to ``python -m bridge WORDS…``: one function is replaced (`pathconv.probe.this_machine`).
Run it where that machine's network and mounts are (`tests.wsl.namespaces`), with its environment.
"""

import sys

import pathconv.probe
from bridge import cli


def main() -> int:
    """Run one command there."""
    root, *words = sys.argv[1:]
    pathconv.probe.this_machine = lambda: pathconv.probe.Machine(root=root)
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main())
