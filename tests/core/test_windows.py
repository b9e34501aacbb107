"""What Windows' own programs print, in the languages and code pages that they print it in."""

from __future__ import annotations

import doctest

import pytest

from bridge.core import windows
from bridge.core.windows import decode_output, home_from_path, needs_polling, parse_distros, parse_home, tasklist_alive
from pathconv import Env

IDEA = '"idea64.exe","1234","Console","1","2,345,678 K"\r\n'
BANNER = "'\\\\wsl.localhost\\Ubuntu\\home'\r\nUNC paths are not supported.  Defaulting to Windows directory.\r\n"


@pytest.mark.parametrize(
    ("pid", "stdout", "rc", "alive"),
    [
        (1234, IDEA, 0, True),
        (123, IDEA, 0, False),  # the beginning of another
        (2345678, IDEA, 0, False),  # a number elsewhere in the row
        (7, '"a, b.exe","7","Console","1","1 K"\r\n' + IDEA, 0, True),
        (7, "INFO: No tasks are running which match the specified criteria.\r\n", 0, False),
        (7, "INFORMATION: Es werden keine Aufgaben mit den angegebenen Kriterien ausgeführt.\r\n", 0, False),
        (7, "", 0, None),  # it always says something
        (7, '"' + "x" * 200_000 + '","7"', 0, None),
        (1234, IDEA, 1, None),
        (1234, "", None, None),  # it did not run
    ],
)
def test_only_the_pid_field_tells_who_is_alive(pid: int, stdout: str, rc: int | None, alive: bool | None) -> None:
    assert tasklist_alive(pid, stdout, rc) is alive


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("/usr/bin:/mnt/c/Users/me/AppData/Local/Microsoft/WindowsApps:/x", "/mnt/c/Users/me"),
        ("/c/Users/me/AppData/Local/Microsoft/WindowsApps/", "/c/Users/me"),
        ("/mnt/c/Users/me/AppData/Local/Microsoft/WindowsApps/more", None),
        ("/mnt/d/home/Users/Zoë B/AppData/Local/Microsoft/WindowsApps", "/mnt/d/home/Users/Zoë B"),
        ("/mnt/c/Users/Public/AppData/Local/Microsoft/WindowsApps", None),
        ("mnt/c/Users/me/AppData/Local/Microsoft/WindowsApps", None),  # relative: anybody's
        ("", None),
    ],
)
def test_the_profile_in_a_lengthened_path(path: str, home: str | None) -> None:
    assert home_from_path(path) == home


@pytest.mark.parametrize(
    ("out", "home"),
    [
        ("C:\\Users\\me\r\n".encode("utf-16-le"), "C:\\Users\\me"),
        ("\ufeffC:\\Users\\Zoë\r\n".encode("utf-16-le"), "C:\\Users\\Zoë"),
        (b"D:\\Profiles\\me\r\n", "D:\\Profiles\\me"),
        ((BANNER + "C:\\Users\\me\r\n").encode(), "C:\\Users\\me"),
        (b"%USERPROFILE%\r\n", None),
        ("C:\\Users\\Zoë\r\n".encode("cp850"), None),  # no name is guessed from another code page
        (b"", None),
    ],
)
def test_the_profile_that_cmd_prints(out: bytes, home: str | None) -> None:
    assert parse_home(out) == home


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_the_running_distributions(encoding: str) -> None:
    assert parse_distros("Ubuntu-22.04\r\nDebian\r\n".encode(encoding)) == ("Ubuntu-22.04", "Debian")
    assert parse_distros("There are no running distributions.\r\n".encode(encoding)) == ()


def test_output_is_decoded_whatever_it_is() -> None:
    assert decode_output(b"\xff\xfe\xff") == "\ufffd" * 3
    assert decode_output(b"a\0b") == "a\ufffd"


@pytest.mark.parametrize(
    ("path", "polled"),
    [
        ("\\\\wsl.localhost\\Ubuntu\\home\\u\\.claude\\ide", True),
        ("//wsl$/Ubuntu/home", True),
        ("\\\\?\\UNC\\wsl.localhost\\Ubuntu", True),
        ("\\\\?\\C:\\Users", False),
        ("\\\\.\\pipe\\x", False),
        ("C:\\Users\\u", False),
    ],
)
def test_on_windows_a_share_is_polled(path: str, polled: bool) -> None:
    assert needs_polling(Env.WINDOWS, path=path) is polled


@pytest.mark.parametrize(("fstype", "polled"), [("drvfs", True), ("cifs", True), ("ext4", False), ("tmpfs", False)])
def test_elsewhere_the_file_system_decides(fstype: str, polled: bool) -> None:
    assert {needs_polling(env, fstype) for env in (Env.WSL1, Env.WSL2, Env.LINUX, Env.MACOS)} == {polled}


def test_the_examples_run() -> None:
    assert doctest.testmod(windows).failed == 0
