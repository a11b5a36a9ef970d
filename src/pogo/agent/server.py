"""pogo-agent: starts, lists and removes the containers of one installation, as root.

One process, one thread, one loop over a unix socket. Calls that take time are forked off with the
caller's connection: the child answers. So boots run side by side and nothing they do can hurt the agent,
which keeps no state that is not on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import select
import shutil
import signal
import socket
import time
import traceback

from pogo.agent import directories, images, network, records, syscalls
from pogo.agent.installation import Installation
from pogo.agent.joining import MOST_JOINED, Joining
from pogo.agent.nursery import Nursery, fork
from pogo.agent.peers import Connection, Json, announce_end, answer, is_allowed, peer_uid, send_once
from pogo.agent.requests import ID, prepare
from pogo.agent.usage import DISK_SECONDS, Disk, end_those_that_fill
from pogo.errors import ContainerError, NotFound, PogoError


class Agent:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.records: dict[str, records.Record] = {}
        self.exits: dict[str, Json] = {}
        self.connections: dict[int, Connection] = {}
        self.loops = syscalls.loop_devices()
        self.resolvers: tuple[str, ...] | None = None
        self.mounted = True
        self.joined: dict[int, str] = {}
        self.next_number = int.from_bytes(os.urandom(4))

    # -- the loop

    def serve(self) -> None:
        """Until SIGTERM or SIGINT. Containers and their monitors stay."""
        directories.prepare(self.installation)
        guard = self._only_one()
        gc.collect()
        gc.freeze()
        self.nursery = Nursery(self.installation)
        self.mounted = images.choose(self.installation)
        directories.make_room()
        self.refresh_network()
        for path in [*self.installation.records.glob(".*")]:
            shutil.rmtree(path, ignore_errors=True)
        records.erase_torn(self.installation)
        self.list()
        listener = self._listen()
        self.disk = disk = Disk(self.installation.scratch)
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        stopping: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: stopping.append(number))
        tend_at = 0.0
        while not stopping:
            poll = select.poll()
            for fd in (listener.fileno(), woken.fileno(), self.nursery.fileno(), *self.connections):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(1000 * DISK_SECONDS):
                if fd == listener.fileno():
                    self._accept(listener)
                elif fd == woken.fileno():
                    woken.recv(4096)
                    self._reap_children()
                elif fd == self.nursery.fileno():
                    self._monitor_ended(self.nursery.ended())
                elif fd in self.connections:
                    self._receive(self.connections[fd])
            if time.monotonic() >= tend_at:
                tend_at = time.monotonic() + images.TEND_SECONDS
                fork(lambda: (images.clear if self.mounted else images.tend)(self.installation), set())
            if disk.is_due():
                running = [record for record in self.records.values() if self._exit(record.id) is None]
                disk.begun(fork(lambda: end_those_that_fill(self.installation, running), set()))  # noqa: B023
        os.close(guard)

    def _only_one(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        guard = os.open(self.installation.run / "agent.lock", flags, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PogoError(f"Another pogo-agent serves {self.installation.state} already.") from None
        return guard

    def _listen(self) -> socket.socket:
        path = self.installation.socket
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        os.chown(path, 0, self.installation.gid)
        path.chmod(0o660)
        listener.listen(512)
        return listener

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            for one in [*self.connections.values()]:  # no descriptor is left: nobody may hold them all
                self._drop(one)
            return
        if not is_allowed(connection, self.installation):
            connection.close()
            return
        connection.setblocking(False)
        self.connections[connection.fileno()] = Connection(connection)

    def _drop(self, connection: Connection) -> None:
        del self.connections[connection.socket.fileno()]
        connection.close()

    def _receive(self, connection: Connection) -> None:
        try:
            request = connection.receive()
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._drop(connection)
            return
        if request is None:
            return
        connection.received = b""
        try:
            reply = self._call(connection, request)
        except NotFound as error:
            reply = {"error": error.message, "missing": True}
        except Exception as error:  # whatever a caller sends, the agent goes on
            if not isinstance(error, PogoError):
                traceback.print_exc()
            reply = {"error": str(error) or type(error).__name__}
        if connection.watching:
            return
        if reply is not None:
            answer(connection.socket, reply)
        self._drop(connection)

    def _call(self, connection: Connection, request: Json) -> Json | None:
        """The reply, or None where a forked child gives it."""
        match request["op"]:
            case "start":
                return self.start(connection, request)
            case "list":
                return {"containers": self.list()}
            case "remove":
                return self.remove(connection, request["id"])
            case "fetch":
                return self.fetch(connection, request["id"], request["name"])
            case "exec":
                return self.exec(connection, request)
            case "watch":
                connection.watching = True
                send_once(connection.socket, b'{"ok": true}\n')
            case "ended" if peer_uid(connection.socket) == 0:
                self._tell(request["id"])
            case other:
                raise ContainerError(f"pogo-agent knows no call {other!r}.")
        return {"ok": True}

    # -- calls

    def start(self, connection: Connection, request: Json) -> Json | None:
        """Has the monitor forked, which answers. A container that is there already is only reported."""
        existing = self._record(str(request["spec"]["id"]))
        if existing is not None:
            return {"there": True, **self._observed(existing)}
        self.refresh_network()
        boot = prepare(self, request["spec"], connection.fds, connection.socket)
        self.records[boot.record.id] = boot.record
        self.nursery.start(boot)
        os.close(boot.lock)
        boot.listener.close()
        for fd in boot.keep:
            if fd not in connection.fds:
                os.close(fd)
        return None

    def list(self) -> list[Json]:
        """Every record. A container whose monitor is gone is ended on the way, by a child."""
        found = []
        names = {name for name in os.listdir(self.installation.records) if not name.startswith(".")}
        for gone in self.records.keys() - names:
            self.records.pop(gone)
            self.exits.pop(gone, None)
        for name in sorted(names):
            record = self.records.get(name) or self._record(name)
            if record is not None:
                found.append(self._observed(record))
                if found[-1]["exit"] is None:
                    self._bury_if_orphaned(name)
        return found

    def remove(self, connection: Connection, id: str) -> Json | None:
        """Answered by a child, since large directories take time."""
        if self._record(id) is None:
            return {"ok": True}

        def child() -> None:
            try:
                records.erase(self.installation, id)
            except (ContainerError, OSError) as error:
                answer(connection.socket, {"error": str(error)})
            else:
                answer(connection.socket, {"ok": True})

        fork(child, {connection.socket.fileno()})
        return None

    def exec(self, connection: Connection, request: Json) -> Json | None:
        """One more process in a container that runs. A child stays with it, and answers."""
        record = self._record(request["id"])
        if record is None or self._exit(record.id) is not None:
            raise NotFound("container", f"The container {str(request['id'])[:40]} does not run.")
        if [*self.joined.values()].count(record.id) >= MOST_JOINED:
            raise ContainerError(f"{record.id} has {MOST_JOINED} processes that were started in it, and takes no more.")
        joining = Joining(self.installation, record, request)
        self.joined[fork(lambda: joining.run(connection.socket), {connection.socket.fileno()})] = record.id
        return None

    def fetch(self, connection: Connection, id: str, name: str) -> Json | None:
        """Sends an open file: the caller copies it. Symbolic links and what is no plain file are not there."""
        if self._record(id) is None or "/" in name or name in ("", ".", ".."):
            raise NotFound("file", f"There is no output {name!r} of {id}.")
        if self._exit(id) is None:
            raise ContainerError(f"The outputs of {id} can be fetched when it has ended.")
        path = self.installation.scratch / id / "upper/pogo/out" / name
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise NotFound("file", f"There is no output {name!r} of {id}.") from None
        connection.fds.append(fd)
        if not os.path.isfile(f"/proc/self/fd/{fd}"):
            raise NotFound("file", f"The output {name!r} of {id} is no plain file.")
        with contextlib.suppress(OSError):
            socket.send_fds(connection.socket, [b'{"ok": true}\n'], [fd])
        return None

    # -- what it knows

    def _record(self, id: str) -> records.Record | None:
        if not isinstance(id, str) or not ID.fullmatch(id):
            return None
        known = self.records.get(id)
        if known is not None and records.directory(self.installation, id).is_dir():
            return known
        found = records.load(self.installation, id)
        if found is not None:
            self.records[id] = found
        return found

    def _exit(self, id: str) -> Json | None:
        if id not in self.exits:
            found = records.load_exit(self.installation, id)
            if found is None:
                return None
            self.exits[id] = found
        return self.exits[id]

    def _observed(self, record: records.Record) -> Json:
        return records.observed(record, self._exit(record.id))

    def free_number(self) -> int:
        """The number of a free address; the one used last comes back latest."""
        used = {record.number for record in self.records.values()}
        room = self.installation.subnet.num_addresses - 2
        for step in range(room):
            number = 1 + (self.next_number + step) % room
            if number not in used:
                self.next_number = number
                return number
        raise ContainerError(f"Every address of {self.installation.subnet} is taken. Enlarge POGO_SUBNET.")

    def refresh_network(self) -> None:
        """Makes the nftables table, again where this machine's resolvers have changed."""
        resolvers = tuple(network.nameservers())
        if resolvers != self.resolvers:
            network.apply_rules(self.installation, [*resolvers])
            self.resolvers = resolvers

    # -- children

    def _reap_children(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self.joined.pop(pid, None)
                self.disk.ended(pid)

    def _monitor_ended(self, id: str) -> None:
        if self._record(id) is None:
            self.records.pop(id, None)
        else:
            self._bury_if_orphaned(id)

    def _bury_if_orphaned(self, id: str) -> None:
        lock = records.lock(self.installation, id)
        if lock is None:
            return
        if records.load_exit(self.installation, id) is None:

            def child() -> None:
                records.bury(self.installation, id)
                announce_end(self.installation, id)

            fork(child, {lock})
        os.close(lock)

    def _tell(self, id: str) -> None:
        for connection in self.connections.values():
            if connection.watching:
                send_once(connection.socket, json.dumps({"id": id}).encode() + b"\n")
