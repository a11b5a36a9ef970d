"""The double of `Containers`: nothing runs, everything is seen. For unit tests of decisions.

What a process does is scripted: by a `behaviour`, or by the test itself with `emit` and `end`.
It passes the same contract tests as the real driver.
"""

from __future__ import annotations

import asyncio
import signal
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from operator import attrgetter
from pathlib import Path

from pogo.containers import Attachment, ContainerSpec, Execution, Exit, Frame, Observed
from pogo.errors import Conflict, ContainerError, NotFound
from pogo.rules.usage import Usage


@dataclass(eq=False)
class Process:
    """One container. A behaviour uses `emit`, `outputs`, `input` (b"" at its end), `window` and `terminated`."""

    spec: ContainerSpec
    address: str
    started_at: float
    terminated: asyncio.Event = field(default_factory=asyncio.Event)
    input: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    outputs: dict[str, bytes] = field(default_factory=dict)
    window: tuple[int, int] | None = None
    exit: Exit | None = None
    exceeded: str = ""
    _frames: list[Frame] = field(default_factory=list)
    _partial: bytes = b""
    _end: int = 0
    _size: int = 0
    _spared: int | None = None
    executions: list[Process] = field(default_factory=list)
    _attachment: _Attachment | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _kill_at: float = float("inf")
    _killer: asyncio.TimerHandle | None = None

    def emit(self, data: bytes) -> None:
        """The process writes: whole lines are given on at once, a partial one when it ends."""
        if self._attachment:
            self._attachment.output.put_nowait(data)
        elif self.spec.tty or self.spec.stdin:
            self._keep(data)
        else:
            whole, newline, self._partial = (self._partial + data).rpartition(b"\n")
            self._keep(whole + newline)

    def _keep(self, data: bytes) -> None:
        """What is too much goes from the middle, and is counted at the frame behind it."""
        if data:
            self._end += 1 + len(data)
            self._size += len(data)
            self._frames.append(Frame(self._end, time.time(), data))
            while self._size > self.spec.spool and (spared := self._spare()) < len(self._frames) - 1:
                gone, after = self._frames[spared : spared + 2]
                lost = gone.lost + gone.data.count(b"\n") + after.lost
                self._frames[spared : spared + 2] = [replace(after, lost=lost)]
                self._size -= len(gone.data)
            self._wake()

    def _spare(self) -> int:
        """How many frames may have been read by one who was killed then."""
        if self._spared is None:
            sizes = accumulate(len(frame.data) for frame in self._frames)
            self._spared = sum(size <= min(512 << 10, self.spec.spool // 4) for size in sizes)
        return self._spared

    def _free(self, offset: int) -> None:
        self._frames = [frame for frame in self._frames if frame.offset > offset]
        self._size, self._spared = sum(len(frame.data) for frame in self._frames), None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


Behaviour = Callable[[Process], Awaitable[int]]


class MemoryContainers:
    """The double. `behaviour`: what every process does; its result is the exit status.

    Without one, a process runs until `end` or until it is told to stop: then it ends with 143, or, if it
    is in `stubborn`, only by the KILL after the grace. `refuse`: what the next start raises. `addresses`:
    given to the next containers instead of made-up ones. `used`: what containers are said to use.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour
        self.processes: dict[str, Process] = {}
        self.addresses: list[str] = []
        self.stubborn: set[str] = set()
        self.refuse: Exception | None = None
        self.used: dict[str, Usage] = {}
        self._started = 0
        self._watchers: list[asyncio.Queue[str]] = []

    async def usage(self, background: bool = False) -> Mapping[str, Usage]:
        running = [
            id for id, one in self.processes.items() if one.exit is None and one.spec.limits.background == background
        ]
        return {id: self.used.get(id, Usage(0, 0, 0, 0.0, 1)) for id in running}

    # -- for tests

    def emit(self, id: str, data: bytes) -> None:
        self.processes[id].emit(data)

    def end(self, id: str, status: int = 0, oom: bool = False, exceeded: str = "") -> None:
        """The process of a running container ends."""
        process = self.processes[id]
        if process.exit is not None:
            return
        process._keep(process._partial)
        exceeded = exceeded or process.exceeded
        process.exit = Exit(status, time.time(), oom or exceeded == "memory", exceeded=exceeded)
        if process._killer:
            process._killer.cancel()
        if process._task and process._task is not asyncio.current_task():
            process._task.cancel()
        if process._attachment:
            process._attachment.output.put_nowait(b"")
        process._wake()
        for execution in process.executions:
            self._finish(execution, 128 + signal.SIGKILL)
        for watcher in self._watchers:
            watcher.put_nowait(id)

    def _finish(self, execution: Process, status: int) -> None:
        if execution.exit is None:
            execution.exit = Exit(status, time.time())
            if execution._task and execution._task is not asyncio.current_task():
                execution._task.cancel()
            assert execution._attachment
            execution._attachment.output.put_nowait(b"")
            execution._wake()

    # -- the port

    async def start(self, spec: ContainerSpec) -> Observed:
        if spec.id not in self.processes:
            if self.refuse:
                refusal, self.refuse = self.refuse, None
                raise refusal
            if not spec.command:
                raise ContainerError("The command is empty.")
            self._started += 1
            made_up = f"10.0.{self._started // 250}.{self._started % 250 + 1}"
            process = Process(spec, self.addresses.pop(0) if self.addresses else made_up, time.time())
            if spec.continues:
                process.outputs |= self._ended(spec.continues).outputs
            process.window = spec.tty
            self.processes[spec.id] = process
            if self.behaviour:
                process._task = asyncio.create_task(self._run(process, self.behaviour))
        return _observed(self.processes[spec.id])

    async def _run(self, process: Process, behaviour: Behaviour) -> None:
        status = await behaviour(process)
        self.end(process.spec.id, status)

    async def list(self) -> list[Observed]:
        return [_observed(process) for _, process in sorted(self.processes.items())]

    async def stop(self, id: str, grace: float, exceeded: str = "") -> None:
        process = self.processes.get(id)
        if process is None or process.exit is not None:
            return
        process.exceeded = process.exceeded or exceeded
        if grace > 0:
            process.terminated.set()
            if self.behaviour is None and id not in self.stubborn:
                self.end(id, 128 + signal.SIGTERM)
                return
        self._kill_in(process, grace)

    def _kill_in(self, process: Process, seconds: float) -> None:
        """KILL after so long; a later one never postpones an earlier one."""
        loop = asyncio.get_running_loop()
        if loop.time() + seconds < process._kill_at:
            process._kill_at = loop.time() + seconds
            if process._killer:
                process._killer.cancel()
            process._killer = loop.call_later(seconds, self.end, process.spec.id, 128 + signal.SIGKILL)

    async def remove(self, id: str) -> None:
        if id in self.processes:
            if any(other.spec.continues == id and other.exit is None for other in self.processes.values()):
                raise ContainerError(f"{id} cannot be removed while a container continues it.")
            self.end(id, 128 + signal.SIGKILL)
            self.processes.pop(id)

    async def logs(self, id: str, offset: int = 0) -> AsyncGenerator[Frame, None]:
        process = self._find(id)
        while True:
            changed = process._changed
            while (index := bisect_right(process._frames, offset, key=attrgetter("offset"))) < len(process._frames):
                frame = process._frames[index]
                inside = frame.offset - len(frame.data) <= offset
                offset = frame.offset
                yield replace(frame, lost=0) if inside else frame
            if changed is process._changed:
                if process.exit is not None:
                    return
                await changed.wait()

    async def collected(self, id: str, offset: int) -> None:
        process = self.processes.get(id)
        if process and any(frame.offset <= offset for frame in process._frames):
            process._free(offset)

    async def attach(self, id: str) -> Attachment:
        process = self._find(id)
        if process._attachment or not (process.spec.tty or process.spec.stdin):
            raise Conflict(f"{id} cannot be attached: it has no terminal or pipe, or is attached already.")
        process._attachment = _Attachment(self, process)
        for frame in process._frames:
            process._attachment.output.put_nowait(frame.data)
        process._free(process._end)
        if process.exit:
            process._attachment.output.put_nowait(b"")
        return process._attachment

    async def exec(
        self, id: str, command: Sequence[str], env: Mapping[str, str], tty: tuple[int, int] | None
    ) -> Execution:
        process = self._find(id)
        if process.exit is not None:
            raise NotFound("container", f"The container {id} does not run.")
        if not command:
            raise ContainerError("The command is empty.")
        spec = replace(process.spec, command=tuple(command), env=env, tty=tty, stdin=True)
        execution = Process(spec, process.address, time.time(), window=tty)
        process.executions.append(execution)
        execution._attachment = joined = _Execution(self, execution)
        if self.behaviour:
            execution._task = asyncio.create_task(self._execute(execution, self.behaviour))
        return joined

    async def _execute(self, execution: Process, behaviour: Behaviour) -> None:
        self._finish(execution, await behaviour(execution))

    async def fetch(self, id: str, name: str, to: Path) -> None:
        outputs = self._ended(id).outputs
        if name not in outputs:
            raise NotFound("file", f"There is no output {name!r} of {id}.")
        to.write_bytes(outputs[name])

    async def watch(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)

    def _find(self, id: str) -> Process:
        if id not in self.processes:
            raise NotFound("container", f"There is no container {id}.")
        return self.processes[id]

    def _ended(self, id: str) -> Process:
        process = self._find(id)
        if process.exit is None or not process.spec.outputs:
            raise ContainerError(f"{id} still runs, or was started without outputs.")
        return process


class _Attachment:
    def __init__(self, containers: MemoryContainers, process: Process) -> None:
        self.output: asyncio.Queue[bytes] = asyncio.Queue()
        self._containers = containers
        self._process = process
        self._closed = False

    async def read(self) -> bytes:
        if self._process.exit is not None and self.output.empty():
            return b""
        return await self.output.get()

    async def write(self, data: bytes) -> None:
        self._process.input.put_nowait(data)

    async def write_eof(self) -> None:
        self._process.input.put_nowait(b"")

    async def resize(self, rows: int, columns: int) -> None:
        self._process.window = (rows, columns)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._containers.end(self._process.spec.id, 128 + signal.SIGHUP)


class _Execution(_Attachment):
    async def wait(self) -> int | None:
        while self._process.exit is None:
            await self._process._changed.wait()
        return self._process.exit.status

    async def close(self) -> None:
        self._containers._finish(self._process, 128 + signal.SIGHUP)


def _observed(process: Process) -> Observed:
    return Observed(process.spec.id, process.address, process.started_at, process.spec.labels, process.exit)
