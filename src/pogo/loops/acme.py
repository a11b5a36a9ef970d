"""Has certificates given and renewed by a public authority (ACME), one small step of an order at a time.

The order at the authority and the row in the database say where it stands, so each step can be repeated after a kill.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial

import structlog

from pogo.errors import CommandFailed, InvalidParams, PogoError, Unavailable
from pogo.loops.certificates import CertificatesLoop
from pogo.model import AcmeOrder, utcnow
from pogo.process import run
from pogo.router.authority import AccountLost, Authority, Limited, Progress, Refused, Session, Trouble
from pogo.rules import acme as rules
from pogo.rules.acme import PLATFORM, Challenge
from pogo.services import acme
from pogo.services.platform import Platform

log = structlog.get_logger()
BATCH = 20
LOOK = 2.0  # seconds between two looks at an order that the authority works on
LONGEST_REST = 60.0
HOOK_TIMEOUT = 300.0  # seconds that the operator's program has until a record can be seen


@dataclass
class AcmeLoop:
    """certificates: shows what was got, and the answers to challenges. authority: None where there is none."""

    platform: Platform
    certificates: CertificatesLoop
    authority: Authority | None
    _rest: float = LONGEST_REST
    _session: Session | None = field(default=None, init=False)

    def period(self) -> float:
        return self._rest

    async def turn(self) -> bool:
        platform = self.platform
        for order in await platform.call(acme.sync, platform.settings):
            await self._clean(order)
            await platform.call(acme.drop, order.id)
        if self.authority:
            for order in await platform.call(acme.due, BATCH):
                await self._advance(order)
            self._rest = min(LONGEST_REST, 0.2 + await platform.call(acme.next_due))
        return False

    async def _advance(self, order: AcmeOrder) -> None:
        call = self.platform.call
        try:
            await (self._go_on(order) if order.url else self._begin(order))
        except Limited as error:
            await call(acme.troubled, order, error.message, rules.LIMITED_PAUSE)
        except (Trouble, Unavailable) as error:
            log.warning("a certificate has to wait", name=order.target, reason=error.message)
            self._session = None
            if self.authority and isinstance(error, AccountLost):
                await call(acme.unregister, self.authority.directory)
            await call(acme.troubled, order, error.message)
        except PogoError as error:
            await self._fail(order, error.message)

    async def _begin(self, order: AcmeOrder) -> None:
        kind = rules.kind(order.names, platform=order.target == PLATFORM, dns=self._hook is not None)
        if kind == "dns-01" and self._hook is None:
            raise InvalidParams("A wildcard can only be proven through DNS, for which the operator has set up nothing.")
        session = await self._connected()
        if await self.platform.call(acme.begin, order.id) is None:
            return
        url, challenges = await asyncio.to_thread(session.order, order.names, kind)
        await self.platform.call(acme.placed, order.id, url, challenges)
        self.platform.hints.wake("acme")

    async def _go_on(self, order: AcmeOrder) -> None:
        session = await self._connected()
        assert order.url
        assert order.key
        try:
            progress = await asyncio.to_thread(session.look, order.url)
        except Refused as error:
            await self._clean(order)
            await self.platform.call(acme.lost, order, error.message)
            return
        if progress.status == "invalid":
            await self._fail(order, progress.reason or "The authority did not say why.")
        elif progress.status == "valid" and progress.certificate:
            await self._take(order, await asyncio.to_thread(session.chain, progress.certificate))
        elif order.deadline and order.deadline < utcnow():
            await self._fail(order, "The authority did not decide in time.")
        else:
            if progress.status == "pending":
                await self._prove(order, session, progress)
            elif progress.status == "ready":
                await asyncio.to_thread(session.finalize, order.url, order.key, order.names)
            await self.platform.call(acme.wait, order, LOOK)

    async def _prove(self, order: AcmeOrder, session: Session, progress: Progress) -> None:
        waiting = [one for one in acme.challenges(order) if one.url in progress.unanswered]
        if any(one.kind == "http-01" for one in waiting):
            await self.certificates.publish()
        for one in waiting:
            if one.kind == "dns-01":
                await self._call_hook("set", one)
        for one in waiting:
            await asyncio.to_thread(session.answer, one)

    async def _take(self, order: AcmeOrder, chain: str) -> None:
        app = await self.platform.call(acme.finish, order, chain)
        await self._clean(order)
        self.platform.hints.wake("certificates")
        log.info("certificate issued", name=order.target)
        if app:
            self._say(app, f"Certificate for {order.target} issued")

    async def _fail(self, order: AcmeOrder, reason: str) -> None:
        await self._clean(order)
        await self.platform.call(acme.failed, order, reason)
        log.warning("no certificate", name=order.target, reason=reason, attempt=order.failures + 1)
        if app := await self.platform.call(acme.app_of, order.target):
            self._say(app, f"No certificate for {order.target}: {reason}")

    async def _clean(self, order: AcmeOrder) -> None:
        """Take back what was shown for the authority. A record that stays is of no use to anybody."""
        for one in acme.challenges(order):
            if one.kind == "dns-01" and self._hook is not None:
                try:
                    await self._call_hook("delete", one)
                except Refused as error:
                    log.warning("a record stays in DNS", name=one.where, reason=error.message)

    @property
    def _hook(self) -> str | None:
        return self.platform.settings.acme_dns_hook or None

    async def _call_hook(self, verb: str, challenge: Challenge) -> None:
        assert self._hook
        command = partial(run, self._hook, verb, challenge.where, challenge.what, timeout=HOOK_TIMEOUT)
        try:
            await asyncio.to_thread(command)
        except CommandFailed as error:
            raise Refused(f"The operator's program for DNS failed: {error.message}") from error

    async def _connected(self) -> Session:
        if self._session is None:
            assert self.authority
            account = await self.platform.call(acme.account, self.authority.directory)
            session, url = await asyncio.to_thread(self.authority.connect, account.key, account.url)
            if url != account.url:
                await self.platform.call(acme.registered, account.id, url)
            self._session = session
        return self._session

    def _say(self, app: str, text: str) -> None:
        try:
            self.platform.say(app, "acm", text, at=time.time())
        except PogoError as error:
            log.warning("cannot write to an app's log", app=app, reason=error.message)
