"""The local CA: what is right is kept, what is not is made again."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pogo.install import certificates
from pogo.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "tls").mkdir()
    return Settings(state_dir=tmp_path)


def files(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in settings.state_dir.rglob("*") if path.is_file()}


def test_a_second_run_changes_nothing(settings: Settings) -> None:
    assert certificates.ensure(settings, 0)
    before = files(settings)
    assert not certificates.ensure(settings, 0)
    assert files(settings) == before


def test_only_root_reads_the_keys_of_the_authority(settings: Settings) -> None:
    certificates.ensure(settings, 12345)
    modes = {path.name: path.stat().st_mode & 0o777 for path in settings.state_dir.rglob("*.[pk]e[my]")}
    assert modes == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "server.key": 0o640,
        "server.pem": 0o644,
        "default.pem": 0o600,
    }
    assert (settings.state_dir / "tls" / "server.key").stat().st_gid == 12345


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_openssl_trusts_the_server_by_the_ca_alone(settings: Settings, name: str) -> None:
    certificates.ensure(settings, 0)
    tls = settings.state_dir / "tls"
    kind = "-verify_ip" if name[0].isdigit() else "-verify_hostname"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tls / "ca.pem"), kind, name, str(tls / "server.pem")]
    subprocess.run(command, check=True, capture_output=True)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls / "server.pem", tls / "server.key")


@pytest.mark.parametrize("lost", ["tls/server.key", "tls/server.pem", "haproxy/certs/default.pem"])
def test_what_is_lost_or_damaged_is_made_again_by_the_same_authority(settings: Settings, lost: str) -> None:
    certificates.ensure(settings, 0)
    authority = (settings.state_dir / "tls" / "ca.pem").read_bytes()
    (settings.state_dir / lost).write_text("damaged")
    assert certificates.ensure(settings, 0)
    assert (settings.state_dir / "tls" / "ca.pem").read_bytes() == authority
    (settings.state_dir / lost).unlink()
    assert certificates.ensure(settings, 0)
    assert not certificates.ensure(settings, 0)


def test_another_authority_signs_the_server_again(settings: Settings) -> None:
    certificates.ensure(settings, 0)
    before = certificates.fingerprint(settings)
    (settings.state_dir / "tls" / "ca.key").unlink()
    certificates.ensure(settings, 0)
    assert certificates.fingerprint(settings) != before


def test_it_is_renewed_before_it_runs_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "SERVER_DAYS", 29)
    certificates.ensure(settings, 0)
    monkeypatch.setattr(certificates, "SERVER_DAYS", 820)
    assert certificates.ensure(settings, 0)
    assert not certificates.ensure(settings, 0)


def test_another_domain_gets_another_certificate(settings: Settings) -> None:
    certificates.ensure(settings, 0)
    other = Settings(state_dir=settings.state_dir, domain="apps.example.org")
    assert certificates.names(other) == ["apps.example.org", "*.apps.example.org"]
    assert certificates.ensure(other, 0)
    shutil.rmtree(settings.state_dir / "haproxy")
    assert certificates.ensure(other, 0)


def test_the_validity_begins_in_the_past(settings: Settings) -> None:
    certificates.ensure(settings, 0)
    text = (settings.state_dir / "tls" / "server.pem").read_bytes()
    found = certificates.x509.load_pem_x509_certificate(text)
    assert found.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=50)
