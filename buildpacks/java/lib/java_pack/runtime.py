"""Java at /app/.heroku/java: the stack's Debian packages, with what their maintainer scripts would have made."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from pack import debs
from pack.steps import BuildFailed, topic

HOME = Path("/app/.heroku/java")
_HERE = Path(__file__).parent
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSWORD = "changeit"  # noqa: S105  what every Java expects
_NEVER = tuple(f"./usr/lib/jvm/*/{name}" for name in ("jmods/*", "lib/src.zip", "lib/server/classes_nocoops.jsa"))
_BUILD_ONLY = ("include", "lib/ct.sym", "legal", "man")


def install(build_dir: Path, version: int, compiler: bool, cache: Path, env: Mapping[str, str]) -> Path:
    """Unpack a runtime, with the compiler where the build needs it; returns JAVA_HOME as the build and the app see it.

    Raises BuildFailed.
    """
    real = build_dir / ".heroku/java"
    real.parent.mkdir(parents=True, exist_ok=True)
    if real != HOME:
        HOME.parent.mkdir(parents=True, exist_ok=True)
        if HOME.is_symlink():
            HOME.unlink()
        HOME.symlink_to(real)
    topic(f"Installing OpenJDK {version}")
    package = f"openjdk-{version}-{'jdk' if compiler else 'jre'}-headless"
    installed = debs.install([package], real / "root", cache / "debs", env, without=_NEVER)
    homes = sorted((real / "root/usr/lib/jvm").glob(f"java-{version}-openjdk-*/bin/java"))
    if not homes:
        raise BuildFailed(f"{package} of this stack holds no Java {version}: {', '.join(installed)}")
    home = homes[0].parents[1]
    _certificates(home / "lib/security/cacerts")
    return HOME / home.relative_to(real)


def strip(home: Path) -> None:
    """Remove what only building needs."""
    for name in _BUILD_ONLY:
        path = home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _certificates(target: Path) -> None:
    """The stack's certificate authorities as Java's key store; a link to one that is not there is in its place."""
    target.unlink(missing_ok=True)
    target.write_bytes(key_store(CERTIFICATES.read_text() if CERTIFICATES.is_file() else ""))


def key_store(pem: str) -> bytes:
    """Certificates in PEM as a key store of the format JKS, version 2.

    Big-endian: magic, version, count; each entry has tag 2 (trusted certificate), alias, time in ms, type and DER,
    texts with a length of two bytes; SHA-1 over password, the words "Mighty Aphrodite" and all of it ends the file.
    """
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.S)
    parts = [struct.pack(">III", 0xFEEDFEED, 2, len(blocks))]
    for number, block in enumerate(blocks):
        der = ssl.PEM_cert_to_DER_cert(block)
        parts += [struct.pack(">I", 2), _text(f"authority-{number}"), struct.pack(">Q", int(time.time() * 1000))]
        parts += [_text("X.509"), struct.pack(">I", len(der)), der]
    store = b"".join(parts)
    digest = hashlib.sha1(_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + store, usedforsecurity=False).digest()
    return store + digest


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def environment(home: Path) -> dict[str, str]:
    """What Java needs to be found and to run, in the build."""
    return {
        "JAVA_HOME": str(home),
        "LD_LIBRARY_PATH": ":".join(
            filter(None, (debs.library_path(HOME / "root"), os.environ.get("LD_LIBRARY_PATH")))
        ),
        "PATH": f"{home}/bin:{os.environ['PATH']}",
    }


def profile(build_dir: Path, home: Path) -> None:
    """The environment of every process of the app."""
    text = (_HERE / "profile.sh").read_text()
    path = build_dir / ".profile.d/java.sh"
    path.parent.mkdir(exist_ok=True)
    libraries = debs.library_path(HOME / "root")
    path.write_text(text.replace("@home@", str(home)).replace("@libraries@", libraries))
