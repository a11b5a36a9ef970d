"""The request log: HAProxy's record of a request → Heroku's `heroku[router]` line. Pure.

The fields and their order are `LOG_FIELDS` in `router/config.py`. Codes: Heroku, "Error Codes".
"""

from __future__ import annotations

from typing import NamedTuple

# The longest frame that HAProxy is configured to send is 8 KiB; a longer one means the stream is out of step.
LONGEST_FRAME = 64 * 1024
FIELD_COUNT = 22

DESCRIPTIONS = {
    "H10": "App crashed",
    "H11": "Backlog too deep",
    "H12": "Request timeout",
    "H13": "Connection closed without response",
    "H14": "No web processes running",
    "H15": "Idle connection",
    "H17": "Poorly formatted HTTP response",
    "H18": "Server Request Interrupted",
    "H19": "Backend connection timeout",
    "H20": "App boot timeout",
    "H21": "Backend connection refused",
    "H26": "Request Error",
    "H27": "Client Request Interrupted",
    "H28": "Client Connection Idle",
    "H80": "Maintenance mode",
    "H99": "Platform error",
    # Ours: what an app's owner has set keeps a request from its dynos.
    "P10": "Address not allowed",
    "P11": "Too many requests",
    "P12": "Password required",
}

_NO_SERVER = "<NOSRV>"
_AT = {
    "H80": "at=info",
    "P10": "at=info",
    "P11": "at=warning",
    "P12": "at=info",
    "H27": "sock=client at=warning",
    "H28": "at=warning",
    "H18": "sock=backend at=error",
}
_STATUS = {"H26": 400, "H27": 499, "H28": 499, "P10": 403, "P11": 429, "P12": 401}
# The request never reached a dyno; then Heroku leaves connect, service and bytes empty.
_WITHOUT_DYNO = frozenset({"H10", "H11", "H14", "H20", "H26", "H80", "H99", "P10", "P11", "P12"})
_REFUSED = frozenset({"H19", "H21"})
_WITHOUT_ANSWER = frozenset({"H12", "H13", "H17"})

# HAProxy's termination state: who ended the request, then when. HAProxy manual, 8.5.
_CODES = {
    "SC": "H21",
    "SQ": "H11",
    "SH": "H13",
    "SD": "H18",
    "SL": "H18",
    "sC": "H19",
    "sQ": "H11",
    "sH": "H12",
    "sD": "H15",
    "sL": "H15",
    "PR": "H26",
    "PH": "H17",
    "PD": "H18",
    "PL": "H18",
    "KC": "H21",
    "KH": "H13",
    "KD": "H18",
    "KL": "H18",
    "DC": "H21",
    "DH": "H13",
    "DD": "H18",
    "DL": "H18",
}
_CODES_BY_CAUSE = {"C": "H27", "c": "H28", "L": "", "-": ""}


class RouterRecord(NamedTuple):
    """One finished request of an app. Times in ms, -1 where that stage was not reached.

    time: µs since the epoch, at the end of the request. server: the dyno's container id, "" if none was chosen.
    termination: HAProxy's two letters, `--` for a normal end. waited: in the queue; first_byte: from the request sent
    to the first byte of the answer; total: from the first byte of the request to the last of the answer.
    """

    time: int
    slot: int
    refusal: str
    server: str
    termination: str
    status: int
    bytes_sent: int
    bytes_received: int
    receiving: int
    waited: int
    connect: int
    first_byte: int
    total: int
    retries: int
    tls: bool
    tls_version: str
    http_version: str
    method: str
    request_id: str
    host: str
    fwd: str
    path: str


def split_frames(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Octet-counted syslog (RFC 6587): `<length> <message>`… → the complete messages and the unfinished rest.

    Raises ValueError when the stream is not such; the connection is useless then.
    """
    frames = []
    start = 0
    while (space := buffer.find(b" ", start, start + 8)) > 0:
        end = space + 1 + int(buffer[start:space])
        if end - space > LONGEST_FRAME or end <= space:
            raise ValueError(f"cannot read the router log: a frame of {end - space - 1} bytes")
        if end > len(buffer):
            break
        frames.append(buffer[space + 1 : end])
        start = end
    else:
        if len(buffer) - start >= 8:
            raise ValueError(f"cannot read the router log: {buffer[start : start + 8]!r} is not a frame's length")
    return frames, buffer[start:]


def parse(frame: bytes) -> RouterRecord | None:
    """One message of the log → the record; None where the request reached no app, or it is no record at all."""
    fields = frame.decode(errors="replace").split("\t", FIELD_COUNT - 1)
    if len(fields) != FIELD_COUNT or not fields[1].startswith("app"):
        return None
    (time, backend, refusal, server, termination, status, sent, received, receiving, waited, connect) = fields[:11]
    (first_byte, total, retries, tls, tls_version, http_version, method, request_id, host, fwd, path) = fields[11:]
    try:
        return RouterRecord(
            int(time),
            int(backend[3:]),
            "" if refusal == "-" else refusal,
            "" if server == _NO_SERVER else server,
            termination,
            int(status),
            int(sent),
            int(received),
            int(receiving),
            int(waited),
            int(connect),
            int(first_byte),
            int(total),
            int(retries),
            tls == "1",
            "" if tls_version == "-" else tls_version.replace("TLSv", "tls"),
            http_version,
            method,
            request_id,
            host,
            fwd,
            path,
        )
    except ValueError:
        return None


def code(record: RouterRecord) -> str:
    """Heroku's H code of a failed request, "" for one that went well. A WebSocket ends well whoever closes it.

    One that nobody closed, but that was silent for too long, is H15.
    """
    if record.refusal:
        return record.refusal
    if record.status == 101:
        return "H15" if record.termination in ("sD", "cD") else ""
    if record.termination == "--":
        return ""
    if not record.server and record.termination == "SC":
        return "H99"
    found = _CODES.get(record.termination)
    return found if found is not None else _CODES_BY_CAUSE.get(record.termination[0], "H99")


def heroku_line(record: RouterRecord, dyno_name: str) -> str:
    """The text of the app's log line, Heroku's fields in Heroku's order. dyno_name: `web.1`, "" if none."""
    failure = code(record)
    head = f'{_AT.get(failure, "at=error")} code={failure} desc="{DESCRIPTIONS[failure]}"' if failure else "at=info"
    connect, service, sent = _measures(record, failure)
    status = _STATUS.get(failure, 503) if failure else record.status
    fwd = record.fwd.replace('"', "'")
    path = record.path.replace('"', "%22")
    tls = f" tls_version={record.tls_version}" if record.tls_version else ""
    return (
        f'{head} method={record.method} path="{path}" host={record.host} request_id={record.request_id} fwd="{fwd}" '
        f"dyno={dyno_name} connect={connect} service={service} status={status} bytes={sent} "
        f"protocol={'https' if record.tls else 'http'}{tls}"
    )


def _measures(record: RouterRecord, failure: str) -> tuple[str, str, str]:
    """connect, service and bytes as Heroku shows them: bytes that the dyno did not send are not counted."""
    if failure in _WITHOUT_DYNO or not (failure or record.server):
        return "", "", ""
    after_queue = record.total - record.receiving - max(record.waited, 0)
    if failure in _REFUSED or record.connect < 0:
        return f"{max(after_queue, 0)}ms", "", "0" if failure in _STATUS else ""
    answered = record.first_byte >= 0 and failure not in _WITHOUT_ANSWER
    return (
        f"{record.connect}ms",
        f"{max(after_queue - record.connect, 0)}ms",
        str(record.bytes_sent if answered else 0),
    )
