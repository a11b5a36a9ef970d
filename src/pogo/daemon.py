"""pogod: the one place that chooses drivers and starts everything.

Runs as the user `pogo`, one per state directory. It may be killed at any moment: the next one
takes up what it finds in the database and in the containers that went on running.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import structlog
import uvicorn
import uvloop

from pogo.api.app import create_app
from pogo.api.rendezvous import AttachTarget, Rendezvous
from pogo.api.show.webhooks import describer
from pogo.api.ssh import SshServer
from pogo.api.tls_stream import use_certificate
from pogo.containers.agent import AgentContainers
from pogo.errors import NotFound, PogoError, Unavailable
from pogo.git import bridge
from pogo.log_pipe import never_wait_for_the_log
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops.acme import AcmeLoop
from pogo.loops.backups import Backups
from pogo.loops.builds import Builds
from pogo.loops.certificates import PERIOD as CERTIFICATES_PERIOD
from pogo.loops.certificates import CertificatesLoop
from pogo.loops.cleanup import PERIOD as CLEANUP_PERIOD
from pogo.loops.cleanup import Cleanup
from pogo.loops.drains import PERIOD as DRAINS_PERIOD
from pogo.loops.drains import Drains
from pogo.loops.dynos import Dynos
from pogo.loops.releases import PERIOD as RELEASES_PERIOD
from pogo.loops.releases import Releases
from pogo.loops.routes import RouterLoop
from pogo.loops.setups import PERIOD as SETUPS_PERIOD
from pogo.loops.setups import Setups
from pogo.loops.traffic import PERIOD as TRAFFIC_PERIOD
from pogo.loops.traffic import TrafficLoop
from pogo.loops.turns import Leases, keep_turning
from pogo.loops.usage import UsageLoop
from pogo.loops.webhooks import PERIOD as WEBHOOKS_PERIOD
from pogo.loops.webhooks import Webhooks
from pogo.process import run
from pogo.router.authority import Authority
from pogo.router.config import Files, one_at_a_time
from pogo.router.haproxy import HaproxyRouter
from pogo.router.haproxy_certificates import HaproxyCertificates
from pogo.router.log_receiver import RouterLog
from pogo.rules import sizes, usage
from pogo.rules.router_log import RouterRecord
from pogo.services import builds, dynos, leases
from pogo.services.database import Database, WrongSchema, load_keys, refuse_other
from pogo.services.platform import Hints, Platform
from pogo.services.postgres import driver_url, is_postgres
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.choice import open_store

log = structlog.get_logger()
LONGEST_BACKUP = 6 * 3600
GRACEFUL = 3  # seconds for requests in flight when pogod is told to stop


def main() -> None:
    never_wait_for_the_log()
    settings = Settings()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    lock = hold_alone(settings)
    with lock:
        try:
            refuse_other(settings.database)
        except WrongSchema as error:
            sys.exit(error.message)
        except Unavailable as error:  # what runs is served meanwhile
            log.warning("the database's schema is not known", error=error.message)
        uvloop.run(serve(settings))


def hold_alone(settings: Settings) -> TextIO:
    """An exclusive lock on the state directory, held until the returned file is closed. Exits if taken."""
    lock = (settings.run_dir / "pogod.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"pogod runs already on {settings.state_dir}.")
    return lock


def assemble(settings: Settings) -> Platform:
    """The platform with the drivers that the settings name."""
    load_keys(settings.state_dir / "keys" / "secrets.key")
    sizes.offer(sizes.parse_sizes(settings.sizes))
    settings.tmp_dir.mkdir(parents=True, exist_ok=True)  # stays: a full disk has no room to make it again
    for left in settings.tmp_dir.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    store = open_store(settings)
    sweep_store(store)
    return Platform(
        settings=settings,
        db=Database(settings.database),
        store=store,
        logs=FileLogs(settings.state_dir / "logs", settings.log_lines),
        transcripts=Transcripts(settings.state_dir / "transcripts"),
        containers=AgentContainers(settings.agent_socket),
        router=HaproxyRouter(settings.router_socket, Files.of(settings)),
        node=f"{socket.gethostname()}-{settings.tag}",
        hints=_hints(settings.database),
    )


def sweep_store(store: BlobStore) -> None:
    """A store that does not answer now does not keep the platform from starting: what runs is served."""
    try:
        store.sweep()
    except PogoError as error:
        log.warning("the object store is not swept", error=error.message)


def _hints(url: str) -> Hints:
    """On PostgreSQL daemons wake each other's loops. The driver is loaded for those who use it."""
    if not is_postgres(url):
        return Hints()
    from pogo.services.shared_hints import SharedHints

    return SharedHints(driver_url(url))


async def serve(settings: Settings) -> None:
    platform = assemble(settings)
    platform.hints.bind(asyncio.get_running_loop())
    platform.db.describe = describer(settings)
    routes = RouterLoop(platform)
    await routes.begin()

    def on_records(records: list[RouterRecord]) -> None:
        routes.on_records(records)
        platform.traffic.count(records, routes.apps)

    def on_start() -> None:
        platform.hints.wake("router", "certificates")

    router_log = RouterLog(Files.of(settings).log_socket, on_records, on_start)
    await router_log.start()
    context = _own_tls(platform)
    rendezvous = _rendezvous(platform, context)
    await rendezvous.start()
    ssh = SshServer(platform, settings.ssh_host_key, settings.ssh_socket) if settings.ssh_host else None
    if ssh:
        await ssh.start()
    tried = asyncio.Event()
    taken_over = asyncio.create_task(_take_over(platform, tried))
    serving, others = _loops(platform, routes, context)
    tasks = [asyncio.create_task(_after(tried.wait(), work)) for work in serving]
    tasks += [asyncio.create_task(_after(asyncio.shield(taken_over), work)) for work in others]

    app = create_app(platform)
    app.router.routes.extend(bridge.routes(platform))
    server = _Server(
        uvicorn.Config(
            app,
            uds=str(settings.daemon_socket),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACEFUL,
        ),
        app.state.stopping,
    )
    log.info("pogod is up", state_dir=str(settings.state_dir), domain=settings.domain)
    await server.serve()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await rendezvous.stop()
    if ssh:
        await ssh.stop()
    await router_log.stop()
    await TrafficLoop(platform).turn()
    platform.db.close()
    log.info("pogod has stopped")
    # Threads that still work are not waited for: they stand it, as they stand kill -9.
    os._exit(0)


