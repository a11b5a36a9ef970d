"""Makes the router show the certificates: those of apps, of authorities, and the operator's own from files."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pogo.errors import InvalidParams
from pogo.model import utcnow
from pogo.router.certificates import Certificates, Served
from pogo.rules.acme import PLATFORM
from pogo.rules.certificates import Certificate, read
from pogo.services import acme, certificates
from pogo.services.platform import Platform

log = structlog.get_logger()
PERIOD = 10.0


@dataclass
class CertificatesLoop:
    """shown: called with chain and key (PEM) of the platform's certificate whenever it is another one."""

    platform: Platform
    router: Certificates
    shown: Callable[[str, str], None] = lambda chain, key: None
    _files: OwnCertificate = field(init=False)
    _told: str = ""

    def __post_init__(self) -> None:
        settings = self.platform.settings
        self._files = OwnCertificate(settings.tls_cert, settings.tls_key)

    async def turn(self) -> bool:
        await self.publish()
        return False

    async def publish(self) -> None:
        """Bring the router up to date. Raises Unavailable."""
        platform, settings = self.platform, self.platform.settings
        own = await asyncio.to_thread(self._files.look)
        wanted = await platform.call(certificates.served, settings)
        answers = await platform.call(acme.answers)
        if own:
            wanted.append(Served(own[0], tuple(certificates.platform_hosts(settings, own[1].names))))

        async def load(id: str) -> str | None:
            if own and id == own[0]:
                return own[1].chain + own[1].key
            return await platform.call(certificates.pem, id)

        await self.router.apply(unique(wanted), answers, load)
        await self._tell(own)

    async def _tell(self, own: tuple[str, Certificate] | None) -> None:
        """The platform's own certificate, to those who speak TLS beside the router."""
        if own is None:
            row = await self.platform.call(certificates.platform_certificate, PLATFORM)
            id, pair = (row.cert_id, (row.chain, row.key)) if row else ("", ("", ""))
        else:
            id, pair = own[0], (own[1].chain, own[1].key)
        if id and id != self._told:
            self.shown(*pair)
            self._told = id


def unique(wanted: list[Served]) -> list[Served]:
    """Each host in one certificate alone: the operator's, which comes last, before those of authorities."""
    taken: set[str] = set()
    found = []
    for one in reversed(wanted):
        hosts = tuple(host for host in one.hosts if host not in taken)
        taken.update(hosts)
        if hosts:
            found.append(Served(one.id, hosts))
    return found


class OwnCertificate:
    """The operator's certificate in two files; read again when they have changed. What cannot be used is told once."""

    def __init__(self, chain: str, key: str) -> None:
        self._paths = (Path(chain), Path(key)) if chain else None
        self._seen: object = None
        self._good: tuple[str, Certificate] | None = None

    def look(self) -> tuple[str, Certificate] | None:
        """An id that changes with its content, and the certificate; the last good one while the files are not."""
        if self._paths is None:
            return None
        try:
            seen = [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in map(os.stat, self._paths)]
            if seen == self._seen:
                return self._good
            chain, key = (path.read_text() for path in self._paths)
            found = read(chain, key, utcnow())
        except (OSError, UnicodeDecodeError, InvalidParams) as error:
            why = error.message if isinstance(error, InvalidParams) else str(error)
            if why != self._seen:
                log.warning("the platform's certificate (POGO_TLS_CERT) cannot be used", reason=why)
            self._seen = why
            return self._good
        self._seen = seen
        self._good = hashlib.sha256(found.chain.encode()).hexdigest()[:32], found
        log.info("the platform's certificate", names=",".join(found.names), expires=str(found.expires_at))
        return self._good
