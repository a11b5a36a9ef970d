"""The router beside a plain proxy by nginx, Caddy and a hand-written HAProxy, and directly: taken in turns, pinned.

The proxy has the first core for itself; the load, the dyno's stand-in (nginx) and the receiver of our request log share
the second. Ours has everything on: 5,000 apps, 10,000 hosts, a log line for each request.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from edge_installation import Edge, WebSocket, wait_until

from bench.table import show
from pogo.router import Backend, Routes, Server
from pogo.router.config import LOG_FIELDS, PROGRAM, Files, command, write
from ports import free_port

PACKAGES = ("wrk", "nghttp2-client", "nginx-light", "caddy")
APPS = 5000
HOSTS = 2
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = 3
SOCKETS = 5000
DEPLOYS = 100
HAND = "hand-written HAProxy"
FULL = "the same with headers and log"
APP = "app17-0.example.com"
NEIGHBOUR = "app18-0.example.com"

NGINX = """daemon off; worker_processes 1; error_log stderr crit; pid {place}/{name}.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f;
  uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  upstream dyno {{ server 127.0.0.1:{dyno}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{ {answer} }} }}
}}
"""
PROXY = 'proxy_pass http://dyno; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
CADDY = """{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{dyno} {{
    transport http {{
      keepalive_idle_conns_per_host 128
    }}
  }}
}}
"""
HAPROXY = """global
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option forwardfor
frontend edge
    bind 127.0.0.1:{port}
    default_backend dyno
backend dyno
    balance leastconn
    server dyno 127.0.0.1:{dyno} pool-purge-delay 60s pool-max-conn 500 pool-low-conn 64
"""
# By hand as well, for one app, with what Heroku's contract asks of each request: headers, a retry, a line in the log.
SAME = HAPROXY.replace(
    "defaults\n",
    """ring requests
    format raw
    maxlen 8192
    size 33554432
    server pogod unix@{log} log-proto octet-count
defaults
    http-reuse always
    retries 3
    retry-on conn-failure empty-response
    option redispatch 1
""",
).replace(
    "    default_backend dyno\n",
    """    log ring@requests len 8192 format raw local0
    log-format "{fields}"
    http-request set-header X-Request-Id %[uuid()] unless {{ req.fhdr(x-request-id) -m reg ^[A-Za-z0-9-]{{20,200}}$ }}
    http-request set-var(txn.request_id) req.fhdr(x-request-id)
    http-request set-var(txn.host) req.fhdr(host)
    http-request set-var(txn.fwd) src
    http-request set-var(txn.path) pathq
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Request-Start %[date(0,ms)]
    http-request add-header Via "%[req.ver] pogo"
    http-response add-header Via "%[res.ver] pogo"
    default_backend dyno
""",
)


def measure() -> None:
    missing = [name for name in PACKAGES if not _installed(name)]
    if missing:
        options = ("-qq", "-y", "-o", "DPkg::Lock::Timeout=600", "--no-install-recommends")
        subprocess.run(("apt-get", *options, "install", *missing), check=True, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as directory, _ours() as edge, _others(Path(directory), edge) as (ports, pids):
        print(f"  load of the machine before: {os.getloadavg()[0]:.2f}; cores {os.cpu_count()}; {APPS} apps")
        found: dict[str, list[float]] = {name: [] for name in ports}
        costs: dict[str, list[float]] = {name: [] for name in ports if name != "direct"}
        for _ in range(ROUNDS):
            for name, port in ports.items():
                before = _cpu(pids.get(name, 0))
                found[name].append(_wrk(port))
                if name in costs:
                    costs[name].append((_cpu(pids[name]) - before) / found[name][-1] / SECONDS)
        show(found, "req/s")
        print("  CPU of the proxy for a request, which other work on the machine hardly changes")
        show({HAND: costs.pop(HAND), **costs}, "µs")
        for name in ("nginx", HAND, FULL):
            _ratio(f"ours / {name}", found["ours"], found[name])
        rate = int(median(found["ours"]) / 2)
        delays: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(ROUNDS):
            for name, port in ports.items():
                delays[name].append(_p99(port, rate))
        print(f"  p99 at {rate} req/s, half of what ours can")
        show(delays, "ms")
        print(f"  p99 that ours adds to direct {median(delays['ours']) - median(delays['direct']):31.2f} ms")
        _neighbour(ports)
        _sockets(edge)
        print(f"  load of the machine after: {os.getloadavg()[0]:.2f}")


def _installed(name: str) -> bool:
    return subprocess.run(("dpkg", "-s", name), capture_output=True, check=False).returncode == 0


def _ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Of neighbours in time: what else the machine does weighs on both alike."""
    print(f"  {name:<44} {median(a / b for a, b in zip(ours, theirs, strict=True)):10.3f}")


