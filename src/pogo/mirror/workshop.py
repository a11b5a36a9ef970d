"""Containers in which the mirror compiles: the same stack, network and user as a build's."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from pogo.containers import Containers, ContainerSpec, Limits
from pogo.errors import ContainerError, NotFound
from pogo.mirror import CannotMake
from pogo.services.build_environment import build_environment
from pogo.settings import Settings

SLOT = 0  # apps have 1 and up
KIND = "mirror"
LAST_LINES = 15
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the container's own
    "LANG": "en_US.UTF-8",
}


class ContainerWorkshop:
    """Implements `Workshop`. One script at a time: others wait, so that builds have the rest of the machine."""

    def __init__(self, settings: Settings, containers: Containers) -> None:
        self.settings = settings
        self.containers = containers
        self._turn = asyncio.Semaphore(1)

    async def run(
        self,
        stack: str,
        script: str,
        *,
        inputs: Mapping[str, Path],
        output: str,
        to: Path,
        env: Mapping[str, str] | None = None,
        seconds: float = 3600,
    ) -> str:
        async with self._turn:
            id = f"mirror-{secrets.token_hex(6)}"
            outside = await asyncio.to_thread(build_environment, self.settings, "-", id)
            spec = ContainerSpec(
                id=id,
                slot=SLOT,
                stack=stack,
                command=("/bin/bash", "-c", script),
                env={**ENVIRONMENT, **outside, **(env or {})},
                limits=Limits(
                    memory=self.settings.build_memory_mb << 20,
                    cpu_shares=64,
                    pids=self.settings.build_processes,
                    background=True,
                    disk=self.settings.build_disk_mb << 20,
                ),
                inputs=inputs,
                outputs=True,
                builder=True,
                labels={"kind": KIND, "pid": str(os.getpid())},
            )
            try:
                async with asyncio.timeout(seconds):
                    return await self._run(spec, output, to)
            except TimeoutError:
                raise CannotMake(f"It took longer than {seconds:.0f} s.") from None
            except (ContainerError, NotFound) as error:
                raise CannotMake(error.message) from error
            finally:
                await self.containers.remove(id)

    async def _run(self, spec: ContainerSpec, output: str, to: Path) -> str:
        await self.containers.start(spec)
        said = b"".join([frame.data async for frame in self.containers.logs(spec.id)]).decode(errors="replace")
        while True:
            seen = next((found for found in await self.containers.list() if found.id == spec.id), None)
            if seen is None or seen.exit:
                break
            await asyncio.sleep(0.1)
        if seen is None or seen.exit is None or seen.exit.status != 0:
            status = seen.exit.status if seen and seen.exit else -1
            reason = (
                "it ran out of memory" if seen and seen.exit and seen.exit.oom else f"it ended with status {status}"
            )
            last = "\n".join(said.splitlines()[-LAST_LINES:])
            raise CannotMake(f"The script failed in a container of {spec.stack}: {reason}.\n{last}")
        await self.containers.fetch(spec.id, output, to)
        return said

    async def sweep(self) -> None:
        """Remove containers of mirrors that were killed."""
        for container in await self.containers.list():
            labels = container.labels
            if labels.get("kind") == KIND and not Path(f"/proc/{labels.get('pid')}").exists():
                await self.containers.remove(container.id)
