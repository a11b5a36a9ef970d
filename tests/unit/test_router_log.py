from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.router.config import LOG_FIELDS
from pogo.rules.router_log import FIELD_COUNT, LONGEST_FRAME, RouterRecord, code, heroku_line, parse, split_frames

RECORD = RouterRecord(
    time=1_795_438_755_177_319,
    slot=12,
    refusal="",
    server="c-1",
    termination="--",
    status=200,
    bytes_sent=13,
    bytes_received=83,
    receiving=2,
    waited=1,
    connect=1,
    first_byte=17,
    total=22,
    retries=0,
    tls=True,
    tls_version="tls1.3",
    http_version="HTTP/1.1",
    method="GET",
    request_id="8deb0ce9-e597-4e4b-8f91-03babd9a68fd",
    host="shop.localhost",
    fwd="1.2.3.4",
    path="/",
)
FRAME = (
    b"1795438755177319\tapp0012\t-\tc-1\t--\t200\t13\t83\t2\t1\t1\t17\t22\t0\t1\tTLSv1.3\tHTTP/1.1\tGET\t"
    b"8deb0ce9-e597-4e4b-8f91-03babd9a68fd\tshop.localhost\t1.2.3.4\t/"
)


def test_one_record() -> None:
    assert parse(FRAME) == RECORD


def test_the_configuration_sends_the_fields_that_are_parsed() -> None:
    assert len(LOG_FIELDS) == FIELD_COUNT == len(RouterRecord._fields)


def test_herokus_line() -> None:
    assert heroku_line(RECORD, "web.1") == (
        'at=info method=GET path="/" host=shop.localhost request_id=8deb0ce9-e597-4e4b-8f91-03babd9a68fd '
        'fwd="1.2.3.4" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=https tls_version=tls1.3'
    )


def test_a_timeout() -> None:
    record = RECORD._replace(
        termination="sH", status=504, first_byte=-1, total=30_004, bytes_sent=929, tls=False, tls_version=""
    )
    assert heroku_line(record, "web.1") == (
        'at=error code=H12 desc="Request timeout" method=GET path="/" host=shop.localhost '
        'request_id=8deb0ce9-e597-4e4b-8f91-03babd9a68fd fwd="1.2.3.4" dyno=web.1 connect=1ms service=30000ms '
        "status=503 bytes=0 protocol=http"
    )


def test_a_refusal_leaves_empty_what_no_dyno_did() -> None:
    record = RECORD._replace(refusal="H80", server="", termination="LR", status=503, connect=-1, total=0)
    line = heroku_line(record, "")
    assert line.startswith('at=info code=H80 desc="Maintenance mode" method=GET')
    assert "dyno= connect= service= status=503 bytes= protocol=https" in line


def test_a_redirection_to_https_is_no_dynos_work() -> None:
    record = RECORD._replace(server="", termination="LR", status=301, connect=-1, first_byte=-1)
    line = heroku_line(record, "")
    assert line.startswith("at=info method=GET")
    assert "dyno= connect= service= status=301 bytes= protocol=https" in line


def test_a_refused_connection_tells_how_long_it_was_tried() -> None:
    record = RECORD._replace(termination="SC", status=503, connect=-1, first_byte=-1, total=3008, receiving=0, waited=0)
    line = heroku_line(record, "web.1")
    assert 'code=H21 desc="Backend connection refused"' in line
    assert "dyno=web.1 connect=3008ms service= status=503 bytes= " in line


def test_the_client_cannot_break_out_of_a_field() -> None:
    line = heroku_line(RECORD._replace(path='/"x" at=error', fwd='1" code=H99 "'), "web.1")
    assert 'path="/%22x%22 at=error"' in line
    assert "fwd=\"1' code=H99 '\"" in line


@pytest.mark.parametrize(
    ("termination", "status", "server", "expected"),
    [
        ("--", 200, "c", ""),
        ("--", 500, "c", ""),
        ("SC", 503, "c", "H21"),
        ("SC", 503, "", "H99"),
        ("sC", 503, "c", "H19"),
        ("sQ", 503, "", "H11"),
        ("sH", 504, "c", "H12"),
        ("sD", 200, "c", "H15"),
        ("SH", 502, "c", "H13"),
        ("SD", 200, "c", "H18"),
        ("PH", 502, "c", "H17"),
        ("PR", 400, "", "H26"),
        ("CH", 400, "c", "H27"),
        ("CD", 200, "c", "H27"),
        ("CD", 101, "c", ""),
        ("SD", 101, "c", ""),
        ("sD", 101, "c", "H15"),
        ("cD", 200, "c", "H28"),
        ("KH", 502, "c", "H13"),
        ("KD", 200, "c", "H18"),
        ("IH", 500, "c", "H99"),
        ("LR", 503, "", ""),
    ],
)
def test_one_code_per_termination_state(termination: str, status: int, server: str, expected: str) -> None:
    assert code(RECORD._replace(termination=termination, status=status, server=server)) == expected


@pytest.mark.parametrize("refusal", ["H10", "H11", "H14", "H20", "H80", "H99", "P10", "P11", "P12"])
def test_a_refusal_is_the_code(refusal: str) -> None:
    assert code(RECORD._replace(refusal=refusal, termination="LR", status=503)) == refusal


@given(st.text("SsPCcKDURIL-x", min_size=2, max_size=2), st.sampled_from([-1, 101, 200, 400, 502, 503, 504]))
def test_any_state_makes_a_line_with_at_most_one_code(termination: str, status: int) -> None:
    line = heroku_line(RECORD._replace(termination=termination, status=status), "web.1")
    assert line.count(" code=") <= 1
    assert line.count("at=") == 1


@pytest.mark.parametrize(
    "frame", [b"", b"3 events dropped", FRAME.replace(b"app0012", b"-"), FRAME.replace(b"200", b"x")]
)
def test_what_is_no_apps_record_is_none(frame: bytes) -> None:
    assert parse(frame) is None


def test_a_dyno_reached_after_redispatch() -> None:
    found = parse(FRAME.replace(b"\t22\t0\t", b"\t22\t+1\t"))
    assert found is not None
    assert found.retries == 1


@given(st.lists(st.binary(max_size=300)), st.integers(1, 50))
def test_frames_survive_any_cutting(messages: list[bytes], size: int) -> None:
    stream = b"".join(b"%d %s" % (len(message), message) for message in messages)
    rest, seen = b"", []
    for start in range(0, len(stream), size):
        frames, rest = split_frames(rest + stream[start : start + size])
        seen += frames
    assert seen == messages
    assert rest == b""


@pytest.mark.parametrize(
    "stream", [b"GET / HTTP/1.1\r\n", b"-5 aaaaaaaaa", b"12345678 x", b"%d x" % (LONGEST_FRAME + 1)]
)
def test_another_protocol_is_refused(stream: bytes) -> None:
    with pytest.raises(ValueError):
        split_frames(stream)
