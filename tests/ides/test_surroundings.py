"""What the machine is, where its Windows profile lies, and what Windows is asked: system files and stand-ins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from bridge.core.announcements import LockDirectory
from bridge.core.lockfile import LockFile
from bridge.core.reach import Mode, Terrain, Way
from bridge.core.selection import Listener
from bridge.ides.admission import AdmittedLock, Ground
from bridge.ides.dialing import Dialer
from bridge.ides.locks import LockScanner, Scan
from bridge.ides.relay import RelayError
from bridge.ides.surroundings import Surroundings
from bridge.ides.survey import look_around
from pathconv import Env
from pathconv.probe import Machine, Probe
from tests.ides.listeners import listening, port_of
from tests.ides.wslmachine import GATEWAY, WslMachine
from tests.wsl.system import WINDOWS_PID


@pytest.fixture
def wsl(tmp_path: Path) -> WslMachine:
    return WslMachine(tmp_path)


async def test_wsl_as_it_is(wsl: WslMachine) -> None:
    wsl.system.install_wsl_programs("nat")
    wsl.system.install_windows_programs()
    surroundings = Surroundings(wsl.probe())
    terrain = await surroundings.terrain()
    assert (terrain.env, terrain.mode, terrain.gateway, terrain.interop) == (Env.WSL2, Mode.NAT, GATEWAY, True)
    assert terrain.profile == "C:\\Users\\me"
    assert terrain.mapper is not None
    assert terrain.mapper.to_windows(f"{wsl.mounts}/c/src") == "C:\\src"
    assert await surroundings.terrain() == terrain


async def test_when_the_network_changes_wsl_is_asked_again(wsl: WslMachine) -> None:
    wsl.system.install_wsl_programs("nat")
    surroundings = Surroundings(wsl.probe())
    assert (await surroundings.terrain()).mode is Mode.NAT
    wsl.system.install_wsl_programs("mirrored")
    assert (await surroundings.terrain()).mode is Mode.NAT  # it is not asked at each look
    wsl.join("eth0", "loopback0")
    assert (await surroundings.terrain()).mode is Mode.MIRRORED


async def test_the_gateway_of_a_vpn_is_not_windows(wsl: WslMachine) -> None:
    route = (wsl.system.root / "proc/net/route").read_text()
    heading, eth0 = route.splitlines()
    vpn = "tun0\t00000000\t0100080A\t0003\t0\t0\t0\t00000000"
    wsl.system.write("/proc/net/route", f"{heading}\n{vpn}\n{eth0}\n")
    assert (await Surroundings(wsl.probe()).terrain()).gateway == GATEWAY
    wsl.system.write("/proc/net/route", f"{heading}\n{vpn}\n")
    assert (await Surroundings(wsl.probe()).terrain()).gateway is None


async def test_the_gateway_of_before_leads_nowhere(wsl: WslMachine) -> None:
    surroundings = Surroundings(wsl.probe(), override="10.0.0.5")
    ways = {
        host: surroundings.leads(Way(host, vouched=True)) for host in (GATEWAY, "172.30.0.1", "10.0.0.5", "127.0.0.1")
    }
    assert ways == {GATEWAY: True, "172.30.0.1": False, "10.0.0.5": True, "127.0.0.1": True}
    wsl.join("eth0", "loopback0")
    assert not surroundings.leads(Way(GATEWAY, vouched=True))


async def test_a_drive_that_is_mounted_later_is_known_at_the_next_look(wsl: WslMachine) -> None:
    surroundings = Surroundings(wsl.probe())
    before = (await surroundings.terrain()).mapper
    wsl.system.mount({"C": f"{wsl.mounts}/c", "D": "/data"})
    after = (await surroundings.terrain()).mapper
    assert before is not None
    assert after is not None
    assert (before.try_to_linux("D:\\x").path, after.to_linux("D:\\x")) == (f"{wsl.mounts}/d/x", "/data/x")


async def test_what_is_no_wsl_has_no_other_side(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    container = Machine(root=str(tmp_path), platform="linux", environ={})
    terrain = await Surroundings(Probe(container), override="10.0.0.5", container_host=True).terrain()
    assert terrain == Terrain(env=Env.CONTAINER, override="10.0.0.5", container_host=True)


# ---- the Windows profile


async def locks(surroundings: Surroundings) -> list[Path]:
    await surroundings.terrain()
    return [Path(directory.path) for directory in surroundings.directories()]


async def test_the_profile_that_the_user_names_comes_first(wsl: WslMachine) -> None:
    wsl.system.install_windows_programs()
    for named in (f"{wsl.mounts}/d/me", "D:\\me"):
        surroundings = Surroundings(wsl.probe({"USERPROFILE": "C:\\Users\\other"}), profile=named)
        assert await locks(surroundings) == [wsl.mounts / "d/me/.claude/ide"]
    assert await locks(Surroundings(wsl.probe(), profile="")) == []


@pytest.mark.parametrize("value", ["C:\\Users\\Zoë B", "{mounts}/c/Users/Zoë B"])
async def test_the_variable_that_wslenv_shares(wsl: WslMachine, value: str) -> None:
    environ = {"USERPROFILE": value.format(mounts=wsl.mounts)}
    assert await locks(Surroundings(wsl.probe(environ))) == [wsl.mounts / "c/Users/Zoë B/.claude/ide"]


async def test_the_path_that_wsl_lengthened(wsl: WslMachine) -> None:
    apps = f"{wsl.mounts}/c/Users/zoe/AppData/Local/Microsoft/WindowsApps"
    assert await locks(Surroundings(wsl.probe({"PATH": f"/usr/bin:{apps}"}))) == [
        wsl.mounts / "c/Users/zoe/.claude/ide"
    ]


async def test_a_path_that_only_looks_like_windows_is_nobodys_profile(wsl: WslMachine, tmp_path: Path) -> None:
    apps = f"{tmp_path}/evil/Users/me/AppData/Local/Microsoft/WindowsApps"
    assert await locks(Surroundings(wsl.probe({"PATH": apps, "USERPROFILE": f"{tmp_path}/evil"}))) == []


async def test_windows_is_asked(wsl: WslMachine) -> None:
    wsl.system.install_windows_programs()
    assert await locks(Surroundings(wsl.probe())) == [wsl.mounts / "c/Users/me/.claude/ide"]


async def test_without_interop_windows_drive_is_searched(wsl: WslMachine) -> None:
    wsl.system.install_windows_programs()
    wsl.system.write("/etc/wsl.conf", "[interop]\nenabled=false\n")
    for name, drive in (("me", "c"), ("evil", "d"), ("Public", "c")):  # on D: anybody may have made Users
        wsl.profile(name, drive)
    (wsl.mounts / "c/Users/none").mkdir()
    assert await locks(Surroundings(wsl.probe())) == [wsl.mounts / "c/Users/me/.claude/ide"]
    wsl.profile("you")
    assert await locks(Surroundings(wsl.probe())) == []  # one of them is somebody else's


async def test_only_the_drive_that_holds_windows_is_searched(wsl: WslMachine) -> None:
    wsl.profile()
    (wsl.mounts / "c/Windows/System32").rmdir()
    assert await locks(Surroundings(wsl.probe())) == []
    wsl.system.mount({"D": f"{wsl.mounts}/d"})
    assert await locks(Surroundings(wsl.probe())) == []


async def test_windows_is_not_asked_again_when_something_else_is_mounted(wsl: WslMachine) -> None:
    wsl.system.install_windows_programs()
    surroundings = Surroundings(wsl.probe())
    assert await locks(surroundings) == [wsl.mounts / "c/Users/me/.claude/ide"]
    (wsl.mounts / "c/Windows/System32/cmd.exe").unlink()
    table = wsl.system.root / "proc/self/mountinfo"
    table.write_text(table.read_text("utf-8") + "200 77 0:99 / /var/x rw - overlay overlay rw\n", "utf-8")
    assert await locks(surroundings) == [wsl.mounts / "c/Users/me/.claude/ide"]


async def test_a_profile_that_nobody_names_shows_itself_when_its_ide_starts(wsl: WslMachine) -> None:
    now = 0.0
    surroundings = Surroundings(wsl.probe(), clock=lambda: now)
    assert await locks(surroundings) == []
    profile = wsl.profile()
    assert await locks(surroundings) == []
    now = 60.0
    assert await locks(surroundings) == [profile / ".claude/ide"]
    assert surroundings.ground(str(profile / ".claude/ide")) is Ground.GUARDED


# ---- what a directory lies on


async def test_only_the_profile_is_guarded_among_what_lies_on_windows_drives(wsl: WslMachine, tmp_path: Path) -> None:
    profile = wsl.profile()
    surroundings = Surroundings(wsl.probe({"USERPROFILE": str(profile)}))
    assert surroundings.ground(str(profile / ".claude/ide")) is Ground.OURS  # nothing is known yet
    await surroundings.terrain()
    link = tmp_path / ".claude"
    link.symlink_to(profile / ".claude")
    grounds = {
        profile / ".claude/ide": Ground.GUARDED,
        link / "ide": Ground.GUARDED,
        wsl.mounts / "c/USERS/ME/x": Ground.GUARDED,  # case does not matter there
        wsl.mounts / "c/Users/me2/.claude/ide": Ground.WINDOWS,
        wsl.mounts / "d/config/ide": Ground.WINDOWS,
        tmp_path / "home/.claude/ide": Ground.OURS,
    }
    assert {path: surroundings.ground(str(path)) for path in grounds} == grounds


# ---- what Windows says


async def test_windows_tells_which_processes_it_has(wsl: WslMachine) -> None:
    surroundings = Surroundings(wsl.probe())
    assert surroundings.alive([WINDOWS_PID]) == {WINDOWS_PID: None}  # there is no tasklist.exe
    wsl.system.install_windows_programs()
    assert surroundings.alive([WINDOWS_PID, 1]) == {WINDOWS_PID: True, 1: False}
    assert surroundings.alive([]) == {}
    wsl.system.write("/proc/sys/fs/binfmt_misc/WSLInterop", "disabled\n")
    assert surroundings.alive([WINDOWS_PID]) == {WINDOWS_PID: None}


async def test_where_there_is_no_windows_nobody_is_asked() -> None:
    surroundings = Surroundings(Probe())
    assert surroundings.alive([1]) == {1: None}
    assert surroundings.directories() == []
    with pytest.raises(RelayError):
        await surroundings.open_relay(4001)


# ---- distributions, seen from Windows


class Windows:
    """A Windows machine; its files are named in its own way below one directory."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "windows"
        self.running("Ubuntu-22.04")

    def running(self, *distros: str) -> None:
        """Let ``wsl.exe`` say that these run: in UTF-16, as it does."""
        answer = self.root.with_name("answer")
        answer.write_bytes("".join(f"{distro}\r\n" for distro in distros).encode("utf-16-le"))
        program = self._file("C:\\Windows\\System32\\wsl.exe")
        program.write_text(f'#!/bin/sh\n[ "$*" = "-l --running -q" ] && exec cat "{answer}"\n', "ascii")
        program.chmod(0o755)

    def install(self, distro: str, *homes: str, wsl_conf: str = "") -> None:
        """Have a distribution with these users."""
        share = f"\\\\wsl.localhost\\{distro}"
        for home in homes:
            (self._file(f"{share}\\home") / home).mkdir(parents=True)
        self._file(f"{share}\\etc\\wsl.conf").write_text(wsl_conf, "ascii")
        self._file("D:\\").touch()

    def _file(self, path: str) -> Path:
        return Path(f"{self.root}{path}")

    def machine(self) -> Machine:
        return Machine(root=str(self.root), platform="win32", environ={"HOME": str(self.root)})


