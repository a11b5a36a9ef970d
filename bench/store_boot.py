"""From a slug in the object store to the first answer of a dyno: files, and Ceph without and with a local copy."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from ceph import Ceph
from containers_lxc import STACK, AgentProcess, agent_installation

from bench import table
from bench.boot import SERVER, until_answered
from pogo.containers import ContainerSpec, Limits
from pogo.containers.agent import AgentContainers
from pogo.store import BlobStore
from pogo.store.files import FileStore

ROUNDS = 7
SIZES = (1, 60, 300)  # MB
BUCKET = "pogo-boots"


def measure(place: Path, ceph: Ceph) -> None:
    """Each way in each round; a copy that nobody has looked at since pogod started is read once, to check its sum."""
    files, copies = FileStore(place / "boot-files"), place / "boot-copies"
    with agent_installation() as agent:
        for size in SIZES:
            key, image = _slug(place, size)
            files.put_file(key, image)
            ceph.store(BUCKET, copies).put_file(key, image)
            found: defaultdict[str, list[float]] = defaultdict(list)
            for number in range(ROUNDS):
                found["files"].append(_boot(agent, files, key, f"f{size}-{number}"))
                shutil.rmtree(copies)
                found["Ceph, cold cache"].append(
                    _boot(agent, store := ceph.store(BUCKET, copies), key, f"c{size}-{number}")
                )
                found["Ceph, warm cache"].append(_boot(agent, store, key, f"w{size}-{number}"))
                fresh = ceph.store(BUCKET, copies)
                found["Ceph, warm, pogod restarted"].append(_boot(agent, fresh, key, f"r{size}-{number}"))
            table.show({f"slug of {size} MB: {name}": values for name, values in found.items()}, "ms")


def _slug(place: Path, size: int) -> tuple[str, Path]:
    """Its key and its file: a server, and so many megabytes that do not shrink."""
    app, image = place / f"app-{size}", place / f"slug-{size}.squashfs"
    (app / "app").mkdir(parents=True)
    (app / "app" / "server.py").write_text(SERVER)
    (app / "app" / "ballast").write_bytes(os.urandom(size << 20))
    subprocess.run(["mksquashfs", app, image, "-comp", "zstd", "-quiet", "-no-progress"], check=True)
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"slugs/{digest}-00000000-0000-0000-0000-000000000000.squashfs", image


def _boot(agent: AgentProcess, store: BlobStore, key: str, id: str) -> float:
    async def boot() -> float:
        containers = AgentContainers(agent.installation.socket)
        began = time.perf_counter()
        slug = await asyncio.to_thread(store.local, key)
        spec = ContainerSpec(
            id, 9, STACK, ("/usr/bin/python3", "/app/server.py"), {"PATH": "/usr/bin:/bin", "PORT": "5000"},
            Limits(512 << 20, disk=384 << 20), slug=slug,
        )  # fmt: skip
        started = await containers.start(spec)
        until_answered(started.address, 5000, began)
        taken = (time.perf_counter() - began) * 1000
        await containers.remove(id)
        return taken

    return asyncio.run(boot())
