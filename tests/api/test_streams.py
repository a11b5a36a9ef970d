"""Streams over a real HTTP server: logs and build output, live."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from api_rig import Client, path_of, queue

from pogo.api import signed_urls
from pogo.api.resources import logs as logs_resource
from pogo.logs import Line
from pogo.model import App, Release
from pogo.services import apps
from pogo.services.platform import Platform
from pogo.settings import Settings

AT = 1_800_000_000.0
STAMP = "2027-01-15T08:00:00.000000+00:00"


def write(platform: Platform, app: App, *texts: str, dyno: str = "web.1", source: str = "app") -> None:
    platform.logs.append(app.id, [Line(AT, source, dyno, text) for text in texts])


def open_logs(ann: Client, settings: Settings, **body: object) -> str:
    answer = ann.post("/apps/shop/log-sessions", body)
    assert answer.status_code == 201
    return path_of(settings, answer.json()["logplex_url"])


@contextmanager
def reading(port: int, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    yield connection.getresponse()
    connection.close()


def events(response: http.client.HTTPResponse, count: int) -> list[tuple[str, str]]:
    """The next events as (id, data); comments and `retry` are passed over."""
    found: list[tuple[str, str]] = []
    id = ""
    while len(found) < count:
        name, _, value = response.readline().decode().rstrip("\n").partition(": ")
        if name == "id":
            id = value
        elif name == "data":
            found.append((id, value))
    return found


def texts(response: http.client.HTTPResponse, count: int) -> list[str]:
    return [data.partition("]: ")[2] for _, data in events(response, count)]


def test_the_last_lines(ann: Client, app: App, platform: Platform, settings: Settings, live: int) -> None:
    write(platform, app, "one", "two", "three")
    write(platform, app, "started", source="heroku")
    write(platform, app, "work", dyno="worker.1")
    for body, expected in (
        ({}, ["one", "two", "three", "started", "work"]),
        ({"lines": 2, "tail": False}, ["started", "work"]),
        ({"source": "app", "dyno": "web.1", "lines": 2}, ["two", "three"]),
        ({"dyno_name": "web"}, ["one", "two", "three", "started"]),
        ({"type": "worker"}, ["work"]),
        ({"lines": 0}, []),
        ({"lines": -5}, []),
        ({"source": "nothing"}, []),
    ):
        answer = ann.http.get(open_logs(ann, settings, **body))
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        assert [line.partition("]: ")[2] for line in lines] == expected, body
    with reading(live, open_logs(ann, settings)) as response:
        assert events(response, 1)[0][1] == f"{STAMP} app[web.1]: one"


def test_a_tail_goes_on_and_is_resumed(
    ann: Client, app: App, platform: Platform, settings: Settings, live: int
) -> None:
    write(platform, app, "one", "two")
    path = open_logs(ann, settings, tail=True, lines=1)
    with reading(live, path) as response:
        ((last, data),) = events(response, 1)
        assert data.endswith("two")
        write(platform, app, "three")
        assert texts(response, 1) == ["three"]
    write(platform, app, "four")
    with reading(live, path, **{"Last-Event-ID": last}) as response:
        assert texts(response, 2) == ["three", "four"]
    with reading(live, open_logs(ann, settings, tail=True, lines=0)) as response:
        assert response.readline() == b"retry: 1000\n"
        time.sleep(0.1)
        write(platform, app, "five")
        assert texts(response, 1) == ["five"]


def test_a_tail_ends_in_order_when_pogod_is_told_to_stop(app: App, platform: Platform) -> None:
    """Cut off, the official client gives up; after an end it comes back, in a time in which pogod does."""
    write(platform, app, "one")
    session = logs_resource.LogSession(app_id=app.id, tail=True, lines=1, source="", dyno="", until=0)

    async def read() -> list[bytes]:
        stopping = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stopping.set)
        async with asyncio.timeout(60):
            return [data async for data in logs_resource._events(platform, session, "", stopping)]

    first, line, last = asyncio.run(read())
    assert (first, last) == (b"retry: 1000\n\n", b"retry: 10000\n\n")
    assert line.endswith(b"app[web.1]: one\n\n")


def test_a_quiet_tail_is_kept_alive(
    ann: Client, settings: Settings, live: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_resource, "HEARTBEAT", 0.05)
    with reading(live, open_logs(ann, settings, tail=True)) as response:
        assert [response.readline() for _ in range(6)][2::2] == [b": keep-alive\n"] * 2


def test_followers_hold_no_threads(ann: Client, app: App, platform: Platform, settings: Settings, live: int) -> None:
    """More of them than the server has threads; and it still answers."""
    path = open_logs(ann, settings, tail=True)
    with ExitStack() as stack:
        responses = [stack.enter_context(reading(live, path)) for _ in range(60)]
        with reading(live, "/apps/shop", Authorization=f"Bearer {ann.token}") as answer:
            assert answer.status == 200
        write(platform, app, "hello")
        for response in responses:
            assert texts(response, 1) == ["hello"]


def test_head_of_an_endless_stream_ends(ann: Client, settings: Settings, live: int) -> None:
    path = open_logs(ann, settings, tail=True)
    connection = http.client.HTTPConnection("127.0.0.1", live, timeout=10)
    for method in ("HEAD", "HEAD"):
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
    connection.close()


def test_log_sessions_that_are_none(ann: Client, app: App, platform: Platform, settings: Settings) -> None:
    path = open_logs(ann, settings, tail=True)
    secret = path.rpartition("/")[2]
    payload, _, signature = secret.partition(".")
    for wrong in ("wrong", "", ".", payload, f"{payload}x.{signature}", f"{payload}.{signature[:-1]}", f".{signature}"):
        assert ann.http.get(f"/logs/{wrong}").status_code == 404, wrong
    long_ago = logs_resource.LogSession(app.id, 1, False, "", "", 1_000_000_000).secret(platform.settings)
    expired = ann.http.get(f"/logs/{long_ago}")
    assert (expired.status_code, "has expired" in expired.json()["message"]) == (404, True)
    for body in ({"lines": "many"}, {"tail": "yes"}, {"dyno": 1}, {"dyno": "x" * 101}):
        assert ann.post("/apps/shop/log-sessions", body).status_code == 422, body
    head = ann.http.head(open_logs(ann, settings))
    assert (head.status_code, head.content) == (200, b"")
    apps.destroy_app(platform.db, app)
    assert ann.http.get(path).status_code == 404


def test_the_output_of_a_build(ann: Client, app: App, platform: Platform, settings: Settings, live: int) -> None:
    build = queue(platform.db, app, app.owner)
    (shown,) = ann.get("/apps/shop/builds").json()
    path = path_of(settings, shown["output_stream_url"])
    with reading(live, path) as response:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        platform.transcripts.append(build.id, b"-----> Python\n")
        assert response.readline() == b"-----> Python\n"
        platform.transcripts.append(build.id, b"done\n")
        platform.transcripts.finish(build.id)
        assert response.read() == b"done\n"
    assert ann.http.get(path).text == "-----> Python\ndone\n"
    assert ann.http.get(path, headers={"Range": "bytes=14-"}).text == "done\n"
    assert ann.http.head(path).content == b""


def test_output_that_is_not_there(
    ann: Client, app: App, release: Release, platform: Platform, settings: Settings
) -> None:
    """A release phase that has not begun, a build whose output is gone: 404; a token of something else: 403."""
    path = path_of(settings, signed_urls.stream_url(settings, "releases", release.id))
    assert ann.http.get(path).status_code == 404
    (build,) = ann.get("/apps/shop/builds").json()
    assert ann.http.get(path_of(settings, build["output_stream_url"])).status_code == 404
    token = path.partition("?")[2]
    for wrong in (f"/streams/builds/{release.id}?{token}", f"/streams/releases/{build['id']}?{token}", path[:-1]):
        assert ann.http.get(wrong).status_code == 403
    assert ann.http.get(path.partition("?")[0]).status_code == 403
    platform.transcripts.append(release.id, b"migrated\n")
    platform.transcripts.finish(release.id)
    assert ann.http.get(path).text == "migrated\n"
