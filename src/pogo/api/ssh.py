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
EOT = b"\x04"
EOT_SECONDS = 0.3
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

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            place = await self.platform.call(self.platform.guests.enter, username, key.public_data)
        except PogoError as error:
            log.info("SSH login refused", error=error.message)
            return False
        self.place = place
        return True

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes]:
        assert self.place is not None
        return _Session(self.platform, self.place)

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


class _Session(asyncssh.SSHServerProcess[bytes]):
    """For `sftp`, asyncssh would show files of this machine; here a program in the dyno serves its own."""

    def __init__(self, platform: Platform, place: Inside) -> None:
        super().__init__(self._run, None, 0, False)
        self._platform, self._place = platform, place
        self._work: asyncio.Task[None] | None = None

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        if self.subsystem is None:
            super().session_started()
            return
        stdin, stdout = asyncssh.SSHReader(self, self.channel), asyncssh.SSHWriter(self, self.channel)
        files = self._platform.containers.exec(self._place.container, SFTP, {"LANG": "C.UTF-8", "HOME": "/app"}, None)
        self._work = asyncio.create_task(self._serve(files, stdin, stdout))

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """A shell or a command."""
        tty, env = None, dict(self._place.env)
        if self.term_type is not None:
            columns, rows, *_ = self.term_size
            tty = rows or 24, columns or 80
            env["TERM"] = self.term_type
        command = launch.command(self.command or "bash")
        await self._serve(
            self._platform.containers.exec(self._place.container, command, env, tty), self.stdin, self.stdout
        )

    async def _serve(
        self, begun: Awaitable[Execution], stdin: asyncssh.SSHReader[bytes], stdout: asyncssh.SSHWriter[bytes]
    ) -> None:
        """Until one side ends. The client's exit status is the process's."""
        try:
            execution = await begun
        except PogoError as error:
            self.channel.write_stderr(f"{error.message}\r\n".encode())
            self.channel.exit(255)
            return
        try:
            with suppress(asyncssh.Error, OSError):
                eot = asyncio.Event()
                outgoing = _output(stdout, execution, eot if self.term_type else None)
                if await _both(_input(stdin, execution, eot), outgoing, self.channel.wait_closed()):
                    status = await execution.wait()
                    self.channel.exit(255 if status is None else status)
        finally:
            await execution.close()
            self.channel.close()


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


async def _input(reader: asyncssh.SSHReader[bytes], execution: Execution, eot: asyncio.Event | None = None) -> None:
    """eot: set when the client has ended its input."""
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
        if eot and (not data or data.endswith(EOT)):
            eot.set()
        if not data:
            await execution.write_eof()
            return
        await execution.write(data)


async def _output(writer: asyncssh.SSHWriter[bytes], execution: Execution, eot: asyncio.Event | None = None) -> None:
    """eot: what to wait for after the end, for a moment: the official client crashes where it cannot send it."""
    while data := await execution.read():
        writer.write(data)
        await writer.drain()
    if eot is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(eot.wait(), EOT_SECONDS)
    with suppress(OSError):
        writer.write_eof()
