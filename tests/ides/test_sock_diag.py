from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ides import sock_diag
from bridge.ides.sock_diag import ESTABLISHED, LISTEN, PORTS_MAX, from_netlink, parse, request
from bridge.ides.tcp import Socket, from_proc
from tests.ides.listeners import STRANGER, connected, listening, port_of, stranger_listening

if sys.platform != "linux":
    pytest.skip("only Linux has netlink", allow_module_level=True)

little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the sample is of such a machine")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")

# What Linux 6.18 answered about port 4001: header; family, state and ports; both addresses; interface, cookie and
# timer; queues, uid and inode; attributes.
LISTENING = bytes.fromhex("""
    7c000000 1400 0200 01000000 3e4a0000   020a0000 0fa1 0000
    7f000001000000000000000000000000 00000000000000000000000000000000 00000000 f737000000000000
    00000000 00000000 80000000 feff0000 c5c70300
    0500080000000000 08000f0000000000 0c0015000100000000000000 0600160052000000
""")
ACCEPTED_BY_IPV6 = bytes.fromhex("""
    7c000000 1400 0200 01000000 3e4a0000   0a010000 0fa1 c350
    00000000000000000000ffff7f000001 00000000000000000000ffff7f000001 00000000 fa37000000000000
    00000000 00000000 00000000 00000000 cdc70300
    0500080000000000 08000f0000000000 0c0015000100000000000000 0600160012000000
""")
DONE = bytes.fromhex("14000000 0300 0200 01000000 3e4a0000   00000000")
NO_SUCH_FAMILY = bytes.fromhex("5c000000 0200 0000 01000000 3e4a0000   feffffff 48000000 1400 0103") + bytes(64)
LOOPBACK = ip_address("127.0.0.1")


def message(kind: int, payload: bytes) -> bytes:
    return pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


@little_endian
def test_the_kernel_s_answer_is_read() -> None:
    listener, accepted = Socket(LOOPBACK, 4001, None, 65534), Socket(LOOPBACK, 4001, 50000, 0)
    assert parse(LISTENING + ACCEPTED_BY_IPV6) == ([listener, accepted], False)
    assert parse(LISTENING + DONE + ACCEPTED_BY_IPV6) == ([listener], True)
    assert parse(DONE) == ([], True)
    assert [found.inode for found in parse(LISTENING + ACCEPTED_BY_IPV6)[0]] == [0x3C7C5, 0x3C7CD]


def test_a_message_that_ends_at_no_multiple_of_four_is_followed_by_padding() -> None:
    listener = LISTENING[16:]
    assert len(parse(message(20, listener + b"x") + bytes(3) + message(20, listener))[0]) == 2


# (what came at once, the error)
REFUSALS = [
    pytest.param(NO_SUCH_FAMILY, errno.ENOENT, id="as the kernel refused a family that it does not know"),
    pytest.param(message(2, pack("=i", -errno.EPERM)), errno.EPERM, id="an error"),
    pytest.param(message(2, pack("=i", 0)), 0, id="an acknowledgement, which is no answer"),
    pytest.param(message(3, pack("=i", -errno.EINVAL)), errno.EINVAL, id="an end for a reason"),
    pytest.param(message(3, b""), errno.EBADMSG, id="an end without a code"),
    pytest.param(message(20, bytes(71)), errno.EBADMSG, id="a socket cut short"),
    pytest.param(message(4, b""), errno.EBADMSG, id="an overrun"),
    pytest.param(b"\0" * 16, errno.EBADMSG, id="a message shorter than its header"),
    pytest.param(LISTENING[:15], errno.EBADMSG, id="half a header"),
    pytest.param(LISTENING[:-1], errno.EBADMSG, id="half a message"),
    pytest.param(DONE[:-1], errno.EBADMSG, id="half an end"),
]


@little_endian
@pytest.mark.parametrize(("batch", "number"), REFUSALS)
def test_what_is_no_answer_is_an_error(batch: bytes, number: int) -> None:
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        parse(batch)
    assert caught.value.errno == number


@settings(deadline=None)
@given(st.binary() | st.lists(st.binary(max_size=90).map(lambda data: message(20, data))).map(b"".join))
def test_whatever_comes_is_read_or_an_error(batch: bytes) -> None:
    try:
        _, done = parse(batch)
    except OSError:
        return
    assert not done or len(batch) >= len(DONE)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a socket that keeps messages apart, as netlink does, and that of somebody who plays the kernel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(0.01)
        yield ours, theirs


