"""The static pack: every key of static.json, asked for over HTTP from nginx in a real container."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from builder_rig import Builder, Web
from pack_rig import Runner, builders

ORIGIN = """
import base64, hashlib, http.server, sys, time

class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade"):
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            text = self.rfile.read(2)
            self.wfile.write(bytes([0x81, text[1] & 127]) + self.rfile.read(4 + (text[1] & 127))[4:])
            self.close_connection = True
        elif "/moved" in self.path:
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/v1/other")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "/stream" in self.path:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            for word in (b"first\\n", b"second\\n"):
                self.wfile.write(word)
                self.wfile.flush()
                time.sleep(0.6)
        else:
            body = f"{self.command} {self.path} {self.headers['Host']} {self.headers.get('X-Forwarded-Proto')}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 7000), Origin).serve_forever()
"""

FILES = {
    "site/index.html": "home",
    "site/about.html": "about",
    "site/dir/index.html": "a directory",
    "site/assets/app.js": "script",
    "site/app.html": "the application",
    "site/api/real.txt": "a file below the proxy",
    "site/kept.html": "a page that a redirect names as well",
    "site/missing.html": "no such page",
    "site/.secret": "hidden",
    "site/.well-known/x.txt": "known",
    "outside.txt": "outside of the root",
    "origin.py": ORIGIN,
    "Procfile": "web: (python3 origin.py &) ; exec bin/boot",
}

SETTINGS = {
    "root": "site/",
    "clean_urls": True,
    "error_page": "missing.html",
    "encoding": "ISO-8859-1",
    "redirects": {
        "/old/page": {"url": "/about", "status": 302},
        "/away": {"url": "${ELSEWHERE}/here?a=$b"},
        "/kept": {"url": "/never"},
        "/api/redirected": {"url": "/never"},
    },
    "routes": {"/assets/*": "/assets/", "/app/**": "app.html", "/one/*": "app.html"},
    "proxies": {"/api/": {"origin": "${API}/v1/"}, "/api/deep/": {"origin": "http://127.0.0.1:7000"}},
    "headers": {
        "/**": {"X-All": "yes", "X-Where": "anywhere"},
        "/assets/*": {"Cache-Control": "public, max-age=3600"},
        "/about": {"X-Where": 'a "quoted" $value'},
    },
    "someday": 1,
}
CONFIG = {"API": "http://127.0.0.1:7000", "ELSEWHERE": "https://other.example"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with builders(tmp_path_factory.mktemp("static")) as runner:
        yield runner


@dataclass(frozen=True)
class Site:
    web: Web

    async def ask(self, target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        """One request; names of headers with `_` for `-`, names of the answer in lower case."""
        given = {"Host": "shop.localhost", "Connection": "close", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        reader, writer = await asyncio.open_connection(self.web.address, 5000)
        writer.write(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        status, *rest = head.split("\r\n")
        return (
            int(status.split()[1]),
            {name.lower(): value for name, _, value in (x.partition(": ") for x in rest)},
            body,
        )

    async def body(self, target: str) -> tuple[int, str]:
        status, _, body = await self.ask(target)
        return status, body


async def serve(builder: Builder, files: dict[str, str], settings: object, **config: str) -> tuple[Site, str]:
    """A running site and what its build said."""
    built = await builder.build({**files, "static.json": json.dumps(settings)}, config=config)
    assert built.status == 0, built.log
    id = await builder.start(built, built.result["process_types"]["web"], {"PORT": "5000", **config})
    seen = next(found for found in await builder.containers.list() if found.id == id)
    web = Web(builder.containers, id, seen.address)
    await web.answers()
    return Site(web), built.log


def test_everything_that_static_json_may_hold(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        site, log = await serve(builder, FILES, SETTINGS, **CONFIG)
        assert "static.json: someday: not known to this buildpack" in log
        await files_come_first(site)
        await redirects_and_routes(site)
        await headers_of_paths(site)
        await nothing_outside_of_the_root(site)
        await asyncio.sleep(0.5)  # for the origin
        await proxies(site)
        await site.web.stop()

    run(scenario)


async def files_come_first(site: Site) -> None:
    assert await site.body("/") == (200, "home")
    assert await site.body("/about") == (200, "about")
    assert await site.body("/about.html") == (200, "about")
    assert await site.body("/dir/") == (200, "a directory")
    status, headers, _ = await site.ask("/dir")
    assert (status, headers["location"]) == (301, "/dir/")
    assert await site.body("/nothing") == (404, "no such page")
    assert await site.body("/nothing.html") == (404, "no such page")
    _, headers, _ = await site.ask("/about")
    assert headers["content-type"] == "text/html; charset=ISO-8859-1"
    assert await site.body("/kept") == (200, "a page that a redirect names as well")
    assert await site.body("/api/real.txt") == (200, "a file below the proxy")


async def redirects_and_routes(site: Site) -> None:
    status, headers, _ = await site.ask("/old/page")
    assert (status, headers["location"]) == (302, "/about")
    status, headers, _ = await site.ask("/away")
    assert (status, headers["location"]) == (301, "https://other.example/here?a=$b")
    assert (await site.body("/old/page/"))[0] == 404
    assert await site.body("/app/a/b?c=d") == (200, "the application")
    assert await site.body("/one/x") == (200, "the application")
    assert (await site.body("/one/x/y"))[0] == 404
    assert await site.body("/assets/app.js") == (200, "script")
    assert (await site.body("/assets/gone.js"))[0] == 404


async def headers_of_paths(site: Site) -> None:
    """The last definition that matches wins whole."""
    _, headers, _ = await site.ask("/app/x")
    assert (headers["x-all"], headers["x-where"]) == ("yes", "anywhere")
    _, headers, _ = await site.ask("/assets/app.js")
    assert headers["cache-control"] == "public, max-age=3600"
    assert "x-all" not in headers
    _, headers, _ = await site.ask("/about")
    assert headers["x-where"] == 'a "quoted" $value'
    assert "x-all" not in headers
    for target in ("/nothing", "/old/page"):
        assert (await site.ask(target))[1]["x-all"] == "yes"


async def nothing_outside_of_the_root(site: Site) -> None:
    for target in ("/../outside.txt", "/..%2foutside.txt", "/%2e%2e/outside.txt", "/assets/../../outside.txt"):
        status, body = await site.body(target)
        assert status in (400, 404) and "outside" not in body, target
    for target in ("/.secret", "/static.json", "/dir/../.secret", "/%2esecret"):
        assert (await site.body(target))[0] == 404, target
    assert await site.body("/.well-known/x.txt") == (200, "known")


async def proxies(site: Site) -> None:
    assert await site.body("/api/items?a=b") == (200, "GET /v1/items?a=b 127.0.0.1:7000 None")
    assert await site.body("/api/redirected") == (200, "GET /v1/redirected 127.0.0.1:7000 None")
    assert await site.body("/api/deep/x%20y") == (200, "GET /x%20y 127.0.0.1:7000 None")
    status, _, body = await site.ask("/api/items", "POST", Content_Length="0", X_Forwarded_Proto="https")
    assert (status, body) == (200, "POST /v1/items 127.0.0.1:7000 https")
    assert (await site.body("/apis"))[0] == 404
    status, headers, _ = await site.ask("/api/moved")
    assert (status, headers["location"]) == (302, "/api/other")
    assert await site.web.echo("/api/ws", "hello") == "hello"
    reader, writer = await asyncio.open_connection(site.web.address, 5000)
    writer.write(b"GET /api/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await reader.readuntil(b"first\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readuntil(b"second\n"), 0.2)
    await reader.readuntil(b"second\n")
    writer.close()


def test_https_a_canonical_host_and_a_password(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        settings = {"https_only": True, "canonical_host": "${HOST_NAME}", "logging": {"access": False}}
        config = {"HOST_NAME": "www.example", "BASIC_AUTH_USERNAME": "ann", "BASIC_AUTH_PASSWORD": "secret"}
        site, _ = await serve(builder, {"index.html": "home", "a.txt": "a"}, settings, **config)
        status, headers, _ = await site.ask("/a.txt?b", Host="www.example")
        assert (status, headers["location"]) == (301, "https://www.example/a.txt?b")
        status, headers, _ = await site.ask("/a.txt", Host="example", X_Forwarded_Proto="https")
        assert (status, headers["location"]) == (301, "https://www.example/a.txt")
        status, headers, _ = await site.ask("/a.txt", Host="www.example", X_Forwarded_Proto="https")
        assert (status, headers["www-authenticate"]) == (401, 'Basic realm="Restricted"')
        login = {"Host": "www.example", "X_Forwarded_Proto": "https", "Authorization": "Basic YW5uOnNlY3JldA=="}
        assert (await site.ask("/a.txt", **login))[::2] == (200, "a")
        assert (await site.ask("/static.json", **login))[0] == 404
        await site.web.stop()

    run(scenario)


def test_a_site_that_cannot_start_says_why(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        settings = {"proxies": {"/api/": {"origin": "${API}"}}, "basic_auth": True}
        built = await builder.build({"index.html": "home", "static.json": json.dumps(settings)})
        assert built.status == 0, built.log
        assert "static.json needs the config var API: pogo config:set API=" in built.log
        web = built.result["process_types"]["web"]
        status, output = await builder.run(built, web, {"PORT": "5000"})
        assert status == 1 and "static.json: basic_auth: nobody could log in." in output
        status, output = await builder.run(
            built, web, {"PORT": "5000", "BASIC_AUTH_USERNAME": "a", "BASIC_AUTH_PASSWORD": "b"}
        )
        assert status == 1 and "static.json: proxies: /api/: origin: the config var API is not set." in output
        refused = await builder.build({"index.html": "", "static.json": '{"routes": {"/a": 1}}'})
        assert refused.status != 0 and " !     static.json: routes: /a: 1 is not a text" in refused.log

    run(scenario)
