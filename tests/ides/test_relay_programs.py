"""Which programs may carry a relay: those of Windows, wherever PATH leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.ides.relay_programs import find_programs
from pathconv import Env, Facts, Mount, PathMapper
from tests.wsl.interop import install_shell

KINDS = ["python.exe", "node.exe", "powershell.exe"]


class Disks:
    """Drives C and D of Windows, a share, and Linux beside them; all are directories of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mounts = [
            Mount("/", None),
            Mount(f"{root}/mnt/c", "C:\\"),
            Mount(f"{root}/data", "D:\\tools"),
            Mount(f"{root}/mnt/share", "\\\\nas\\media"),
            Mount(f"{root}/mnt/c/linux", None, fstype="ext4"),
        ]

    def put(self, place: str, name: str = "node.exe") -> None:
        install_shell(self.root / place / name, "exit 1")

    def find(self, *search: str) -> list[str]:
        """Give the places below the root of what is found; ``~`` in `search` is the root."""
        mapper = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", tuple(self.mounts)))
        path = ":".join(search).replace("~", str(self.root))
        return [program.path.removeprefix(f"{self.root}/") for program in find_programs(path, mapper)]


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path.resolve())


TAKEN = {
    "on drive C": "mnt/c/Tools",
    "on another drive, mounted anywhere": "data",
    "in a directory with spaces": "mnt/c/Program Files (x86)/nodejs",
}


@pytest.mark.parametrize("place", TAKEN.values(), ids=TAKEN)
def test_what_lies_on_a_drive_and_in_path_is_found(disks: Disks, place: str) -> None:
    disks.put(place)
    assert disks.find("/usr/bin", f"~/{place}") == [f"{place}/node.exe"]


# What PATH says, and where the program is.
NOT_TAKEN = {
    "a relative entry": ("mnt/c/Tools", "mnt/c/Tools"),
    "the working directory": (".", "mnt/c/Tools"),
    "an empty entry": ("", "mnt/c/Tools"),
    "a directory of Linux": ("~/home/me/repo", "home/me/repo"),
    "a file system of Linux below a drive": ("~/mnt/c/linux/bin", "mnt/c/linux/bin"),
    "a name that only begins like a mount": ("~/mnt/cache", "mnt/cache"),
    "a share, which others may write to": ("~/mnt/share/bin", "mnt/share/bin"),
    "out of the drive and back to Linux": ("~/mnt/c/../../home/bin", "home/bin"),
    "the stub that opens the Store": ("~/mnt/c/me/Microsoft/WindowsApps", "mnt/c/me/Microsoft/WindowsApps"),
    "its other spelling": ("~/mnt/c/x/windowsapps", "mnt/c/x/windowsapps"),
}


@pytest.mark.parametrize(("search", "place"), NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_a_repository_could_hold_is_not(
    disks: Disks, monkeypatch: pytest.MonkeyPatch, search: str, place: str
) -> None:
    for name in KINDS:
        disks.put(place, name)
    monkeypatch.chdir(disks.root if "/" in search else disks.root / place)
    assert disks.find(search) == []


def test_a_link_counts_for_where_it_leads(disks: Disks) -> None:
    disks.put("mnt/c/nvm/v20")
    disks.put("home/me/repo", "python.exe")
    (disks.root / "mnt/c/nvm/current").symlink_to(disks.root / "mnt/c/nvm/v20")
    (disks.root / "mnt/c/nvm/v20/python.exe").symlink_to(disks.root / "home/me/repo/python.exe")
    assert disks.find("~/mnt/c/nvm/current") == ["mnt/c/nvm/v20/node.exe"]


def test_a_link_in_linux_to_a_program_of_windows_is_not_followed(disks: Disks) -> None:
    disks.put("mnt/c/Users/me/Downloads")
    (disks.root / "repo").mkdir()
    (disks.root / "repo/node.exe").symlink_to(disks.root / "mnt/c/Users/me/Downloads/node.exe")
    assert disks.find("~/repo") == []


def test_what_cannot_be_started_is_passed_over(disks: Disks) -> None:
    disks.put("mnt/c/a")
    (disks.root / "mnt/c/a/node.exe").chmod(0o644)
    (disks.root / "mnt/c/b/node.exe").mkdir(parents=True)
    disks.put("mnt/c/d")
    assert disks.find("~/mnt/c/a", "~/mnt/c/b", "~/mnt/c/d") == ["mnt/c/d/node.exe"]


def test_one_of_each_kind_those_first_that_start_first(disks: Disks) -> None:
    for name in reversed(KINDS):
        disks.put("mnt/c/Tools", name)
        disks.put("data", name)
    assert disks.find("~/mnt/c/Tools", "~/data") == [f"mnt/c/Tools/{name}" for name in KINDS]


def test_what_windows_always_has_is_found_without_path(disks: Disks) -> None:
    disks.put("mnt/c/Windows/System32/WindowsPowerShell/v1.0", "powershell.exe")
    disks.put("mnt/c/Program Files/nodejs")
    assert disks.find() == [
        "mnt/c/Program Files/nodejs/node.exe",
        "mnt/c/Windows/System32/WindowsPowerShell/v1.0/powershell.exe",
    ]


def test_windows_own_powershell_comes_before_any_other(disks: Disks) -> None:
    disks.put("mnt/c/Windows/System32/WindowsPowerShell/v1.0", "powershell.exe")
    disks.put("mnt/c/Tools", "powershell.exe")
    assert disks.find("~/mnt/c/Tools") == ["mnt/c/Windows/System32/WindowsPowerShell/v1.0/powershell.exe"]


def test_where_no_drive_is_mounted_there_is_nothing(disks: Disks) -> None:
    disks.put("mnt/c/Tools")
    disks.mounts = [Mount("/", None)]
    assert disks.find("~/mnt/c/Tools") == []


def test_where_there_is_no_windows_there_is_nothing(disks: Disks) -> None:
    disks.put("mnt/c/Tools")
    assert find_programs(str(disks.root / "mnt/c/Tools"), None) == []
