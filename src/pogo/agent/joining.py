"""One more process in a running container, for `ps:exec`: the work of a child of the agent while it lasts.

`lxc-attach` puts it under everything that the container's own process is under: namespaces, control groups,
limits, seccomp filter, no capability and no new privileges (measured: docs/decisions/0016). The caller gets our
ends of its streams, and, last, its exit status. A caller that goes away hangs the process up.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time

from pogo.agent import boot, cgroups, lxc, records, rootfs
from pogo.agent.installation import Installation
from pogo.agent.peers import Json, answer
from pogo.agent.requests import program
from pogo.errors import ContainerError

MOST_JOINED = 20  # in one container: each costs this machine two processes outside of its limits
_HANG_UP_SECONDS = 10
_ENDED = "it has just ended"
_LAUNCH = r"""open(my $caller, '+<&=', $ARGV[0]) or exit(1);
syswrite($caller, '1');
my @words = do { local $/; split(/\0/, <$caller>, -1) };
close($caller);
pop(@words) // exit(1);
my @command = splice(@words, 0, shift(@words));
%ENV = ();
for (@words) { my ($name, $value) = split(/=/, $_, 2); $ENV{$name} = $value; }
umask(022);
chdir('/app');
exec { $command[0] } @command;
my $status = $! == 2 ? 127 : 126;
print STDERR "$command[0]: $!\n";
exit($status);"""


class Joining:
    """A checked request. Raises ContainerError where it cannot be met."""

    def __init__(self, installation: Installation, record: records.Record, request: Json) -> None:
        self.installation = installation
        self.id = record.id
        self.group = records.group(installation, record.id, record.background)
        self.owner = installation.base(record.slot) + rootfs.APP_UID
        self.command, self.env, self.tty = program(request)

    def run(self, client: socket.socket) -> None:
        """Starts it, hands its streams over, and stays until it has ended. Answers the caller in any case."""
        try:
            self._run(client)
        except (OSError, ContainerError) as error:
            answer(client, {"error": f"Nothing can be run in {self.id}: {error}"})

    def _run(self, client: socket.socket) -> None:
        ready, told = boot.launcher_socket()
        config = records.directory(self.installation, self.id) / "lxc.conf"
        args = lxc.join_command(id=self.id, home=self.installation.run, config=config, launch=_LAUNCH, ready=told)
        (read, write), output, input = boot.streams(self.tty, True, self.owner)
        pid = boot.spawn(args, read, write, told, self.tty is not None, False)
        for fd in {told, read, write}:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        inner = boot.launched(ready, pidfd)
        if inner == 0:
            os.kill(pid, signal.SIGKILL)
            raise ContainerError((cgroups.processes(self.group) and boot.last_words(output)) or _ENDED)
        session = os.getsid(inner)
        if self.tty is not None:
            boot.pass_on_as_it_is(output)
        ready.settimeout(5)
        words = [str(len(self.command)), *self.command, *(f"{name}={value}" for name, value in self.env.items())]
        ready.sendall(b"".join(word.encode(errors="surrogateescape") + b"\0" for word in words))
        ready.close()
        client.settimeout(5)
        socket.send_fds(client, [b'{"ok": true}\n'], [output, input])
        for fd in (output, input):
            os.close(fd)
        answer(client, {"status": self._wait(client, pid, pidfd, session)})
        self._signal(session, signal.SIGHUP)  # what it left in the background of its terminal

    def _wait(self, client: socket.socket, pid: int, pidfd: int, session: int) -> int:
        """The exit status. Hangs the process up as soon as the caller's connection ends."""
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(client, select.POLLIN)
        if any(fd != pidfd for fd, _ in poll.poll()):
            self._hang_up(session)
            os.kill(pid, signal.SIGKILL)  # it is still our child, so the number is its own
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if code >= 0 else 128 - code

    def _hang_up(self, session: int) -> None:
        """HUP, and KILL for what is still there later."""
        deadline = time.monotonic() + _HANG_UP_SECONDS
        left = self._signal(session, signal.SIGHUP)
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = self._signal(session, 0)
        self._signal(session, signal.SIGKILL)

    def _signal(self, session: int, number: int) -> int:
        """Sends it to every process of the session; how many there are."""
        found = [pid for pid in cgroups.processes(self.group) if _session(pid) == session]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(found)


def _session(pid: int) -> int:
    """The session of a process; 0 where it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
