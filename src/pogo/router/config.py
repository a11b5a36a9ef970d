"""The static configuration of HAProxy: everything that does not change while an installation runs.

Apps, dynos and hosts are not in it. They reach HAProxy through its runtime socket (`haproxy.py`) and
land in the spare backends and the maps declared here. Why: docs/decisions/0005-router.md.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from pogo.router import PLAIN
from pogo.settings import SSH_PORT, Settings

# The fields of one record of the request log, in order, tab-separated; `rules/router_log.py` reads them.
# Free text from the client comes last, so that a cut or hostile line cannot shift the fields before it.
LOG_FIELDS = (
    "%[date(0,us)]",
    "%[var(txn.backend)]",
    "%[var(txn.refusal)]",
    "%s",
    "%ts",
    "%ST",
    "%B",
    "%U",
    "%TR",
    "%Tw",
    "%Tc",
    "%Tr",
    "%Ta",
    "%rc",
    "%[ssl_fc]",
    "%sslv",
    "%HV",
    "%HM",
    "%[var(txn.request_id)]",
    "%[var(txn.host)]",
    "%[var(txn.fwd)]",
    "%[var(txn.path)]",
)

MAX_LOG_LINE = 8192
# Seconds of silence from a client that has more to send or to take (H28); in the queue for a dyno (H11).
# HAProxy 2.6 takes neither from a map.
CLIENT_IDLE = 55
# Seconds for the whole head of a request (slowloris).
HEADER_TIME = 30
QUEUE_TIME = 10
CONNECT_TIME = 5
# Labels that a request's host can have below a wildcard.
WILDCARD_DEPTH = 6
# How long a request waits for a starting dyno (Heroku's H20), and how often it looks, in ms.
BOOT_WAIT = 75
BOOT_LOOK = 25
# How long a request waits for a router without routes (just started) in s.
ROUTES_WAIT = 20
# Open connections of one client (of one /64 with IPv6), a quarter of all.
CLIENT_CONNECTIONS = 2000
PROGRAM = Path("/usr/sbin/haproxy")


@dataclass(frozen=True)
class Files:
    """Where the parts of the configuration lie: all under `<state>/haproxy`, but for the sockets.

    master_socket: of HAProxy's first process, which knows those that only finish what they have.
    """

    directory: Path
    log_socket: Path
    master_socket: Path

    @classmethod
    def of(cls, settings: Settings) -> Files:
        run = settings.run_dir
        return cls(settings.state_dir / "haproxy", run / "router-log.sock", run / "haproxy-master.sock")

    @property
    def config(self) -> Path:
        return self.directory / "haproxy.cfg"

    @property
    def hosts(self) -> Path:
        """Map: lower-case host → backend name. HAProxy loads it empty and keeps it in memory."""
        return self.directory / "hosts.map"

    @property
    def refusals(self) -> Path:
        """Map: backend name → Heroku's code for an app that serves nothing. In memory as well."""
        return self.directory / "refusals.map"

    @property
    def answers(self) -> Path:
        """Map: path of an authority's challenge (ACME) → the answer. In memory as well."""
        return self.directory / "answers.map"

    @property
    def options(self) -> Path:
        """Map: backend name → how its requests are treated, where that is not as usual (`options.line`)."""
        return self.directory / "options.map"

    @property
    def addresses(self) -> Path:
        """Map: range of an app's clients → `allow` or `deny` (`options.address_keys`)."""
        return self.directory / "addresses.map"

    @property
    def sticky(self) -> Path:
        """Map: value of an affinity cookie → server's name, for dynos that take new requests."""
        return self.directory / "sticky.map"

    @property
    def hop_by_hop(self) -> Path:
        return self.directory / "hop_by_hop.lua"

    @property
    def wait(self) -> Path:
        return self.directory / "wait.lua"

    @property
    def pages(self) -> Path:
        return self.directory / "pages"

    @property
    def certificates(self) -> Path:
        """crt-list: one PEM file (chain and key) a line; the first is for names that no other one covers."""
        return self.directory / "certs" / "crt-list.txt"

    @property
    def default_certificate(self) -> Path:
        return self.directory / "certs" / "default.pem"


def command(settings: Settings) -> tuple[str, ...]:
    """How HAProxy is started: a master, which stays, and a worker, which a new one takes over on SIGUSR2."""
    paths = Files.of(settings)
    master = f"{paths.master_socket},mode,660,user,{settings.user},group,{settings.user},level,operator"
    return (str(PROGRAM), "-W", "-db", "-S", master, "-f", str(paths.config))


def backend_name(slot: int) -> str:
    return f"app{slot:04d}"


def websockets_name(slot: int) -> str:
    """The backend beside it: open WebSockets do not count as requests in flight."""
    return f"app{slot:04d}-ws"