class _Server(uvicorn.Server):
    """uvicorn raises the signal that stopped it once more, which would end the process before all is in order.

    stopping: set by that signal.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _take_over(platform: Platform, tried: asyncio.Event) -> None:
    """Free what the last daemon of this state directory held: it is dead, since its lock is ours.

    Repeated while the disk is full; what runs is served and shown meanwhile. tried: set after the first time.
    """
    while True:
        try:
            await platform.call(builds.drop_claims, platform.node)
            await platform.call(leases.let_go_of_node, platform.node)
            return
        except PogoError as error:
            log.warning("cannot begin to work", error=error.message)
        finally:
            tried.set()
        await asyncio.sleep(1)


async def _after(first: Awaitable[object], work: Coroutine[Any, Any, None]) -> None:
    await first
    await work


Works = list[Coroutine[Any, Any, None]]


def _loops(platform: Platform, routes: RouterLoop, context: ssl.SSLContext) -> tuple[Works, Works]:
    """Those of loops.turns.SERVING, and the others."""
    held = Leases(platform, token=f"{platform.node}:{secrets.token_hex(8)}")
    dynos_loop = Dynos(platform)
    settings = platform.settings
    edge = HaproxyCertificates(settings.router_socket, Files.of(settings), one_at_a_time(settings))
    shown = CertificatesLoop(platform, edge, partial(use_certificate, context))
    acme_loop = AcmeLoop(platform, shown, _authority(settings))
    backups = Backups(platform, _take_backup)
    serving = [
        keep_turning(held, "router", routes.turn, routes.period),
        keep_turning(held, "certificates", shown.turn, CERTIFICATES_PERIOD),
        routes.watch(),
    ]
    return serving, [
        keep_turning(held, "dynos", dynos_loop.turn, dynos_loop.period),
        keep_turning(held, "releases", Releases(platform).turn, RELEASES_PERIOD),
        keep_turning(held, "setups", Setups(platform).turn, SETUPS_PERIOD),
        keep_turning(held, "liveness", dynos_loop.liveness.turn, dynos_loop.liveness.period),
        keep_turning(held, "traffic", TrafficLoop(platform).turn, TRAFFIC_PERIOD),
        keep_turning(held, "acme", acme_loop.turn, acme_loop.period),
        keep_turning(held, "usage", UsageLoop(platform).turn, usage.PERIOD),
        keep_turning(held, "drains", Drains(platform).turn, DRAINS_PERIOD),
        keep_turning(held, "webhooks", Webhooks(platform).turn, WEBHOOKS_PERIOD),
        keep_turning(held, "cleanup", Cleanup(platform).turn, CLEANUP_PERIOD),
        keep_turning(held, "backups", backups.turn, backups.period),
        Builds(platform).run(),
        dynos_loop.watch(),
    ]


def _take_backup() -> str:
    return run(sys.executable, "-I", "-m", "pogo.backup", "take", timeout=LONGEST_BACKUP, cwd=Path("/"))


def _authority(settings: Settings) -> Authority | None:
    """The public authority that gives certificates, where one is set. Its client is loaded for those who use it."""
    if not settings.acme_directory:
        return None
    from pogo.router.acme import AcmeAuthority

    eab = (settings.acme_eab_kid, settings.acme_eab_hmac) if settings.acme_eab_kid else None
    return AcmeAuthority(settings.acme_directory, Path(settings.acme_ca), settings.acme_email, eab)


def _own_tls(platform: Platform) -> ssl.SSLContext:
    """For the TLS that is not HAProxy's: with the installation's own certificate, until there is a better one."""
    tls = platform.settings.state_dir / "tls"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    return context


def _rendezvous(platform: Platform, context: ssl.SSLContext) -> Rendezvous:
    """The attach server, with what it asks about dynos."""
    settings = platform.settings
    attached: dict[str, str] = {}  # container id → dyno id; the dyno outlives its container

    async def claim(secret: str) -> AttachTarget:
        if opening := platform.openings.take(secret):
            return AttachTarget("", opening.tty, opening.open)
        dyno = await platform.call(dynos.claim_attach, secret)
        while dyno.state == "starting" and dyno.address is None:
            await asyncio.sleep(0.05)
            found = await platform.call(dynos.get_dyno, dyno.id)
            if found is None:
                raise NotFound("dyno", "The dyno ended before it was attached.")
            dyno = found
        if dyno.container is None:
            raise NotFound("dyno", "The dyno could not be started; see the app's log.")
        attached[dyno.container] = dyno.id
        return AttachTarget(dyno.container, dyno.tty_rows is not None)

    async def exit_status(container: str) -> int | None:
        dyno_id = attached.pop(container)
        while (dyno := await platform.call(dynos.get_dyno, dyno_id)) is not None:
            if dyno.exit_status is not None:
                return dyno.exit_status
            await platform.hints.wait("attach", 0.2)
        return None

    return Rendezvous(settings.bind, settings.rendezvous_port, context, platform.containers, claim, exit_status)