async def test_from_windows_only_distributions_that_run_are_looked_into(tmp_path: Path) -> None:
    now = 0.0
    windows = Windows(tmp_path)
    windows.install("Ubuntu-22.04", "ann", "bob", wsl_conf="[automount]\nroot=/drives\n")
    windows.install("Debian", "ann")
    surroundings = Surroundings(Probe(windows.machine()), clock=lambda: now)
    assert (await surroundings.terrain()) == Terrain(env=Env.WINDOWS)
    ann, bob = (f"\\\\wsl.localhost\\Ubuntu-22.04\\home\\{name}\\.claude\\ide" for name in ("ann", "bob"))
    assert surroundings.directories() == [LockDirectory(ann), LockDirectory(bob)]
    assert {surroundings.ground(ann), surroundings.ground("C:\\x")} == {Ground.GUARDED, Ground.OURS}
    mapper = surroundings.mapper_into(ann)
    assert mapper is not None
    assert mapper.to_local("/home/ann/p") == "\\\\wsl.localhost\\Ubuntu-22.04\\home\\ann\\p"
    assert mapper.to_peer("D:\\p") == "/drives/d/p"
    assert surroundings.mapper_into("C:\\x") is None

    windows.running("Debian")
    await surroundings.terrain()
    assert surroundings.directories() == [LockDirectory(ann), LockDirectory(bob)]  # a moment ago is good enough
    now = 60.0
    await surroundings.terrain()
    assert surroundings.directories() == [LockDirectory("\\\\wsl.localhost\\Debian\\home\\ann\\.claude\\ide")]


