"""Ports in use are named, with who has them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from pogo.install import ports
from pogo.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_port_in_use_is_refused_with_its_holder_and_the_setting(taken: int) -> None:
    settings = Settings(http_port=free(), https_port=taken, rendezvous_port=free())
    with pytest.raises(ports.PortInUse) as refused:
        ports.check(settings, set())
    message = refused.value.message
    assert f"Port {taken}" in message
    assert f"process {os.getpid()}" in message
    assert f"POGO_HTTPS_PORT={taken + 1} bin/up" in message


def test_the_platforms_own_processes_may_have_it(taken: int) -> None:
    settings = Settings(http_port=taken, https_port=free(), rendezvous_port=free())
    ports.check(settings, {os.getpid()})
    ports.check(settings, {os.getppid()})


def test_two_settings_cannot_share_a_port() -> None:
    port = free()
    with pytest.raises(ports.PortInUse, match="POGO_HTTPS_PORT"):
        ports.check(Settings(http_port=port, https_port=port, rendezvous_port=free()), set())


def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(ports.PortInUse, match=r"192\.0\.2\.1, port \d+ \(POGO_BIND"):
        ports.check(Settings(bind="192.0.2.1", http_port=free()), set())


def test_ssh_needs_an_address_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"https_port": free(), "rendezvous_port": free()}
    monkeypatch.setattr(ports, "_free", lambda address, port: True)
    with pytest.raises(ports.PortInUse, match="POGO_SSH_ADDRESS=off"):
        ports.check(Settings(http_port=80, bind="0.0.0.0", ssh_address="127.0.0.3", **others), set())
    assert Settings(http_port=80).ssh_host == "127.0.0.2"
    assert Settings(http_port=80, ssh_address="off").ssh_host == ""
    assert Settings(http_port=8080).ssh_host == Settings(http_port=80, bind="0.0.0.0").ssh_host == ""
