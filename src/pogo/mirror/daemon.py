"""pogo-mirror serving: listens where only builds see it, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
import sys
from pathlib import Path

import structlog
import uvloop

from pogo.containers.agent import AgentContainers
from pogo.errors import PogoError
from pogo.log_pipe import never_wait_for_the_log
from pogo.mirror import wire
from pogo.mirror.answering import Answering
from pogo.mirror.artefacts import FileArtefacts
from pogo.mirror.authority import Authority
from pogo.mirror.egress import EgressLog
from pogo.mirror.proxy import Proxy
from pogo.mirror.reach import Reach
from pogo.mirror.repositories import Repositories
from pogo.mirror.runtimes import recipes
from pogo.mirror.supplies import supplies
from pogo.mirror.workshop import ContainerWorkshop
from pogo.rules.addresses import GATEWAY
from pogo.services.build_environment import mirror_key
from pogo.settings import Settings

log = structlog.get_logger()
IP_FREEBIND = 15  # <linux/in.h>
BACKLOG = 512
DAY = 86_400.0
GRACE_SECONDS = 15.0  # less than a supervisor waits before SIGKILL


def serve(settings: Settings) -> None:
    never_wait_for_the_log()
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
    uvloop.run(_serve(settings))


def listener(address: str, port: int) -> socket.socket:
    """The address is there with the first container only: so it is bound before it exists."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
    try:
        found.bind((address, port))
    except OSError as error:
        raise PogoError(f"Cannot listen on {address}, port {port} (POGO_MIRROR_PORT): {error.strerror}.") from None
    found.listen(BACKLOG)
    return found


def build_proxy(settings: Settings) -> Proxy:
    """The proxy with all that its settings ask for. Raises PogoError."""
    environment = settings.build_environment()
    reach = Reach.of(settings.mirror_allow, environment)
    egress = EgressLog(settings.mirror_dir)
    proxy = Proxy(mirror_key(settings), reach, egress)
    if settings.mirror == "answer":
        folder = Path(settings.mirror_git) if settings.mirror_git else None
        known = recipes(supplies(settings, reach, AgentContainers(settings.agent_socket)))
        proxy.authority = Authority(settings.state_dir / "tls" / "mirror")
        proxy.answering = Answering(known, Repositories(folder) if folder else None, reach, egress)
    return proxy


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.to_thread(_tidy, settings)
    proxy = build_proxy(settings)
    under_way: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(take, sock=listener(GATEWAY, settings.mirror_port), limit=wire.BUFFER)
    log.info("the mirror listens", address=GATEWAY, port=settings.mirror_port, mode=settings.mirror)
    beside = [asyncio.create_task(_sweep(settings)), asyncio.create_task(_prune(settings))]
    await stop.wait()
    for task in beside:
        task.cancel()
    if under_way:
        # Builds go on meanwhile: a listener that closes now would refuse them until the next mirror is there.
        log.info("stopping when these have ended", connections=len(under_way))
        end = asyncio.get_running_loop().time() + GRACE_SECONDS
        while under_way and asyncio.get_running_loop().time() < end:
            await asyncio.wait(under_way, timeout=0.5)
    server.close()


def _tidy(settings: Settings) -> None:
    """What an earlier mirror, killed, has left."""
    scratch = settings.mirror_dir / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    left = FileArtefacts(settings.artefacts_dir).sweep()
    if left:
        log.info("removed files that were not finished", files=left)


async def _prune(settings: Settings) -> None:
    """What no build has asked for within POGO_KEEP_DAYS goes, as unused slugs do."""
    while True:
        removed = await asyncio.to_thread(FileArtefacts(settings.artefacts_dir).prune, settings.keep_days * DAY)
        if removed:
            log.info("removed files that no build has asked for", files=removed, days=settings.keep_days)
        await asyncio.sleep(DAY)


async def _sweep(settings: Settings) -> None:
    workshop = ContainerWorkshop(settings, AgentContainers(settings.agent_socket))
    while True:
        try:
            await workshop.sweep()
            return
        except PogoError as error:  # the agent starts at the same time
            log.info("cannot look for containers yet", error=error.message)
            await asyncio.sleep(2)
