"""One set of small programs for every driver of containers: shell for a real one, a behaviour for the double."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pogo.containers import Containers, ContainerSpec, Exit, Limits, Observed
from pogo.containers.memory import Process

_numbers = itertools.count(1)
Step = tuple[str, *tuple[str, ...]]


def shell(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """The program as a shell command."""
    words = {
        "print": lambda text: f"printf %s {shlex.quote(text)}",
        "count": lambda first, last: f"seq {first} {last}",
        "exit": lambda status: f"exit {status}",
        "wait": lambda: "sleep 1000",
        "stubborn": lambda: "trap '' TERM HUP",
        "copy": lambda: "cat",
        "output": lambda name, text: f"printf %s {shlex.quote(text)} > /pogo/out/{name}",
        "pause": lambda seconds: f"sleep {seconds}",
        "leave": lambda: "sleep 1000 & (trap '' TERM; exec sleep 1000) & sleep 0.2",
    }
    return ("sh", "-c", "; ".join(words[name](*args) for name, *args in steps))


async def behaviour(process: Process) -> int:
    """The same program in the double."""
    stubborn = False
    for name, *args in json.loads(process.spec.command[1]):
        match name:
            case "print":
                process.emit(args[0].encode())
            case "count":
                first, last = (int(word) for word in args)
                for start in range(first, last + 1, 500):
                    numbers = range(start, min(start + 500, last + 1))
                    process.emit(b"".join(b"%d\n" % number for number in numbers))
            case "exit":
                return int(args[0])
            case "stubborn":
                stubborn = True
            case "leave":
                continue  # what it leaves in the background ends with it
            case "copy":
                while data := await process.input.get():
                    process.emit(data)
            case "output":
                process.outputs[args[0]] = args[1].encode()
            case "pause" | "wait":
                try:
                    async with asyncio.timeout(float(args[0]) if args else 1000):
                        await (asyncio.Event() if stubborn else process.terminated).wait()
                    return 143
                except TimeoutError:
                    continue
    return 0


class Rig:
    """A driver under test, with the programs it can run. `real`: its containers are."""

    def __init__(self, containers: Containers, stack: str, real: bool) -> None:
        self.containers = containers
        self.stack = stack
        self.real = real

    def spec(self, *steps: Step, **changes: Any) -> ContainerSpec:
        """A spec with a new id that runs these steps, or `command` in `changes`."""
        command = shell(steps) if self.real else ("steps", json.dumps(steps))
        spec = ContainerSpec(
            id=f"c{os.getpid()}-{next(_numbers)}",
            slot=1,
            stack=self.stack,
            command=command,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/app"},
            limits=Limits(memory=128 << 20),
        )
        return replace(spec, **changes)

    async def start(self, *steps: Step, **changes: Any) -> str:
        spec = self.spec(*steps, **changes)
        await self.containers.start(spec)
        return spec.id

    async def run(self, *steps: Step, **changes: Any) -> tuple[Exit, bytes]:
        """Runs it to its end: how it ended and all its output."""
        id = await self.start(*steps, **changes)
        output = await self.output(id)
        return await self.end(id), output

    async def sh(self, script: str, **changes: Any) -> tuple[int, str]:
        """Of a real driver: exit status and output of a shell script."""
        end, output = await self.run(command=("sh", "-c", script), **changes)
        return end.status, output.decode()

    async def output(self, id: str) -> bytes:
        return b"".join([frame.data async for frame in self.containers.logs(id)])

    async def seen(self, id: str) -> Observed | None:
        return next((item for item in await self.containers.list() if item.id == id), None)

    async def end(self, id: str, within: float = 15) -> Exit:
        async with asyncio.timeout(within):
            while True:
                seen = await self.seen(id)
                assert seen is not None
                if seen.exit is not None:
                    return seen.exit
                await asyncio.sleep(0.02)

    async def said(self, id: str, text: bytes, within: float = 15) -> None:
        """Waits until the process has written `text`."""
        async with asyncio.timeout(within):
            output = b""
            async for frame in self.containers.logs(id):
                output += frame.data
                if text in output:
                    return
        raise AssertionError(f"{text!r} is not in {output!r}")


def image(directory: Path, files: Mapping[str, str]) -> Path:
    """A squashfs image of these files, as a slug is."""
    import subprocess

    tree = directory / "tree"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    target = directory / "image.squashfs"
    args = ["mksquashfs", str(tree), str(target), "-all-root", "-no-progress", "-comp", "zstd", "-noappend"]
    subprocess.run(args, check=True, capture_output=True)
    return target
