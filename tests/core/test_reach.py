"""Where a token may go, and what is said when nobody answers: tables over machines, modes and sides."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.lockfile import LockFile
from bridge.core.reach import HERE, Mode, Route, Silence, Terrain, Way, network_mode, runs_in_windows
from pathconv import Env, Facts, Mount, PathMapper

GATEWAY = "172.21.96.1"
ROUTER = "192.168.1.1"
MAPPER = PathMapper(Facts(Env.WSL2, "linux", "Ubuntu", (Mount("/", None), Mount("/mnt/c", "C:\\"))))
NAT = Terrain(env=Env.WSL2, mode=Mode.NAT, gateway=GATEWAY, mapper=MAPPER, interop=True, profile="C:\\Users\\me")


def lock(*folders: str, windows: bool = False) -> LockFile:
    return LockFile(port=4001, pid=1, workspace_folders=folders, running_in_windows=windows)


@pytest.mark.parametrize(
    ("stated", "interfaces", "gateway", "mode"),
    [
        ("nat", ("lo", "eth0"), GATEWAY, Mode.NAT),
        ("nat", ("lo", "eth0"), "192.168.50.1", Mode.NAT),  # wslinfo knows
        ("mirrored", ("lo", "eth0", "loopback0"), ROUTER, Mode.MIRRORED),
        ("consomme", ("lo", "loopback0"), None, Mode.CONSOMME),
        ("nat", ("lo", "loopback0"), ROUTER, Mode.MIRRORED),  # the gateway would be the LAN's router
        (None, ("lo", "loopback0"), GATEWAY, Mode.MIRRORED),
        (None, ("lo", "eth0"), GATEWAY, Mode.NAT),
        (None, ("lo", "eth0"), ROUTER, None),
        (None, ("lo",), None, None),
        (None, ("lo",), "fe80::1", None),
        ("teleport", ("lo", "eth0"), GATEWAY, None),  # a mode of the future
        ("", ("lo", "eth0"), GATEWAY, None),  # it was asked, and did not say
    ],
)
def test_the_networking_mode(stated: str | None, interfaces: tuple[str, ...], gateway: str, mode: Mode | None) -> None:
    assert network_mode(stated, interfaces, gateway) is mode


@pytest.mark.parametrize("gateway", [GATEWAY, ROUTER])  # a LAN may lie in 172.16/12 too
@pytest.mark.parametrize("mode", [*Mode, None])
def test_the_gateway_is_dialled_behind_nat_alone(mode: Mode | None, gateway: str) -> None:
    hosts = {
        way.host
        for env in Env
        for in_windows in (True, False)
        for way in Terrain(env=env, mode=mode, gateway=gateway).route(in_windows).ways
    }
    assert (gateway in hosts) is (mode is Mode.NAT)


@pytest.mark.parametrize("mode", [Mode.MIRRORED, Mode.CONSOMME, Mode.VIRTIOPROXY, Mode.WSL1])
def test_where_loopback_is_shared_what_is_no_socket_of_ours_is_windows(mode: Mode) -> None:
    terrain = Terrain(env=Env.WSL2, mode=mode, gateway=ROUTER, mapper=MAPPER, interop=True)
    assert terrain.route(in_windows=True) == Route(here=False, ways=(Way("127.0.0.1", vouched=True),), mapper=MAPPER)


@pytest.mark.parametrize(
    ("terrain", "in_windows", "route"),
    [
        (
            NAT,
            True,
            Route(here=False, ways=(Way(GATEWAY, vouched=True), Way("127.0.0.1")), relay=True, mapper=MAPPER),
        ),
        (NAT, False, HERE),
        (Terrain(env=Env.WSL2, mode=Mode.BRIDGED, mapper=MAPPER), True, Route(here=False, mapper=MAPPER)),
        (Terrain(env=Env.WSL2, gateway=ROUTER, mapper=MAPPER), True, Route(here=False, mapper=MAPPER)),
        (Terrain(), True, HERE),
        (Terrain(env=Env.CONTAINER), False, HERE),
        (
            Terrain(env=Env.CONTAINER, container_host=True),
            False,
            Route(here=False, ways=(Way("127.0.0.1"), Way("host.docker.internal", vouched=True))),
        ),
        (Terrain(override="10.0.0.5"), False, Route(here=False, ways=(Way("10.0.0.5", vouched=True),))),
        (
            Terrain(env=Env.WSL2, mode=Mode.NAT, gateway=GATEWAY, mapper=MAPPER, interop=True, override="10.0.0.5"),
            True,
            Route(here=False, ways=(Way("10.0.0.5", vouched=True),), mapper=MAPPER),
        ),
    ],
)
def test_the_route_to_an_ide(terrain: Terrain, in_windows: bool, route: Route) -> None:
    assert terrain.route(in_windows) == route


def test_only_a_machine_without_another_side_knows_all_ides_from_its_tables() -> None:
    assert {env for env in Env if not Terrain(env=env).route(in_windows=True).here} == {Env.WSL1, Env.WSL2}
    assert all(Terrain(env=env).route(in_windows=False).here for env in Env)
    assert not Terrain(override="10.0.0.5").route(in_windows=False).here


@pytest.mark.parametrize(
    ("folders", "flag", "in_profile", "expected"),
    [
        (("/home/me/p",), False, False, False),
        (("/home/me/p",), True, False, True),
        (("/mnt/c/p",), True, True, True),
        (("/mnt/c/p",), False, True, False),  # an IDE in WSL, whose ~/.claude is a link into the profile
        (("c:\\p",), False, False, True),
        (("C:/p",), False, True, True),
        (("C:",), False, False, True),
        (("/C:/p",), False, False, True),
        (("\\\\nas\\p",), False, False, True),
        (("//wsl$/Ubuntu/home",), False, False, True),
        (("/home/me/p", "d:\\q"), False, False, True),
        ((), False, True, True),
        ((), False, False, False),
        (("/home/C:/p",), False, False, False),
    ],
)
def test_the_side_that_an_ide_runs_on(folders: tuple[str, ...], flag: bool, in_profile: bool, expected: bool) -> None:
    assert runs_in_windows(lock(*folders, windows=flag), in_profile) is expected


MIRROR = (
    "write networkingMode=mirrored below [wsl2] in C:\\Users\\me\\.wslconfig (Windows 11), then run: wsl.exe --shutdown"
)
DIAGNOSES: list[tuple[Terrain, dict[str, Silence], str, str]] = [
    (
        NAT,
        {GATEWAY: Silence.TIMEOUT, "127.0.0.1": Silence.REFUSED},
        f"Windows ({GATEWAY}) does not answer on port 4001: its firewall keeps WSL out",
        "in PowerShell as administrator: New-NetFirewallRule -DisplayName 'IDEs for WSL' -Direction Inbound "
        "-Action Allow -Protocol TCP -RemoteAddress 172.21.0.0/16 -LocalAddress 172.21.0.0/16",
    ),
    (
        NAT,
        {GATEWAY: Silence.REFUSED, "127.0.0.1": Silence.REFUSED},
        f"it listens on Windows' own loopback only, not on {GATEWAY}, or it has ended",
        f'in JetBrains IDEs turn on "Accept connections from all network interfaces"; for all others {MIRROR}',
    ),
    (NAT, {GATEWAY: Silence.MOVED, "127.0.0.1": Silence.REFUSED}, "the network has just changed", "try again"),
    (
        NAT,
        {GATEWAY: Silence.NO_FILES, "127.0.0.1": Silence.NO_FILES},
        "the bridge has too many files open",
        "bridge doctor names the limit; then try again",
    ),
    (
        NAT,
        {GATEWAY: Silence.TIMEOUT, "127.0.0.1": Silence.UNTOLD},
        "the system does not tell who answers",
        "try again; if that does not help: bridge doctor",
    ),
    (NAT, {GATEWAY: Silence.UNREACHABLE}, f"there is no route to Windows at {GATEWAY}", "wsl.exe --shutdown"),
    (
        Terrain(env=Env.WSL2, mode=Mode.MIRRORED),
        {"127.0.0.1": Silence.TIMEOUT},
        "nothing answers on Windows' port 4001",
        "restart the IDE, or reload its window",
    ),
    (
        Terrain(env=Env.WSL2, mode=Mode.BRIDGED, profile="C:\\Users\\me"),
        {"127.0.0.1": Silence.REFUSED},
        "WSL's networking mode is bridged, so there is no way to Windows",
        MIRROR,
    ),
    (
        Terrain(env=Env.WSL2),
        {"127.0.0.1": Silence.REFUSED},
        "WSL's networking mode is not known, so there is no way to Windows",
        MIRROR.replace("C:\\Users\\me", "%USERPROFILE%"),
    ),
    (
        Terrain(env=Env.WSL2, mode=Mode.NAT, profile="C:\\Users\\me"),
        {"127.0.0.1": Silence.REFUSED},
        "WSL's networking mode is nat, so there is no way to Windows",
        MIRROR,
    ),
    (
        Terrain(override="10.0.0.5"),
        {"10.0.0.5": Silence.TIMEOUT},
        "10.0.0.5, the ide_host of your configuration, does not answer on port 4001 (timeout)",
        "check ide_host in the bridge's config.toml",
    ),
    (
        Terrain(env=Env.CONTAINER, container_host=True),
        {"127.0.0.1": Silence.REFUSED, "host.docker.internal": Silence.UNREACHABLE},
        "neither this container nor host.docker.internal answers on port 4001",
        "restart the IDE",
    ),
]


@pytest.mark.parametrize(("terrain", "silences", "reason", "fix"), DIAGNOSES)
def test_silence_is_explained_with_what_mends_it(
    terrain: Terrain, silences: dict[str, Silence], reason: str, fix: str
) -> None:
    assert terrain.diagnose(4001, silences) == (reason, fix)


def test_a_route_is_known_again_by_what_it_says() -> None:
    """A link keeps its route, and takes another only when something changed."""
    again: dict[str, Any] = {
        "here": False,
        "ways": NAT.route(True).ways,
        "relay": True,
        "mapper": PathMapper(MAPPER.facts),
    }
    assert Route(**again) == NAT.route(True)
    assert hash(Route(**again)) == hash(NAT.route(True))
