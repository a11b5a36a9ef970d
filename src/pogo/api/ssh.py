"""The SSH server into running dynos, for the official client's ps:exec, ps:copy, ps:forward and ps:socks.

Whoever comes has a key that `PUT /api/v2/<dyno>` registered. Shells, commands and file transfers are processes
inside the dyno (`Containers.exec`); a forwarded connection reaches the dyno's own address and no other. The port
is 80 in that client, so HAProxy listens on an address of its own and passes bytes to our unix socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import structlog
from asyncssh.stream import SSHTCPStreamSession

from pogo.api.connection import connect
from pogo.containers import Execution
from pogo.errors import PogoError
from pogo.rules import launch
from pogo.services.inside import Inside
from pogo.services.platform import Platform

LOGIN_SECONDS = 30
KEEPALIVE_SECONDS = 60
CHUNK = 64 << 10
LOCAL = ("0.0.0.0", "127.0.0.1", "::1", "localhost")  # noqa: S104
SFTP = ("/usr/lib/openssh/sftp-server", "-e")

log = structlog.get_logger()


class SshServer:
    """host_key: a private key file. path: the unix socket on which it listens."""

    def __init__(self, platform: Platform, host_key: Path, path: Path) -> None:
        self._path = path
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: _Visit(platform),
            server_host_keys=[asyncssh.read_private_key(host_key)],
            process_factory=lambda process: _serve(platform, process),
            encoding=None,
            line_editor=False,
            allow_scp=False,
            agent_forwarding=False,
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            server_version="Pogoapp",
        )
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._path.chmod(0o660)
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._keep(self._accept(self._listener))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            except OSError as error:
                log.warning("cannot accept an SSH connection", error=str(error))
                await asyncio.sleep(1)
                continue
            self._keep(self._session(connection))

    async def _session(self, connection: socket.socket) -> None:
        try:
            found = await asyncssh.run_server(connection, options=self._options)
        except (OSError, asyncssh.Error) as error:
            log.info("SSH connection refused", error=str(error))
            connection.close()
            return
        try:
            await found.wait_closed()
        finally:
            found.abort()


@dataclass
class _Visit(asyncssh.SSHServer):
    """One connection. place: the dyno it is in, after its login."""

    platform: Platform
    place: Inside | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            place = await self.platform.call(self.platform.guests.enter, username, key.public_data)
        except PogoError as error:
            log.info("SSH login refused", error=error.message)
            return False
        self.place = place
        self._connection.set_extra_info(place=place)
        return True

    async def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> asyncssh.SSHTCPSession[bytes]:
        assert self.place is not None
        if dest_host not in (*LOCAL, self.place.address):
            reason = f"From {self.place.dyno} only its own ports can be reached: {self.place.address}."
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, reason)
        try:
            connection = await connect(self.place, dest_port)
        except PogoError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, error.message) from None

        async def relay(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
            try:
                await _both(_input(reader, connection), _output(writer, connection), writer.channel.wait_closed())
            finally:
                await connection.close()
                writer.close()

        return SSHTCPStreamSession(relay)


async def _serve(platform: Platform, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """A session: a shell, a command, or file transfers. The client's exit status is the process's."""
    place: Inside = process.channel.get_connection().get_extra_info("place")
    try:
        execution = await _begin(platform, place, process)
    except PogoError as error:
        process.stderr.write(f"{error.message}\r\n".encode())
        process.exit(255)
        return
    try:
        with suppress(asyncssh.Error, OSError):
            done = await _both(
                _input(process.stdin, execution), _output(process.stdout, execution), process.channel.wait_closed()
            )
            if done:
                status = await execution.wait()
                process.exit(255 if status is None else status)
    finally:
        await execution.close()
        process.close()


async def _begin(platform: Platform, place: Inside, process: asyncssh.SSHServerProcess[bytes]) -> Execution:
    tty, env = None, dict(place.env)
    if process.term_type is not None:
        columns, rows, *_ = process.term_size
        tty = rows or 24, columns or 80
        env["TERM"] = process.term_type
    if process.subsystem == "sftp":
        return await platform.containers.exec(place.container, SFTP, {"LANG": "C.UTF-8", "HOME": "/app"}, None)
    if process.subsystem:
        raise PogoError(f"There is no subsystem {process.subsystem} here.")
    return await platform.containers.exec(place.container, launch.command(process.command or "bash"), env, tty)


async def _both(incoming: Awaitable[None], outgoing: Awaitable[None], closed: Awaitable[None]) -> bool:
    """Until all output has been passed on, or the client has gone. Whether it is still there."""
    tasks = [asyncio.ensure_future(one) for one in (incoming, outgoing, closed)]
    try:
        await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        return not tasks[2].done()
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in results:
            if isinstance(failure, Exception) and not isinstance(failure, asyncssh.Error | OSError):
                log.error("SSH session failed", error=repr(failure))


async def _input(reader: asyncssh.SSHReader[bytes], execution: Execution) -> None:
    while True:
        try:
            data = await reader.read(CHUNK)
        except asyncssh.TerminalSizeChanged as change:
            if change.width and change.height:
                await execution.resize(change.height, change.width)
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            await execution.write(b"\x03")
            continue
        if not data:
            await execution.write_eof()
            return
        await execution.write(data)


async def _output(writer: asyncssh.SSHWriter[bytes], execution: Execution) -> None:
    while data := await execution.read():
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