Ends = tuple[socket.socket, socket.socket]


def test_an_answer_in_several_parts_is_put_together(ends: Ends) -> None:
    ours, kernel = ends
    for part in (LISTENING, ACCEPTED_BY_IPV6 + LISTENING, DONE):
        kernel.send(part)
    assert len(sock_diag._ask(ours, b"question")) == 3
    assert kernel.recv(100) == b"question"


def test_an_answer_that_never_ends_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "BATCHES_MAX", 3)
    for _ in range(4):
        ends[1].send(LISTENING)
    with pytest.raises(OSError, match="Bad message"):
        sock_diag._ask(ends[0], b"question")


def test_an_answer_that_is_cut_off_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "BATCH_BYTES", len(LISTENING))
    ends[1].send(LISTENING + LISTENING)
    with pytest.raises(OSError, match="Bad message"):
        sock_diag._ask(ends[0], b"question")


def test_an_answer_that_does_not_come_is_given_up(ends: Ends) -> None:
    ends[1].send(LISTENING)
    with pytest.raises(TimeoutError):
        sock_diag._ask(ends[0], b"question")


def test_the_real_kernel_is_not_waited_for_endlessly_and_nobody_else_is_heard() -> None:
    with sock_diag._kernel() as kernel, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as stranger:
        assert kernel.gettimeout() == sock_diag.TIMEOUT_S
        with pytest.raises(OSError, match=r"\[Errno"):  # to begin with, only root may try
            stranger.sendto(DONE, (kernel.getsockname()[0], 0))


def test_a_refusal_of_the_real_kernel_is_an_error() -> None:
    with sock_diag._kernel() as kernel, pytest.raises(FileNotFoundError):
        sock_diag._ask(kernel, request(45, LISTEN))


# (where a listener is bound, how it is dialled, if at all)
ADDRESSES = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.2", "127.0.0.2"),
    ("0.0.0.0", "127.0.0.1"),
    ("::1", "::1"),
    ("::", "::1"),
    ("::", "127.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1"),
]


@pytest.mark.parametrize(("bound", "dialled"), ADDRESSES)
def test_netlink_and_the_table_agree(bound: str, dialled: str) -> None:
    with listening(bound) as listener, connected(listener, dialled) as one, connected(listener, dialled) as two:
        port = port_of(listener)
        found = from_netlink([port])
        assert set(found.sockets) == set(from_proc([port]).sockets)
        assert len(found.sockets) == 3
        assert {s.remote_port for s in found.sockets} == {None, one, two}


@needs_root
def test_netlink_and_the_table_agree_on_another_user_s_listener() -> None:
    with stranger_listening() as port:
        assert from_netlink([port]) == from_proc([port])
        assert [s.uid for s in from_netlink([port]).sockets] == [STRANGER]


def test_only_ports_that_were_asked_for_and_have_a_listener_are_told() -> None:
    with listening() as one, listening("::") as two, connected(one), connected(two) as client:
        assert {s.port for s in from_netlink([port_of(two), client]).sockets} == {port_of(two)}
        assert from_netlink([client]).sockets == []


@pytest.mark.parametrize("others", [0, 1, PORTS_MAX - 2])
def test_the_kernel_itself_leaves_other_ports_out(others: int) -> None:
    """Its filter is asked for the connections of two listeners out of three, and of ports that nobody has."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening()) for _ in range(3)]
        for listener in listeners:
            stack.enter_context(connected(listener))
        wanted = {port_of(listener) for listener in listeners[:2]}
        question = request(socket.AF_INET, ESTABLISHED, [*range(1, others + 1), *wanted])
        with sock_diag._kernel() as kernel:
            assert {s.port for s in sock_diag._ask(kernel, question)} == wanted


def test_more_ports_than_the_kernel_should_look_for_are_refused() -> None:
    assert request(socket.AF_INET, LISTEN, range(1, PORTS_MAX + 1))
    with pytest.raises(OSError, match="too long"):
        request(socket.AF_INET, LISTEN, range(1, PORTS_MAX + 2))
