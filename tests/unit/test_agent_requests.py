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


def spec(**changes: Any) -> dict[str, Any]:
    limits = {"memory": 64 << 20, "cpu_shares": 256, "pids": 64}  # as an older pogod asks
    plain = {"id": "a-1", "slot": 0, "stack": "pogo-13", "command": ["true"], "env": {}, "limits": limits}
    streams = {"tty": None, "stdin": False, "spool": 1 << 20, "labels": {}}
    files = {"slug": False, "inputs": [], "outputs": False, "builder": False, "continues": ""}
    return plain | streams | files | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "../x"}, "no id"),
        ({"id": "a" * 41}, "no id"),
        ({"id": "a\n"}, "no id"),
        ({"slot": 1000}, "POGO_MAX_APPS"),
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
        ({"limits": {"memory": 4096, "cpu_shares": 1, "pids": 1}}, "memory"),
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
