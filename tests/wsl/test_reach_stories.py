"""Whether Windows can be reached, and what the user is told if not; a token goes to Windows or nowhere.

Every story ends with the question whether the router of the local network saw the token.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import Ide
from tests.wsl.boundary import LOOPBACK, Boundary
from tests.wsl.network import ROUTER
from tests.wsl.test_stories import FILE, PROJECT, decide, opened, token

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


def kept_secret(machine: Boundary, ide: Ide) -> bool:
    """Tell whether the local network heard nothing of the token, nor was dialled at the IDE's port."""
    return not machine.network.lan_saw(token(ide)) and ide.port not in machine.network.lan_calls()


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
    assert not nat.network.lan_saw(token(before))
    assert kept_secret(nat, after)


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
    assert not nat.network.lan_saw(token(before))
    assert kept_secret(nat, after)


def test_a_firewall_that_drops_is_named_with_the_rule_that_mends_it(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    nat.network.block(ide.port)
    nat.start_daemon()
    assert "firewall" in unopened(nat, nat.seen(FILE))
    told = advice(nat, ide.port)
    assert "New-NetFirewallRule" in told
    assert "172.21." in told
    nat.network.unblock(ide.port)
    opened(nat, nat.seen(FILE), cwd=nat.seen(PROJECT))
    assert kept_secret(nat, ide)


def test_an_ide_on_windows_own_loopback_decides_through_a_relay(nat: Boundary) -> None:
    nat.system.install_python(sys.executable, nat.network)
    file = nat.write(FILE, "a\nb\nc\n")
    ide = nat.windows_ide(PROJECT, host=LOOPBACK)
    nat.start_daemon()
    assert decide(nat, ide, 'edit "a\\nX\\nc\\n"', nat.seen(FILE), FILE) == "accepted_with_edits"
    assert file.read_text("utf-8") == "a\nX\nc\n"
    assert kept_secret(nat, ide)


def test_without_interop_the_user_is_told_why_and_what_to_do(nat: Boundary) -> None:
    nat.system.install_python(sys.executable, nat.network)
    nat.system.write("/etc/wsl.conf", "[interop]\nenabled=false\n")
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT, host=LOOPBACK)
    nat.start_daemon()
    assert "loopback" in unopened(nat, nat.seen(FILE))
    assert "networkingMode=mirrored" in advice(nat, ide.port)
    assert kept_secret(nat, ide)


# ---- mirrored


def test_mirrored_loopback_leads_to_windows_and_the_gateway_is_not_asked(wsl: Make) -> None:
    machine = wsl("mirrored")
    file = machine.write(FILE, "a\nb\nc\n")
    ide = machine.windows_ide(PROJECT, host=LOOPBACK)
    machine.start_daemon()
    assert decide(machine, ide, "accept", machine.seen(FILE), FILE) == "accepted"
    assert file.read_text("utf-8") == "a\nB\nc\n"
    assert kept_secret(machine, ide)


def test_a_mirrored_port_that_never_answers_costs_half_a_second(wsl: Make) -> None:
    machine = wsl("mirrored")
    machine.write(FILE, "text\n")
    stale = [machine.windows_ide(PROJECT, host=LOOPBACK) for _ in range(3)]
    for ide in stale:
        machine.network.silence(ide.port)
        ide.kill()
    live = machine.windows_ide(PROJECT, host=LOOPBACK)
    machine.start_daemon()
    opened(machine, machine.seen(FILE), cwd=machine.seen(PROJECT))
    live.until("call", tool="openFile")
    assert all(ide.lock.exists() for ide in stale)
    assert all(kept_secret(machine, ide) for ide in (live, *stale))


# ---- who is believed


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
    assert kept_secret(machine, ide)


@pytest.mark.parametrize("mode", ["nat", "mirrored"])
def test_another_users_program_on_the_port_is_not_windows(wsl: Make, mode: str) -> None:
    machine = wsl(mode)
    machine.write(FILE, "text\n")
    ide = machine.windows_ide(PROJECT)
    ide.kill()
    stranger = machine.stranger(ide.port)
    machine.start_daemon()
    assert "belongs to another user" in unopened(machine, machine.seen(FILE))
    assert token(ide).encode() not in stranger.heard()
    assert kept_secret(machine, ide)


def test_windows_is_found_although_another_user_has_the_port_here(nat: Boundary) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    stranger = nat.stranger(ide.port)
    nat.start_daemon()
    opened(nat, nat.seen(FILE))
    ide.until("call", tool="openFile")
    assert token(ide).encode() not in stranger.heard()


def test_a_host_of_the_configuration_is_dialled_and_no_other(nat: Boundary, home: Path) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    config = home / ".config/bridge/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('ide_host = "192.168.77.5"\n', "utf-8")  # Windows' address in the local network
    nat.start_daemon()
    opened(nat, nat.seen(FILE))
    ide.until("call", tool="openFile")
    assert kept_secret(nat, ide)


@pytest.mark.parametrize("host", [ROUTER, "router.example"])
def test_no_request_and_no_variable_names_a_host(nat: Boundary, host: str) -> None:
    nat.write(FILE, "text\n")
    ide = nat.windows_ide(PROJECT)
    nat.start_daemon()
    opened(nat, nat.seen(FILE), environ={"CLAUDE_CODE_IDE_HOST_OVERRIDE": host, "BRIDGE_IDE_HOST": host})
    ide.until("call", tool="openFile")
    assert nat.network.lan_calls() == {}
    assert kept_secret(nat, ide)
