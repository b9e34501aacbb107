"""Whether Windows can be reached, and what the user is told if not; a token goes to Windows or nowhere.

Every story ends with the question whether the router of the local network saw the token.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.ides.dialing import CONNECT_S
from tests.e2e.support import until
from tests.wsl.boundary import LOOPBACK, Boundary
from tests.wsl.network import GATEWAY, ROUTER
from tests.wsl.test_stories import FILE, PROJECT, decide, opened

Make = Callable[..., Boundary]


def unopened(machine: Boundary, path: str) -> str:
    """Try to open a file that no IDE can take; give what the user is told."""
    done = machine.bridge("open", path)
    assert done.returncode == 69, (done.stdout, done.stderr)
    return done.stderr


def advice(machine: Boundary, port: int) -> str:
    """Give what `bridge doctor` finds wrong with an IDE, and what it advises."""
    found = [one for one in machine.findings() if one["level"] != "ok" and str(port) in one["check"] + one["found"]]
    return "\n".join(f"{one['found']}: {one['fix']}" for one in found)


# ---- behind NAT


def test_a_rebooted_host_is_found_at_its_new_address(nat: Boundary) -> None:
    """The daemon knew the old one, where the router answers now."""
    nat.write(FILE, "text\n")
    before = nat.windows_ide(PROJECT)
    nat.start_daemon()
    assert opened(nat, nat.seen(FILE)) == before.port
    before.kill()
    nat.network.move_host("172.30.16.1")
    after = nat.windows_ide(PROJECT)
    assert opened(nat, nat.seen(FILE)) == after.port
    assert before.lock.exists()
    assert nat.leaks() == []


def test_a_change_that_waits_outlives_the_reboot_of_its_host(nat: Boundary) -> None:
    """Meanwhile the router answers at the address, on the port; it is not told the token that belongs there."""
    file = nat.write(FILE, "old\n")
    before = nat.windows_ide(PROJECT)
    nat.start_daemon()
    diff = nat.running("diff", nat.seen(FILE), "--proposed", "-", "--apply", stdin=b"new\n")
    before.until("diff")
    nat.network.move_host("172.30.16.1")
    before.kill()
    after = nat.windows_ide(PROJECT)
    after.until("diff")
    after.do("accept")
    assert (diff.end(), file.read_text("utf-8")) == (0, "new\n")
    assert nat.leaks() == []


def test_a_firewall_that_drops_is_named_with_the_rule_that_mends_it(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    nat.network.block(ide.port)
    nat.start_daemon()
    assert "firewall" in unopened(nat, nat.seen(FILE))
    (row,) = nat.status()["ides"]
    assert (row["state"], "firewall" in row["detail"]) == ("unreachable", True)
    for told in (row["fix"], advice(nat, ide.port)):
        assert "New-NetFirewallRule" in told
        assert "172.21." in told
    nat.network.unblock(ide.port)
    until(
        lambda: nat.bridge("open", nat.seen(FILE)).returncode == 0,  # what was found last counts for two seconds
        "it is not found although the firewall lets in",
    )
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})


def test_an_ide_on_windows_own_loopback_decides_through_a_relay(nat: Boundary) -> None:
    nat.system.install_python(sys.executable, nat.network)
    file = nat.write(FILE, "a\nb\nc\n")
    ide = nat.windows_ide(PROJECT, host=LOOPBACK)
    nat.start_daemon()
    (row,) = nat.status()["ides"]
    assert (row["state"], row["fix"]) == ("hidden", None)  # nothing needs mending
    assert decide(nat, ide, 'edit "a\\nX\\nc\\n"', nat.seen(FILE), FILE) == "accepted_with_edits"
    assert file.read_text("utf-8") == "a\nX\nc\n"
    ide.do("quit")
    windows = nat.network.windows
    until(lambda: windows.processes() == {windows.pid}, "the relay does not end with its link")
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})


def test_where_a_relay_meets_nobody_the_ide_is_to_be_restarted_and_not_wsl(nat: Boundary) -> None:
    nat.system.install_python(sys.executable, nat.network)
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT, host=LOOPBACK)
    ide.kill()
    nat.start_daemon()
    told = unopened(nat, nat.seen(FILE))
    assert f"nothing listens on Windows' 127.0.0.1:{ide.port}" in told
    assert "restart the IDE" in told
    assert "wsl.exe --shutdown" not in told


def test_without_interop_the_user_is_told_why_and_what_to_do(nat: Boundary) -> None:
    nat.system.install_python(sys.executable, nat.network)
    nat.system.disable_interop()
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT, host=LOOPBACK)
    nat.start_daemon()
    assert "loopback" in unopened(nat, nat.seen(FILE))
    assert "networkingMode=mirrored" in advice(nat, ide.port)
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})


@pytest.mark.parametrize(("mode", "host"), [("nat", GATEWAY), ("mirrored", LOOPBACK)])
def test_the_only_place_of_an_ide_is_not_taken_from_an_agent_of_this_side(wsl: Make, mode: str, host: str) -> None:
    machine = wsl(mode)
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT)
    with machine.caller(host, ide):
        machine.start_daemon()
        assert "occupied" in unopened(machine, machine.seen(FILE))
        assert machine.status()["ides"][0]["state"] == "occupied"
    assert opened(machine, machine.seen(FILE)) == ide.port


# ---- mirrored


def test_mirrored_loopback_leads_to_windows_and_the_gateway_is_not_asked(wsl: Make) -> None:
    machine = wsl("mirrored")
    file = machine.write(FILE, "a\nb\nc\n")
    ide = machine.windows_ide(PROJECT, host=LOOPBACK)
    machine.start_daemon()
    assert decide(machine, ide, "accept", machine.seen(FILE), FILE) == "accepted"
    assert file.read_text("utf-8") == "a\nB\nc\n"
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


def test_mirrored_ports_that_never_answer_are_not_waited_for_one_after_the_other(wsl: Make) -> None:
    machine = wsl("mirrored")
    machine.write(FILE, "text\n")
    dead = machine.windows_ide(PROJECT, host=LOOPBACK)
    dead.kill()
    stale = [dead.lock, *(dead.lock.with_name(f"{port}.lock") for port in range(20001, 20101))]
    for lock in stale:
        lock.write_bytes(dead.lock.read_bytes())
        machine.network.silence(int(lock.stem))
    live = machine.windows_ide(PROJECT, host=LOOPBACK)
    machine.start_daemon()
    begun = time.monotonic()
    assert opened(machine, machine.seen(FILE)) == live.port
    assert time.monotonic() - begun < len(stale) * CONNECT_S / 5
    assert all(lock.exists() for lock in stale)
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


# ---- bridged


@pytest.mark.parametrize("stated", ["bridged", None, "something new"])
def test_where_no_way_to_windows_is_known_nobody_is_dialled(wsl: Make, stated: str | None) -> None:
    """The gateway is the router; without ``wslinfo``, or with one of a later day, it is not taken for Windows."""
    machine = wsl("bridged")
    machine.system.install_wsl_programs(stated)
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT)
    machine.start_daemon()
    assert "networking mode" in unopened(machine, machine.seen(FILE))
    assert "networkingMode=mirrored" in advice(machine, ide.port)
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


@pytest.mark.parametrize("stated", ["bridged", "something new", ""])
def test_a_router_with_an_address_like_those_of_wsl_is_not_taken_for_windows(wsl: Make, stated: str) -> None:
    """Local networks may lie in 172.16/12 too; "" stands for a ``wslinfo`` that fails."""
    machine = wsl("bridged", router="172.20.77.1")
    machine.system.install_wsl_programs(stated)
    machine.write(FILE, "text\n")
    machine.windows_ide(PROJECT)
    machine.start_daemon()
    assert "networking mode" in unopened(machine, machine.seen(FILE))
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


def test_variables_alone_make_no_gateway_windows(wsl: Make) -> None:
    """On plain Linux, whoever starts the daemon may have set them."""
    machine = wsl("bridged", router="172.20.77.1")
    for path in ("/usr/bin/wslpath", "/usr/bin/wslinfo", "/run/WSL/1_interop"):
        machine.system.remove(path)
    (machine.system.root / "run/WSL").rmdir()
    machine.system.write("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
    machine.system.remove("/proc/sys/fs/binfmt_misc/WSLInterop")
    machine.write(FILE, "text\n")
    machine.windows_ide(PROJECT)
    machine.start_daemon()
    unopened(machine, machine.seen(FILE))
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


# ---- who is believed


def test_without_wslinfo_a_private_gateway_is_windows(nat: Boundary) -> None:
    nat.system.install_wsl_programs(None)
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    assert opened(nat, nat.seen(FILE)) == ide.port


def test_a_wslinfo_that_says_nat_is_not_believed_where_loopback_is_mirrored(wsl: Make) -> None:
    """The gateway is the router then, and the router takes every call."""
    machine = wsl("mirrored")
    machine.system.install_wsl_programs("nat")
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT, host=LOOPBACK)
    machine.network.silence(ide.port)
    machine.start_daemon()
    unopened(machine, machine.seen(FILE))
    assert machine.network.gateway == ROUTER
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


@pytest.mark.parametrize(("mode", "why"), [("nat", "own loopback only"), ("mirrored", "belongs to another user")])
def test_another_users_program_on_the_port_is_not_windows(wsl: Make, mode: str, why: str) -> None:
    """Behind NAT it is not even asked about: our loopback is not that of Windows."""
    machine = wsl(mode)
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT)
    ide.kill()
    stranger = machine.stranger(ide.port)
    machine.start_daemon()
    assert why in unopened(machine, machine.seen(FILE))
    assert machine.tokens[0].encode() not in stranger.heard()
    assert (machine.leaks(), machine.network.lan_calls()) == ([], {})


def test_windows_is_found_although_another_user_has_the_port_here(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    stranger = nat.stranger(ide.port)
    nat.start_daemon()
    opened(nat, nat.seen(FILE))
    ide.until("call", tool="openFile")
    assert nat.tokens[0].encode() not in stranger.heard()


def test_a_host_of_the_configuration_is_dialled_and_no_other(nat: Boundary, home: Path) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('ide_host = "192.168.77.5"\n', "utf-8")  # Windows' address in the local network
    nat.start_daemon()
    opened(nat, nat.seen(FILE))
    ide.until("call", tool="openFile")
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})


@pytest.mark.parametrize("host", [ROUTER, "router.example"])
def test_no_request_and_no_variable_names_a_host(nat: Boundary, host: str) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    opened(nat, nat.seen(FILE), environ={"CLAUDE_CODE_IDE_HOST_OVERRIDE": host, "BRIDGE_IDE_HOST": host})
    ide.until("call", tool="openFile")
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})


def test_no_proxy_is_told_the_token(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    proxy = f"http://{ROUTER}:3128"
    nat.start_daemon({"http_proxy": proxy, "https_proxy": proxy, "all_proxy": proxy, "ALL_PROXY": proxy})
    assert opened(nat, nat.seen(FILE)) == ide.port
    assert (nat.leaks(), nat.network.lan_calls()) == ([], {})
