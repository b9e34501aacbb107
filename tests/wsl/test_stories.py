r"""A Windows IDE as its user in WSL meets it: files, changes and answers cross the boundary and mean the same.

All of it through the command line; the machine is NAT's, where the IDE accepts connections from all interfaces, but
for what is said otherwise. The IDE is told, and tells, paths of Windows alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Ide
from tests.wsl.boundary import NOTHING, Boundary
from tests.wsl.system import WINDOWS_PID

Make = Callable[..., Boundary]

PROJECT = r"C:\code\proj"
FILE = rf"{PROJECT}\f.txt"
PROBLEM = {
    "message": r"unknown word in c:\code\proj\f.txt",  # a message is text, whatever it says
    "severity": "Error",
    "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 3}},
}


def opened(machine: Boundary, path: str, cwd: str | None = None, environ: Mapping[str, str] = NOTHING) -> int:
    """Open a file, standing in the home directory unless told otherwise; give the IDE's port."""
    done = machine.bridge("open", path, "--json", cwd=cwd, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    port: int = json.loads(done.stdout)["port"]
    return port


def decide(machine: Boundary, ide: Ide, deed: str, path: str, shown_as: str) -> str:
    """Propose a change of `path`; do `deed` in the IDE, which shows it under its own name; give the outcome."""
    diff = machine.running("diff", path, "--proposed", "-", "--apply", "--json", stdin=b"a\nB\nc\n")
    assert ide.until("diff")["path"] == shown_as
    ide.do(deed)
    decision = json.loads(diff.out.until(lambda line: line.startswith("{")))
    assert diff.end() == 0, diff.err.seen
    outcome: str = decision["outcome"]
    return outcome


# ---- files, changes, answers


def test_a_file_on_a_windows_drive_is_opened_under_its_windows_name(nat: Boundary) -> None:
    nat.write(FILE, "one\ntwo\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    done = nat.bridge("open", "f.txt:2", "--json", cwd=nat.seen(PROJECT))
    assert (done.returncode, done.stderr) == (0, "")
    told = {"ide": "Visual Studio Code", "port": ide.port, "positioned": True, "launched": None}
    assert json.loads(done.stdout) == told
    ide.until("call", tool="openFile", path=FILE)
    assert nat.leaks() == []


def test_a_file_of_the_distribution_is_opened_over_its_share(nat: Boundary, home: Path) -> None:
    (home / "notes.md").write_text("# Notes\n", "utf-8")
    share = rf"\\wsl.localhost\Ubuntu{home}".replace("/", "\\")
    ide = nat.windows_ide(share)
    nat.start_daemon()
    opened(nat, "notes.md")
    ide.until("call", tool="openFile", path=rf"{share}\notes.md")


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
    assert nat.leaks() == []


def test_selection_and_diagnostics_come_back_with_names_of_wsl(nat: Boundary) -> None:
    nat.write(FILE, "one\ntwo\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    ide.do("select f.txt")
    ide.do(f"diagnose {json.dumps({'path': 'f.txt', 'problems': [PROBLEM]})}")
    selection = json.loads(nat.bridge("selection", "--json", cwd=nat.seen(PROJECT)).stdout)
    assert selection["selection"]["path"] == nat.seen(FILE)
    done = nat.bridge("diagnostics", "f.txt", cwd=nat.seen(PROJECT))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "f.txt:2:1: error: unknown word in c:\\code\\proj\\f.txt\n"


# ---- who is who


def test_a_lock_with_folders_below_mnt_c_is_that_of_a_windows_ide(wsl: Make) -> None:
    """JetBrains' plugin writes ``/mnt/c/…`` on Windows itself; here that drive is at ``/c``."""
    machine = wsl("nat", automount="/")
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT, options=("--folder-style=mnt",))
    assert json.loads(ide.lock.read_bytes())["workspaceFolders"] == ["/mnt/c/code/proj"]
    machine.start_daemon()
    opened(machine, "/c/code/proj/f.txt", cwd="/c/code")
    ide.until("call", tool="openFile", path=FILE)


def test_one_ide_that_is_seen_by_two_ways_is_one(nat: Boundary, home: Path) -> None:
    nat.write(FILE, "text\n")
    (home / ".claude").symlink_to(nat.seen(r"C:\Users\me\.claude"))
    nat.windows_ide(PROJECT)
    nat.start_daemon()
    said = nat.status()
    assert (len(said["ides"]), said["ignored"]) == (1, [])
    opened(nat, nat.seen(FILE))


def test_an_ide_on_each_side_gets_what_is_its_own_even_on_the_same_port(nat: Boundary, workspace: Path) -> None:
    nat.write(FILE, "text\n")
    (workspace / "f.txt").write_text("text\n", "utf-8")
    windows = nat.windows_ide(PROJECT)
    linux = nat.linux_ide(workspace, f"--port={windows.port}")
    nat.start_daemon()
    assert {row["side"] for row in nat.status()["ides"]} == {"windows", "here"}
    opened(nat, "f.txt", cwd=str(workspace))
    linux.until("call", tool="openFile", path=str(workspace / "f.txt"))
    opened(nat, "f.txt", cwd=nat.seen(PROJECT))
    windows.until("call", tool="openFile", path=FILE)


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


@pytest.mark.parametrize("found_by", ["PATH", "cmd.exe", "its lock files"])
def test_the_windows_profile_is_found(nat: Boundary, found_by: str) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    if found_by != "PATH":
        nat.append_windows_path = False
    if found_by == "its lock files":
        nat.system.disable_interop()
    nat.start_daemon()
    assert opened(nat, nat.seen(FILE)) == ide.port


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
    ide.until("call", tool="openFile", path=r"Z:\team\f.txt")


def test_an_ide_of_another_distribution_is_not_mistaken_for_ours(nat: Boundary, home: Path, tmp_path: Path) -> None:
    """The same path exists here too, but it is another file."""
    (home / "f.txt").write_text("text\n", "utf-8")
    debian = tmp_path / "debian"
    (debian / home.relative_to("/")).mkdir(parents=True)
    folder = rf"\\wsl.localhost\Debian{home}".replace("/", "\\")
    nat.windows_ide(folder, options=(f"--share=//wsl.localhost/Debian={debian}",))
    nat.start_daemon()
    done = nat.bridge("open", "f.txt")
    assert (done.returncode, "another WSL distribution than Ubuntu" in done.stderr) == (69, True)


# ---- paths without a name on the other side


@pytest.fixture
def nameless(wsl: Make, home: Path) -> Boundary:
    """A distribution that does not know what it is called, so that Windows has no name for its own files."""
    machine = wsl("nat")
    machine.forget_distro()
    (home / "f.txt").write_text("old\n", "utf-8")
    machine.write(FILE, "text\n")
    return machine


def test_a_file_without_a_name_in_windows_is_refused_with_the_reason(nameless: Boundary, home: Path) -> None:
    ide = nameless.windows_ide(PROJECT)
    nameless.start_daemon()
    done = nameless.bridge("open", "f.txt", "--ide", str(ide.port))
    assert (done.returncode, done.stdout) == (65, "")
    assert "no-distro" in done.stderr
    assert str(home / "f.txt") in done.stderr


def test_a_change_of_a_file_without_a_name_in_windows_goes_to_the_page(nameless: Boundary) -> None:
    ide = nameless.windows_ide(PROJECT)
    nameless.start_daemon()
    diff = nameless.running("diff", "f.txt", "--proposed", "-", "--ide", str(ide.port), stdin=b"new\n")
    told = diff.err.until(lambda line: "the review page" in line)
    assert "no-distro" in told
    (review,) = nameless.status()["reviews"]
    assert review["where"] == "page"


def test_a_name_of_windows_that_nothing_here_has_comes_back_as_it_is_and_is_counted(wsl: Make) -> None:
    machine = wsl("nat", letters="CD", mounted="C")
    machine.write(FILE, "text\n")
    machine.write(r"D:\other.txt", "text\n")
    ide = machine.windows_ide(PROJECT)
    machine.start_daemon()
    ide.do(r"select D:\other.txt")
    selection = json.loads(machine.bridge("selection", "--json", cwd=machine.seen(PROJECT)).stdout)
    assert selection["selection"]["path"] == r"d:\other.txt"
    assert machine.status()["counters"]["paths_untranslated"] > 0


# ---- an agent that takes the bridge for its IDE

_AGENT = """
import asyncio, json, os, sys
from pathlib import Path
from tests.e2e.agents import agent, find, soon, words

async def main(file):
    async with agent(find(os.environ)) as ann:
        await ann.until_offered("openFile")
        opened = await ann.call("openFile", filePath=str(file), startText="two", endText="two")
        tell(words(opened))
        tell(await ann.told("selection_changed"))
        (said,) = words(await ann.call("getDiagnostics", uri=file.as_uri()))
        tell(json.loads(said))
        tell(words(await soon(await ann.propose(file, "new\\n"))))
        tell(await ann.close_tab())

def tell(what):
    print(json.dumps(what), flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("words", [(), ("--sse",)], ids=["WebSocket", "SSE"])
def test_an_unmodified_agent_in_wsl_works_with_an_ide_in_windows(nat: Boundary, words: tuple[str, ...]) -> None:
    """It knows names of WSL, the IDE knows names of Windows, and neither hears of the other's."""
    nat.write(FILE, "one\ntwo\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    seen = nat.seen(FILE)
    told = nat.running("run", *words, "--", sys.executable, "-c", _AGENT, seen, cwd=nat.seen(PROJECT)).out

    def next_() -> Any:
        return json.loads(told.until(lambda line: True))

    ide.until("call", tool="openFile", path=FILE)
    assert next_() == ['Opened file and selected text from "two" to "two"']
    ide.do(f"diagnose {json.dumps({'path': 'f.txt', 'problems': [PROBLEM]})}")
    ide.do("select f.txt")
    selected = next_()
    assert (selected["filePath"], selected["fileUrl"]) == (seen, Path(seen).as_uri())
    assert next_() == [{"uri": Path(seen).as_uri(), "diagnostics": [PROBLEM]}]
    assert ide.until("diff")["path"] == FILE
    ide.do('edit "mine\\n"')
    assert next_() == ["FILE_SAVED", "mine\n"]
    assert next_() == ["TAB_CLOSED"]
    assert nat.leaks() == []
