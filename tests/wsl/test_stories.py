r"""A Windows IDE as its user in WSL meets it: files, changes and answers cross the boundary and mean the same.

All of it through the command line; the machine is NAT's, where the IDE accepts connections from all interfaces, but
for what is said otherwise. The IDE is told, and tells, paths of Windows alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.support import Ide
from tests.wsl.boundary import NOTHING, Boundary
from tests.wsl.system import WINDOWS_PID

Make = Callable[..., Boundary]

PROJECT = r"C:\work\proj"
FILE = rf"{PROJECT}\f.txt"


def opened(machine: Boundary, path: str, cwd: str | None = None, environ: Mapping[str, str] = NOTHING) -> str:
    """Open a file, in the user's home directory unless told otherwise; give the name of the IDE."""
    done = machine.bridge("open", path, "--json", cwd=cwd, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    name: str = json.loads(done.stdout)["ide"]
    return name


def decide(machine: Boundary, ide: Ide, deed: str, path: str, shown_as: str) -> str:
    """Propose a change of `path`; do `deed` in the IDE, which shows it under its own name; give the outcome."""
    diff = machine.running("diff", path, "--proposed", "-", "--apply", "--json", stdin=b"a\nB\nc\n")
    assert ide.until("diff")["path"] == shown_as
    ide.do(deed)
    decision = json.loads(diff.out.until(lambda line: line.startswith("{")))
    assert diff.end() == 0, diff.err.seen
    outcome: str = decision["outcome"]
    return outcome


def token(ide: Ide) -> str:
    """Read the IDE's token, as whoever may read its lock file."""
    secret: str = json.loads(ide.lock.read_bytes())["authToken"]
    return secret


# ---- files, changes, answers


def test_a_file_on_a_windows_drive_is_opened_under_its_windows_name(nat: Boundary) -> None:
    nat.write(FILE, "one\ntwo\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    done = nat.bridge("open", "f.txt:2", "--json", cwd=nat.seen(PROJECT))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"ide": "Visual Studio Code", "port": ide.port, "positioned": True}
    assert ide.until("opened")["path"] == FILE
    assert not nat.network.lan_saw(token(ide))


def test_a_file_of_the_distribution_is_opened_over_its_share(nat: Boundary, home: Path) -> None:
    (home / "notes.md").write_text("# Notes\n", "utf-8")
    share = rf"\\wsl.localhost\Ubuntu{home}".replace("/", "\\")
    ide = nat.windows_ide(share)
    nat.start_daemon()
    opened(nat, "notes.md")
    assert ide.until("opened")["path"] == rf"{share}\notes.md"


@pytest.mark.parametrize(
    ("deed", "outcome", "text"),
    [("accept", "accepted", "a\nB\nc\n"), ('edit "a\\nX\\nc\\n"', "accepted_with_edits", "a\nX\nc\n")],
)
def test_a_change_is_decided_in_windows_and_written_in_wsl(nat: Boundary, deed: str, outcome: str, text: str) -> None:
    file = nat.write(FILE, "a\nb\nc\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    assert decide(nat, ide, deed, nat.seen(FILE), FILE) == outcome
    assert file.read_text("utf-8") == text
    assert not nat.network.lan_saw(token(ide))


def test_selection_and_diagnostics_come_back_with_names_of_wsl(nat: Boundary) -> None:
    nat.write(FILE, "one\ntwo\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    ide.do("select f.txt")
    selection = json.loads(nat.bridge("selection", "--json", cwd=nat.seen(PROJECT)).stdout)
    assert selection["filePath"] == nat.seen(FILE)
    done = nat.bridge("diagnostics", "f.txt", cwd=nat.seen(PROJECT))
    assert (done.returncode, done.stderr) == (0, "")
    assert PROJECT not in done.stdout


# ---- who is who


def test_a_lock_with_folders_below_mnt_c_is_that_of_a_windows_ide(wsl: Make) -> None:
    """JetBrains' plugin writes ``/mnt/c/…`` on Windows itself; here that drive is at ``/c``."""
    machine = wsl("nat", automount="/")
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT, options=("--folder-style=mnt",))
    assert json.loads(ide.lock.read_bytes())["workspaceFolders"] == ["/mnt/c/work/proj"]
    machine.start_daemon()
    opened(machine, "/c/work/proj/f.txt", cwd="/c/work")
    assert ide.until("opened")["path"] == FILE


def test_one_ide_that_is_seen_by_two_ways_is_one(nat: Boundary, home: Path) -> None:
    nat.write(FILE, "text\n")
    (home / ".claude").symlink_to(nat.seen(r"C:\Users\me\.claude"))
    nat.windows_ide(PROJECT)
    nat.start_daemon()
    said = nat.status()
    assert (len(said["ides"]), said["ignored"]) == (1, [])
    opened(nat, nat.seen(FILE))


def test_a_pid_of_windows_is_unknown_here_and_no_lock_is_deleted(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    live = nat.windows_ide(PROJECT)
    dead = nat.windows_ide(r"C:\elsewhere")
    dead.kill()
    nat.start_daemon()
    opened(nat, nat.seen(FILE))
    rows = {row["port"]: row for row in nat.status()["ides"]}
    assert {rows[live.port]["pid_state"], rows[dead.port]["pid_state"]} == {"unknown"}
    assert rows[live.port]["pid"] == WINDOWS_PID
    assert live.lock.exists()
    assert dead.lock.exists()


# ---- names


def test_a_mapped_drive_counts_once_it_is_mounted(wsl: Make) -> None:
    machine = wsl("nat", letters="CZ", mounted="C")
    machine.write(r"Z:\team\f.txt", "text\n")
    machine.windows_ide(r"Z:\team")
    machine.start_daemon()
    (row,) = machine.status()["ides"]
    assert "Z:" in row["reason"] + row["detail"] + str(row["workspace"])
    assert not row["chosen"]


def test_a_file_on_a_mapped_drive_is_opened_by_its_letter(wsl: Make) -> None:
    machine = wsl("nat", letters="CZ")
    machine.write(r"Z:\team\f.txt", "text\n")
    ide = machine.windows_ide(r"Z:\team")
    machine.start_daemon()
    opened(machine, "/mnt/z/team/f.txt")
    assert ide.until("opened")["path"] == r"Z:\team\f.txt"


def test_an_ide_of_another_distribution_is_not_mistaken_for_ours(nat: Boundary, home: Path) -> None:
    (home / "f.txt").write_text("text\n", "utf-8")
    nat.windows_ide(rf"\\wsl.localhost\Debian{home}".replace("/", "\\"))
    nat.start_daemon()
    done = nat.bridge("open", "f.txt")
    assert done.returncode == 69, done.stderr
    (row,) = nat.status()["ides"]
    assert "Debian" in row["reason"] + row["detail"] + str(row["workspace"])


def test_a_path_without_a_name_on_the_other_side_is_refused_with_the_reason(nat: Boundary, home: Path) -> None:
    r"""A name that Windows cannot spell at all: bytes that are no text."""
    name = b"caf\xe9.txt"
    Path(nat.real(PROJECT)).mkdir(parents=True)
    (home / name.decode(errors="surrogateescape")).write_text("text\n", "utf-8")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    done = nat.bridge("open", name.decode(errors="surrogateescape"), "--ide", str(ide.port))
    assert done.returncode == 65
    assert "caf" in done.stderr
