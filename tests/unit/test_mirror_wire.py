"""Heads of requests, ranges of answers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.mirror import wire
from pogo.mirror.answers import part
from pogo.mirror.proxy import destination
from pogo.mirror.wire import Head, Malformed, read_head, short_answer


def read(raw: bytes, *, seconds: float = 1) -> Head | None:
    async def scenario() -> Head | None:
        reader = asyncio.StreamReader(limit=wire.BUFFER)
        reader.feed_data(raw)
        reader.feed_eof()
        return await read_head(reader, seconds)

    return asyncio.run(scenario())


def test_a_tunnel_is_asked_for() -> None:
    head = read(b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\nProxy-Authorization: Basic eA==\r\n\r\n")
    assert head is not None
    assert (head.method, head.target, head.get("proxy-authorization")) == ("CONNECT", "pypi.org:443", "Basic eA==")
    assert destination(head) == ("pypi.org", 443, "")


def test_a_plain_request_is_passed_on_without_what_is_for_the_proxy() -> None:
    head = read(
        b"POST http://Example.org:81/a%20b?c=d HTTP/1.1\r\nHost: example.org:81\r\nProxy-Authorization: Basic eA==\r\n"
        b"Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nContent-Length: 3\r\n\r\n"
    )
    assert head is not None
    assert (head.length, head.keep_alive) == (3, True)
    assert destination(head) == ("example.org", 81, "/a%20b?c=d")
    assert head.passed_on("/a%20b?c=d") == (
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: example.org:81\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    )


def test_the_end_of_the_connection_is_no_request() -> None:
    assert read(b"") is None
    assert read(b"GET / HTTP/1.1\r\nHo") is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * wire.HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * wire.BUFFER + b"\r\n\r\n", 431),
    ],
)
def test_what_cannot_be_understood_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(Malformed) as caught:
        read(raw)
    assert caught.value.status == status


@pytest.mark.parametrize("target", ["/path", "https://a/", "ftp://a/", "http://", "http://[", "http://u@h/", "*"])
def test_what_is_no_address_for_a_proxy_is_refused(target: str) -> None:
    with pytest.raises(Malformed):
        destination(Head("GET", target))


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [("pypi.org", "pypi.org", 443), ("[::1]:80", "::1", 80), ("PyPI.org.:443", "pypi.org", 443), ("h:0443", "h", 443)],
)
def test_hosts_are_read_in_one_form(target: str, host: str, port: int) -> None:
    assert destination(Head("CONNECT", target)) == (host, port, "")


def test_the_reason_stands_in_the_first_line_which_tunnel_clients_show() -> None:
    answer = short_answer(403, "builds may not go there\nsecond line")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 builds may not go there\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=95-200", (95, 5)),
        ("bytes=-10", (90, 10)),
        ("bytes=-200", (0, 100)),
        ("bytes=0-9,20-29", None),
        ("bytes=9-0", None),
        ("items=0-9", None),
        ("bytes=-", None),
    ],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    assert part(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_that_is_not_there_is_told(header: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        part(header, 100)


@given(st.text(max_size=20), st.integers(0, 1000))
def test_no_header_reads_outside_the_file(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            found = part(header, size)
        except ValueError:
            continue
        assert found is None or (found[0] >= 0 and found[1] > 0 and sum(found) <= size)