class Scanned(LockScanner):
    """Finds one lock, since no directory here can have a name of Windows."""

    def __init__(self, admitted: AdmittedLock) -> None:
        super().__init__()
        self.found = Scan(admitted=(admitted,))

    def scan(self, directories: Iterable[LockDirectory]) -> Scan:
        return self.found


async def test_an_ide_in_a_distribution_is_reached_through_windows_loopback_in_its_own_style(tmp_path: Path) -> None:
    windows = Windows(tmp_path)
    windows.install("Ubuntu-22.04", "ann")
    surroundings = Surroundings(Probe(windows.machine()))
    await surroundings.terrain()
    (directory,) = surroundings.directories()
    with listening() as listener:
        lock = LockFile(port=port_of(listener), pid=1, workspace_folders=("/home/ann/p",))
        admitted = AdmittedLock(lock=lock, path=f"{directory.path}/{lock.port}.lock", modified=0.0)
        (found,) = (await look_around([], surroundings, Scanned(admitted), Dialer())).found
    assert (found.listener, [way.host for way in found.route.ways]) == (Listener.OURS, ["127.0.0.1"])
    assert found.route.mapper is not None
    assert found.route.mapper.to_local("/home/ann/p") == "\\\\wsl.localhost\\Ubuntu-22.04\\home\\ann\\p"


async def test_from_a_windows_without_wsl_there_is_nothing_to_look_into(tmp_path: Path) -> None:
    surroundings = Surroundings(Probe(Machine(root=str(tmp_path), platform="win32", environ={})))
    await surroundings.terrain()
    assert surroundings.directories() == []
