"""What pogo-agent makes of its settings, in agreement with `pogo.settings`, and what it derives from them."""

from __future__ import annotations

import os
import pwd
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path

import pytest

from pogo.agent import lxc, network
from pogo.agent.command import with_config
from pogo.agent.installation import BadConfiguration, load, parse_setting
from pogo.settings import Settings

ENVIRON = {"POGO_CONFIG": "/nonexistent", "POGO_USER": "nobody", "POGO_STATE_DIR": "/srv/pogo"}


def test_both_halves_agree_on_defaults_and_names() -> None:
    agent = load({**ENVIRON, "POGO_STATE_DIR": "/var/lib/pogo"})
    settings = Settings(_env_file=None, state_dir=Path("/var/lib/pogo"))  # type: ignore[call-arg]
    assert (agent.state, agent.tag, agent.socket) == (settings.state_dir, settings.tag, settings.agent_socket)
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert agent.subnet == defaults["subnet"]
    assert agent.uid_base == defaults["uid_base"]
    assert agent.max_apps == defaults["max_apps"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("POGO_USER=pogo", "pogo"),
        ("  export POGO_USER = 'po go' ", "po go"),
        ('POGO_USER="a#b" # why', "a#b"),
        ("POGO_USER=a # why", "a"),
        ("POGO_USER=", ""),
        ("# POGO_USER=pogo", None),
        ("OTHER=1", None),
        ("", None),
    ],
)
def test_lines_of_the_configuration_file(line: str, value: str | None) -> None:
    assert parse_setting(line).get("POGO_USER") == value


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pogo.conf"
    file.write_text("POGO_STATE_DIR=/srv/one\nPOGO_SUBNET=10.9.0.0/24\nPOGO_USER=nobody\n")
    found = load({"POGO_CONFIG": str(file), "POGO_STATE_DIR": "/srv/two"})
    assert (found.state, found.subnet) == (Path("/srv/two"), IPv4Network("10.9.0.0/24"))
    assert found.uid == pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"POGO_STATE_DIR": "relative"}, "POGO_STATE_DIR"),
        ({"POGO_STATE_DIR": "/" + "x" * 60}, "POGO_STATE_DIR"),
        ({"POGO_USER": "nobody-at-all"}, "POGO_USER"),
        ({"POGO_SUBNET": "10.0.0.0/8"}, "POGO_SUBNET"),
        ({"POGO_SUBNET": "10.0.0.1/24"}, "POGO_SUBNET"),
        ({"POGO_UID_BASE": "0"}, "POGO_UID_BASE"),
        ({"POGO_UID_BASE": "4294000000"}, "POGO_UID_BASE"),
        ({"POGO_MAX_APPS": "many"}, "POGO_MAX_APPS"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(BadConfiguration, match=named):
        load(ENVIRON | changes)


def test_apps_never_share_uids_and_names_fit() -> None:
    found = load({**ENVIRON, "POGO_SUBNET": "10.64.0.0/10"})
    bases = [found.base(slot) for slot in range(1, found.max_apps + 1)]
    assert all(after - before == 65536 for before, after in pairwise(bases))
    assert bases[0] > 65535
    assert len(found.interface(found.subnet.num_addresses - 2)) <= 15


def test_a_configuration_file_of_another_user_is_not_read(tmp_path: Path) -> None:
    """pogod makes files in the state directory, too."""
    (tmp_path / "envs/one").mkdir(parents=True)
    own = tmp_path / "pogo.conf"
    assert with_config({}, tmp_path / "envs/one") == {}
    own.write_text("POGO_UID_BASE=0\n")
    assert with_config({}, tmp_path / "envs/one") == {"POGO_CONFIG": str(own)}
    if os.geteuid() == 0:
        os.chown(own, 65534, 65534)
        assert with_config({}, tmp_path / "envs/one") == {}
    own.unlink()
    own.symlink_to("/etc/hostname")
    assert with_config({}, tmp_path / "envs/one") == {}


def test_rules_exempt_the_resolvers_only() -> None:
    found = load(ENVIRON)
    text = network.ruleset(found, ["10.1.2.3"])
    assert text.startswith(f"table inet pogo_{found.tag}\ndelete table")
    assert text.index("ip daddr { 10.1.2.3 } udp dport 53 accept") < text.index("10.0.0.0/8")
    assert "masquerade" in text
    assert "ip daddr 255.255.255.255 udp" in network.ruleset(found, [])


@pytest.mark.parametrize(("unified", "own"), [(False, "lxc.cgroup.pids.max = 99"), (True, "lxc.cgroup2.pids.max = 99")])
def test_configuration_confines_the_process(unified: bool, own: str) -> None:
    text = lxc.configuration(
        id="web-1",
        base=1_000_000_000,
        cgroup="pogo-abc",
        group="pogo-abc/c/web-1",
        unified=unified,
        rootfs=Path("/srv/root"),
        netns="/proc/1/fd/9",
        seccomp=Path("/srv/seccomp"),
        pids=99,
        files=200,
        file_size=0,
        tcp=0,
        tty=False,
    )
    lines = text.splitlines()
    for line in ("lxc.no_new_privs = 1", "lxc.prlimit.nofile = 200", "lxc.cap.keep = none", "lxc.init.uid = 1000", own):
        assert line in lines
    devices = [line for line in lines if ".devices." in line]
    assert devices[0] == f"{own.split('.pids', maxsplit=1)[0]}.devices.deny = a"
    assert "lxc.console.path = none" in lines
    profile = lxc.seccomp_profile()
    assert profile.startswith("2\ndenylist\n[all]\n")
    assert {"mount errno 1", "bpf errno 1", "clone3 errno 38"} <= set(profile.splitlines())
