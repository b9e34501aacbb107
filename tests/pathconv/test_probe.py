"""The one module with I/O, on machines made of files; the real one is read too, whatever it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pathconv import Env, Mount, probe
from pathconv.probe import Machine, Probe, Ran, this_machine
from tests.e2e.support import wait_gone
from tests.pathconv.tree import DRIVE_C, RELEASE, TABLE, WSL2, link, program, tree, write

GUID = "11111111-2222-3333-4444-555555555555"
UBUNTU = {"WSL_DISTRO_NAME": "Ubuntu"}


def test_the_facts_of_a_distribution(tmp_path: Path) -> None:
    seen = Probe(tree(tmp_path, environ=UBUNTU))
    assert seen.env is Env.WSL2
    facts = seen.facts()
    assert (facts.env, facts.local, facts.distro) == (Env.WSL2, "linux", "Ubuntu")
    assert facts.mounts == (Mount("/", None, fstype="ext4"), Mount("/mnt/c", "C:\\", fstype="9p"))
    mapper = seen.mapper()
    assert mapper is not None
    assert mapper.to_windows("/mnt/c/x") == "C:\\x"


def test_facts_are_the_same_object_until_something_changes(tmp_path: Path) -> None:
    seen = Probe(tree(tmp_path, environ=UBUNTU))
    before, mapper = seen.facts(), seen.mapper()
    assert seen.facts() is before
    assert seen.mapper() is mapper
    write(tmp_path, TABLE, WSL2[TABLE] + DRIVE_C.replace("/mnt/c", "/again") + "\n")
    after = seen.facts()
    assert [mount.linux for mount in after.mounts] == ["/", "/mnt/c", "/again"]
    assert seen.mapper() is not mapper
    seen.forget()
    assert seen.facts() == after
    assert seen.facts() is not after


def test_virtiofs_shares_are_looked_up(tmp_path: Path) -> None:
    table = f"91 25 0:51 / /mnt/c rw - virtiofs {GUID} rw\n92 25 0:52 / /mnt/d rw - virtiofs gone rw\n"
    machine = tree(tmp_path, {**WSL2, TABLE: table})
    assert [mount.windows for mount in Probe(machine).facts().mounts] == [None, None]
    link(tmp_path, f"/run/wsl/virtiofs/{GUID}", "C:\\")
    write(tmp_path, "/run/wsl/virtiofs/no-link", "")
    assert [mount.windows for mount in Probe(machine).facts().mounts] == ["C:\\", None]


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    machine = tree(tmp_path, {**WSL2, TABLE: "25 1 8:32 / /mnt/\udcff rw - ext4 /dev/sdc rw\n"})
    assert Probe(machine).facts().mounts[0].linux == "/mnt/\udcff"


@pytest.mark.parametrize(
    ("files", "platform", "env"),
    [
        ({RELEASE: "6.1.0-13-amd64"}, "linux", Env.LINUX),
        ({RELEASE: "5.15-microsoft-standard-WSL2", "/.dockerenv": ""}, "linux", Env.CONTAINER),
        ({}, "darwin", Env.MACOS),
        ({}, "win32", Env.WINDOWS),
    ],
)
def test_there_is_no_other_side_elsewhere(tmp_path: Path, files: dict[str, str], platform: str, env: Env) -> None:
    tree(tmp_path, files)
    seen = Probe(Machine(root=str(tmp_path), platform=platform, environ=UBUNTU if env is not Env.LINUX else {}))
    assert seen.env is env
    assert (seen.mapper(), seen.distro, seen.mode(), seen.interop()) == (None, None, None, False)
    assert seen.facts().local == ("windows" if env is Env.WINDOWS else "linux")


# What WSL's programs say


def test_wslpath_knows_the_name_where_the_variable_is_lost(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/wslpath", f"echo called >>{tmp_path}/calls\nprintf '%s\\n' '\\\\wsl.localhost\\Deb\\'")
    seen = Probe(tree(tmp_path))
    assert seen.distro == "Deb"
    assert (seen.facts().distro, seen.facts().distro) == ("Deb", "Deb")
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "called\n"  # once
    seen.forget()
    assert seen.distro == "Deb"
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "called\ncalled\n"


@pytest.mark.parametrize(
    "script", ["exit 1", "echo nonsense", "printf '%s' 'C:\\'", "printf '%s' '\\\\wsl$\\'", "true"]
)
def test_a_wslpath_that_does_not_know(tmp_path: Path, script: str) -> None:
    program(tmp_path, "/bin/wslpath", script)
    assert Probe(tree(tmp_path)).distro is None


def test_how_the_network_is_joined(tmp_path: Path) -> None:
    seen = Probe(tree(tmp_path))
    assert seen.mode() == ""  # WSL's kernel alone, as in a container there: its gateway is not Windows
    write(tmp_path, "/run/WSL/1_interop", "")
    seen = Probe(seen.machine)
    assert seen.mode() is None  # no wslinfo
    program(tmp_path, "/bin/wslinfo", "exit 1")
    assert seen.mode() == ""  # it does not say, so nothing may be inferred
    program(tmp_path, "/bin/wslinfo", "[ \"$1\" = --networking-mode ] && printf 'mirrored\\n'")
    assert seen.mode() == "mirrored"  # and it is asked again
    program(tmp_path, "/bin/wslinfo", "echo nat")
    assert seen.mode() == "mirrored"  # remembered
    seen.forget()
    assert seen.mode() == "nat"
    write(tmp_path, RELEASE, "4.4.0-19041-Microsoft")
    assert Probe(seen.machine).mode() == "wsl1"  # nobody is asked
    assert Probe(tree(tmp_path / "linux", {RELEASE: "6.1.0-generic"})).mode() is None


def test_variables_alone_allow_no_conclusion_about_the_network(tmp_path: Path) -> None:
    """Else whoever sets one could have a gateway of any network taken for Windows."""
    claimed = Probe(tree(tmp_path, {RELEASE: "6.1.0-generic"}, {"WSL_DISTRO_NAME": "Ubuntu"}))
    assert (claimed.env, claimed.mode()) == (Env.WSL2, "")
    write(tmp_path, "/run/WSL/1_interop", "")
    assert Probe(claimed.machine).mode() is None


def test_the_network_as_the_kernel_has_it(tmp_path: Path) -> None:
    machine = tree(tmp_path)
    assert (Probe(machine).gateway(), Probe(machine).interfaces()) == (None, ())
    write(tmp_path, "/proc/net/route", "Iface …\neth0 00000000 016015AC 0003 0 0 0 00000000 0 0 0\n")
    write(tmp_path, "/proc/net/dev", "Inter-|\n face |\n    lo: 1 2\nloopback0:3\nnonsense\n")
    seen = Probe(machine)
    assert (seen.gateway(), seen.interfaces()) == ("172.21.96.1", ("lo", "loopback0"))


# Interop


@pytest.mark.parametrize(
    ("files", "possible"),
    [
        ({"WSLInterop": "enabled\n"}, True),
        ({"WSLInterop-late": "enabled\n"}, True),
        ({"WSLInterop": "disabled\n"}, False),
        ({}, False),
    ],
)
def test_interop_needs_the_kernels_entry(tmp_path: Path, files: dict[str, str], possible: bool) -> None:
    machine = tree(tmp_path, {f"/proc/sys/fs/binfmt_misc/{name}": text for name, text in files.items()})
    assert Probe(machine).interop() is possible
    write(tmp_path, "/etc/wsl.conf", "[interop]\nenabled = false\n")
    assert not Probe(machine).interop()


def test_the_socket_that_starts_windows_programs(tmp_path: Path) -> None:
    machine = tree(tmp_path, environ={"WSL_INTEROP": "/run/WSL/9_interop"})
    assert machine.interop_socket() is None
    for age, name in enumerate(["7_interop", "8_interop", "6_interop", "other"]):
        os.utime(write(tmp_path, f"/run/WSL/{name}", ""), (age, age))
    link(tmp_path, "/run/WSL/5_interop", "/gone")
    assert machine.interop_socket() == "/run/WSL/6_interop"  # the newest
    write(tmp_path, "/run/WSL/1_interop", "")
    assert machine.interop_socket() == "/run/WSL/1_interop"  # that of the first process
    write(tmp_path, "/run/WSL/9_interop", "")
    assert machine.interop_socket() == "/run/WSL/9_interop"  # the session's own


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_socket_that_another_user_made_starts_nothing(tmp_path: Path) -> None:
    """In some versions everybody may write there; whoever answers would be Windows to us."""
    machine = tree(tmp_path, environ={"WSL_INTEROP": "/run/WSL/9_interop"})
    os.chown(write(tmp_path, "/run/WSL/9_interop", ""), 65534, -1)
    link(tmp_path, "/run/WSL/8_interop", f"{tmp_path}/run/WSL/7_interop")
    os.lchown(tmp_path / "run/WSL/8_interop", 65534, -1)
    assert machine.interop_socket() is None
    write(tmp_path, "/run/WSL/7_interop", "")
    assert machine.interop_socket() == "/run/WSL/7_interop"


def test_the_variable_names_no_socket_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "/tmp/3_interop", "")
    write(tmp_path, "/run/WSL/1_interop", "")
    assert tree(tmp_path, environ={"WSL_INTEROP": "/tmp/3_interop"}).interop_socket() == "/run/WSL/1_interop"


def test_a_windows_program_runs_in_its_own_directory(tmp_path: Path) -> None:
    program(tmp_path, "/mnt/c/System32/cmd.exe", 'pwd; echo "$1 $WSL_INTEROP"')
    machine = tree(tmp_path, {"/run/WSL/1_interop": ""}, {"WSL_INTEROP": "/gone"})
    ran = machine.run(["/mnt/c/System32/cmd.exe", "word"], 30)
    assert ran == Ran(code=0, out=f"{tmp_path}/mnt/c/System32\nword /run/WSL/1_interop\n".encode())
    program(tmp_path, "/bin/linux", 'pwd; echo "$WSL_INTEROP"; exit 3')
    assert machine.run(["/bin/linux"], 30) == Ran(code=3, out=f"{tmp_path}\n/run/WSL/1_interop\n".encode())


def test_a_program_gets_no_more_variables_than_it_needs(tmp_path: Path) -> None:
    program(tmp_path, "/bin/env", "env")
    ran = tree(tmp_path, environ={"SECRET": "x", "WSLENV": "SECRET/w"}).run(["/bin/env"], 30)
    assert ran is not None
    assert b"SECRET" not in ran.out


def test_a_program_that_does_not_run(tmp_path: Path) -> None:
    machine = tree(tmp_path)
    assert machine.run(["/bin/absent"], 30) is None
    assert machine.run(["/bin/absent", "\0"], 30) is None
    program(tmp_path, "/bin/slow.exe", "exec tail -f /dev/null")  # and no socket is there
    assert machine.run(["/bin/slow.exe"], 0.05) is None
    told = tmp_path / "child"
    program(tmp_path, "/bin/parent.exe", f"tail -f /dev/null & echo $! > {told}; wait")
    assert machine.run(["/bin/parent.exe"], 1) is None
    wait_gone(int(told.read_text(encoding="ascii")))


# Reading


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    machine = tree(tmp_path, {"/etc/x": "12345"})
    assert (machine.read("/etc/x"), machine.read("/etc/x", 2), machine.read("/etc/y")) == (b"12345", b"12", None)
    assert (machine.text("/etc/x"), machine.text("/etc/y"), machine.read("/etc")) == ("12345", "", None)
    assert (machine.listdir("/etc"), machine.listdir("/gone")) == (["x"], [])
    assert (machine.readlink("/etc/x"), machine.exists("/etc/x"), machine.exists("/etc/y")) == (None, True, False)
    link(tmp_path, "/etc/link", "C:\\")
    assert machine.readlink("/etc/link") == "C:\\"


def test_the_real_machine_is_read_where_it_is() -> None:
    machine = this_machine()
    assert (machine.root, machine.platform, machine.real("/proc")) == ("/", sys.platform, "/proc")
    assert machine.environ == dict(os.environ)
    assert "HOME" not in repr(machine)  # an environment holds secrets
    assert Probe(machine).env in set(Env)
    assert isinstance(Probe(machine).facts().mounts, tuple)


def test_a_test_can_replace_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = tree(tmp_path)
    monkeypatch.setattr(probe, "this_machine", lambda: machine)
    assert Probe().machine is machine


# From Windows


def test_a_distribution_seen_from_windows(tmp_path: Path) -> None:
    seen = Probe(Machine(root=str(tmp_path), platform="win32", environ={}))
    mapper = seen.for_distro("Ubuntu", "[automount]\nroot = /\n", "cD")
    assert (mapper.facts.local, mapper.facts.distro) == ("windows", "Ubuntu")
    assert mapper.to_local("/d/x") == "D:\\x"
    assert mapper.to_peer("C:\\x") == "/c/x"
    none = seen.for_distro("Ubuntu", "[automount]\nenabled = false\n", "C")
    assert none.to_local("/mnt/c") == "\\\\wsl.localhost\\Ubuntu\\mnt\\c"


def test_drives_that_are_there_are_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "exists", lambda _, path: path in ("C:\\", "E:\\"))
    mapper = Probe(Machine(platform="win32", environ={})).for_distro("Ubuntu", "")
    assert [mount.linux for mount in mapper.facts.mounts] == ["/", "/mnt/c", "/mnt/e"]
