"""Where monitors come from: a child of the agent that has done nothing else, so that they share its memory for good.

A monitor shares with its siblings what neither their parent had changed when it was forked, nor it has since. The agent
changes its pages all the time, so each child of its own would keep another version of them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pogo.agent import cgroups, monitor, syscalls
from pogo.agent.boot import Boot
from pogo.agent.handover import Charge
from pogo.agent.images import Image
from pogo.agent.installation import Installation
from pogo.agent.peers import receive_fds

_MOST_FDS = 250


def fork(child: Callable[[], object], keep: set[int]) -> int:
    """A child that has only standard streams and `keep` of our descriptors; its pid."""
    pid = syscalls.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            syscalls.set_signals((signal.SIGCHLD, signal.SIGTERM, signal.SIGINT), ignored=False)
            syscalls.close_all_but(keep)
            child()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    return pid


class Nursery:
    """The agent's end. To be made before the agent works, and before it handles SIGCHLD."""

    def __init__(self, installation: Installation) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fork(lambda: _tend(installation, theirs), {theirs.fileno()})
        theirs.close()

    def fileno(self) -> int:
        """Readable when a monitor has ended: see `ended`."""
        return self._socket.fileno()

    def start(self, boot: Boot) -> None:
        """Forks its monitor. The agent's descriptors of `boot` may be closed then."""
        record = boot.record
        words = (record.id, boot.spool, record.outputs, boot.tty is not None, boot.stdin, record.background)
        fds = [boot.lock, boot.listener.fileno(), boot.client.fileno(), *boot.keep]
        plain = replace(boot, listener=None, client=None)  # type: ignore[arg-type]
        with open(os.memfd_create("boot"), "w+b") as body:
            pickle.dump((fds, plain), body)
            body.flush()
            said = " ".join(str(int(word) if isinstance(word, bool) else word) for word in words)
            socket.send_fds(self._socket, [said.encode()], [body.fileno(), *fds])

    def ended(self) -> str:
        """The id of a container whose monitor has ended. Raises ConnectionError where the nursery has."""
        id = self._socket.recv(100).decode()
        if not id:
            raise ConnectionError("the nursery of monitors has ended")
        return id


def _tend(installation: Installation, agent: socket.socket) -> None:
    """Until the agent ends. Does as little as it can."""
    cgroups.hide_idle_hierarchies()
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    monitors: dict[int, bytes] = {}
    poll = select.poll()
    poll.register(agent, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == woken.fileno():
                woken.recv(4096)
                with contextlib.suppress(ChildProcessError):
                    while pid := os.waitpid(-1, os.WNOHANG)[0]:
                        agent.send(monitors.pop(pid))
                continue
            said, fds = receive_fds(agent, 200, _MOST_FDS)
            if not said:
                return
            words = said.decode().split()
            monitors[fork(lambda: _monitor(installation, words, fds), {*fds})] = said.split()[0]  # noqa: B023
            for fd in fds:
                os.close(fd)


def _monitor(installation: Installation, words: Sequence[str], fds: Sequence[int]) -> None:
    id, spool, outputs, terminal, stdin, background = words
    listener, client = (socket.socket(fileno=fd) for fd in fds[2:4])
    monitor.run(
        Charge(
            installation=installation,
            id=id,
            spool=int(spool),
            outputs=outputs == "1",
            terminal=terminal == "1",
            stdin=stdin == "1",
            background=background == "1",
            listener=listener,
            client=client,
            boot=lambda: _boot(fds, listener, client),
        )
    )


def _boot(fds: Sequence[int], listener: socket.socket, client: socket.socket) -> Boot:
    """What the agent has made of the request, with the numbers that its descriptors have in this process."""
    with open(fds[0], "rb", closefd=False) as body:
        body.seek(0)
        given: tuple[list[int], Boot] = pickle.load(body)  # noqa: S301  (the agent's own words)
    theirs, boot = given
    ours = dict(zip(theirs, fds[1:], strict=True))
    stack = _here(boot.layout.stack, ours)
    slug = _here(boot.layout.slug, ours) if boot.layout.slug else None
    inputs = {name: ours[fd] for name, fd in boot.layout.inputs.items()}
    return replace(
        boot,
        lock=ours[boot.lock],
        listener=listener,
        client=client,
        keep=tuple(ours[fd] for fd in boot.keep),
        layout=replace(boot.layout, inputs=inputs, stack=stack, slug=slug),
    )


def _here(image: Image, ours: Mapping[int, int]) -> Image:
    return replace(image, source=ours.get(image.source, -1), guard=ours.get(image.guard, -1))