def render(settings: Settings, *, as_root: bool = True, configuration: str = "none") -> str:
    """The text of haproxy.cfg.

    as_root: HAProxy is started as root, binds its ports and becomes user `haproxy`, group `settings.user`.
    Otherwise it stays who it is, which has to be a user that may bind the ports.
    configuration: names all that HAProxy reads at its start, for `show env`.
    """
    paths = Files.of(settings)
    own_hosts = [f"{name}.{settings.domain}" for name in ("api", "git", "dashboard")]
    if settings.local:
        own_hosts += ["localhost", "127.0.0.1"]
    bind = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    text = Template((files("pogo.router") / "haproxy.cfg.template").read_text())
    return text.substitute(
        identity=f"    user haproxy\n    group {settings.user}\n" if as_root else "",
        socket_owner=f"user {settings.user} group {settings.user} " if as_root else "",
        admin_socket=settings.router_socket,
        configuration=configuration,
        log_socket=paths.log_socket,
        daemon_socket=settings.daemon_socket,
        http=f"{bind}:{settings.http_port}",
        https=f"{bind}:{settings.https_port}",
        certificates=paths.certificates,
        hosts=paths.hosts,
        refusals=paths.refusals,
        answers=paths.answers,
        options=paths.options,
        addresses=paths.addresses,
        sticky=paths.sticky,
        client_idle=CLIENT_IDLE,
        client_connections=CLIENT_CONNECTIONS,
        header_time=HEADER_TIME,
        queue_time=QUEUE_TIME,
        connect_time=CONNECT_TIME,
        queue=PLAIN.queue,
        idle=PLAIN.idle,
        wildcards=_wildcards(paths),
        https_port="" if settings.https_port == 443 else f":{settings.https_port}",
        hop_by_hop=paths.hop_by_hop,
        pages=paths.pages,
        wait=paths.wait,
        own_hosts=" ".join(own_hosts),
        log_format="\\t".join(LOG_FIELDS),
        max_log_line=MAX_LOG_LINE,
        ssh=_ssh(settings),
        spare_backends=_spare_backends(range(1, settings.max_apps + 1)),
    )


def _ssh(settings: Settings) -> str:
    """SSH into dynos. A port of its own: telling it from HTTP by its first bytes costs HTTP a third (decision 0016)."""
    if not settings.ssh_host:
        return ""
    host = f"[{settings.ssh_host}]" if ":" in settings.ssh_host else settings.ssh_host
    lines = (
        "listen ssh",
        "    mode tcp",
        f"    bind {host}:{SSH_PORT}",
        "    maxconn 500",
        "    timeout connect 5s",
        "    timeout client 1h",
        "    timeout server 1h",
        f"    server pogod unix@{settings.ssh_socket}",
    )
    return "\n".join(lines) + "\n"


def _certificate_list(settings: Settings) -> str:
    """The installation's own certificate, shown where no other one fits: that is why its first line names no host.

    API and git speak HTTP/1.1 alone: HAProxy 2.6 ends an HTTP/2 stream as if it were complete when its server dies
    half-way; git then waits for ever for the rest of the answer to a push whose daemon was killed.
    """
    certificate = Files.of(settings).default_certificate
    return f"{certificate} default.invalid\n{certificate} [alpn http/1.1] {' '.join(one_at_a_time(settings))}\n"


def one_at_a_time(settings: Settings) -> list[str]:
    """The hosts that speak HTTP/1.1 alone."""
    return sorted({settings.api_host, settings.git_host})


def _wildcards(paths: Files) -> str:
    """Rules that try `*.b.example.com`, `*.example.com`, … for the host a.b.example.com."""
    one = (
        "    http-request set-var(txn.wildcard) var(txn.wildcard),regsub(^[*]?[.]?[^.]*,*) unless known\n"
        f"    http-request set-var(txn.backend) var(txn.wildcard),map_str({paths.hosts}) unless known\n"
    )
    return one * WILDCARD_DEPTH


def _spare_backends(slots: Sequence[int]) -> str:
    sticky = "\n    use-server %[var(txn.sticky)] if { var(txn.sticky) -m found }"
    return "\n".join(
        f"backend {backend_name(slot)} from app{sticky}\nbackend {websockets_name(slot)} from app{sticky}\n"
        "    http-reuse never"
        for slot in slots
    )


def write(settings: Settings, *, as_root: bool = True) -> bool:
    """Write the configuration and all files it names but the certificates. True if anything changed.

    HAProxy must then be started, or take it over if it runs (`install/takeover.py`); the next `Router.apply` brings
    the routes back.
    """
    wanted = _wanted(settings, as_root=as_root)
    paths = Files.of(settings)
    for directory in (paths.directory, paths.pages):
        directory.mkdir(parents=True, exist_ok=True)
    paths.certificates.parent.mkdir(mode=0o700, exist_ok=True)
    changed = [path for path, text in wanted.items() if _replace(path, text)]
    return bool(changed)


def configuration(settings: Settings) -> str:
    """Names what `write` writes, the default certificate and the program: 16 hex digits, in HAProxy's environment."""
    digest = hashlib.sha256(repr(sorted(_wanted(settings, named=False).items())).encode())
    for path in (PROGRAM, Files.of(settings).default_certificate):
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]


def _wanted(settings: Settings, *, as_root: bool = True, named: bool = True) -> dict[Path, str]:
    paths = Files.of(settings)
    wanted = {
        paths.config: render(settings, as_root=as_root, configuration=configuration(settings) if named else "none"),
        paths.hosts: "",
        paths.refusals: "",
        paths.answers: "",
        paths.options: "",
        paths.addresses: "",
        paths.sticky: "",
        paths.wait: _waiting(paths),
        paths.hop_by_hop: (files("pogo.router") / "hop_by_hop.lua").read_text(),
        paths.certificates: _certificate_list(settings),
    }
    for name in ("application-error", "maintenance", "unknown-host"):
        wanted[paths.pages / f"{name}.html"] = _page(name)
    return wanted


def _waiting(paths: Files) -> str:
    text = (files("pogo.router") / "wait.lua").read_text()
    values = {"REFUSALS": paths.refusals, "SECONDS": BOOT_WAIT, "PAUSE_MS": BOOT_LOOK, "ROUTES_SECONDS": ROUTES_WAIT}
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _page(name: str) -> str:
    return (files("pogo.router") / "pages" / f"{name}.html").read_text()


def _replace(path: Path, text: str) -> bool:
    if path.exists() and path.read_bytes() == text.encode():
        return False
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as new:
        new.write(text.encode())
    Path(new.name).chmod(0o644)
    shutil.move(new.name, path)
    return True
