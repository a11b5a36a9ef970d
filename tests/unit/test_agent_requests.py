"""The agent believes nothing that pogod says: every field of a `start` is checked."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pogo.agent.installation import Installation, load
from pogo.agent.requests import prepare
from pogo.errors import ContainerError


class Holder:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.loops: dict[tuple[int, int], str] = {}
        self.resolvers: tuple[str, ...] = ()

    def free_number(self) -> int:
        return 1


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    environ = {"POGO_CONFIG": "/nonexistent", "POGO_USER": "nobody", "POGO_STATE_DIR": "/srv/pogo"}
    return Holder(replace(load(environ), state=tmp_path))


@pytest.fixture
def client() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


LIMITS = {"memory": 64 << 20, "cpu_shares": 256, "pids": 64}  # as an older pogod asks


def spec(**changes: Any) -> dict[str, Any]:
    plain = {"id": "a-1", "slot": 1, "stack": "pogo-13", "command": ["true"], "env": {}, "limits": LIMITS}
    streams = {"tty": None, "stdin": False, "spool": 1 << 20, "labels": {}}
    files = {"slug": False, "inputs": [], "outputs": False, "builder": False, "continues": ""}
    return plain | streams | files | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "../x"}, "no id"),
        ({"id": "a" * 41}, "no id"),
        ({"id": "a\n"}, "no id"),
        ({"slot": 1001}, "POGO_MAX_APPS"),
        ({"slot": 0}, "POGO_MAX_APPS"),
        ({"slot": -1}, "POGO_MAX_APPS"),
        ({"command": []}, "command is empty"),
        ({"command": ["a\0b"]}, "NUL"),
        ({"env": {"A": "x\0"}}, "NUL"),
        ({"env": {"A=B": "x"}}, "impossible name"),
        ({"env": {"": "x"}}, "impossible name"),
        ({"slug": True}, "Descriptors"),
        ({"inputs": ["a"]}, "Descriptors"),
        ({"stack": "../../etc"}, "no name of a stack"),
        ({"stack": "absent"}, "not installed"),
        ({"continues": "gone"}, "cannot be continued"),
        ({"continues": "../gone"}, "cannot be continued"),
        ({"limits": LIMITS | {"memory": 4096}}, "memory"),
        ({"limits": LIMITS | {"memory": 1e300}}, "memory"),
        ({"limits": LIMITS | {"pids": 0}}, "processes"),
        ({"limits": LIMITS | {"pids": "9"}}, "processes"),
        ({"limits": LIMITS | {"cpu_shares": 1 << 20}}, "CPU"),
        ({"limits": LIMITS | {"disk": -1}}, "disk"),
        ({"slot": True}, "POGO_MAX_APPS"),
        ({"slot": 1.0}, "POGO_MAX_APPS"),
        ({"tty": [24, 70_000]}, "terminal"),
        ({"tty": [0, 80]}, "terminal"),
        ({"spool": 1 << 40}, "spool"),
        ({"outputs": "yes"}, "true or false"),
        ({"builder": 1}, "true or false"),
        ({"command": "true"}, "list of texts"),
        ({"command": ["true", 1]}, "list of texts"),
        ({"env": ["A=B"]}, "texts by name"),
        ({"env": {"A": 1}}, "texts by name"),
        ({"env": {"A": "x" * (1 << 20)}}, "bytes of command and environment"),
        ({"labels": {"a": "x" * 9000}}, "bytes of labels"),
        ({"labels": {"a": {}}}, "texts by name"),
        ({"inputs": [f"i{number}" for number in range(33)]}, "short list"),
        ({"inputs": ["a", "a"]}, "short list"),
    ],
)
def test_bad_requests_are_refused(holder: Holder, client: socket.socket, changes: dict[str, Any], said: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ContainerError, match=said):
        prepare(holder, spec(**changes), [], client)
    assert len(os.listdir("/proc/self/fd")) == before


def test_inputs_have_plain_names(holder: Holder, client: socket.socket) -> None:
    for name in ("../x", "a/b", ".hidden", ""):
        with pytest.raises(ContainerError, match="no file name"):
            prepare(holder, spec(inputs=[name]), [0], client)


def test_an_image_is_a_plain_file(holder: Holder, client: socket.socket) -> None:
    (holder.installation.state / "stacks/pogo-13/current").mkdir(parents=True)
    with pytest.raises((ContainerError, OSError)):
        prepare(holder, spec(), [], client)


def test_a_descriptor_gives_no_more_than_its_caller_may_read(
    holder: Holder, client: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    allowed = "no stack of this name"
    for path, flags, said in (
        ("/etc/shadow", os.O_PATH, "nothing that may be shown"),
        ("/root", os.O_PATH, "nothing that may be shown"),
        ("/etc", os.O_RDONLY, "nothing that may be shown"),
        ("/dev/null", os.O_RDONLY, "nothing that may be shown"),
        (str(tmp_path / "fifo"), os.O_RDONLY | os.O_NONBLOCK, "nothing that may be shown"),
        (str(tmp_path / "file"), os.O_WRONLY, "nothing that may be shown"),
        (str(tmp_path / "file"), os.O_RDONLY, allowed),
    ):
        fd = os.open(path, flags)
        for changes in ({"inputs": ["a"]}, {"slug": True}):
            with pytest.raises(ContainerError) as refused:
                prepare(holder, spec(stack="absent", **changes), [fd], client)
            assert (said in str(refused.value)) == (said != allowed), path
        os.close(fd)


def test_a_stack_image_belongs_to_root(holder: Holder, client: socket.socket) -> None:
    stack = holder.installation.state / "stacks/pogo-13"
    stack.mkdir(parents=True)
    (stack / "current").write_text("")
    if os.geteuid() == 0:
        os.chown(stack / "current", holder.installation.uid, -1)
        with pytest.raises(ContainerError, match="no file of root"):
            prepare(holder, spec(), [], client)
