"""The monitor: one resident process per container, forked by the agent. It outlives everyone else.

It boots the container, answers the caller's `start`, keeps the output, passes on terminals, stops the
process when told, and writes down how it ended. Agent and pogod may die meanwhile; if the monitor
itself is killed, the agent ends the container.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from pogo.agent import boot as booting
from pogo.agent import cgroups, handover, records, spool, syscalls
from pogo.agent.boot import Process
from pogo.agent.handover import Charge
from pogo.agent.installation import Installation
from pogo.agent.peers import Client, Json, announce_end, is_allowed, parse, send_once

HANG_UP_SECONDS = 10
LEFT_SECONDS = 2  # for what runs on when the process itself has ended
_DRAIN_SECONDS = 30
_CHUNK = 64 << 10
_PENDING = 256 << 10
_LONGEST_REQUEST = 1 << 20
_FRAME = struct.Struct("=cI")
_NEVER = float("inf")
_FOLLOW = b'{"op": "follow"}'  # as every idle monitor is asked by pogod: a request that is parsed costs 0.2 MB more
_Interest = dict[int, tuple[int, Callable[[], None]]]


def run(charge: Charge) -> NoReturn:
    """The whole life of the forked child. Never returns."""
    status = 1
    try:
        os.setsid()
        syscalls.set_signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), ignored=True)
        place = f"{charge.installation.records}/{charge.id}"
        _own_log(place)
        _boot_and_serve(charge, place)
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


def _own_log(place: str) -> None:
    """The agent's streams may be gone when there is something to say. Its pid, too, is for who comes later."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log, pid = (os.open(f"{place}/{name}", flags, 0o644) for name in ("monitor.log", "pid"))
    os.write(pid, str(os.getpid()).encode())
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    os.close(pid)


def _boot_and_serve(charge: Charge, place: str) -> None:
    try:
        kept = spool.Spool(f"{place}/spool", charge.spool, charge.installation.gid)
    except OSError as error:
        handover.refuse(charge.boot(), error)
        return
    process = handover.start(charge)
    if process is not None:
        Monitor(charge, process, kept).serve()


