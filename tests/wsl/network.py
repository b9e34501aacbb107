"""The three machines around a WSL distribution: itself, its Windows host, and the router of the local network.

Each is a `Space`. How they are joined depends on the networking mode (wsl.md 3.1):

========  ==========================================================================================================
nat       ``wsl`` has a private network with ``windows``, its default gateway, which forwards to the local network
mirrored  ``wsl`` is in the local network itself, so *its default gateway is the router*; what it sends to a port of
          127.0.0.1 on which Windows listens goes there through an interface named ``loopback0``
bridged   ``wsl`` is in the local network, and knows no way to Windows; its default gateway is the router here too
========  ==========================================================================================================

The router lets in whoever dials it, on any port, and everything that reaches it is kept: a token of the user's has
no business there.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

from tests.e2e.support import ROOT, Lines, until
from tests.wsl.namespaces import Space
from tests.wsl.router import SINK

__all__ = ["GATEWAY", "MIRROR", "ROUTER", "Mode", "Network", "network"]

Mode = Literal["nat", "mirrored", "bridged"]

GATEWAY: Final = "172.21.96.1"  # of the Windows host, behind NAT
ROUTER: Final = "192.168.77.1"
MIRROR: Final = "169.254.73.154"  # the Windows end of loopback0

_WINDOWS_NAT = """
table ip wsl {
    set blocked { type inet_service; }
    chain firewall { type filter hook input priority 0; iifname "vEthernet" tcp dport @blocked drop; }
    chain nat { type nat hook postrouting priority 100; oifname "lan" masquerade; }
}
"""
_WINDOWS_MIRROR = f"""
table ip wsl {{
    chain loopback {{
        type nat hook prerouting priority -100;
        iifname "loopback0w" ip daddr {MIRROR} dnat to 127.0.0.1;
    }}
}}
"""
_WSL_MIRROR = f"""
table ip wsl {{
    set windows {{ type inet_service; }}
    set silent {{ type inet_service; }}
    chain mute {{ type filter hook output priority -200; ip daddr 127.0.0.1 tcp dport @silent drop; }}
    chain out {{
        type nat hook output priority -100;
        ip daddr 127.0.0.1 tcp dport @windows dnat to {MIRROR};
    }}
    chain source {{ type nat hook postrouting priority 100; oifname "loopback0" masquerade; }}
}}
"""
_ROUTER = f"""
table ip router {{
    chain every {{ type nat hook prerouting priority -100; tcp dport != {SINK} redirect to :{SINK}; }}
}}
"""
_NO_IPV6 = "net.ipv6.conf.all.disable_ipv6=1"  # Windows has no part in it, and a new interface would chatter


class Network:
    """The machines, joined; made by `network`.

    Args:
        wsl, windows, lan: the machines, not joined yet.
        log: an empty directory for what reaches the router.
        router: its address.
    """

    def __init__(self, mode: Mode, wsl: Space, windows: Space, lan: Space, log: Path, router: str = ROUTER) -> None:
        self.mode = mode
        self.router = router
        self.host = f"{router.rpartition('.')[0]}.5"  # who is in the local network: Windows, or WSL itself
        self.wsl = wsl
        self.windows = windows
        self.lan = lan
        self.gateway = ""  # the default gateway of `wsl`
        self._log = log
        for space in (wsl, windows, lan):
            space.sysctl(_NO_IPV6)
        if mode == "nat":
            self._join_nat()
        else:
            self._join_lan()
        if mode == "mirrored":
            self._mirror()
        lan.nft(_ROUTER)

    def _join_nat(self) -> None:
        self.windows.ip(
            f"link add lan type veth peer name lan netns {self.lan.pid}",
            f"link add vEthernet type veth peer name eth0 netns {self.wsl.pid}",
            f"addr add {self.host}/24 dev lan",
            "link set lan up",
            f"route add default via {self.router} onlink dev lan",
            "link set vEthernet up",
        )
        self.lan.ip(f"addr add {self.router}/24 dev lan", "link set lan up")
        self.windows.sysctl("net.ipv4.ip_forward=1")
        self.windows.nft(_WINDOWS_NAT)
        self.move_host(GATEWAY)

    def _join_lan(self) -> None:
        self.wsl.ip(
            f"link add eth0 type veth peer name lan netns {self.lan.pid}",
            f"addr add {self.host}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self.router} onlink dev eth0",
        )
        self.lan.ip(f"addr add {self.router}/24 dev lan", "link set lan up")
        self.gateway = self.router

    def _mirror(self) -> None:
        self.wsl.ip(
            f"link add loopback0 type veth peer name loopback0w netns {self.windows.pid}",
            "addr add 169.254.73.153/30 dev loopback0",
            "link set loopback0 up",
        )
        self.windows.ip(f"addr add {MIRROR}/30 dev loopback0w", "link set loopback0w up")
        for space, interface in ((self.wsl, "loopback0"), (self.windows, "loopback0w")):
            space.sysctl(f"net.ipv4.conf.{interface}.route_localnet=1")  # 127.0.0.1 may come and go there
        self.wsl.nft(_WSL_MIRROR)
        self.windows.nft(_WINDOWS_MIRROR)

    # ---- what happens on it

    def move_host(self, gateway: str) -> None:
        """Give the Windows host of a NAT network another address, as a reboot does; `wsl` gets a new one too."""
        prefix = gateway.rpartition(".")[0]
        self.windows.ip("addr flush dev vEthernet", f"addr add {gateway}/24 dev vEthernet")
        self.wsl.ip(
            "link set eth0 up",
            "addr flush dev eth0",
            f"addr add {prefix}.100/24 dev eth0",
            f"route replace default via {gateway} dev eth0",
        )
        self.gateway = gateway

    def block(self, port: int) -> None:
        """Let the firewall of Windows drop what comes from `wsl` to this port (NAT)."""
        self.windows.nft(f"add element ip wsl blocked {{ {port} }}")

    def unblock(self, port: int) -> None:
        """Let it in again, as an inbound rule does."""
        self.windows.nft(f"delete element ip wsl blocked {{ {port} }}")

    def mirror(self, port: int) -> None:
        """Lead this port of 127.0.0.1 to Windows, as it does once a program listens there (mirrored)."""
        self.wsl.nft(f"add element ip wsl windows {{ {port} }}")

    def unmirror(self, port: int) -> None:
        """Keep this port of 127.0.0.1 in `wsl`, as it is when nobody in Windows listens."""
        self.wsl.nft(f"delete element ip wsl windows {{ {port} }}")

    def silence(self, port: int) -> None:
        """Let nobody answer on this port of 127.0.0.1: mirrored mode's way with a closed port (WSL#10855)."""
        self.wsl.nft(f"add element ip wsl silent {{ {port} }}")

    # ---- what the router saw

    def lan_saw(self, secret: str) -> bool:
        """Tell whether `secret` came to the router by now, in a frame, over several, or encoded.

        Every time a word is sent to the router first, and seen there: else it would prove nothing.
        """
        word = secrets.token_hex(16)

        def arrived() -> bool:
            self.wsl.run("bash", "-c", f"echo {word} > /dev/udp/{self.router}/7")
            return word.encode() in self._frames()

        until(arrived, "the router does not hear us")
        spoken = [*self.lan_calls().values(), self._frames()]
        return any(form in heard for heard in spoken for form in _forms(secret))

    def lan_calls(self) -> Mapping[int, bytes]:
        """Give what was said on each port on which the router was dialled over TCP."""
        heard: dict[int, bytes] = {}
        for line in (self._log / "calls").read_text("ascii").splitlines():
            port, _, said = line.partition(" ")
            heard[int(port)] = heard.get(int(port), b"") + bytes.fromhex(said)
        return heard

    def _frames(self) -> bytes:
        return (self._log / "frames").read_bytes()


