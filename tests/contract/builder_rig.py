"""Builds and runs apps in real containers, the way pogod does: compile, pack, then the slug."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pogo.containers import Containers, ContainerSpec, Limits

_numbers = itertools.count(1)
BUILDER = ("/usr/bin/python3", "-sP", "-m", "pogo.build")
BUILD_ENV = {"PYTHONPATH": "/pogo/lib", "PATH": "/usr/bin:/bin", "HOME": "/app"}
START = 'for file in .profile.d/*.sh; do [ -f "$file" ] && . "$file"; done; [ -f .profile ] && . ./.profile; '


def registry_environment() -> dict[str, str]:
    """The build environment of this machine: the registries its own clients use, proxies, CAs."""
    import subprocess

    asked = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True)
    proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    return {"NPM_CONFIG_REGISTRY": asked.stdout.strip(), "NODE_EXTRA_CA_CERTS": bundle, "PIP_CERT": bundle, **proxies}


@dataclass(frozen=True)
class Built:
    """status: of the half that ended the build. seconds: of compile and of pack."""

    status: int
    log: str
    directory: Path
    seconds: tuple[float, float]

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "result.json").read_text())
        return found

    @property
    def slug(self) -> Path:
        return self.directory / "slug.squashfs"

    @property
    def cache(self) -> Path:
        return self.directory / "cache.tar.zst"


class Builder:
    def __init__(self, containers: Containers, stack: str, directory: Path) -> None:
        self.containers = containers
        self.stack = stack
        self.directory = directory
        self.env = registry_environment()
        self.memory_mb = 2048

    async def build(
        self,
        source: Path | Mapping[str, str],
        buildpacks: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
        cache: Path | None = None,
        **settings: Any,
    ) -> Built:
        """Build a directory, or files given by their text."""
        number = next(_numbers)
        directory = self.directory / str(number)
        directory.mkdir()
        request = {
            "stack": "heroku-24",
            "stack_name": self.stack,
            "build_id": f"{number:08x}",
            "buildpacks": list(buildpacks),
            "config": dict(config or {}),
            "env": self.env,
            "memory_mb": self.memory_mb,
            **settings,
        }
        built_here = request.get("kind") != "slug"
        (directory / "build.json").write_text(json.dumps(request))
        _archive(source, directory / "source.tar")
        inputs = {name: directory / name for name in ("build.json", "source.tar")}
        if cache:
            inputs["cache.tar.zst"] = cache
        compile_id, pack_id = f"b{os.getpid()}-{number}-compile", f"b{os.getpid()}-{number}-pack"
        try:
            status, log, first = await self._half(compile_id, "compile", inputs, "")
            second = 0.0
            if status == 0:
                status, more, second = await self._half(pack_id, "pack", {}, compile_id)
                log += more
                if status == 0:
                    for name in ("result.json", "slug.squashfs", *(["cache.tar.zst"] if built_here else [])):
                        await self.containers.fetch(pack_id, name, directory / name)
        finally:
            await self.containers.remove(pack_id)
            await self.containers.remove(compile_id)
        return Built(status, log, directory, (first, second))

    async def _half(self, id: str, name: str, inputs: Mapping[str, Path], continues: str) -> tuple[int, str, float]:
        started = time.monotonic()
        await self.containers.start(
            ContainerSpec(
                id=id,
                slot=1,
                stack=self.stack,
                command=(*BUILDER, name),
                env=BUILD_ENV,
                limits=Limits(memory=self.memory_mb << 20, pids=2048),
                inputs=inputs,
                outputs=True,
                builder=True,
                continues=continues,
            )
        )
        log = b"".join([frame.data async for frame in self.containers.logs(id)])
        status = await self._end(id)
        return status, log.decode(), time.monotonic() - started

    async def _end(self, id: str) -> int:
        while True:
            seen = next(found for found in await self.containers.list() if found.id == id)
            if seen.exit:
                return seen.exit.status
            await asyncio.sleep(0.02)

    async def run(self, built: Built, command: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """A one-off process on a slug: exit status and output."""
        id = await self.start(built, command, env)
        log = b"".join([frame.data async for frame in self.containers.logs(id)])
        status = await self._end(id)
        await self.containers.remove(id)
        return status, log.decode()

    async def start(self, built: Built, command: str, env: Mapping[str, str] | None = None) -> str:
        id = f"r{os.getpid()}-{next(_numbers)}"
        base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/app", "DYNO": "web.1", **(env or {})}
        spec = ContainerSpec(
            id=id,
            slot=1,
            stack=self.stack,
            command=("/bin/bash", "-c", START + command),
            env=base,
            limits=Limits(memory=512 << 20),
            slug=built.slug,
        )
        await self.containers.start(spec)
        return id

    async def serve(self, built: Built, kind: str = "web") -> Web:
        """A process of the app that listens on a port; `stop` it in the end."""
        command = built.result["process_types"][kind]
        id = await self.start(built, command, {"PORT": "5000"})
        seen = next(found for found in await self.containers.list() if found.id == id)
        web = Web(self.containers, id, seen.address)
        await web.answers()
        return web


@dataclass(frozen=True)
class Web:
    containers: Containers
    id: str
    address: str

    async def answers(self, within: float = 30) -> None:
        async with asyncio.timeout(within):
            while True:
                try:
                    _, writer = await asyncio.wait_for(asyncio.open_connection(self.address, 5000), 0.2)
                except OSError:
                    if (await self._seen()).exit:
                        log = b"".join([frame.data async for frame in self.containers.logs(self.id)])
                        raise AssertionError(log.decode()) from None
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def _seen(self) -> Any:
        return next(found for found in await self.containers.list() if found.id == self.id)

    async def get(self, path: str) -> tuple[int, dict[str, str], str]:
        reader, writer = await asyncio.open_connection(self.address, 5000)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), headers, body.decode()

    async def echo(self, path: str, text: str) -> str:
        """One text message over a WebSocket and the answer to it."""
        reader, writer = await asyncio.open_connection(self.address, 5000)
        asked = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.localhost\r\n{asked}{key}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        writer.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode())  # masked with zeros
        kind, length = await reader.readexactly(2)
        assert kind == 0x81
        answer = (await reader.readexactly(length)).decode()
        writer.close()
        return answer

    async def stop(self) -> None:
        await self.containers.remove(self.id)


def _archive(source: Path | Mapping[str, str], target: Path) -> None:
    with tarfile.open(target, "w") as tar:
        if isinstance(source, Path):
            tar.add(source, arcname=".", filter=lambda info: None if "__pycache__" in info.name else info)
            return
        for name, text in source.items():
            import io

            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size = len(data)
            info.mode = 0o755 if "bin/" in name else 0o644
            info.mtime = 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
