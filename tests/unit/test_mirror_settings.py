"""The mirror's settings: both halves read them alike, its authority is narrow, its service is there when wanted."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from pogo.agent import network
from pogo.agent.installation import load
from pogo.install import certificates, configuration, parts, ports
from pogo.install.configuration import BadSetting
from pogo.install.ports import PortInUse
from pogo.mirror.authority import Authority
from pogo.rules.addresses import GATEWAY
from pogo.services.build_environment import build_environment
from pogo.settings import Settings

AGENT = {"POGO_CONFIG": "/nonexistent", "POGO_USER": "nobody", "POGO_STATE_DIR": "/srv/pogo"}


def settings(directory: Path, **given: object) -> Settings:
    (directory / "keys").mkdir(exist_ok=True)
    (directory / "keys" / "mirror.key").write_text("key\n")
    (directory / "tls").mkdir(exist_ok=True)
    return Settings(_env_file=None, state_dir=directory, **given)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0, False, False)),
        ({"POGO_MIRROR": "off", "POGO_MIRROR_ONLY": "true"}, (0, False, False)),
        ({"POGO_MIRROR": "log"}, (5080, False, False)),
        ({"POGO_MIRROR": "answer", "POGO_MIRROR_ONLY": "True", "POGO_MIRROR_PORT": "81"}, (81, True, True)),
        ({"POGO_MIRROR": "log", "POGO_MIRROR_ONLY": "no"}, (5080, False, False)),
    ],
)
def test_the_agent_reads_what_the_daemon_reads(
    given: dict[str, str], expected: tuple[int, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = load({**AGENT, **given})
    assert (agent.mirror_port, agent.mirror_only, agent.mirror_answers) == expected
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    daemon = Settings(_env_file=None)  # type: ignore[call-arg]
    on = daemon.mirror != "off"
    read = (daemon.mirror_port if on else 0, on and daemon.mirror_only, daemon.mirror == "answer")
    assert read == expected


def test_links_of_builds_are_told_from_those_of_dynos_and_fit() -> None:
    agent = load({**AGENT, "POGO_SUBNET": "10.64.0.0/10"})
    last = agent.subnet.num_addresses - 2
    names = {agent.interface(number, builder=builder) for number in (2, 11, 17, last) for builder in (False, True)}
    assert len(names) == 8
    assert all(len(name) <= 15 for name in names)
    prefix = agent.interface(0, builder=True)[:-1]
    assert len([name for name in names if name.startswith(prefix)]) == 4


def test_without_a_mirror_the_rules_of_the_network_are_as_ever() -> None:
    assert GATEWAY not in network.ruleset(load(AGENT), ["1.1.1.1"])
    closed = network.ruleset(load({**AGENT, "POGO_MIRROR": "log", "POGO_MIRROR_ONLY": "true"}), ["1.1.1.1"])
    lines = [line.strip() for line in closed.splitlines()]
    only = next(line for line in lines if line.endswith('b*" jump private'))
    assert lines.count(only) == 2
    for chain in ("chain forward {", "chain input {"):
        at = lines.index(chain)
        assert lines.index(only, at) < next(i for i, line in enumerate(lines) if i > at and "dport 53" in line)


def test_a_build_is_shown_the_way_only_where_there_is_a_mirror(tmp_path: Path) -> None:
    assert "HTTPS_PROXY" not in build_environment(settings(tmp_path), "my-app", "b1")
    (tmp_path / "build.env").write_text("HTTPS_PROXY=http://proxy.example:3128\nPIP_INDEX_URL=https://i.example/s\n")
    found = build_environment(settings(tmp_path, mirror="log"), "my-app", "b1")
    assert found["HTTPS_PROXY"].startswith("http://my-app.b1:") and found["HTTPS_PROXY"].endswith(f"@{GATEWAY}:5080")
    assert found["PIP_INDEX_URL"] == "https://i.example/s"


def test_the_authority_is_made_once_and_anew_for_other_hosts(tmp_path: Path) -> None:
    here = settings(tmp_path)
    place = tmp_path / "tls" / "mirror"
    assert certificates.ensure_mirror(here, ("b.example", "a.example"), 0)
    first = (place / "ca.pem").read_text()
    assert not certificates.ensure_mirror(here, ("a.example", "b.example"), 0)
    assert (place / "ca.pem").read_text() == first
    assert stat.S_IMODE((place / "ca.key").stat().st_mode) == 0o640
    (link,) = place.glob("*.0")
    assert link.read_text() == first
    assert certificates.ensure_mirror(here, ("a.example",), 0)
    assert (place / "ca.pem").read_text() != first
    assert len([*place.glob("*.0")]) == 1
    (place / "ca.key").write_text("damaged")
    assert certificates.ensure_mirror(here, ("a.example",), 0)
    assert certificates.ensure_mirror(here, (), 0), "an authority for nobody can be made, too"


def test_the_authority_signs_for_its_hosts_and_cannot_for_others(tmp_path: Path) -> None:
    certificates.ensure_mirror(settings(tmp_path), ("a.example",), 0)
    place = tmp_path / "tls" / "mirror"
    authority = Authority(place)
    assert authority.context("a.example") is authority.context("a.example")
    for host, verified in (("a.example", True), ("bank.example", False)):
        leaf = tmp_path / "leaf.pem"
        leaf.write_bytes(
            authority._leaf(host, x509.load_pem_x509_certificate((place / "ca.pem").read_bytes()).not_valid_before_utc)
        )
        command = ["openssl", "verify", "-no-CApath", "-no_check_time", "-CAfile", place / "ca.pem", leaf]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is verified, done.stderr
    assert isinstance(authority.context("a.example"), ssl.SSLContext)


def test_the_service_is_there_where_it_is_wanted(tmp_path: Path) -> None:
    def names(mode: str) -> list[str]:
        here = settings(tmp_path, mirror=mode)
        certificates.ensure(here, 0)
        certificates.ensure_mirror(here, (), 0)
        return [service.name for service in parts.services(here, tmp_path, tmp_path / "pogo.conf")]

    assert names("off") == ["agent", "pogod", "router"]
    assert names("log") == names("answer") == ["agent", "pogod", "mirror", "router"]


def test_its_restart_cuts_downloads_so_it_is_spared(tmp_path: Path) -> None:
    certificates.ensure(settings(tmp_path), 0)

    def generation(**given: object) -> str:
        services = parts.services(settings(tmp_path, mirror="log", **given), tmp_path, tmp_path / "pogo.conf")
        return next(service.generation for service in services if service.name == "mirror")

    assert generation() == generation(log_lines=7)
    assert generation() != generation(mirror_allow="pypi.org")
    before = generation()
    (tmp_path / "build.env").write_text("PIP_INDEX_URL=https://i.example/s\n")
    assert generation() != before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"POGO_MIRROR": "on"}, "POGO_MIRROR=on"),
        ({"POGO_MIRROR_ONLY": "true"}, "POGO_MIRROR_ONLY needs a mirror"),
        ({"POGO_MIRORR": "log"}, "Did you mean POGO_MIRROR"),
    ],
)
def test_wrong_settings_are_told(
    given: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=said):
        configuration.load(tmp_path / "none.conf", given)


def test_a_folder_that_is_gone_stops_bin_up_and_not_bin_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POGO_MIRROR_GIT", "/nonexistent/folder")
    found = configuration.load(tmp_path / "none.conf", {})  # as both begin
    with pytest.raises(BadSetting, match="POGO_MIRROR_GIT=/nonexistent/folder is no directory"):
        configuration.require_folders(found)


def test_a_port_that_is_taken_is_told_by_its_setting(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        numbers = {"http_port": 0, "https_port": 0, "rendezvous_port": 0}
        free = []
        for name in numbers:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                numbers[name] = probe.getsockname()[1]
                free.append(name)
        with pytest.raises(PortInUse, match=f"Port {port} on {GATEWAY}.*\n.*POGO_MIRROR_PORT"):
            ports.check(settings(tmp_path, mirror="log", mirror_port=port, **numbers), set())
        assert not ports.mirror_listens(settings(tmp_path, mirror="log", mirror_port=port))
        ports.check(settings(tmp_path, mirror="off", mirror_port=port, **numbers), set())
