from __future__ import annotations

import sys
from ipaddress import ip_address

import psutil
import pytest

from bridge.ides.tcp import Report, Socket, address_of, from_proc, from_psutil, parse_proc_net_tcp
from tests.ides.listeners import connected, listening, port_of

little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the sample is of such a machine")


TCP4 = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0FA1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 21 1 0 100 0 0 10 0
   1: 00000000:0FA2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1 0 100 0 0 10 0
   2: 0100007F:0FA1 0100007F:C350 01 00000000:00000000 02:000A7D8C 00000000  1000        0 23 2 0 20 4 30 10 -1
   3: 0100007F:C350 0100007F:0FA1 01 00000000:00000000 00:00000000 00000000  1000        0 24 1 0 20 4 30 10 -1
   4: 0100007F:0FA1 0100007F:C351 06 00000000:00000000 03:00000D4C 00000000     0        0 0 3 0
   5: 0200A8C0:0FA3 01010101:01BB 01 00000000:00000000 00:00000000 00000000  1001        0 25 1 0 20 4 30 10 -1
12345: 0100007F:FFFF 00000000:0000 0A 00000000:00000000 00:00000000 00000000 4294967294   0 26 1 0 100 0 0 10 0
"""
ZERO6 = "00000000000000000000000000000000"
TCP6 = f"""\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: {ZERO6}:0FA4 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:0FA5 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 32 1 0
   2: 0000000000000000FFFF00000100007F:0FA6 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 33 1 0
   3: B80D0120000000000000000001000000:0FA7 {ZERO6}:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 34 1 0
   4: 0000000000000000FFFF00000100007F:0FA6 0000000000000000FFFF00000100007F:C352 01 0:0 00:0 0  1000 0 35 1 0
"""

# (table, port, what is there: address, remote port, uid)
PROC = [
    pytest.param(TCP4, 4001, [("127.0.0.1", None, 1000), ("127.0.0.1", 50000, 1000)], id="no TIME_WAIT"),
    pytest.param(TCP4, 4002, [("0.0.0.0", None, 0)], id="wildcard"),
    pytest.param(TCP4, 4003, [("192.168.0.2", 443, 1001)], id="another address"),
    pytest.param(TCP4, 50000, [("127.0.0.1", 4001, 1000)], id="the client's side"),
    pytest.param(TCP4, 65535, [("127.0.0.1", None, 4294967294)], id="a wide slot and uid"),
    pytest.param(TCP4, 0, [], id="a far side's port is not a local one"),
    pytest.param(TCP6, 4004, [("::", None, 1000)], id="IPv6 wildcard"),
    pytest.param(TCP6, 4005, [("::1", None, 1000)], id="IPv6 loopback"),
    pytest.param(TCP6, 4006, [("127.0.0.1", None, 1000), ("127.0.0.1", 50002, 1000)], id="mapped IPv4"),
    pytest.param(TCP6, 4007, [("2001:db8::1", None, 1000)], id="IPv6"),
]


@little_endian
@pytest.mark.parametrize(("text", "port", "expected"), PROC)
def test_the_kernel_s_table_is_read(text: str, port: int, expected: list[tuple[str, int | None, int]]) -> None:
    found = list(parse_proc_net_tcp(text, [port]))
    assert found == [Socket(ip_address(address), port, remote, uid) for address, remote, uid in expected]


@little_endian
def test_the_kernel_s_table_tells_which_socket_it_is() -> None:
    assert [found.inode for found in parse_proc_net_tcp(TCP6, [4006])] == [33, 35]


def test_a_line_that_is_not_wanted_is_not_understood() -> None:
    assert list(parse_proc_net_tcp("heading\n   0: nonsense:0FA1\n", [4002])) == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"\x7f\0\0\1", "127.0.0.1"),
        (bytes(10) + b"\xff\xff\x7f\0\0\1", "127.0.0.1"),
        (bytes(15) + b"\1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_that_is_mapped_into_ipv6_is_ipv4(written: bytes | str, read: str) -> None:
    assert address_of(written) == ip_address(read)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the table")
@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_the_table_and_psutil_tell_the_same_of_real_sockets(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(host) as listener, connected(listener) as client:
        ports = [port_of(listener), client]
        expected = set(from_proc(ports).sockets)
        assert len(expected) == 3
        assert set(from_psutil(ports).sockets) == expected
        monkeypatch.setattr(psutil, "net_connections", _denied)  # then it asks about our own processes
        found = from_psutil(ports)
        assert (set(found.sockets), found.complete) == (expected, False)


def test_a_process_that_the_system_hides_after_all_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "uids", _hidden)
    with listening() as listener:
        (found,), complete = from_psutil([port_of(listener)])
        assert (found.uid, complete) == (None, True)
        monkeypatch.setattr(psutil, "net_connections", _denied)  # as macOS does for all but root
        assert from_psutil([port_of(listener)]) == Report([], complete=False)


def _hidden(process: psutil.Process) -> None:
    raise psutil.AccessDenied(process.pid)


def _denied(_: str) -> None:
    raise psutil.AccessDenied
