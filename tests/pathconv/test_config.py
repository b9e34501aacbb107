from __future__ import annotations

import pytest

from pathconv import WslConf, parse_route, parse_wsl_conf

ROOTS = [
    ("root = /x # here", "/x/"),
    ("root=/x;y", "/x;y/"),  # a semicolon is no comment
    ("; root = /x", "/mnt/"),  # and no key either
    ("# root = /x", "/mnt/"),
    ('root = "/a # b"  # c', "/a # b/"),
    ('root = "/a "', "/a /"),
    ('root = "/a" ', "/a/"),
    ('root = /a" b "c', "/a b c/"),
    ("root = '/a'", "'/a'/"),  # only double quotes are quotes
    (r"root = /a\\b", r"/a\b/"),
    (r'root = "/a\"b\tc\n"\b', '/a"b\tc\n\b/'),
    ("root = /a\t ", "/a/"),
    ("root = /a\\t ", "/a\t/"),  # an escape is no blank
    ("root = /a \\\n  b", "/a   b/"),  # a line that goes on, blanks and all
    ('root = "/a # \\\nb"', "/a # b/"),
    ("root = /a\\\r\nb", "/ab/"),
    ("root = /a \\", "/a /"),  # goes on with the empty line that ends the file
    ("root = ", "/"),  # an empty prefix gets its slash
    ('root = ""', "/"),
    ('root = "" # x', "/"),
    ("ROOT=/a", "/a/"),
    ("root=/a\nroot=/b", "/a/"),  # the first counts
    ("ro-ot=/a", "/mnt/"),
    ("root /a", "/mnt/"),
    ("root=/a\r", "/a/"),
    ("root=/a\rroot=/b", "/a/"),
    ("[other]\nroot=/a", "/mnt/"),
    ("[auto-mount]\nroot=/a", "/mnt/"),
    ("[other]\n\t[AUTOMOUNT] # again\nroot=/a", "/a/"),
    ("[other]\n[ automount ]\nroot=/a", "/mnt/"),  # none has blanks in its name
    ("[automount ]\nroot=/a", "/mnt/"),
    ("[automount] x\nroot=/a", "/mnt/"),
    ("[automount\nroot=/a", "/mnt/"),
    ("[]\nroot=/a", "/mnt/"),
    ("[1]\nroot=/a", "/mnt/"),
    ("[broken\n[automount]\nroot=/a", "/a/"),
    ("[\u00e4]\nroot=/a", "/mnt/"),
]
INVALID = [
    'root = "/a',
    'root = "/a # b',
    'root = "/a\\\nroot=/c',  # the quote is open on the line that goes on too
    r"root = /a\x",
    r"root = /a\#b",
    r"root = /a\ b",
    r'root = "/a\x"',
    r'root = "/a" "\x',
    "root = /a\\\nroot=/c\\x",
    "root",
    "root /a",
    "1root=/a",
    "ro ot=/a",
    "; root=/a",
    "=/a",
    "garbage # root=/a",
]


@pytest.mark.parametrize(("lines", "root"), ROOTS)
def test_where_the_drives_are_mounted(lines: str, root: str) -> None:
    assert parse_wsl_conf(f"[automount]\n{lines}\n").root == root


@pytest.mark.parametrize("line", INVALID)
def test_an_invalid_line_counts_for_nothing_and_the_next_counts(line: str) -> None:
    assert parse_wsl_conf(f"[automount]\n{line}").root == "/mnt/"
    assert parse_wsl_conf(f"[automount]\n{line}\nroot = /b\nroot = /c") == WslConf(True, "/b/", True)


def test_an_escape_that_nothing_follows_is_invalid() -> None:
    assert parse_wsl_conf("[automount]\nroot=/a\\").root == "/mnt/"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("false", False), ("0", False), ("FALSE", False), ('"false"', False), ("true", True), ("1", True)]
    + [(value, True) for value in ("no", "off", "", "2")],  # no booleans to WSL: it warns and keeps its default
)
def test_booleans(value: str, expected: bool) -> None:
    assert parse_wsl_conf(f"[automount]\nenabled={value}").automount is expected
    assert parse_wsl_conf(f"[interop]\nenabled={value}\n").interop is expected


def test_nothing_is_said() -> None:
    assert parse_wsl_conf("") == parse_wsl_conf("root=/a") == WslConf(True, "/mnt/", True)
    assert parse_wsl_conf("\ufeff[automount]\nroot=/a").root == "/a/"


HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def route(
    gateway: str, destination: str = "00000000", flags: str = "0003", metric: int = 0, mask: str = "0" * 8
) -> str:
    return f"eth0\t{destination}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


LAN = route("00000000", "006015AC", "0001", mask="00F0FFFF")
ROUTES = [
    ("", None),
    (HEAD, None),
    (HEAD + LAN, None),
    (HEAD + LAN + route("016015AC"), "172.21.96.1"),  # not the first line
    (HEAD + route("0101A8C0", metric=100) + route("016015AC", metric=50), "172.21.96.1"),
    (HEAD + route("0101A8C0") + route("016015AC"), "192.168.1.1"),  # of equals the first, as the kernel does
    (HEAD + route("016015AC", flags="0002"), None),  # not up
    (HEAD + route("00000000", flags="0001"), None),  # a default route without a gateway
    (HEAD + route("016015AC", flags="0203"), None),  # one that rejects
    (HEAD + route("016015AC", mask="000000FF"), None),
    (HEAD + "garbage\n" + route("xx6015AC") + route("6015AC") + route("016015AC"), "172.21.96.1"),
    (HEAD + "eth0\t00000000\t016015AC\t0003\t0\t0\tx\t00000000\n", None),
]


@pytest.mark.parametrize(("text", "gateway"), ROUTES)
def test_the_default_gateway(text: str, gateway: str | None) -> None:
    assert parse_route(text) == gateway
