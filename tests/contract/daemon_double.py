"""A daemon of its own process on a shared database: the real loops of builds, releases and dynos, real leases, claims
and hints; its containers are the in-memory double, which dies with it, as containers of a lost host do.

    python daemon_double.py DATABASE STATE_DIR KEY NODE

It prints a line when it works. Leases and claims are short, so that a test need not wait for 20 seconds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from pogo.containers.memory import MemoryContainers, Process
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops import turns
from pogo.loops.builds import Builds
from pogo.loops.dynos import Dynos
from pogo.loops.releases import Releases
from pogo.model.base import EncryptedJson
from pogo.router.memory import MemoryRouter
from pogo.services import builds, leases
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.services.postgres import driver_url
from pogo.services.shared_hints import SharedHints
from pogo.settings import Settings
from pogo.store.files import FileStore


async def behave(process: Process) -> int:
    labels = process.spec.labels
    if labels["kind"] == "build":
        process.emit(b"-----> step\n")
        await asyncio.sleep(0.15)
        if process.spec.command[-1] == "pack":
            types = {"worker": "work", "release": "migrate"}
            result = {"checksum": "c" * 64, "size": 3, "process_types": types, "detected": "Python", "buildpacks": []}
            process.outputs |= {
                "slug.squashfs": b"SQS",
                "cache.tar.zst": b"ZST",
                "result.json": json.dumps(result).encode(),
            }
        return 0
    if "release" in labels:
        await asyncio.sleep(0.1)
        return 0
    await process.terminated.wait()
    return 143


async def main(url: str, state: Path, key: str, node: str) -> None:
    leases.LEASE, builds.CLAIM, turns.RENEW = timedelta(seconds=2), timedelta(seconds=3), 0.5
    EncryptedJson.use_keys(MultiFernet([Fernet(key)]))
    settings = Settings(state_dir=state / node, boot_timeout=5, stop_grace=0.5)
    settings.tmp_dir.mkdir(parents=True)
    containers = MemoryContainers(behave)
    containers.addresses += ["127.0.0.1"] * 1000
    platform = Platform(
        settings=settings,
        db=Database(url),
        store=FileStore(state / "store"),
        logs=FileLogs(state / "logs", 1000),
        transcripts=Transcripts(state / "transcripts"),
        containers=containers,
        router=MemoryRouter(),
        node=node,
        hints=SharedHints(driver_url(url)),
    )
    platform.hints.bind(asyncio.get_running_loop())
    held = turns.Leases(platform, f"{node}:{secrets.token_hex(8)}")
    dynos = Dynos(platform)
    print("works", flush=True)
    await asyncio.gather(
        turns.keep_turning(held, "dynos", dynos.turn, dynos.period),
        turns.keep_turning(held, "releases", Releases(platform).turn, 1),
        Builds(platform).run(),
        dynos.watch(),
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
