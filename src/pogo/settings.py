"""Settings of an installation: environment variables (`POGO_…`) or one commented file.

`deploy/pogo.conf` is the reference, complete and commented; a test compares it with this class.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pogo.rules.sizes import parse_sizes

CONFIG_FILE = os.environ.get("POGO_CONFIG", "/etc/pogo/pogo.conf")

SSH_PORT = 80  # in the official client
STACK_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CLIENT_CERTIFICATES = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT"), STACK_CERTIFICATES)


class Settings(BaseSettings):
    """One installation. Everything it owns lies under `state_dir`; ports, addresses and uids are its own."""

    model_config = SettingsConfigDict(env_prefix="POGO_", env_file=CONFIG_FILE, extra="ignore")

    state_dir: Path = Path("/var/lib/pogo")
    cache_dir: Path = Path("/var/cache/pogo")
    domain: str = "localhost"
    bind: str = "127.0.0.1"
    http_port: int = 80
    https_port: int = 443
    rendezvous_port: int = 5000
    ssh_address: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    acme_directory: str = ""
    acme_email: str = ""
    acme_ca: str = STACK_CERTIFICATES
    acme_dns_hook: str = ""
    acme_eab_kid: str = ""
    acme_eab_hmac: str = ""
    database_url: str = ""
    store_url: str = ""
    store_endpoint: str = ""
    store_region: str = "us-east-1"
    store_ca: str = ""
    store_cache_mb: int = Field(default=10240, ge=64)
    store_patience: float = Field(default=20, ge=0.1)
    backup_hours: float = Field(default=24, ge=0)
    backups_kept: int = Field(default=7, ge=1)
    containers: str = "lxc"
    subnet: IPv4Network = IPv4Network("10.83.0.0/16")
    uid_base: int = 1_000_000_000
    max_apps: int = Field(default=1000, ge=1, le=9999)
    user: str = "pogo"
    admin_email: str = "admin@localhost"
    stacks: str = "pogo-13,pogo-12"
    default_stack: str = "pogo-13"
    build_concurrency: int = 2
    build_timeout: int = 900
    build_memory_mb: int = 4096
    build_processes: int = 4096
    build_disk_mb: int = 8192
    build_cache_mb: int = 1024
    slug_max_mb: int = 1024
    keep_slugs: int = Field(default=10, ge=1)
    keep_days: int = Field(default=30, ge=1)
    log_lines: int = 100_000
    mirror: Literal["off", "log", "answer"] = "off"
    mirror_only: bool = False
    mirror_port: int = 5080
    mirror_allow: str = "*"
    mirror_git: str = ""
    images: Literal["auto", "mounted", "unpacked"] = "auto"
    sizes: str = ""
    dyno_disk_mb: int = Field(default=8192, ge=16)
    dyno_files: int = Field(default=10_000, ge=64, le=1 << 20)
    boot_timeout: float = 60
    stop_grace: float = 30
    restart_pause_max: float = 1200
    dyno_cycle: float = 0
    api_rate: int = Field(default=4500, ge=0)
    audit_days: int = Field(default=365, ge=1)

    @field_validator("sizes")
    @classmethod
    def _are_sizes(cls, text: str) -> str:
        parse_sizes(text)
        return text

    @cached_property
    def database(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.state_dir}/db/pogo.db"

    @cached_property
    def store(self) -> str:
        """URL of the object store: `files:<dir>` or `s3://<bucket>`."""
        return self.store_url or f"files:{self.state_dir}/store"

    @property
    def store_keys(self) -> Path:
        """The file with the keys of an S3 store, for pogod alone."""
        return self.state_dir / "keys" / "store.key"

    @property
    def store_id(self) -> Path:
        """The file with the name of this installation's mark in its store."""
        return self.state_dir / "keys" / "store.id"

    @property
    def backups_dir(self) -> Path:
        """Where backups are made, and how the last one went."""
        return self.state_dir / "backups"

    @property
    def copies_dir(self) -> Path:
        """Local copies of objects of an S3 store."""
        return self.state_dir / "copies"

    @property
    def stack_names(self) -> list[str]:
        """The stacks whose images this installation keeps; the default stack is always one of them."""
        return list(
            dict.fromkeys([self.default_stack, *(name.strip() for name in self.stacks.split(",") if name.strip())])
        )

    @cached_property
    def run_dir(self) -> Path:
        """Sockets and the state of live containers. Paths stay short: a unix socket has 107 bytes."""
        return self.state_dir / "run"

    @cached_property
    def agent_socket(self) -> Path:
        return self.run_dir / "agent.sock"

    @cached_property
    def daemon_socket(self) -> Path:
        """pogod's HTTP socket, for HAProxy and the git hook."""
        return self.run_dir / "pogod.sock"

    @cached_property
    def router_socket(self) -> Path:
        return self.run_dir / "haproxy.sock"

    @cached_property
    def tag(self) -> str:
        """Six hex digits that tell this installation's interfaces, tables and cgroups from others'."""
        return hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:6]

    def _with_port(self, scheme: str, host: str, port: int, usual: int) -> str:
        return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"

    def http_url(self, host: str) -> str:
        return self._with_port("http", host, self.http_port, 80)

    def https_url(self, host: str) -> str:
        return self._with_port("https", host, self.https_port, 443)

    @property
    def local(self) -> bool:
        """True where the domain is `localhost`: names then resolve to loopback without any DNS."""
        return self.domain == "localhost"

    @property
    def api_host(self) -> str:
        return "localhost" if self.local else f"api.{self.domain}"

    @property
    def ssh_host(self) -> str:
        """The address with SSH on port 80 into dynos, for the official client; "" where there is none.

        By itself only where no other program can have that port: beside our own port 80 on 127.0.0.1.
        """
        own = (self.bind, self.http_port) == ("127.0.0.1", SSH_PORT)
        return "" if self.ssh_address == "off" else self.ssh_address or ("127.0.0.2" if own else "")

    @cached_property
    def ssh_socket(self) -> Path:
        return self.run_dir / "ssh.sock"

    @property
    def ssh_host_key(self) -> Path:
        return self.state_dir / "keys" / "ssh_host_key"

    @property
    def git_host(self) -> str:
        return "localhost" if self.local else f"git.{self.domain}"

    @property
    def tmp_dir(self) -> Path:
        """For files on their way between a container and the store; emptied when pogod starts."""
        return self.state_dir / "tmp"

    @property
    def git_dir(self) -> Path:
        return self.state_dir / "git"

    @property
    def mirror_dir(self) -> Path:
        """The egress log of builds, and scratch space of the mirror."""
        return self.state_dir / "mirror"

    @property
    def artefacts_dir(self) -> Path:
        """What the mirror has made for builds."""
        return self.cache_dir / "mirror"

    def build_environment(self) -> dict[str, str]:
        """The operator's environment of all builds (`<state>/build.env`, lines KEY=VALUE): registries, proxies.

        Package clients that bring certificates of their own are shown the stack's, which has the operator's.
        """
        file = self.state_dir / "build.env"
        lines = file.read_text().splitlines() if file.exists() else []
        pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
        return {**CLIENT_CERTIFICATES, **{key.strip(): value.strip() for key, _, value in pairs}}

    def app_url(self, name: str) -> str:
        """Where the app is seen; plain HTTP on a local installation, whose CA no browser knows."""
        host = self.app_host(name)
        return (self.http_url(host) if self.local else self.https_url(host)) + "/"

    def app_host(self, name: str) -> str:
        return f"{name}.{self.domain}"
