from __future__ import annotations

import pytest

from pathconv import Env, EnvFacts, Facts, Mount, PathMapper, detect
from pathconv.facts import MARKERS

MICROSOFT = "5.15.153.1-microsoft-standard-WSL2"
CUSTOM = "6.6.0-mine"
DISTRO = {"WSL_DISTRO_NAME": "Ubuntu"}

MACHINES = [
    # platform, kernel release, variables, files,                               is
    ("linux", "6.1.0-13-amd64", {}, [], Env.LINUX),
    ("linux", "4.4.0-19041-Microsoft", {}, [], Env.WSL1),
    ("linux", "4.4.0-19041-Microsoft", DISTRO, ["/run/WSL"], Env.WSL1),
    ("linux", MICROSOFT, {}, [], Env.WSL2),  # sudo -i, cron, a service
    ("linux", MICROSOFT, DISTRO, ["/.dockerenv"], Env.CONTAINER),
    ("linux", MICROSOFT, {}, ["/run/.containerenv", "/run/WSL"], Env.CONTAINER),
    ("linux", CUSTOM, {}, ["/run/WSL"], Env.WSL2),
    ("linux", CUSTOM, {}, ["/proc/sys/fs/binfmt_misc/WSLInterop"], Env.WSL2),
    ("linux", CUSTOM, {}, ["/proc/sys/fs/binfmt_misc/WSLInterop-late"], Env.WSL2),
    ("linux", CUSTOM, DISTRO, [], Env.WSL2),
    ("linux", CUSTOM, {"WSL_INTEROP": "/run/WSL/1_interop"}, [], Env.WSL2),
    ("linux", CUSTOM, {"WSL_DISTRO_NAME": ""}, [], Env.LINUX),
    ("darwin", "23.5.0", {}, [], Env.MACOS),
    ("win32", "", DISTRO, [], Env.WINDOWS),  # WSLENV may carry it over
    ("cygwin", "3.5.3", {}, [], Env.WINDOWS),
    ("freebsd14", "14.0-RELEASE", {}, [], Env.LINUX),
]  # fmt: skip


@pytest.mark.parametrize(("platform", "release", "environ", "files", "expected"), MACHINES)
def test_the_kind_of_machine(
    platform: str, release: str, environ: dict[str, str], files: list[str], expected: Env
) -> None:
    assert set(files) <= set(MARKERS)
    assert detect(EnvFacts(platform, release, environ, frozenset(files))) is expected


def test_facts_are_values() -> None:
    facts = [Facts(Env.WSL2, "linux", "Ubuntu", (Mount("/", None), Mount("/mnt/c", "C:\\"))) for _ in range(2)]
    assert facts[0] == facts[1]
    assert len(set(facts)) == len({PathMapper(f) for f in facts}) == 1
    assert PathMapper(facts[0]) == PathMapper(facts[1])
    assert PathMapper(facts[0]) != PathMapper(Facts(Env.WSL2, "linux", None, ()))
