"""Event streams: the specification's rules as a table, and that it does not matter how the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.eventstream import MESSAGE, Event, EventStream, TooLarge, post_address

MOST = 100

# (bytes,                                     events)
STREAMS = [
    (b"",                                     []),
    (b"data: a\n\n",                          [(MESSAGE, b"a")]),
    (b"data: a\r\n\r\n",                      [(MESSAGE, b"a")]),
    (b"data: a\r\r",                          [(MESSAGE, b"a")]),
    (b"data: a\n\r\n",                        [(MESSAGE, b"a")]),
    (b"data: a\r\n\rdata: b\n\r",             [(MESSAGE, b"a"), (MESSAGE, b"b")]),
    (b"data: a\n",                            []),  # the stream may end here: then it was no event
    (b"data:a\n\n",                           [(MESSAGE, b"a")]),
    (b"data:  a \n\n",                        [(MESSAGE, b" a ")]),  # one space is the separator's
    (b"data\n\n",                             [(MESSAGE, b"")]),
    (b"data:\ndata\n\n",                      [(MESSAGE, b"\n")]),
    (b"data: a\ndata: b\r\ndata: c\n\n",      [(MESSAGE, b"a\nb\nc")]),
    (b"data: a:b\n\n",                        [(MESSAGE, b"a:b")]),
    (b"event: endpoint\ndata: /m?x=1\n\n",    [("endpoint", b"/m?x=1")]),
    (b"data: a\nevent: x\nevent: y\n\n",      [("y", b"a")]),
    (b"event: x\n\ndata: a\n\n",              [(MESSAGE, b"a")]),  # without data it is no event, and leaves no type
    (b"event:\ndata: a\n\n",                  [(MESSAGE, b"a")]),
    (b"event: \xff\ndata: a\n\n",             [("\ufffd", b"a")]),
    (b": a comment\ndata: a\n:\n\n:\n\n",     [(MESSAGE, b"a")]),
    (b"id: 7\nretry: 10\ndata: a\n\n",        [(MESSAGE, b"a")]),
    (b"Data: a\n data: b\ndatas: c\n\n",      []),
    (b"\xef\xbb\xbfdata: a\n\n",              [(MESSAGE, b"a")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n",  []),
    (b"\n\xef\xbb\xbfdata: a\n\n",            []),
    (b"data: \xe2\x82\xac\xff\x00\n\n",       [(MESSAGE, b"\xe2\x82\xac\xff\x00")]),
]  # fmt: skip


def read(*chunks: bytes, most: int = MOST) -> list[Event]:
    stream = EventStream(most)
    return [event for chunk in chunks for event in stream.feed(chunk)]


@pytest.mark.parametrize(("data", "events"), STREAMS)
def test_whole_and_byte_by_byte(data: bytes, events: list[tuple[str, bytes]]) -> None:
    assert read(data) == events
    assert read(*(data[at : at + 1] for at in range(len(data)))) == events
    for cut in range(len(data) + 1):
        assert read(data[:cut], b"", data[cut:]) == events


PIECE = st.sampled_from([b"data", b"event", b":", b" ", b"\r", b"\n", b"\r\n", b"x", "€".encode(), b"\xef\xbb\xbf"])


@settings(deadline=None)
@given(st.lists(PIECE, max_size=60).map(b"".join), st.data())
def test_cut_anywhere(data: bytes, draws: st.DataObject) -> None:
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    edges = [0, *cuts, len(data)]
    assert read(*(data[a:b] for a, b in pairwise(edges)), most=1000) == read(data, most=1000)


LINE = st.characters(codec="utf-8", exclude_characters="\r\n")


@settings(deadline=None)
@given(st.lists(st.text(LINE), min_size=1), st.sampled_from("\r\n"))
def test_what_is_written_is_read(lines: list[str], end: str) -> None:
    data = "".join(f"data: {line}{end}" for line in lines) + end
    assert read(data.encode(), most=10**6) == [(MESSAGE, "\n".join(lines).encode())]


@pytest.mark.parametrize(
    "endless", [b"x", b"data:x\n", b"data\n", b": comment", b"event: " + b"x" * 20, b"data: a\nid: 1\ndata: b\n"]
)
def test_what_never_ends_is_given_up(endless: bytes) -> None:
    with pytest.raises(TooLarge, match="more than 100 bytes"):
        read(*[endless] * (MOST + 1))


def test_each_event_may_have_the_most() -> None:
    line = b"data: " + b"x" * (MOST - 6)
    assert len(read(*[line + b"\n\n"] * 5)) == 5
    with pytest.raises(TooLarge):
        read(line + b"x")


def test_comments_of_hours_are_not_kept() -> None:
    stream = EventStream(MOST)
    for _ in range(1000):
        assert stream.feed(b": ping\r\n\r\n") == []


HERE = "http://127.0.0.1:4000/sse"

# (what the endpoint event names,              where that is; None: nowhere)
ADDRESSES = [
    (b"/messages?session_id=0af%2B%2f",        "http://127.0.0.1:4000/messages?session_id=0af%2B%2f"),
    (b"http://127.0.0.1:4000/m/",              "http://127.0.0.1:4000/m/"),
    (b"HTTP://127.0.0.1:4000/m",               "http://127.0.0.1:4000/m"),
    (b"//127.0.0.1:4000/m",                    "http://127.0.0.1:4000/m"),
    (b"messages",                              "http://127.0.0.1:4000/messages"),
    (b"?sessionId=1",                          "http://127.0.0.1:4000/sse?sessionId=1"),
    (b"/m?x=1#part",                           "http://127.0.0.1:4000/m?x=1"),
    (b"/m/%0d%0a?a b".replace(b" ", b"+"),     "http://127.0.0.1:4000/m/%0d%0a?a+b"),
    (b"http://127.0.0.1:4001/m",               None),
    (b"http://127.0.0.1/m",                    None),
    (b"http://localhost:4000/m",               None),
    (b"http://attacker.invalid/m",             None),
    (b"//attacker.invalid:4000/m",             None),
    (b"http://me@127.0.0.1:4000/m",            None),
    (b"http://127.0.0.1:4000@attacker.invalid/", None),
    (b"https://127.0.0.1:4000/m",              None),
    (b"file:///etc/passwd",                    None),
    (b"javascript:alert(1)",                   None),
    (b"http://[/m",                            None),
    (b"",                                      None),
    (b" ",                                     None),
    (b"/a b",                                  None),
    (b"/m\r\nX-Header: 1",                     None),
    (b"/m\n",                                  None),
    (b"/\xe2\x82\xac",                         None),
]  # fmt: skip


@pytest.mark.parametrize(("named", "address"), ADDRESSES)
def test_messages_are_posted_to_the_stream_s_own_server_only(named: bytes, address: str | None) -> None:
    if address is not None:
        assert post_address(HERE, named) == address
    else:
        with pytest.raises(ValueError, match=r"^(names no address|wants messages posted to another server)"):
            post_address(HERE, named)


@settings(deadline=None)
@given(st.binary())
def test_no_address_leads_elsewhere(named: bytes) -> None:
    try:
        address = post_address(HERE, named)
    except ValueError:
        return
    assert address.startswith("http://127.0.0.1:4000")
    assert address[len("http://127.0.0.1:4000")] in "/?"
