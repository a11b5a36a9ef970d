"""Requests a second to one dyno that answers 13 bytes: direct, and through the router with its log and headers."""

from __future__ import annotations

import re
import socket
import subprocess

from installation import CHECKOUT, Installation

from bench.table import show

ROUNDS = 4
SECONDS = 5
NGINX = """daemon off; pid /tmp/nginx.pid; error_log stderr;
events {}
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
  scgi_temp_path /tmp/s;
  server { listen PORT; location / { return 200 "Hello, world\\n"; } }
}
"""


def measure(platform: Installation) -> None:
    work = platform.home / "bench-route"
    work.mkdir()
    (work / "nginx.conf.in").write_text(NGINX)
    (work / "Procfile").write_text(
        'web: sed "s/PORT/$PORT/" nginx.conf.in > nginx.conf && exec /usr/sbin/nginx -p . -c nginx.conf\n'
    )
    platform.run("git", "init", "--quiet", cwd=work)
    platform.commit(work, "nginx")
    platform.pogo("create", "bench-route", cwd=work)
    platform.push(work)
    direct = servers(platform)[-1]
    found: dict[str, list[float]] = {"direct": [], "through the router": []}
    for _ in range(ROUNDS):
        found["direct"].append(_wrk(f"http://{direct}/", "x"))
        found["through the router"].append(_wrk(f"http://127.0.0.1:{platform.http_port}/", "bench-route.localhost"))
    show(found, "req/s")
    platform.pogo("destroy", "-a", "bench-route", "--confirm", "bench-route")


def servers(platform: Installation) -> list[str]:
    """Address and port of each web dyno of the app that was made last, as the router has them."""
    with socket.socket(socket.AF_UNIX) as runtime:
        runtime.connect(str(platform.state / "run" / "haproxy.sock"))
        runtime.sendall(b"show servers state\n")
        state = runtime.makefile().read()
    rows = [row.split() for row in state.splitlines() if re.search(r" web-[0-9a-f]{12} ", row)]
    return [f"{row[4]}:{row[18]}" for row in rows if row[0] == rows[-1][0]]


def _wrk(url: str, host: str) -> float:
    command = ("wrk", "-t1", "-c64", f"-d{SECONDS}s", "-H", f"Host: {host}", url)
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
    assert "Non-2xx" not in printed, printed
    found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
    assert found, printed
    return float(found[1])
