"""Network and mount namespaces that live as long as a process of ours, and leave nothing behind.

A space is held by a shell that waits for the end of its stdin: when the test ends, however it ends, so does the
shell, and the kernel takes the space away with its interfaces, rules and mounts (namespaces(7)). Nothing has a
name outside, so tests cannot meet each other or the machine's own network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.e2e.support import PATIENCE_S

__all__ = ["Space", "missing"]

TOOLS = ("ip", "nft", "nsenter", "pivot_root", "unshare")

# A root of its own: everything of the machine's, but an empty /mnt, and directories bound where they are wanted.
# $1 is where it is built; then pairs of a mount point and the directory that it shows.
_ROOT = """
new=$1; shift
mount -t tmpfs -o mode=755 root "$new"
for entry in /*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$new$entry"
    elif [ "$entry" = /mnt ]; then mkdir "$new/mnt"
    elif [ -d "$entry" ]; then mkdir "$new$entry"; mount --rbind "$entry" "$new$entry"
    fi
done
while [ $# -gt 0 ]; do mkdir -p "$new$1"; mount --bind "$2" "$new$1"; shift 2; done
cd "$new"
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old
"""
_HOLD = """
ip link set lo up
echo ready
exec cat > /dev/null
"""


@cache
def missing() -> str | None:
    """Say what keeps us from making namespaces here; None if nothing does."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"making a network takes {', '.join(absent)} (iproute2, nftables, util-linux)"
    if os.geteuid() != 0:
        return "only root can make a network namespace"
    tried = subprocess.run(["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"], capture_output=True)
    return None if tried.returncode == 0 else f"no namespaces here: {tried.stderr.decode(errors='replace').strip()}"


class Space:
    """One network namespace and one mount namespace, with ``lo`` up; `close` ends them.

    Args:
        root: a directory to build a root in; without one the space has the machine's.
        binds: what is seen there, by mount point.
    """

    def __init__(self, root: Path | None = None, binds: Mapping[str, Path] | None = None) -> None:
        build = _ROOT if root is not None else ""
        pairs = [word for point, shown in (binds or {}).items() for word in (point, str(shown))]
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", build + _HOLD, "sh"]
            + ([str(root), *pairs] if root is not None else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the test
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            _, why = self._holder.communicate(timeout=PATIENCE_S)
            raise OSError(f"no namespace: {why.decode(errors='replace')}")

    @property
    def pid(self) -> int:
        """A process in the space, as others name it."""
        return self._holder.pid

    def enter(self, cwd: Path | str = "/") -> list[str]:
        """Give the words to put before a command, so that it runs in the space, in the directory `cwd` of it."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", f"--wdns={cwd}", "--"]

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the space to its end; give what it printed. Fails the test if it fails."""
        done = subprocess.run([*self.enter(), *command], input=stdin.encode(), capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == 0, (command, stdin, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def processes(self) -> set[int]:
        """List the processes whose network this is; one that ends while we look is none."""
        ours = os.stat(f"/proc/{self.pid}/ns/net")
        found = set()
        for entry in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{entry}/ns/net"), ours):
                    found.add(int(entry))
        return found

    def ip(self, *lines: str) -> None:
        """Run ip(8) commands, one a line."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines))

    def nft(self, rules: str) -> None:
        """Load nftables rules (nft(8))."""
        self.run("nft", "-f", "-", stdin=rules)

    def sysctl(self, *settings: str) -> None:
        """Set kernel parameters of the network, as ``net.ipv4.ip_forward=1``."""
        lines = (f"echo {value} > /proc/sys/{name.replace('.', '/')}" for name, value in map(_pair, settings))
        self.run("sh", "-ec", "\n".join(lines))

    def close(self) -> None:
        """End the space; what still runs in it keeps it alive, so end that first."""
        self._holder.communicate(timeout=PATIENCE_S)


def _pair(setting: str) -> Sequence[str]:
    return setting.split("=", 1)
