"""The bytes of attaching: hello, frames, records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import rendezvous
from pogo.rules.rendezvous import (
    EXIT_MARKER,
    RECORD,
    Decoder,
    Frame,
    FramedWire,
    Hello,
    ProtocolError,
    RawWire,
    cut_records,
    encode,
    parse_hello,
)

MARKER_LINE = EXIT_MARKER + b" heroku-command-exit-status: 0\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"s3cret\r\n", Hello("s3cret", False)),
        (b"s3cret?a=b\n", Hello("s3cret?a=b", False)),
        (b"s3cret pogo/1\r\n", Hello("s3cret", True)),
        (rendezvous.hello("abc"), Hello("abc", True)),
    ],
)
def test_hello(line: bytes, expected: Hello) -> None:
    assert parse_hello(line) == expected


@pytest.mark.parametrize("line", [b"", b"\r\n", b"s3cret", b"a b\n", b"a pogo/2\n", b"\xff\n", b"GET / HTTP/1.1\r\n"])
def test_what_is_no_hello(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_hello(line)


@given(
    st.lists(st.tuples(st.sampled_from("derxm"), st.binary(max_size=300)), max_size=10),
    st.lists(st.integers(1, 50), max_size=80),
)
def test_frames_arrive_whatever_the_pieces(frames: list[tuple[str, bytes]], sizes: list[int]) -> None:
    data = b"".join(encode(kind, payload) for kind, payload in frames)
    decoder = Decoder("derxm")
    seen = []
    for size in [*sizes, len(data)]:
        seen += decoder.feed(data[:size])
        data = data[size:]
    assert seen == [Frame(*frame) for frame in frames]


def test_the_bytes_of_frames() -> None:
    assert encode("d", b"abc") == b"d\0\0\0\3abc"
    assert encode("e") == b"e\0\0\0\0"
    assert rendezvous.encode_size(24, 80) == b"r\0\0\0\4\0\x18\0\x50"
    assert rendezvous.encode_exit(-1) == b"x\0\0\0\4\xff\xff\xff\xff"
    assert rendezvous.decode_size(b"\0\x18\0\x50") == (24, 80)
    assert rendezvous.decode_exit(b"\0\0\0\x89") == 137


def test_much_data_is_several_frames() -> None:
    data = bytes(range(256)) * 1000
    frames = Decoder("d").feed(encode("d", data))
    assert len(frames) == 4
    assert b"".join(frame.payload for frame in frames) == data


@pytest.mark.parametrize("data", [b"q\0\0\0\0", b"x\0\0\0\0", b"d\0\1\0\1", b"d\xff\xff\xff\xff", b"\xff\0\0\0\0"])
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder("der").feed(data)


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\0\0"])
def test_payloads_of_the_wrong_size(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        rendezvous.decode_size(payload)
    with pytest.raises(ProtocolError):
        rendezvous.decode_exit(payload)


def test_eot_ends_raw_input_that_is_no_terminals() -> None:
    assert RawWire(tty=False).feed(b"abc") == [Frame("d", b"abc")]
    assert RawWire(tty=False).feed(b"abc\x04ignored") == [Frame("d", b"abc"), Frame("e", b"")]
    assert RawWire(tty=False).feed(b"\x04") == [Frame("e", b"")]
    assert RawWire(tty=True).feed(b"abc\x04\x03") == [Frame("d", b"abc\x04\x03")]


def test_messages_are_shown_by_both_clients() -> None:
    assert RawWire(tty=False).message("no") == b"\r\n !     no\r\n"
    assert FramedWire().message("no") == b"m\0\0\0\2no"
    assert FramedWire().pack(b"out\xc3", flush=False) == ([b"d\0\0\0\4out\xc3"], b"")
    assert FramedWire().pack(b"", flush=True) == ([], b"")


@pytest.mark.parametrize(
    ("output", "records", "rest"),
    [
        (b"", [], b""),
        (b"$ ", [b"$ "], b""),
        (b"caf\xc3", [b"caf"], b"\xc3"),
        (b"\xe2\x82", [], b"\xe2\x82"),
        (b"\xe2\x82\xac", [b"\xe2\x82\xac"], b""),
        (b"\x80\x80\x80\x80", [b"\x80\x80\x80\x80"], b""),
        (b"out" + MARKER_LINE[:9], [b"out"], MARKER_LINE[:9]),
        (b"out\n" + MARKER_LINE + b"more", [b"out\n", MARKER_LINE + b"more"], b""),
        (b"out" + MARKER_LINE, [b"out", MARKER_LINE], b""),
        (b"no marker " + EXIT_MARKER + b"x" * 100, [b"no marker " + EXIT_MARKER + b"x" * 100], b""),
    ],
)
def test_records_end_where_nothing_is_torn(output: bytes, records: list[bytes], rest: bytes) -> None:
    assert cut_records(output) == (records, rest)
    assert b"".join(cut_records(output, flush=True)[0]) == output


@given(st.integers(0, 3 * RECORD), st.sampled_from([b"x", b"\xe2\x82\xac", b"\n"]), st.lists(st.integers(1, 30_000)))
def test_the_exit_marker_is_in_one_record(before: int, filler: bytes, pieces: list[int]) -> None:
    output = (filler * (before // len(filler))) + MARKER_LINE
    records: list[bytes] = []
    held, rest = b"", output
    for size in [*pieces, len(output)]:
        sent, held = cut_records(held + rest[:size])
        rest = rest[size:]
        records += sent
    records += cut_records(held, flush=True)[0]
    assert b"".join(records) == output
    assert all(0 < len(record) <= RECORD for record in records)
    assert records[-1] == MARKER_LINE
    for record in records:
        record.decode()


@given(st.binary(max_size=100).map(lambda data: data * 700), st.booleans())
def test_any_output_passes_whole(output: bytes, flush: bool) -> None:
    records, rest = cut_records(output, flush=flush)
    assert b"".join(records) + rest == output
    assert all(0 < len(record) <= RECORD for record in records)
    assert len(rest) <= (0 if flush else 64)
