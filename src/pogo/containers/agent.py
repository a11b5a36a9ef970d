"""Containers on this machine, by LXC: calls go to pogo-agent, streams straight to a container's monitor.

The agent starts, lists, removes and hands out files; nothing else, so a container's output, terminal
and stop work while it is being restarted. Output is read from the spool on disk, which also serves after the end.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pogo.agent import installation
from pogo.containers import Attachment, ContainerSpec, Execution, Exit, Frame, Observed, spool, usage
from pogo.containers.attached import CHUNK, Ended, Live, read_chunk
from pogo.containers.joined import Joined
from pogo.errors import Conflict, ContainerError, NotFound, StorageFull, Unavailable
from pogo.rules.usage import Usage

Json = dict[str, Any]
Fds = list[int]

_START_SECONDS = 90
_CALL_SECONDS = 60
_GONE = (FileNotFoundError, ConnectionError)


class AgentContainers:
    """The driver. `agent_socket`: where pogo-agent listens; the containers' records are beside it."""

    def __init__(self, agent_socket: Path) -> None:
        self._agent = agent_socket
        self._records = agent_socket.parent / "c"
        self._cgroup = installation.cgroup(agent_socket.parent.parent)

    async def start(self, spec: ContainerSpec) -> Observed:
        files = [spec.slug] if spec.slug else []
        files += spec.inputs.values()
        fds: list[int] = []
        try:
            try:
                for path in files:
                    fds.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                raise ContainerError(f"The container {spec.id} cannot be started: {error}") from error
            request = {"op": "start", "spec": _encode(spec)}
            for _ in range(5):
                reply, _ = await self._call(request, _START_SECONDS, fds)
                if not reply.get("there") or reply["exit"] is not None or await self._ask(spec.id, {"op": "status"}):
                    return _observed(reply)
            raise ContainerError(f"The container {spec.id} is there, but its monitor does not answer.")
        finally:
            for fd in fds:
                os.close(fd)

    async def list(self) -> list[Observed]:
        reply, _ = await self._call({"op": "list"})
        return [_observed(item) for item in reply["containers"]]

    async def usage(self, background: bool = False) -> Mapping[str, Usage]:
        return await asyncio.to_thread(usage.read, self._cgroup, background)

    async def stop(self, id: str, grace: float, exceeded: str = "") -> None:
        reply = await self._ask(id, {"op": "stop", "grace": grace, "exceeded": exceeded})
        if reply is None and (self._records / id).is_dir():
            await self.list()  # a container without a monitor is ended there

    async def remove(self, id: str) -> None:
        await self._call({"op": "remove", "id": id})

    async def logs(self, id: str, offset: int = 0) -> AsyncGenerator[Frame, None]:
        stream = await self._connect(id, {"op": "follow"})
        try:
            fd = self._open_spool(id)
        except NotFound:
            if (self._records / id).is_dir():
                return  # its monitor was killed before there was any output
            raise
        try:
            reader = spool.Reader(fd, offset)
            while True:
                records = reader.read()
                for after, at, lost, data in records:
                    yield Frame(after, at, data, lost)
                if records:
                    continue
                if stream is None:
                    return
                if not await read_chunk(stream[0]):
                    stream[1].close()
                    stream = None
        finally:
            os.close(fd)
            if stream is not None:
                stream[1].close()

    async def collected(self, id: str, offset: int) -> None:
        try:
            fd = self._open_spool(id)
        except NotFound:
            return
        try:
            reader = spool.Reader(fd, offset)
        finally:
            os.close(fd)
        await self._ask(id, {"op": "collected", "offset": reader.position, "line": reader.line})

    async def attach(self, id: str) -> Attachment:
        stream = await self._connect(id, {"op": "attach"})
        fd = self._open_spool(id)
        try:
            reader = spool.Reader(fd)
            before = reader.rest()  # all of it: what comes now goes to the attachment alone
        finally:
            os.close(fd)
        if stream is None:
            return Ended(before)
        await self._ask(id, {"op": "collected", "offset": reader.position, "line": reader.line})
        return Live(*stream, before)

    async def exec(
        self, id: str, command: Sequence[str], env: Mapping[str, str], tty: tuple[int, int] | None
    ) -> Execution:
        request = {"op": "exec", "id": id, "command": list(command), "env": dict(env), "tty": tty}
        fds: Fds = []
        connection = socket.socket(socket.AF_UNIX)
        try:
            _, rest = await self._call_on(connection, request, _CALL_SECONDS, (), fds)
            return Joined(connection, fds, terminal=tty is not None, said=rest)
        except BaseException:
            connection.close()
            for fd in fds:
                os.close(fd)
            raise

    async def fetch(self, id: str, name: str, to: Path) -> None:
        _, fds = await self._call({"op": "fetch", "id": id, "name": name})
        try:
            await asyncio.to_thread(_copy, fds[0], to)
        finally:
            for fd in fds:
                os.close(fd)

    async def watch(self) -> AsyncIterator[str]:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._agent)
            except (OSError, ConnectionError):
                await asyncio.sleep(1)
                continue
            try:
                writer.write(b'{"op": "watch"}\n')
                while line := await _read_line(reader):
                    if "id" in line:
                        yield line["id"]
            finally:
                writer.close()

    async def _call(
        self, request: Json, timeout: float = _CALL_SECONDS, fds: Sequence[int] = ()
    ) -> tuple[Json, Sequence[int]]:
        """A call of the agent: its reply, and the descriptors that came with it."""
        received: list[int] = []
        with socket.socket(socket.AF_UNIX) as connection:
            reply, _ = await self._call_on(connection, request, timeout, fds, received)
            return reply, received

    async def _call_on(
        self, connection: socket.socket, request: Json, timeout: float, fds: Sequence[int], received: Fds
    ) -> tuple[Json, bytes]:
        """Its reply, and what came behind it. The connection stays open."""
        connection.setblocking(False)
        try:
            async with asyncio.timeout(timeout):
                await _connect_socket(connection, self._agent)
                said = await _exchange(connection, json.dumps(request).encode() + b"\n", fds, received)
        except TimeoutError:
            raise Unavailable(f"pogo-agent did not answer {request['op']} within {timeout:.0f} s.") from None
        except OSError as error:
            raise Unavailable(f"pogo-agent does not answer at {self._agent}: {error}. Is it running?") from error
        line, _, rest = said.partition(b"\n")
        reply: Json = json.loads(line)
        if reply.get("missing"):
            raise NotFound("file", reply["error"])
        if "error" in reply:
            raise StorageFull(reply["error"]) if reply.get("full") else ContainerError(reply["error"])
        return reply, rest

    async def _connect(self, id: str, request: Json) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A stream from the container's monitor; None where there is none, since it has ended."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._records / id / "sock")
        except _GONE:
            return None
        writer.write(json.dumps(request).encode() + b"\n")
        reply = await _read_line(reader)
        if reply is None or "error" in reply:
            writer.close()
            if reply is not None:
                raise Conflict(reply["error"])
            return None
        return reader, writer

    async def _ask(self, id: str, request: Json) -> Json | None:
        """The monitor's answer; None where there is no monitor."""
        stream = await self._connect(id, request)
        if stream is None:
            return None
        stream[1].close()
        return {"ok": True}

    def _open_spool(self, id: str) -> int:
        try:
            return os.open(self._records / id / "spool", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("container", f"There is no container {id}.") from None


async def _connect_socket(connection: socket.socket, path: Path) -> None:
    while True:
        try:
            connection.connect(str(path))
            return
        except BlockingIOError:
            await asyncio.sleep(0.01)  # its queue of callers is full


async def _exchange(connection: socket.socket, request: bytes, fds: Sequence[int], received: list[int]) -> bytes:
    """Sends the request with descriptors; the one line of the answer, whose descriptors go into `received`."""
    loop = asyncio.get_running_loop()
    sent = socket.send_fds(connection, [request[:CHUNK]], fds)
    if rest := request[sent:]:
        await loop.sock_sendall(connection, rest)
    line = b""
    while not line.endswith(b"\n"):
        ready = asyncio.Event()
        loop.add_reader(connection.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(connection.fileno())
        data, descriptors, _, _ = socket.recv_fds(connection, 256 << 10, 4)
        received += descriptors
        if not data:
            raise ConnectionResetError("the connection was closed without an answer")
        line += data
    return line


async def _read_line(reader: asyncio.StreamReader) -> Json | None:
    try:
        line = await reader.readline()
    except ConnectionError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


def _copy(fd: int, to: Path) -> None:
    try:
        with open(fd, "rb", closefd=False) as source, to.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        to.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise StorageFull from error
        raise


def _encode(spec: ContainerSpec) -> Json:
    return {
        "id": spec.id,
        "slot": spec.slot,
        "stack": spec.stack,
        "command": list(spec.command),
        "env": dict(spec.env),
        "limits": asdict(spec.limits),
        "slug": spec.slug is not None,
        "tty": spec.tty,
        "stdin": spec.stdin,
        "inputs": list(spec.inputs),
        "outputs": spec.outputs,
        "builder": spec.builder,
        "continues": spec.continues,
        "spool": spec.spool,
        "labels": dict(spec.labels),
    }


def _observed(item: Json) -> Observed:
    end = item["exit"]
    end = Exit(end["status"], end["at"], end["oom"], end["exceeded"]) if end else None
    return Observed(item["id"], item["address"], item["started_at"], item["labels"], end)
