"""uv, as its authors' release archive: the program out of its wheel."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from pogo.mirror import CannotMake, Request, Served, Supplies

_PATH = re.compile(r"/github/uv/releases/download/(\d+\.\d+\.\d+)/(uv-(?:x86_64|aarch64)-unknown-linux-gnu)\.tar\.gz")
SCRIPT = Path(__file__).with_name("recipes") / "uv.sh"


class Uv:
    """Answers for releases.astral.sh, where the official python pack gets uv. Implements `Recipe`."""

    hosts = ("releases.astral.sh",)
    tool = "uv"

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies

    async def answer(self, request: Request) -> Served | None:
        match = _PATH.fullmatch(request.path)
        return Served(file=await self._archive(match[1], match[2]), content_type="application/gzip") if match else None

    async def prefetch(self, version: str) -> list[Path]:
        if not version:
            raise CannotMake("Which version of uv? The official python pack names one in requirements/uv.txt.")
        return [await self._archive(version, f"uv-{platform.machine()}-unknown-linux-gnu")]

    async def _archive(self, version: str, name: str) -> Path:
        async def make(to: Path) -> None:
            await self._supplies.workshop.run(
                self._supplies.stacks[0],
                SCRIPT.read_text(),
                inputs={},
                output="uv.tar.gz",
                to=to,
                env={"VERSION": version, "NAME": name},
            )

        return await self._supplies.artefacts.get(f"uv/{version}/{name}.tar.gz", make)