def _forms(secret: str) -> Iterator[bytes]:
    """Give the ways in which a secret may be written; in base64 it is looked for at all three offsets."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode())
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw)
        yield coded[4 if offset else 0 : -4]


@contextmanager
def network(
    mode: Mode, directory: Path, binds: Mapping[str, Path] | None = None, router: str = ROUTER
) -> Iterator[Network]:
    """Make the three machines and join them; take all of it away at the end, also after a failure.

    Args:
        directory: an empty one, for what reaches the router and for the root of the WSL machine.
        binds: what the WSL machine sees, by mount point: its Windows drives.
        router: the router's address; the local network is its /24.
    """
    root, log = directory / "root", directory / "router"
    root.mkdir(parents=True)
    log.mkdir()
    with ExitStack() as stack:

        def space(*arguments: object) -> Space:
            made = Space(*arguments)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        joined = Network(mode, space(root, binds), space(), space(), log, router)
        stack.enter_context(_router(joined.lan, log))
        yield joined


@contextmanager
def _router(lan: Space, log: Path) -> Iterator[None]:
    command = [*lan.enter(ROOT), sys.executable, "-m", "tests.wsl.router", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as router:
        assert router.stdin is not None
        try:
            Lines(router.stdout).until(lambda line: line == "ready")
            yield
        finally:
            router.stdin.close()
