"""Addresses of log drains, and the bytes that are sent to them."""

from __future__ import annotations

import pytest

from pogo.rules.drains import Address, InvalidDrain, Message, logplex_body, parse_url, syslog_frames

AT = 1_354_257_929.5


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://logs.example.com", Address("https", "logs.example.com", 443, "/")),
        ("https://me:p%40ss@x.example:8443/in?x=1", Address("https", "x.example", 8443, "/in?x=1", ("me", "p@ss"))),
        ("http://logs.example.com/a", Address("http", "logs.example.com", 80, "/a")),
        ("syslog+tls://logs.example.com:12345", Address("syslog+tls", "logs.example.com", 12345)),
        ("syslog://[2001:db8::1]", Address("syslog", "2001:db8::1", 514)),
    ],
)  # fmt: skip
def test_what_may_be_a_drain(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "logs.example.com", "ftp://logs.example.com", "https://", "syslog://host:port", "syslog://host:70000",
     "syslog://host/path", "syslog+tls://me@host:1", "https://a b/", "udp://host:514"],
)  # fmt: skip
def test_what_may_not(url: str) -> None:
    with pytest.raises(InvalidDrain, match="Url is invalid"):
        parse_url(url)


def test_frames_as_heroku_sends_them() -> None:
    """The example of Heroku's documentation, with our finer time stamp."""
    body = logplex_body([Message(AT, "heroku", "web.3", "State changed from starting to up")])
    line = b"<45>1 2012-11-30T06:45:29.500000+00:00 host heroku web.3 - State changed from starting to up\n"
    assert body == b"%d %s" % (len(line), line)


def test_lengths_count_bytes() -> None:
    body = logplex_body([Message(AT, "app", "web.1", "é"), Message(AT, "heroku", "router", "at=info")])
    first = "<190>1 2012-11-30T06:45:29.500000+00:00 host app web.1 - é\n".encode()
    assert body.startswith(b"%d " % len(first) + first)
    assert b" <158>1 " in body


def test_syslog_has_its_structured_data_and_the_token_as_host() -> None:
    line = b"<190>1 2012-11-30T06:45:29.500000+00:00 d.1234 app web.1 - - two words"
    assert syslog_frames([Message(AT, "app", "web.1", "two words")], "d.1234") == b"%d %s" % (len(line), line)
