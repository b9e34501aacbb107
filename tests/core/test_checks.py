"""What is said of the bridge's files and machine: a row a fact that is not as it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.checks import AHEAD_S, EARLIEST, FREE_BYTES, Directory, Facts, File, Quota, examine
from bridge.errors import BadConfiguration, NotTrusted

NOW = EARLIEST + 1e6
STATE = "/home/ann/.local/state/bridge"
JOURNAL = f"{STATE}/journal.sqlite"


def file(path: str = JOURNAL, **facts: Any) -> File:
    usual: dict[str, Any] = {"uid": 1000, "mode": 0o600, "size": 36 * 1024, "modified": NOW - 60}
    return File(path=path, **{**usual, **facts})


HEALTHY = Facts(
    version="0.1",
    python="3.12.1",
    sqlite=(3, 51, 3),
    now=NOW,
    uid=1000,
    home="/home/ann",
    home_uid=1000,
    directories=(Directory(check="state", path=STATE), Directory(check="runtime", path="/run/user/1000/bridge")),
    files=(file(),),
    journal=JOURNAL,
    writable=STATE,
    free_bytes=3 * 2**30,
    config="/home/ann/.config/bridge/config.toml",
    has_config=True,
    config_error=None,
    running=True,
    quotas=(Quota(name="open files", used=20, limit=1024, fix="ulimit -n 4096"),),
)


def test_a_healthy_bridge_gets_one_good_line_for_each_thing() -> None:
    findings = examine(HEALTHY)
    assert {finding.level for finding in findings} == {"ok"}
    assert [(finding.check, finding.found) for finding in findings] == [
        ("configuration", "/home/ann/.config/bridge/config.toml"),
        ("state", f"{STATE} is yours alone"),
        ("runtime", "/run/user/1000/bridge is yours alone"),
        ("disk", f"3.0 GiB free at {STATE}"),
        ("journal", f"{JOURNAL}, 36.0 KiB"),
        ("limits", "20 of 1024 open files in use"),
        ("versions", "bridge 0.1, Python 3.12.1, SQLite 3.51.3"),
    ]


@pytest.mark.parametrize(
    ("facts", "check", "found"),
    [
        (
            {"has_config": False},
            "configuration",
            "the defaults: there is no /home/ann/.config/bridge/config.toml",
        ),
        (
            {"directories": (Directory(check="state", path=STATE, exists=False),)},
            "state",
            f"{STATE} is made when the bridge starts",
        ),
        ({"files": (), "running": False}, "journal", "none yet"),
        ({"files": (file(size=0),)}, "journal", f"{JOURNAL}, 0 B"),
        ({"free_bytes": FREE_BYTES[0]}, "disk", f"256.0 MiB free at {STATE}"),
        (
            {"sqlite": (3, 51, 2)},
            "versions",
            "bridge 0.1, Python 3.12.1, SQLite 3.51.2 (its WAL-reset bug needs two connections; the journal has one)",
        ),
    ],
)
def test_what_is_merely_different_is_fine(facts: dict[str, Any], check: str, found: str) -> None:
    findings = examine(replace(HEALTHY, **facts))
    assert {finding.level for finding in findings} == {"ok"}
    assert found in [finding.found for finding in findings if finding.check == check]


ODD = f"{STATE}/it's odd"

# facts, check, exit code (0: a warning), part of what was found, fix
TROUBLES: list[tuple[dict[str, Any], str, int, str, str]] = [
    ({"home_uid": None}, "home", 78, "no directory", "set HOME to your home directory"),
    (
        {"home_uid": 0},
        "home",
        0,
        "belongs to user 0; you are user 1000",
        "without sudo, or with sudo -H: bridge doctor",
    ),
    (
        {"config_error": BadConfiguration("config.toml: takeover: not a bool", "edit config.toml")},
        "configuration",
        78,
        "takeover",
        "edit config.toml",
    ),
    (
        {"directories": (Directory(check="runtime", path="/r", trouble=NotTrusted("/r is open", "chmod 700 '/r'")),)},
        "runtime",
        77,
        "/r is open",
        "chmod 700 '/r'",
    ),
    (
        {"files": (file(), file(ODD, uid=0))},
        "files",
        77,
        "belongs to user 0",
        f"sudo chown 1000 '{STATE}/it'\"'\"'s odd'",
    ),
    ({"files": (file(mode=0o644),)}, "files", 0, "mode 0644", f"chmod 600 {JOURNAL}"),
    ({"free_bytes": None}, "disk", 78, "cannot be written", f"see why: ls -ld {STATE}; df -h {STATE}"),
    ({"free_bytes": FREE_BYTES[0] - 1}, "disk", 0, "MiB free", f"make room: df -h {STATE}"),
    ({"free_bytes": FREE_BYTES[1] - 1}, "disk", 69, "MiB free", f"make room: df -h {STATE}"),
    ({"free_bytes": 0}, "disk", 69, "0 B free", f"make room: df -h {STATE}"),
    ({"files": ()}, "journal", 69, "was deleted", "bridge restart"),
    (
        {"files": (file(), file(f"{JOURNAL}.broken-2"), file(f"{JOURNAL}.broken-2-wal"))},
        "journal",
        0,
        "was found broken",
        f"if you do not miss any: rm -f {JOURNAL}.broken-2 {JOURNAL}.broken-2-wal {JOURNAL}.broken-2-shm",
    ),
    (
        {"quotas": (Quota(name="inotify instances", used=116, limit=128, fix="sudo sysctl x=512"),)},
        "limits",
        0,
        "116 of 128 inotify instances in use",
        "sudo sysctl x=512",
    ),
    ({"now": 0.0}, "clock", 0, "shows the past", "sudo timedatectl set-ntp true"),
    (
        {"files": (file(modified=NOW + 7200), file(ODD, modified=NOW + AHEAD_S + 1), file("/past"))},
        "clock",
        0,
        f"{JOURNAL} is from the future (2.0 h)",
        f"set the clock: sudo timedatectl set-ntp true; if it is right now: touch {JOURNAL} '{STATE}/it'\"'\"'s odd'",
    ),
]


@pytest.mark.parametrize(("facts", "check", "code", "found", "fix"), TROUBLES)
def test_trouble_is_told_once_with_its_fix(facts: dict[str, Any], check: str, code: int, found: str, fix: str) -> None:
    (trouble,) = [finding for finding in examine(replace(HEALTHY, **facts)) if finding.level != "ok"]
    assert (trouble.check, trouble.code, trouble.fix) == (check, code, fix)
    assert found in trouble.found


@pytest.mark.parametrize(("used", "level"), [(89, "ok"), (90, "warn"), (100, "warn")])
def test_a_limit_is_told_of_when_nine_tenths_are_used(used: int, level: str) -> None:
    facts = replace(HEALTHY, quotas=(Quota(name="things", used=used, limit=100, fix="more"),))
    assert [finding.level for finding in examine(facts) if finding.check == "limits"] == [level]


def test_a_clock_that_is_a_little_late_is_no_trouble() -> None:
    facts = replace(HEALTHY, files=(file(modified=NOW + AHEAD_S),))
    assert not [finding for finding in examine(facts) if finding.check == "clock"]
