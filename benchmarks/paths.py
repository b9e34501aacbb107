"""Translating a path, against asking another process as `wslpath` must be asked; and hostile paths of every length.

There is no `wslpath` here, so the other process is the cheapest there is: ``/bin/true``, which does nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from benchmarks.measure import Row, Times, alternate, one_core, ratio, timed
from pathconv import Env, Facts, Mount, PathMapper, parse_uri

GOAL = 1 / 50
LINEAR = 2.0  # a character of a megabyte costs at most this many times one of a kilobyte
AT_ONCE = 1000  # conversions in one measurement: one alone is too short
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20

# A usual machine has two drives, and dozens of mounts that show nothing of Windows.
MOUNTS = (
    *(Mount(point, None) for point in ("/", "/mnt/wsl", "/mnt/wslg", "/run", "/dev", "/proc", "/sys", "/dev/shm")),
    *(Mount(f"/snap/core/{number}", None) for number in range(20)),
    Mount("/mnt/c", "C:\\"),
    Mount("/mnt/d", "D:\\"),
)
MAPPER = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", MOUNTS))
PATHS = ("/mnt/c/Users/me/src/project/src/main/module.py", "/home/me/src/project/src/main/module.py")

HOSTILE: dict[str, tuple[str, str, Callable[[str], object]]] = {
    "backslashes": ("C:\\", "\\", MAPPER.try_to_linux),
    "up and down": ("C:\\", "a\\..\\", MAPPER.try_to_linux),
    "up": ("/mnt/c/", "../", MAPPER.try_to_windows),
    "percent": ("file:///c:/", "%25", parse_uri),
    "escapes": ("C:\\", "\uf03a", MAPPER.try_to_linux),
    "forbidden": ("/mnt/c/", ":\\", MAPPER.try_to_windows),
    "letters": ("/mnt/c/", "ä/", MAPPER.key),
}


def run(quick: bool) -> list[Row]:
    with one_core():
        return [pair(quick), *(linear(name, quick) for name in HOSTILE)]


def pair(quick: bool) -> Row:
    """Compare one conversion there and back with the start of one program."""
    name, true = "path, there and back / /bin/true", shutil.which("true")
    if true is None:
        return Row(name=name, unit="x", value=None, goal=GOAL, note="no true here")
    program: str = true

    def there_and_back() -> None:
        for _ in range(AT_ONCE // len(PATHS)):
            for path in PATHS:
                MAPPER.to_linux(MAPPER.to_windows(path))

    def conversion() -> float:
        return timed(there_and_back)() / AT_ONCE

    times = alternate(
        {"bridge": conversion, "true": timed(lambda: subprocess.run([program], check=True))}, 3 if quick else 100
    )
    return ratio(name, times, "bridge", "true", GOAL)


def linear(name: str, quick: bool) -> Row:
    """Compare what a character costs in a short hostile path and in a long one."""
    start, unit, convert = HOSTILE[name]

    def per_character(length: int) -> Callable[[], float]:
        path = start + unit * (length // len(unit))
        repeat = 1 if length == MEGABYTE else 100
        return lambda: timed(lambda: [convert(path) for _ in range(repeat)])() / repeat / length * KILOBYTE

    lengths = {"1 MB, per KB": per_character(MEGABYTE), "1 KB": per_character(KILOBYTE)}
    times: dict[str, Times] = alternate(lengths, 3 if quick else 20)
    return ratio(f"path of {name}, 1 MB / 1 KB", times, "1 MB, per KB", "1 KB", LINEAR)