class _Pinned(Edge):
    def start_haproxy(self) -> None:
        self.settings = self.settings.model_copy(update={"max_apps": APPS})
        write(self.settings)
        self.process = subprocess.Popen(("taskset", "-c", "0", *command(self.settings), "-q"), start_new_session=True)
        wait_until(self._answers, "HAProxy does not start", 30)


@contextmanager
def _ours() -> Iterator[_Pinned]:
    edge = _Pinned(max_apps=1)
    try:
        edge.start()
        yield edge
    finally:
        edge.close()


@contextmanager
def _others(place: Path, edge: Edge) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Everything that runs: name → port, name → process."""
    ports = {name: free_port() for name in ("direct", "nginx", "Caddy", HAND, FULL)}
    dyno = ports["direct"]
    values = {"place": place, "dyno": dyno}
    answer = 'return 200 "Hello, world\\n";'
    (place / "dyno.conf").write_text(NGINX.format(**values, name="dyno", port=dyno, answer=answer))
    (place / "nginx.conf").write_text(NGINX.format(**values, name="nginx", port=ports["nginx"], answer=PROXY))
    (place / "Caddyfile").write_text(CADDY.format(dyno=dyno, port=ports["Caddy"]))
    (place / "haproxy.cfg").write_text(HAPROXY.format(dyno=dyno, port=ports[HAND]))
    (place / "same.cfg").write_text(
        SAME.format(dyno=dyno, port=ports[FULL], log=Files.of(edge.settings).log_socket, fields="\\t".join(LOG_FIELDS))
    )
    caddy = ("caddy", "run", "--config", str(place / "Caddyfile"), "--adapter", "caddyfile")
    commands = (
        ("1", "nginx", "-c", str(place / "dyno.conf"), "-p", str(place)),
        ("0", "nginx", "-c", str(place / "nginx.conf"), "-p", str(place)),
        ("0", *caddy),
        ("0", str(PROGRAM), "-db", "-q", "-f", str(place / "haproxy.cfg")),
        ("0", str(PROGRAM), "-db", "-q", "-f", str(place / "same.cfg")),
    )
    (place / "caddy").mkdir()
    environment = {**os.environ, "GOMAXPROCS": "1", "HOME": str(place / "caddy")}
    running = [subprocess.Popen(("taskset", "-c", *one), env=environment) for one in commands]
    try:
        edge.run(edge.router.apply(routes(dyno)))
        ports["ours"] = edge.settings.http_port
        pids = dict(zip(("direct", "nginx", "Caddy", HAND, FULL), (one.pid for one in running), strict=True))
        assert edge.process is not None
        pids["ours"] = edge.process.pid
        time.sleep(2)
        yield ports, pids
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait()


def routes(dyno: int) -> Routes:
    """All apps lead to the one dyno."""
    hosts = {f"app{slot}-{n}.example.com": slot for slot in range(1, APPS + 1) for n in range(HOSTS)}
    backends = {slot: Backend(slot, (Server(f"dyno-{slot}", "127.0.0.1", dyno),)) for slot in range(1, APPS + 1)}
    return Routes(hosts, backends)


def _cpu(pid: int) -> float:
    """µs that the process and its children have taken so far."""
    if not pid:
        return 0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK") + sum(
        _cpu(int(one)) for one in children
    )


def _wrk(port: int) -> float:
    load = (
        "taskset",
        "-c",
        "1",
        "wrk",
        "-t1",
        "-c64",
        f"-d{SECONDS}s",
        "-H",
        f"Host: {APP}",
        f"http://127.0.0.1:{port}/",
    )
    printed = subprocess.run(load, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed, printed
    found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
    assert found, printed
    return float(found[1])


def _p99(port: int, rate: int, host: str = APP) -> float:
    """ms, of requests that come evenly on 32 connections."""
    with tempfile.NamedTemporaryFile("r") as log:
        load = (
            "h2load",
            "--h1",
            "-c32",
            f"-n{rate * SECONDS}",
            f"--rps={max(1, rate // 32)}",
            f"--log-file={log.name}",
        )
        command = ("taskset", "-c", "1", *load, f"--connect-to=127.0.0.1:{port}", f"http://{host}/")
        subprocess.run(command, capture_output=True, check=True)
        rows = [line.split() for line in log.read().splitlines()]
    assert rows, "no request was made"
    taken = sorted(int(row[2]) for row in rows if row[1] == "200")
    assert len(taken) == len(rows), "requests failed"
    return taken[len(taken) * 99 // 100] / 1000


def _neighbour(ports: dict[str, int]) -> None:
    """p99 of an app with 500 requests a second, alone and while another one gets all that 200 connections can ask.

    Beside it the hand-written one, which knows no apps: its share of the load is no neighbour's, but the same load.
    Who asks of the flood gives way to who measures: they share a core, which is not what is looked for.
    """
    found: dict[str, list[float]] = {f"{name}, {how}": [] for name in (HAND, "ours") for how in ("alone", "flooded")}
    for _ in range(ROUNDS):
        for name in (HAND, "ours"):
            url = f"http://127.0.0.1:{ports[name]}/"
            flood = (
                "nice",
                "-n",
                "19",
                "taskset",
                "-c",
                "1",
                "wrk",
                "-t1",
                "-c200",
                "-d60s",
                "-H",
                f"Host: {APP}",
                url,
            )
            found[f"{name}, alone"].append(_p99(ports[name], 500, NEIGHBOUR))
            with subprocess.Popen(flood, stdout=subprocess.DEVNULL) as flooding:
                time.sleep(0.5)
                found[f"{name}, flooded"].append(_p99(ports[name], 500, NEIGHBOUR))
                flooding.terminate()
    print("  p99 of an app with 500 req/s, alone and beside a flood of another app")
    show(found, "ms")


def _sockets(edge: _Pinned) -> None:
    """WebSockets that say nothing, held through deploys of other apps. Clients come from several addresses."""
    held = edge.web("held").server
    dynos = [edge.web("deployed").server for _ in range(2)]
    edge.run(edge.router.apply(Routes({"held.example.com": 1}, {1: Backend(1, (held,))})))
    began = time.monotonic()
    sockets = [edge.run(_open(edge, number)) for number in range(SOCKETS)]
    print(f"  {len(sockets)} WebSockets opened in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    for number in range(DEPLOYS):
        old, new = dynos[number % 2], dynos[(number + 1) % 2]
        other = Backend(2, (Server(f"{new.name}-{number}", new.address, new.port),))
        hosts = {"held.example.com": 1, "other.example.com": 2}
        edge.run(edge.router.apply(Routes(hosts, {1: Backend(1, (held,)), 2: other})))
        assert edge.get("other.example.com").body.decode() == new.name, old
    taken = (time.monotonic() - began) / DEPLOYS * 1000
    kept = sum(edge.run(socket.echo(b"still here")) == b"still here" for socket in sockets)
    print(f"  {kept} of {SOCKETS} WebSockets live after {DEPLOYS} deploys of another app ({taken:.1f} ms each)")


async def _open(edge: Edge, number: int) -> WebSocket:
    return await WebSocket.open(edge.settings.http_port, "held.example.com", f"127.0.0.{2 + number // 1000}")