class Monitor:
    """The event loop of one container. Its whole state is here; nothing else runs in this process."""

    def __init__(self, charge: Charge, process: Process, kept: spool.Spool) -> None:
        self.installation: Installation = charge.installation
        self.id = charge.id
        self.outputs = charge.outputs
        self.group = records.group(charge.installation, charge.id, charge.background)
        self.forks = cgroups.refused_forks(self.group) if charge.background else -1
        self.listener = charge.listener
        self.process = process
        self.spool = kept
        self.terminal = charge.terminal
        self.interactive = self.terminal or charge.stdin
        self.lines = spool.Lines()
        self.clients: list[Client] = []
        self.attached: Client | None = None
        self.to_process = bytearray()
        self.end_input = self.terminated = self.killed = self.hung_up = False
        self.oom = self.recorded = self.spared = False
        self.exceeded = ""
        self.kill_at = _NEVER
        self.status: int | None = None
        self.finish_by = _NEVER

    def serve(self) -> None:
        """Until the process has ended, its output was read and its attachment has been given it."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop(HANG_UP_SECONDS))
        self.listener.setblocking(False)
        while not self._is_done():
            interest = self._interest()
            poll = select.poll()
            for fd, (events, _) in interest.items():
                poll.register(fd, events)
            until = min(self.kill_at, self.finish_by)
            wait = None if until == _NEVER else max(0, until - time.monotonic()) * 1000 + 1
            for fd, _ in poll.poll(wait):
                interest[fd][1]()
            if self.status is None and time.monotonic() >= self.kill_at:
                self._kill()
        self._close()

    def _is_done(self) -> bool:
        """Writes down the end as soon as all output is in; then only the attachment is waited for."""
        if self.status is None:
            return False
        late = time.monotonic() >= self.finish_by
        if not self.recorded and (self.process.output < 0 or late):
            oom = self.oom or self.exceeded == "memory"
            records.write_exit(self.installation, self.id, self.status, oom, self.exceeded)
            self.recorded = True
        return late or (self.recorded and not (self.attached and self.attached.pending))

    def _interest(self) -> _Interest:
        process, found = self.process, _Interest()
        if self.status is None:
            found[process.pidfd] = (select.POLLIN, self._reap)
            if process.main >= 0:
                found[process.main] = (select.POLLIN, self._main_ended)
            found[self.listener.fileno()] = (select.POLLIN, self._accept)
        if process.output >= 0 and not (self.attached and len(self.attached.pending) > _PENDING):
            found[process.output] = (select.POLLIN, self._read_output)
        if process.input >= 0 and self.to_process:
            found[process.input] = (select.POLLOUT, self._write_input)
        for client in self.clients:
            events = select.POLLIN if len(self.to_process) < _PENDING else 0
            events |= select.POLLOUT if client.pending else 0
            found[client.socket.fileno()] = (events, partial(self._serve_client, client))
        return found

    # -- the process

    def stop(self, grace: float) -> None:
        """TERM to every process but init, which kills all the others when it is killed after `grace` seconds."""
        self.kill_at = min(self.kill_at, time.monotonic() + grace)
        if not self.terminated and grace > 0:
            self.terminated = True
            self._signal(signal.SIGTERM)

    def _hang_up(self) -> None:
        if self.status is None and not self.hung_up:
            self.hung_up = True
            self.kill_at = min(self.kill_at, time.monotonic() + HANG_UP_SECONDS)
            self._signal(signal.SIGHUP)
            self._close_input()

    def _signal(self, number: int) -> None:
        for pid in cgroups.processes(self.group):
            try:
                if not _is_init(pid):
                    os.kill(pid, number)
            except (ProcessLookupError, FileNotFoundError):
                continue

    def _main_ended(self) -> None:
        """The container ends with its process, and what that has left does too. LXC's init, which waits for all of
        them, keeps the status: so it is spared, unless that does not help."""
        os.close(self.process.main)
        self.process.main = -1
        self._count_forks()
        self.stop(LEFT_SECONDS)

    def _kill(self) -> None:
        """Everything of the payload; LXC ends by itself then. Tried again if not, with LXC too."""
        if self.process.main < 0 and not self.spared:
            self.spared = True
            self.kill_at = time.monotonic() + 5
            cgroups.forbid_forks(self.group)
            self._signal(signal.SIGKILL)
            return
        cgroups.kill(self.group, patience=0)
        if self.killed:
            os.kill(self.process.pid, signal.SIGKILL)
        self.killed = True
        self.kill_at = time.monotonic() + 5

    def _reap(self) -> None:
        _, waited = os.waitpid(self.process.pid, 0)
        code = os.waitstatus_to_exitcode(waited)
        self.status = 128 + signal.SIGKILL if self.killed else code if code >= 0 else 128 - code
        self.oom = cgroups.oom_killed(self.process.oom)  # before its group goes: that signals it too
        records.sweep(self.installation, self.id, keep_files=True)
        self.finish_by = time.monotonic() + _DRAIN_SECONDS

    # -- its streams

    def _read_output(self) -> None:
        if self.process.output < 0:
            return
        try:
            data = os.read(self.process.output, min(_CHUNK, self.spool.limit // 8))
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: the last process has closed the terminal
        self._count_forks()
        if not data:
            self._output_ended()
        elif self.attached:
            self.attached.pending += data
        elif not self.hung_up:
            self._keep(data if self.interactive else self.lines.feed(data))

    def _count_forks(self) -> None:
        """Whether a process was refused. To be called when there is output: who is refused one says so, and the count
        goes with the last process. The kernel's v1 signals nothing here."""
        try:
            if self.forks >= 0 and cgroups.has_refused(self.forks):
                self.exceeded = self.exceeded or "pids"
        except OSError:
            return  # it has just gone

    def _output_ended(self) -> None:
        """Ends the spool. While the process itself lives on, it has only closed its streams."""
        self._keep(self.lines.flush())
        os.close(self.process.output)
        self.process.output = -1

    def _keep(self, data: bytes) -> None:
        if data:
            self.spool.append(time.time(), data)
            for client in self.clients:
                if client.role == "follow":
                    send_once(client.socket, b".")

    def _write_input(self) -> None:
        try:
            written = os.write(self.process.input, self.to_process[:_CHUNK])
            del self.to_process[:written]
        except BlockingIOError:
            return
        except OSError:
            self._close_input()  # nobody reads it any more
        if self.end_input and not self.to_process:
            self._close_input()

    def _close_input(self) -> None:
        self.to_process.clear()
        if self.process.input >= 0:
            os.close(self.process.input)
            self.process.input = -1

    # -- clients

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        if not is_allowed(connection, self.installation):
            connection.close()
            return
        connection.setblocking(False)
        self.clients.append(Client(connection))

    def _drop(self, client: Client) -> None:
        client.socket.close()
        if client in self.clients:
            self.clients.remove(client)
        if client is self.attached:
            self.attached = None
            self._hang_up()

    def _serve_client(self, client: Client) -> None:
        try:
            if client.pending:
                del client.pending[: client.socket.send(client.pending)]
            data = client.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.received += data
        try:
            if client.role == "asking" and b"\n" in client.received:
                line, client.received = client.received.split(b"\n", 1)
                if line == _FOLLOW:
                    client.role = "follow"
                    send_once(client.socket, b'{"ok": true}\n')
                else:
                    self._answer(client, parse(line))
            if client.role == "attach":
                self._take_frames(client)
            if client.role == "follow":
                client.received = b""
            if len(client.received) > _LONGEST_REQUEST:
                raise ValueError("a request or a frame is too long")
        except (LookupError, TypeError, ValueError, ArithmeticError, struct.error):
            traceback.print_exc()  # whatever a client sends, the process runs on
            self._drop(client)

    def _answer(self, client: Client, request: Json) -> None:
        reply: Json = {"ok": True}
        match request["op"]:
            case "stop":
                self.stop(max(0.0, float(request["grace"])))
                if request.get("exceeded") in ("disk", "memory", "reserve"):
                    self.exceeded = request["exceeded"]
            case "collected":
                self.spool.collected(int(request["offset"]), int(request["line"]))
            case "follow":
                client.role = "follow"
            case "attach" if self.attached or self.hung_up or not self.interactive:
                reply = {"error": f"{self.id} cannot be attached: it has no terminal or pipe, or is attached already."}
            case "attach":
                client.role, self.attached = "attach", client
            case "status":
                pass
            case other:
                reply = {"error": f"unknown operation {other!r}"}
        send_once(client.socket, json.dumps(reply).encode() + b"\n")
        if client.role == "asking":
            self._drop(client)

    def _take_frames(self, client: Client) -> None:
        """From the attachment: d(ata), e(nd of input), r(esize: rows and columns)."""
        while len(client.received) >= _FRAME.size:
            kind, length = _FRAME.unpack_from(client.received)
            if len(client.received) < _FRAME.size + length:
                return
            data = client.received[_FRAME.size : _FRAME.size + length]
            client.received = client.received[_FRAME.size + length :]
            if self.process.input < 0:
                continue
            if kind == b"d":
                self.to_process += data
            elif kind == b"r" and self.terminal:
                booting.set_window(self.process.input, *struct.unpack("=HH", data))
            elif kind == b"e" and self.terminal:
                self.to_process += b"\x04"
            elif kind == b"e":
                self.end_input = True
                if not self.to_process:
                    self._close_input()

    def _close(self) -> None:
        """Tells those who wait, and clears away what only this process may."""
        self.listener.close()
        for client in self.clients:
            client.socket.close()
        announce_end(self.installation, self.id)
        if not self.outputs:
            records.clear(self.installation.scratch / self.id)


def _is_init(pid: int) -> bool:
    """Whether this is process 1 of its own pid namespace: LXC's init, which has to outlive the others."""
    with open(f"/proc/{pid}/status") as file:
        inner = next((line for line in file if line.startswith("NSpid:")), "")
    return inner.split()[-1:] == ["1"]
